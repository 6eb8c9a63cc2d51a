//! The filter: looks at requests and answers, masks and restores, refuses.

use shared::small_map::SmallMap;
use std::rc::Rc;

use shared::config::Mode;
use shared::errors::{ApiError, ErrorKind};
use shared::facts::Fact;
use shared::filter::{BodyKind, Cx, Event, Filter, Flow, Headers, Interest, Out, ResponseHead};
use shared::host::{Host, Map};
use shared::json::JsonStr;
use shared::protocol::{Endpoint, Vendor};
use shared::request::RequestBody;
use shared::texts::{self, Kind, Role, Text};

use crate::config::{Action, Uninspected};
use crate::mask::Masks;
use crate::mask::restore::{self, Stream};
use crate::policy::{Findings, Policy};
use crate::unique;

/// One request's part.
pub(crate) struct GuardFilter {
    policy: Rc<Policy>,
    masks: Masks,
    stream: Stream,
    /// The ends of a stream's texts, to see what is cut between two events.
    tails: SmallMap<(u32, u32), String>,
    /// The answer was ended; what comes after goes nowhere.
    ended: bool,
}

/// Why a request is refused.
struct Refusal {
    error: ApiError,
    rule: String,
}

impl GuardFilter {
    pub(crate) fn new(policy: Rc<Policy>) -> GuardFilter {
        GuardFilter {
            stream: Stream::new(policy.held_back()),
            policy,
            masks: Masks::default(),
            tails: SmallMap::new(),
            ended: false,
        }
    }

    /// Looks at all texts of a request: what was found, and the edits that mask it.
    fn look(&mut self, texts: &[Text<'_>], body: &RequestBody) -> (Findings, Vec<Edit>) {
        let mut findings = Findings::default();
        let mut edits = Vec::new();
        let last = texts.iter().map(|text| text.message).max().unwrap_or(0);
        for text in texts {
            let Ok(string) = serde_json::from_str::<String>(text.raw.get()) else { continue };
            if self.policy.inspects(text, last) {
                self.policy.detect(&string, &mut findings);
            }
            self.policy.lists(&string, text.role == Role::User, &mut findings);
            if !self.policy.masks() {
                continue;
            }
            // A schema's words are the application's, and are to be taken literally.
            if text.role == Role::Declaration {
                continue;
            }
            let treated = self.policy.treat(&string, &mut self.masks, &mut findings);
            if let (Some(treated), Some(range)) = (treated, body.range_of(text.raw.get())) {
                edits.push((range, JsonStr::encode(&treated).quoted().to_owned()));
            }
        }
        (findings, edits)
    }

    fn judge(&self, texts: &[Text<'_>], findings: &Findings) -> Result<Action, Refusal> {
        let refuse = |rule: &str, message: &str| {
            let error =
                ApiError::new(ErrorKind::InvalidRequest, message).code("content_policy_violation");
            Err(Refusal { error, rule: rule.to_owned() })
        };
        let limits = self.policy.limits;
        let turns = texts.iter().filter(|text| text.role == Role::User).map(|text| text.message);
        let turns = turns.collect::<std::collections::BTreeSet<_>>().len();
        if limits.max_turns.is_some_and(|most| turns > usize::try_from(most).unwrap_or(usize::MAX))
        {
            return refuse(
                "max-turns",
                "the conversation has more turns than are allowed; begin a new one",
            );
        }
        let characters =
            texts.iter().map(|text| text.raw.get().len()).fold(0, usize::saturating_add);
        if limits.max_characters.is_some_and(|most| characters > most) {
            return refuse(
                "max-characters",
                "the request has more text than is allowed; send less",
            );
        }
        if findings.denied {
            return refuse("lists", "the request was refused by this gateway's content policy");
        }
        if let Some(kind) = &findings.blocked {
            let message = format!("the request has data that may not be sent ({kind}); remove it");
            return refuse(&format!("pii:{kind}"), &message);
        }
        if findings.score >= self.policy.profile.block() {
            if self.policy.action == Action::Block {
                let rule = findings.rules.first().map_or("injection", String::as_str);
                return refuse(rule, "the request was refused by this gateway's content policy");
            }
            return Ok(self.policy.action);
        }
        if findings.score >= self.policy.profile.flag() {
            return Ok(Action::Log);
        }
        Ok(Action::Allow)
    }

    fn audit(&self, cx: &mut Cx<'_>, action: &str, findings: &Findings, rule: &str, body: &str) {
        let consumer = cx.facts.get(cx.host, Fact::Consumer);
        let line = serde_json::json!({
            "event": "guard",
            "action": action,
            "dry_run": self.policy.mode == Mode::DryRun,
            "consumer": consumer,
            "rule": rule,
            "rules": findings.rules,
            "score": findings.score,
            "entities": findings.kinds,
            "text": self.policy.audit_name(body),
        });
        log::warn!("{line}");
    }

    fn refuse(&self, cx: &mut Cx<'_>, refusal: &Refusal, findings: &Findings, body: &str) -> Flow {
        self.audit(cx, "block", findings, &refusal.rule, body);
        if self.policy.mode == Mode::DryRun {
            return Flow::Continue;
        }
        cx.facts.set(cx.host, Fact::Guard, "block");
        cx.facts.set(cx.host, Fact::GuardRules, refusal.rule.clone());
        cx.facts.set(cx.host, Fact::Error, refusal.error.kind.name(Vendor::OpenAi));
        cx.refuse(&refusal.error)
    }

    fn uninspected(&self, cx: &mut Cx<'_>, status: ErrorKind, message: &str) -> Flow {
        if self.policy.uninspected == Uninspected::Allow {
            return Flow::Continue;
        }
        let refusal =
            Refusal { error: ApiError::new(status, message), rule: "uninspected".to_owned() };
        self.refuse(cx, &refusal, &Findings::default(), "")
    }

    /// Whether a piece of an answer, after what came before it, has what ends it.
    fn ends(&mut self, text: &Text<'_>) -> bool {
        let Ok(string) = serde_json::from_str::<String>(text.raw.get()) else { return false };
        if text.again {
            return self.policy.ends(&string, false);
        }
        let tail = self.tails.entry((text.message, text.part)).or_default();
        tail.push_str(&string);
        if self.policy.ends(tail, true) {
            return true;
        }
        let cut = tail.len().saturating_sub(self.policy.held_back());
        let cut = (cut..tail.len()).find(|at| tail.is_char_boundary(*at)).unwrap_or(0);
        tail.drain(..cut);
        false
    }

    /// Whether a text of a whole answer has what ends it.
    fn says_it(&self, text: &Text<'_>) -> bool {
        let string = serde_json::from_str::<String>(text.raw.get());
        string.is_ok_and(|string| self.policy.ends(&string, false))
    }

    /// Whether a text of a stream that is over ends in what may not get out.
    fn ended_in_it(&self) -> bool {
        self.tails.values().any(|tail| self.policy.ends(tail, false))
    }

    /// Ends a stream as one that a content filter has stopped.
    fn withhold(&mut self, cx: &mut Cx<'_>, out: &mut Out<'_>) {
        self.ended = true;
        self.audit(cx, "block_answer", &Findings::default(), "answers", "");
        cx.facts.set(cx.host, Fact::Guard, "block_answer");
        for sent in refusals(cx.endpoint) {
            out.send(cx, &Event { name: sent.0, data: sent.1, raw: None });
        }
    }
}

type Edit = (std::ops::Range<usize>, String);

/// Whether a path has texts to be looked at.
fn has_texts(endpoint: Option<Endpoint>) -> bool {
    !matches!(endpoint, None | Some(Endpoint::Models | Endpoint::GeminiModels))
}

fn header(host: &dyn Host, name: &str) -> String {
    let value = host.header(Map::Request, name).unwrap_or_default();
    String::from_utf8_lossy(&value).trim().to_ascii_lowercase()
}

impl Filter for GuardFilter {
    fn request_head(&mut self, cx: &mut Cx<'_>) -> Flow {
        if !header(cx.host, "upgrade").is_empty() {
            let message = "connections of other protocols cannot be inspected";
            return self.uninspected(cx, ErrorKind::InvalidRequest, message);
        }
        if cx.host.method().as_deref() == Some("POST") || has_texts(cx.endpoint) {
            cx.read_body();
        }
        Flow::Continue
    }

    fn request(&mut self, cx: &mut Cx<'_>, body: &mut RequestBody) -> Flow {
        if body.bytes().is_empty() {
            return Flow::Continue;
        }
        if !matches!(header(cx.host, "content-encoding").as_str(), "" | "identity") {
            let message =
                "compressed request bodies cannot be inspected; leave `content-encoding` out";
            return self.uninspected(cx, ErrorKind::UnsupportedMediaType, message);
        }
        let text = body.text().to_owned();
        let content_type = header(cx.host, "content-type");
        if text.is_empty() || !(content_type.contains("json") || content_type.is_empty()) {
            let message =
                "only JSON can be inspected; send the header `content-type: application/json`";
            return self.uninspected(cx, ErrorKind::UnsupportedMediaType, message);
        }
        let found = match texts::request(body.text()) {
            Ok(found) => found,
            Err(error) => {
                let refusal = Refusal {
                    error: ApiError::new(ErrorKind::InvalidRequest, malformed(&error)),
                    rule: "malformed".to_owned(),
                };
                return self.refuse(cx, &refusal, &Findings::default(), &text);
            }
        };
        if let Some(key) = unique::check(body.text()) {
            let message = format!("duplicate field `{key}`");
            let refusal = Refusal {
                error: ApiError::new(ErrorKind::InvalidRequest, message).param(key),
                rule: "malformed".to_owned(),
            };
            return self.refuse(cx, &refusal, &Findings::default(), &text);
        }
        let (findings, edits) = self.look(&found, body);
        let action = match self.judge(&found, &findings) {
            Ok(action) => action,
            Err(refusal) => return self.refuse(cx, &refusal, &findings, &text),
        };
        let masked = !edits.is_empty();
        let word = match action {
            Action::Flag => "flag",
            _ if masked => "mask",
            _ => "pass",
        };
        if word != "pass" || action == Action::Log {
            let rule = findings.rules.first().cloned().unwrap_or_default();
            let name = if action == Action::Log { "log" } else { word };
            self.audit(cx, name, &findings, &rule, &text);
        }
        cx.facts.set(cx.host, Fact::Guard, word);
        if !findings.rules.is_empty() && action != Action::Allow {
            cx.facts.set(cx.host, Fact::GuardRules, findings.rules.join(","));
        }
        if !findings.kinds.is_empty() {
            let kinds: Vec<&str> = findings.kinds.keys().map(String::as_str).collect();
            cx.facts.set(cx.host, Fact::Pii, kinds.join(","));
        }
        if masked && self.policy.mode == Mode::Enforce {
            let edits: Vec<_> =
                edits.iter().map(|(range, with)| (range.clone(), with.as_str())).collect();
            if body.edit(&edits).is_err() {
                let message = "the request could not be masked";
                let refusal = Refusal {
                    error: ApiError::new(ErrorKind::Internal, message),
                    rule: "mask".to_owned(),
                };
                return self.refuse(cx, &refusal, &findings, &text);
            }
        } else {
            self.masks = Masks::default();
        }
        let restores = self.policy.restore && !self.masks.is_empty();
        if restores || (self.policy.ends_answers() && self.policy.mode == Mode::Enforce) {
            cx.rewrite_answer();
        }
        Flow::Continue
    }

    fn response_head(&mut self, _cx: &mut Cx<'_>, head: &mut ResponseHead<'_>) -> Interest {
        let restores = self.policy.restore && !self.masks.is_empty();
        let ends = self.policy.ends_answers() && self.policy.mode == Mode::Enforce;
        if !(restores || ends) || !matches!(head.kind, BodyKind::EventStream | BodyKind::Json) {
            return Interest::Ignore;
        }
        // It no longer has the length, nor the name, that the provider knows.
        for name in ["content-length", "etag"] {
            if restores {
                Headers::remove(head.headers, name);
            }
        }
        Interest::Rewrite
    }

    fn event(&mut self, cx: &mut Cx<'_>, event: &Event<'_>, out: &mut Out<'_>) {
        if self.ended {
            return;
        }
        if self.policy.ends_answers() {
            let found = texts::event(event.data);
            let over = restore::closes(event.data, &found) && self.ended_in_it();
            if over || found.iter().any(|text| self.ends(text)) {
                self.withhold(cx, out);
                return;
            }
        }
        match self.stream.event(&self.masks, event.name, event.data) {
            None => out.send(cx, event),
            Some(sent) => {
                for sent in &sent {
                    let event = Event { name: sent.name.as_deref(), data: &sent.data, raw: None };
                    out.send(cx, &event);
                }
            }
        }
    }

    fn end(&mut self, cx: &mut Cx<'_>, _complete: bool, out: &mut Out<'_>) {
        if self.ended {
            return;
        }
        if self.policy.ends_answers() && self.ended_in_it() {
            self.withhold(cx, out);
            return;
        }
        let held = self.stream.flush(&self.masks);
        for sent in held {
            out.send(cx, &Event { name: sent.name.as_deref(), data: &sent.data, raw: None });
        }
    }

    fn answer(
        &mut self,
        cx: &mut Cx<'_>,
        head: &mut ResponseHead<'_>,
        body: &[u8],
    ) -> Option<Vec<u8>> {
        let text = std::str::from_utf8(body).ok()?;
        let found = texts::answer(text).ok()?;
        if self.policy.ends_answers() && found.iter().any(|text| self.says_it(text)) {
            self.audit(cx, "block_answer", &Findings::default(), "answers", "");
            cx.facts.set(cx.host, Fact::Guard, "block_answer");
            let message = "the answer was withheld by this gateway's content policy";
            let error =
                ApiError::new(ErrorKind::InvalidRequest, message).code("content_policy_violation");
            let reply = error.reply(cx.endpoint);
            head.set_status(reply.status);
            return Some(reply.body);
        }
        let mut out = String::with_capacity(text.len());
        let mut done = 0;
        for part in &found {
            let string = serde_json::from_str::<String>(part.raw.get()).ok()?;
            let nested = part.kind == Kind::Arguments;
            let Some(restored) = restore::whole(&self.masks, &string, nested) else { continue };
            let start = (part.raw.get().as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
            out.push_str(text.get(done..start)?);
            out.push_str(JsonStr::encode(&restored).quoted());
            done = start.checked_add(part.raw.get().len())?;
        }
        if done == 0 {
            return None;
        }
        out.push_str(text.get(done..)?);
        Some(out.into_bytes())
    }
}

/// As ai-proxy says it.
fn malformed(error: &shared::json::BadJson) -> String {
    let place = if error.path.is_empty() { String::new() } else { format!("{}: ", error.path) };
    format!("{place}the request body is not valid JSON: {}", error.message)
}

/// How an answer ends that may not go on: as one that a content filter has stopped.
fn refusals(endpoint: Option<Endpoint>) -> Vec<(Option<&'static str>, &'static str)> {
    match endpoint.map(Endpoint::vendor) {
        Some(Vendor::Anthropic) => vec![
            (
                Some("message_delta"),
                r#"{"type":"message_delta","delta":{"stop_reason":"refusal","stop_sequence":null},"usage":{"output_tokens":0}}"#,
            ),
            (Some("message_stop"), r#"{"type":"message_stop"}"#),
        ],
        Some(Vendor::Google) => vec![(
            None,
            r#"{"candidates":[{"index":0,"finishReason":"SAFETY","content":{"role":"model","parts":[]}}]}"#,
        )],
        _ if endpoint == Some(Endpoint::OpenAiResponses) => vec![(
            Some("error"),
            r#"{"type":"error","code":"content_policy_violation","message":"the answer was withheld by this gateway's content policy","param":null}"#,
        )],
        _ => vec![
            (
                None,
                r#"{"id":"chatcmpl-guard","object":"chat.completion.chunk","created":0,"model":"","choices":[{"index":0,"delta":{},"finish_reason":"content_filter"}]}"#,
            ),
            (None, "[DONE]"),
        ],
    }
}
