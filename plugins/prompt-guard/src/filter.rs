//! The filter: looks at requests and answers, masks and restores, refuses.

use std::rc::Rc;

use shared::answer::AnswerBody;
use shared::config::Mode;
use shared::errors::{ApiError, ErrorKind};
use shared::facts::Fact;
use shared::filter::{
    CallReply, Cx, Event, Filter, Flow, Headers, Interest, Out, ResponseHead, Verdict,
};
use shared::host::{Host, Map};
use shared::json::JsonStr;
use shared::pick;
use shared::protocol::Endpoint;
use shared::protocol::anthropic::THREADS;
use shared::remembered::Digest;
use shared::request::RequestBody;
use shared::texts::{self, Kind, Role, Text};

use crate::config::Action;
use crate::decide::Refusal;
use crate::findings::Findings;
use crate::mask::Masks;
use crate::mask::restore::{Sent, Stream};
use crate::outside::{Asking, Judging};
use crate::policy::Policy;
use crate::refusal::Begun;
use crate::unique;
use crate::whole::Form;

/// One request's part.
pub(crate) struct GuardFilter {
    pub(crate) policy: Rc<Policy>,
    pub(crate) masks: Masks,
    pub(crate) stream: Stream,
    pub(crate) begun: Begun,
    /// The request's texts have been looked at.
    pub(crate) looked: bool,
    /// The answer was ended; what comes after goes nowhere.
    pub(crate) ended: bool,
    /// What an answer is that is no stream of events.
    pub(crate) form: Form,
    /// What the service outside has still to judge of the request.
    pub(crate) asking: Option<Asking>,
    /// What it has to judge of the answer, if it does.
    pub(crate) judging: Option<Judging>,
}

impl GuardFilter {
    pub(crate) fn new(policy: Rc<Policy>) -> GuardFilter {
        GuardFilter {
            stream: match policy.answers {
                Some(_) => Stream::new(Rc::clone(&policy)),
                None => Stream::default(),
            },
            policy,
            masks: Masks::default(),
            begun: Begun::default(),
            looked: false,
            ended: false,
            form: Form::Json,
            asking: None,
            judging: None,
        }
    }

    /// Looks at all texts of a request: what was found, and the edits that mask it.
    pub(crate) fn look(&mut self, texts: &[Text<'_>], body: &RequestBody) -> Looked {
        let mut findings = Findings::default();
        let mut judged = Vec::new();
        let mut edits: Vec<Edit> = Vec::new();
        let last = texts.iter().map(|text| text.message).max().unwrap_or(0);
        // What a model is to get back as it wrote it comes last: all that has a placeholder is known by then.
        let is_signed = |text: &&Text<'_>| text.kind == Kind::Signed;
        let others = texts.iter().filter(|text| !is_signed(text));
        for text in others.chain(texts.iter().filter(is_signed)) {
            let is_signed = text.kind == Kind::Signed;
            self.masks.at = if text.role == Role::System { 0 } else { text.message };
            let raw = JsonStr::Borrowed(text.raw);
            let inspects = self.policy.inspects(text, last);
            let moderates = self.policy.moderates(text, last);
            let digest = Digest::of(text.raw.get());
            let how = 2 * text.role as u8 + u8::from(inspects);
            if let Some(score) = digest.and_then(|digest| self.policy.clean.get(digest, how)) {
                findings.score = findings.score.max(score);
                if moderates {
                    judged.push(raw.decode().into_owned());
                }
                continue;
            }
            let mut own = Findings::default();
            let string = raw.decode();
            if inspects {
                self.policy.detect(&string, &mut own);
            }
            self.policy.lists(&string, text.role == Role::User, &mut own);
            // A schema's words are the application's, and are to be taken literally.
            let treated = match text.role {
                Role::Declaration => None,
                _ if !self.policy.masks() => None,
                _ => self.policy.treat(&string, is_signed, &mut self.masks, &mut own),
            };
            if let (Some(digest), None, true) = (digest, &treated, self.policy.is_clean(&own)) {
                self.policy.clean.put(digest, how, own.score);
            }
            findings.add(own);
            if moderates {
                judged.push(treated.clone().unwrap_or_else(|| string.to_string()));
            }
            if let (Some(treated), Some(range)) = (treated, body.range_of(text.raw.get())) {
                let after = |(known, _): &Edit| known.start < range.start;
                let at = edits.iter().rposition(after).map_or(0, |at| at + 1);
                edits.insert(at, (range, JsonStr::encode(&treated).quoted().to_owned()));
            }
        }
        Looked { findings, edits, judged }
    }

    /// Whether answers are looked at; they are changed only where the plugin enforces.
    pub(crate) fn watches(&self) -> bool {
        self.policy.answers.is_some()
    }

    pub(crate) fn enforces(&self) -> bool {
        self.policy.mode == Mode::Enforce
    }

    fn restores(&self) -> bool {
        self.policy.restore && !self.masks.is_empty()
    }

    /// Sends events, and the end of the stream if there is something that ends it.
    fn send(&mut self, cx: &mut Cx<'_>, events: &[Sent], out: &mut Out<'_>) {
        for event in events {
            self.begun.note(cx.endpoint, event.name.as_deref(), &event.data);
            send(cx, event, out);
        }
        if self.stream.seen().end.is_none() {
            return;
        }
        self.ended = true;
        self.judged(cx);
        for event in self.begun.end(cx.endpoint, self.stream.seen().said) {
            send(cx, &event, out);
        }
    }
}

pub(crate) fn send(cx: &mut Cx<'_>, event: &Sent, out: &mut Out<'_>) {
    out.send(cx, &Event { name: event.name.as_deref(), data: &event.data, raw: None });
}

/// What has come of looking at a request.
pub(crate) struct Looked {
    pub(crate) findings: Findings,
    pub(crate) edits: Vec<Edit>,
    /// The texts for the service outside, masked.
    judged: Vec<String>,
}

pub(crate) type Edit = (std::ops::Range<usize>, String);

/// Whether a path has texts to be looked at.
fn has_texts(endpoint: Option<Endpoint>) -> bool {
    !matches!(endpoint, None | Some(Endpoint::Models | Endpoint::GeminiModels))
}

fn header(host: &dyn Host, name: &str) -> String {
    host.header_text(Map::Request, name).unwrap_or_default().trim().to_ascii_lowercase()
}

impl Filter for GuardFilter {
    fn request_head(&mut self, cx: &mut Cx<'_>) -> Flow {
        if self.is_test(cx.host) {
            cx.take_request();
            return Flow::Continue;
        }
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
        if self.is_test(cx.host) {
            return self.tested(cx.host, body);
        }
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
        if self.policy.numbers()
            && self.policy.mode == Mode::Enforce
            && header(cx.host, "anthropic-beta").contains(THREADS)
            && pick::at(body.document(), &["thread", "previous_message_id"]).is_some()
        {
            // Only the rest of the conversation is here, and its numbers would be those of other values.
            return cx.refuse(&ApiError::no_thread());
        }
        let said = match cx.endpoint {
            None | Some(Endpoint::Generic | Endpoint::OpenAiOther) => {
                texts::service(body.document())
            }
            _ => body.said().map(|said| said.texts),
        };
        let found = match said {
            Ok(texts) => texts,
            Err(error) => {
                let refusal = Refusal {
                    error: ApiError::new(ErrorKind::InvalidRequest, malformed(&error)),
                    rule: "malformed".to_owned(),
                };
                return self.refuse(cx, &refusal, &Findings::default(), &text);
            }
        };
        if let Some(key) = unique::check(body.document()) {
            let message = format!("duplicate field `{key}`");
            let refusal = Refusal {
                error: ApiError::new(ErrorKind::InvalidRequest, message).param(key),
                rule: "malformed".to_owned(),
            };
            return self.refuse(cx, &refusal, &Findings::default(), &text);
        }
        let Looked { mut findings, edits, judged } = self.look(&found, body);
        self.looked = true;
        let action = match self.judge(&found, &findings) {
            Ok(action) => action,
            Err(refusal) => return self.refuse(cx, &refusal, &findings, &text),
        };
        let sets = self.policy.fitting(&findings).into_iter().map(|rules| rules.name.clone());
        let mut rules: Vec<String> = sets.collect();
        if findings.score >= self.policy.noted {
            rules.append(&mut findings.rules);
        }
        findings.rules = rules;
        let masked = !edits.is_empty();
        let word = match action {
            Action::Flag => "flag",
            _ if masked => "mask",
            _ => "pass",
        };
        if word != "pass" || action == Action::Log {
            let rule = findings.rules.first().cloned().unwrap_or_default();
            let name = if action == Action::Log { "log" } else { word };
            self.audit(cx, name, &findings, &rule, self.policy.audit_name(&text));
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
        if self.restores() || self.policy.judges_answers() || (self.watches() && self.enforces()) {
            cx.rewrite_answer();
        }
        self.ask(cx, &judged, findings, &text)
    }

    fn called(&mut self, cx: &mut Cx<'_>, reply: CallReply) -> Flow {
        self.request_judged(cx, &reply)
    }

    fn response_head(&mut self, cx: &mut Cx<'_>, head: &mut ResponseHead<'_>) -> Interest {
        let judges = self.policy.judges_answers() && (200..300).contains(&head.status);
        let rewrites = judges || self.restores() || (self.watches() && self.enforces());
        if !rewrites && !self.watches() {
            return Interest::Ignore;
        }
        if !self.reads(head) {
            return Interest::Ignore;
        }
        if judges {
            self.begin_judging(cx, head.kind);
        }
        if !rewrites {
            return Interest::Observe;
        }
        // It no longer has the length, nor the name, that the provider knows.
        for name in ["content-length", "etag"] {
            Headers::remove(head.headers, name);
        }
        Interest::Rewrite
    }

    fn event(&mut self, cx: &mut Cx<'_>, event: &Event<'_>, out: &mut Out<'_>) {
        if self.ended || self.ends_unjudged(cx, event, out) {
            return;
        }
        if !self.enforces() {
            if (self.watches() || self.judging.is_some()) && self.stream.seen().end.is_none() {
                let _ = self.stream.event(&self.masks, event.name, event.data);
            }
            out.send(cx, event);
        } else {
            match self.stream.event(&self.masks, event.name, event.data) {
                None => {
                    if self.watches() || self.judging.is_some() {
                        self.begun.note(cx.endpoint, event.name, event.data);
                    }
                    out.send(cx, event);
                }
                Some(sent) => self.send(cx, &sent, out),
            }
        }
        self.judge_more(cx, out, false);
    }

    fn end(&mut self, cx: &mut Cx<'_>, _complete: bool, out: &mut Out<'_>) {
        if self.ended {
            return self.judge_more(cx, out, true);
        }
        let held = self.stream.flush(&self.masks, None);
        if self.enforces() {
            self.send(cx, &held, out);
        }
        if !self.ended {
            self.ended = true;
            self.judged(cx);
        }
        self.judge_more(cx, out, true);
    }

    fn answer_called(&mut self, cx: &mut Cx<'_>, reply: CallReply, out: &mut Out<'_>) -> Verdict {
        self.answer_judged(cx, &reply, out)
    }

    fn answer(
        &mut self,
        cx: &mut Cx<'_>,
        head: &mut ResponseHead<'_>,
        body: &AnswerBody<'_>,
    ) -> Option<Vec<u8>> {
        let new = self.whole(cx, head, body);
        self.judge_whole(cx, head, new)
    }
}

/// As ai-proxy says it.
pub(crate) fn malformed(error: &shared::json::BadJson) -> String {
    let place = if error.path.is_empty() { String::new() } else { format!("{}: ", error.path) };
    format!("{place}the request body is not valid JSON: {}", error.message)
}
