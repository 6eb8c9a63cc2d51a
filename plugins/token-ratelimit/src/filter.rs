//! The filter: reserves before, settles after, on every way out.

use std::rc::Rc;

use shared::config::Mode;
use shared::errors::{ApiError, ErrorKind};
use shared::facts::Fact;
use shared::filter::{
    BodyKind, Cx, Event, Filter, Flow, Interest, Out, Outcome, Reply, ResponseHead,
};
use shared::host::Map;
use shared::json::parse;
use shared::protocol::{Endpoint, GooglePath, head};
use shared::request::RequestBody;
use shared::usage::Usage;
use shared::{pick, texts, tokens};

use crate::ask::Ask;
use crate::config::Unit;
use crate::limiter::{Admitted, Full, Limiter};
use crate::{admin, headers};

/// One request's part.
pub(crate) struct LimitFilter {
    limiter: Rc<Limiter>,
    model: String,
    /// What rules of `body:` may look at.
    body: String,
    prompt_tokens: u64,
    admitted: Admitted,
    /// It was let through, and so is to be settled.
    open: bool,
    status: u16,
    /// Tokens of the answer as far as it was seen, estimated.
    written: u64,
}

impl LimitFilter {
    pub(crate) fn new(limiter: Rc<Limiter>) -> LimitFilter {
        LimitFilter {
            limiter,
            model: String::new(),
            body: String::new(),
            prompt_tokens: 0,
            admitted: Admitted::default(),
            open: false,
            status: 0,
            written: 0,
        }
    }

    fn refuse(&self, cx: &mut Cx<'_>, full: Full) -> Flow {
        let Some(rule) = self.limiter.rules.get(full.rule) else { return Flow::Continue };
        let name = &rule.name;
        log::info!("{}", line("refuse", name, cx));
        cx.facts.set(cx.host, Fact::Limit, name.clone());
        cx.facts.set(cx.host, Fact::Error, "rate_limit_error");
        let what = match rule.unit {
            Unit::Requests => "requests",
            Unit::Concurrent => "requests at the same time",
            Unit::Cost => "budget",
            _ => "tokens",
        };
        let message = match full.wait {
            None => format!("limit `{name}`: this key is blocked"),
            Some(_) if rule.unit == Unit::Concurrent => {
                format!("limit `{name}`: too many {what}; try again when one has ended")
            }
            Some(wait) => format!("limit `{name}`: the {what} are used up; try again in {wait} s"),
        };
        let error = ApiError::new(ErrorKind::RateLimit, message).code("rate_limit_exceeded");
        let mut reply: Reply = error.reply(cx.endpoint);
        if let Some(wait) = full.wait {
            reply.headers.push(("retry-after".into(), wait.to_string()));
        }
        if self.limiter.headers {
            reply.headers.extend(headers::of([(rule, full.standing)].into_iter()));
        }
        Flow::Respond(Box::new(reply))
    }

    fn state(&self, cx: &mut Cx<'_>) {
        let name = |index: usize| self.limiter.rules.get(index).map(|rule| rule.name.clone());
        if let Some(over) = &self.admitted.over {
            let name = name(over.rule).unwrap_or_default();
            log::info!("{}", line("exceeded", &name, cx));
        }
        // A dry run leaves the choice of models alone.
        if self.limiter.mode == Mode::Enforce
            && let Some(name) = self.admitted.downgrade.and_then(name)
        {
            cx.facts.set(cx.host, Fact::Downgrade, name);
        }
    }

    /// What was really used.
    fn used(&self, cx: &mut Cx<'_>, outcome: Outcome, served: bool) -> Usage {
        let stated = cx.facts.get(cx.host, Fact::Usage);
        let stated = stated.and_then(|json| serde_json::from_str::<Usage>(&json).ok());
        let failed = self.status >= 400 || (self.status == 0 && !served);
        match stated {
            Some(usage) if outcome == Outcome::Complete => usage,
            _ if failed => Usage::default(),
            // Nobody has said: what was sent, and what has come. Of a broken answer the last word on
            // its tokens has not come.
            stated => {
                let mut usage = stated
                    .unwrap_or(Usage { prompt_tokens: self.prompt_tokens, ..Usage::default() });
                usage.completion_tokens = usage.completion_tokens.max(self.written);
                usage
            }
        }
    }
}

/// Models are only listed, and cost nothing.
fn counts(endpoint: Option<Endpoint>) -> bool {
    !matches!(endpoint, None | Some(Endpoint::Models | Endpoint::GeminiModels))
}

fn line(action: &str, rule: &str, cx: &mut Cx<'_>) -> String {
    let consumer = cx.facts.get(cx.host, Fact::Consumer);
    serde_json::json!({"event": "limit", "action": action, "rule": rule, "consumer": consumer})
        .to_string()
}

impl Filter for LimitFilter {
    fn request_head(&mut self, cx: &mut Cx<'_>) -> Flow {
        if let Some(asked) = admin::Asked::of(cx.host) {
            return Flow::Respond(Box::new(admin::answer(&self.limiter, cx.host, &asked)));
        }
        if counts(cx.endpoint) {
            cx.read_body();
        }
        Flow::Continue
    }

    fn request(&mut self, cx: &mut Cx<'_>, body: &mut RequestBody) -> Flow {
        if !counts(cx.endpoint) {
            return Flow::Continue;
        }
        let text = body.text();
        let path = cx.host.path().unwrap_or_default();
        let asked = parse::<head::Head<'_>>(text).unwrap_or_default();
        self.model = match GooglePath::of(&path).filter(|google| !google.model.is_empty()) {
            Some(google) => google.model.to_owned(),
            None => asked.model.as_ref().map(|m| m.decode().into_owned()).unwrap_or_default(),
        };
        let max_tokens = asked.max_tokens().or_else(|| google_max(text));
        let found = texts::request(text).unwrap_or_default();
        let sizes = found.iter().map(|text| tokens::estimate_escaped(inner(text.raw.get())));
        self.prompt_tokens = sizes.fold(0, u64::saturating_add);
        let expected = self.limiter.expect(&self.model, self.prompt_tokens, max_tokens);
        cx.facts.set(cx.host, Fact::Estimate, self.prompt_tokens.to_string());
        let mut ask = Ask { cx: &mut *cx, model: &self.model, body: text, provider: "" };
        let exhausted = self.limiter.exhausted(&mut ask);
        match self.limiter.admit(&mut ask, &expected) {
            Ok(admitted) => {
                self.admitted = admitted;
                self.open = true;
            }
            Err(full) => return self.refuse(cx, full),
        }
        if !exhausted.is_empty() && self.limiter.mode == Mode::Enforce {
            cx.facts.set(cx.host, Fact::Exhausted, exhausted.join("\n"));
        }
        self.body = small(text);
        self.state(cx);
        Flow::Continue
    }

    fn response_head(&mut self, cx: &mut Cx<'_>, head: &mut ResponseHead<'_>) -> Interest {
        if !self.open {
            return Interest::Ignore;
        }
        self.status = head.status;
        if self.limiter.headers {
            let rules = self.admitted.held.iter();
            let all =
                rules.filter_map(|held| Some((self.limiter.rules.get(held.rule)?, held.standing)));
            for (name, value) in headers::of(all) {
                head.headers.set(&name, &value);
            }
        }
        let warnings: Vec<String> = self
            .admitted
            .warnings
            .iter()
            .filter_map(|(rule, share)| {
                Some(format!("{}={share}", self.limiter.rules.get(*rule)?.name))
            })
            .collect();
        if !warnings.is_empty() {
            head.headers.set("x-ai-budget", &warnings.join(","));
            self.limiter.count(cx.host, "ai_limit_warnings_total", 1);
        }
        match head.kind {
            BodyKind::EventStream | BodyKind::Json if (200..300).contains(&head.status) => {
                Interest::Observe
            }
            _ => Interest::Ignore,
        }
    }

    fn event(&mut self, cx: &mut Cx<'_>, event: &Event<'_>, out: &mut Out<'_>) {
        for text in texts::event(event.data).iter().filter(|text| !text.again) {
            let tokens = tokens::estimate_escaped(inner(text.raw.get()));
            self.written = self.written.saturating_add(tokens);
        }
        out.send(cx, event);
    }

    fn answer(
        &mut self,
        _cx: &mut Cx<'_>,
        _head: &mut ResponseHead<'_>,
        body: &[u8],
    ) -> Option<Vec<u8>> {
        let text = std::str::from_utf8(body).unwrap_or_default();
        let found = texts::answer(text).unwrap_or_default();
        let sizes = found.iter().map(|text| tokens::estimate_escaped(inner(text.raw.get())));
        self.written = sizes.fold(0, u64::saturating_add);
        None
    }

    fn done(&mut self, cx: &mut Cx<'_>, outcome: Outcome) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        let provider = cx.facts.get(cx.host, Fact::Provider).unwrap_or_default();
        let attempts = cx.facts.get(cx.host, Fact::Attempts).unwrap_or_default();
        let model = cx.facts.get(cx.host, Fact::Model).unwrap_or_else(|| self.model.clone());
        // A client that leaves before the answer begins has still had it asked for.
        let served = !attempts.is_empty() || !provider.is_empty();
        let usage = self.used(cx, outcome, served);
        let whole = outcome == Outcome::Complete && self.status < 300;
        if whole && usage.completion_tokens > 0 {
            self.limiter.learned.add(&self.model, usage.completion_tokens);
        }
        let ok = served && self.status < 400;
        let mut ask =
            Ask { cx: &mut *cx, model: &self.model, body: &self.body, provider: &provider };
        self.limiter.settle(&mut ask, &self.admitted.held, &usage, &model, ok);
    }
}

/// What stands between the quotes of a JSON string.
fn inner(raw: &str) -> &str {
    raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).unwrap_or(raw)
}

fn google_max(text: &str) -> Option<u64> {
    let found = pick::at(text, &["generationConfig", "maxOutputTokens"])
        .or_else(|| pick::at(text, &["generation_config", "max_output_tokens"]));
    found?.get().parse().ok()
}

/// Of a body, what rules may look at when the answer is there.
fn small(text: &str) -> String {
    let [user, metadata] = pick::pick(text, ["user", "metadata"]);
    let or_null = |value: Option<&serde_json::value::RawValue>| {
        value.map_or("null", |value| value.get()).to_owned()
    };
    format!("{{\"user\":{},\"metadata\":{}}}", or_null(user), or_null(metadata))
}

/// Header of clients that administer.
pub(crate) fn bearer(host: &dyn shared::host::Host) -> Vec<u8> {
    let value = host.header(Map::Request, "authorization").unwrap_or_default();
    match value.split_at_checked(7) {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case(b"bearer ") => key.to_vec(),
        _ => Vec::new(),
    }
}
