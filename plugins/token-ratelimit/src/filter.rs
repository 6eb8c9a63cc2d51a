//! The filter: reserves before, settles after, on every way out.

use std::rc::Rc;

use serde_json::value::RawValue;
use shared::answer::AnswerBody;
use shared::facts::Fact;
use shared::filter::{
    BodyKind, CallReply, Cx, Event, Filter, Flow, Interest, Out, Outcome, ResponseHead,
};
use shared::protocol::{Endpoint, GooglePath, Service, head};
use shared::request::RequestBody;
use shared::usage::Usage;
use shared::{pick, texts, tokens};

use crate::admitted::Admitted;
use crate::ask::Ask;
use crate::check::{Pending, line};
use crate::cut::Cut;
use crate::limiter::Limiter;
use crate::reported::Reported;
use crate::{admin, headers};

/// One request's part.
pub(crate) struct LimitFilter {
    pub(crate) limiter: Rc<Limiter>,
    model: String,
    /// What rules of `body:` may look at.
    body: String,
    prompt_tokens: u64,
    /// The client wants the counts of tokens at the end of a stream.
    include_usage: bool,
    /// Most tokens that the answer can have, where the request says so.
    max_tokens: Option<u64>,
    route: String,
    pub(crate) pending: Option<Pending>,
    /// Of a refusal: the rules of which it is one, where nobody has said which.
    pub(crate) among: Vec<usize>,
    pub(crate) admitted: Admitted,
    /// It was let through, and so is to be settled.
    pub(crate) open: bool,
    status: u16,
    /// The answer as far as it was seen.
    written: tokens::Counter,
    events: texts::Events,
    /// What it tells of its tokens, where nobody else does in time.
    reported: Option<Reported>,
    /// How to end it, where a rule may do so.
    cut: Option<Cut>,
    /// Then also who answers, as the provider and its model: the name that the client knows may have no price.
    answering: (String, String),
    /// It was ended.
    ended: bool,
    /// What is foretold, for people, and the budgets of which that is too much.
    pub(crate) forecasts: Vec<String>,
    pub(crate) forecast_warnings: Vec<String>,
}

impl LimitFilter {
    pub(crate) fn new(limiter: Rc<Limiter>) -> LimitFilter {
        LimitFilter {
            limiter,
            model: String::new(),
            body: String::new(),
            prompt_tokens: 0,
            include_usage: false,
            max_tokens: None,
            route: String::new(),
            pending: None,
            among: Vec::new(),
            admitted: Admitted::default(),
            open: false,
            status: 0,
            written: tokens::Counter::default(),
            events: texts::Events::default(),
            reported: None,
            cut: None,
            answering: Default::default(),
            ended: false,
            forecasts: Vec::new(),
            forecast_warnings: Vec::new(),
        }
    }

    /// What the provider has counted, if it has said so.
    fn stated(&self, cx: &mut Cx<'_>) -> Option<Usage> {
        cx.facts.usage(cx.host).or_else(|| self.reported.as_ref()?.usage())
    }

    /// What was really used.
    fn used(&self, cx: &mut Cx<'_>, outcome: Outcome, served: bool) -> Usage {
        let stated = self.stated(cx);
        let failed = self.status >= 400 || (self.status == 0 && !served);
        match stated {
            Some(usage) if outcome == Outcome::Complete => usage,
            _ if failed => Usage::default(),
            // Nobody has said: what was sent, and what has come. Of a broken answer the last word on
            // its tokens has not come.
            stated => {
                self.limiter.count(cx.host, "ai_limit_estimated_total", 1);
                // A service that does not count has used one at least, or its limit would never hold.
                let least = u64::from(cx.endpoint == Some(Endpoint::Generic));
                let mut usage = stated.unwrap_or(Usage {
                    prompt_tokens: self.prompt_tokens,
                    images: least,
                    seconds: least,
                    pages: least,
                    ..Usage::default()
                });
                // No estimate can be above what the provider was told to stop at.
                let most = self.max_tokens.unwrap_or(u64::MAX);
                let written = self.written.tokens().min(most);
                usage.completion_tokens = usage.completion_tokens.max(written);
                usage
            }
        }
    }
}

/// Models are only listed, and cost nothing.
fn counts(endpoint: Option<Endpoint>) -> bool {
    !matches!(endpoint, None | Some(Endpoint::Models | Endpoint::GeminiModels))
}

/// Whether answers of an API are written by a model: of others there are no tokens to be kept free.
fn writes(endpoint: Option<Endpoint>) -> bool {
    let finds = matches!(
        endpoint,
        Some(
            Endpoint::OpenAiEmbeddings
                | Endpoint::GeminiEmbed
                | Endpoint::GeminiCaches
                | Endpoint::AnthropicBatches
                | Endpoint::Service(
                    Service::Moderations
                        | Service::Rerank
                        | Service::Files
                        | Service::Batches
                        | Service::StoredResponses
                )
        )
    );
    !finds && !is_counting(endpoint)
}

/// Tokens are only counted, which costs none.
fn is_counting(endpoint: Option<Endpoint>) -> bool {
    matches!(
        endpoint,
        Some(
            Endpoint::OpenAiInputTokens
                | Endpoint::AnthropicCountTokens
                | Endpoint::GeminiCountTokens
        )
    )
}

impl Filter for LimitFilter {
    fn request_head(&mut self, cx: &mut Cx<'_>) -> Flow {
        if let Some(asked) = admin::Asked::of(cx.host) {
            return match admin::answer(&self.limiter, cx.host, &asked) {
                admin::Said::Reply(reply) => Flow::Respond(Box::new(reply)),
                admin::Said::There(there, call) => {
                    self.pending = Some(Pending::Admin(there));
                    Flow::Call(call)
                }
            };
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
        let document = body.document();
        let asked = document.parse::<head::Head<'_>>().unwrap_or_default();
        self.model = match GooglePath::of(&path).filter(|google| !google.model.is_empty()) {
            Some(google) => google.model.to_owned(),
            None => asked.model.as_ref().map(|m| m.decode().into_owned()).unwrap_or_default(),
        };
        let [n, google, old, user, metadata] = pick::pick(
            document,
            ["n", "generationConfig", "generation_config", "user", "metadata"],
        );
        let google = google.or(old);
        let options = asked.stream_options.as_ref();
        self.include_usage = options.is_some_and(|options| options.include_usage == Some(true));
        self.max_tokens = asked
            .max_tokens()
            .or_else(|| google_number(google, ["maxOutputTokens", "max_output_tokens"]));
        // Each of several answers may be that long.
        let answers = n.and_then(|n| n.get().parse().ok());
        let answers = answers
            .or_else(|| google_number(google, ["candidateCount", "candidate_count"]))
            .unwrap_or(1_u64)
            .max(1);
        self.max_tokens = self.max_tokens.map(|most| most.saturating_mul(answers));
        let said = body.said().unwrap_or_default();
        let sizes = said.texts.iter().map(|text| tokens::estimate_string(text.raw.get()));
        self.prompt_tokens = sizes.fold(0, u64::saturating_add);
        cx.facts.set(cx.host, Fact::Estimate, self.prompt_tokens.to_string());
        if !writes(cx.endpoint) {
            self.max_tokens = Some(0);
        }
        if is_counting(cx.endpoint) {
            self.prompt_tokens = 0;
        }
        self.body = small(user, metadata);
        let mut ask =
            Ask { cx: &mut *cx, model: &self.model, body: text, provider: "", target_model: "" };
        self.route = ask.route();
        let limiter = &self.limiter;
        let expected =
            limiter.expect(&self.model, &self.route, self.prompt_tokens, self.max_tokens);
        match limiter.plan(&mut ask, &expected) {
            Ok(plan) => self.check(cx, plan),
            Err(full) => self.refuse(cx, full),
        }
    }

    fn called(&mut self, cx: &mut Cx<'_>, reply: CallReply) -> Flow {
        match self.pending.take() {
            Some(Pending::Check(check)) => self.checked(cx, check.0, check.1, &reply),
            Some(Pending::Admin(there)) => {
                Flow::Respond(Box::new(there.answer(&self.limiter, cx.host, &reply)))
            }
            None => Flow::Continue,
        }
    }

    fn response_head(&mut self, cx: &mut Cx<'_>, head: &mut ResponseHead<'_>) -> Interest {
        if !self.open {
            return Interest::Ignore;
        }
        self.status = head.status;
        // What a service counts only ai-proxy knows to find.
        if cx.endpoint != Some(Endpoint::Generic) && !cx.facts.hears_counts(cx.host) {
            self.reported = Some(Reported::new(cx.answer_form()));
        }
        if self.limiter.headers {
            let rules = self.admitted.held.iter();
            // A rate limit service may not say where a key stands.
            let known = rules.filter(|held| held.standing.limit > 0);
            let all =
                known.filter_map(|held| Some((self.limiter.rules.get(held.rule)?, held.standing)));
            for (name, value) in headers::of(all) {
                head.headers.set(&name, &value);
            }
        }
        let mut warnings: Vec<String> = self
            .admitted
            .warnings
            .iter()
            .filter_map(|(rule, share)| {
                Some(format!("{}={share}", self.limiter.rules.get(*rule)?.name))
            })
            .collect();
        warnings.extend(self.forecast_warnings.iter().map(|name| format!("{name}=forecast")));
        if !self.forecasts.is_empty() {
            head.headers.set("x-ai-forecast", &self.forecasts.join(","));
        }
        if !warnings.is_empty() {
            head.headers.set("x-ai-budget", &warnings.join(","));
            self.limiter.count(cx.host, "ai_limit_warnings_total", 1);
        }
        if head.kind == BodyKind::EventStream
            && (200..300).contains(&head.status)
            && self.limiter.any_cuts(&self.admitted)
        {
            self.cut = Some(Cut::new(self.include_usage.then_some(self.prompt_tokens)));
            let provider = cx.facts.get(cx.host, Fact::Provider).unwrap_or_default();
            let model = cx.facts.get(cx.host, Fact::Model).unwrap_or_else(|| self.model.clone());
            self.answering = (provider, model);
            return Interest::Rewrite;
        }
        match head.kind {
            BodyKind::EventStream | BodyKind::Json if (200..300).contains(&head.status) => {
                Interest::Observe
            }
            _ => Interest::Ignore,
        }
    }

    fn event(&mut self, cx: &mut Cx<'_>, event: &Event<'_>, out: &mut Out<'_>) {
        if let Some(reported) = &mut self.reported {
            reported.read(event.data);
        }
        let (found, _) = self.events.read(event.data);
        for text in found.iter().filter(|text| !text.again) {
            self.written.add_escaped(inner(text.raw.get()));
        }
        let Some(cut) = &mut self.cut else { return out.send(cx, event) };
        if self.ended {
            return;
        }
        let completion_tokens = self.written.tokens();
        let prompt_tokens = self.prompt_tokens;
        let usage = Usage { prompt_tokens, completion_tokens, ..Usage::default() };
        let (provider, model) = &self.answering;
        let cost = self.limiter.cost(provider, model, &usage);
        let (limiter, admitted) = (&self.limiter, &mut self.admitted);
        match limiter.over_by(cx.host, admitted, &self.model, &usage, cost) {
            None => {
                cut.seen(cx.endpoint, event.data);
                out.send(cx, event);
            }
            Some(rule) => {
                self.ended = true;
                for (name, data) in cut.end(cx.endpoint, completion_tokens) {
                    out.send(cx, &Event { name, data: &data, raw: None });
                }
                let name = limiter.rules.get(rule).map(|rule| rule.name.clone());
                let name = name.unwrap_or_default();
                log::info!("{}", line("cut", &name, cx));
                limiter.count(cx.host, &format!("ai_limit_cut_total|limit={name}"), 1);
                cx.facts.set(cx.host, Fact::Limit, name);
            }
        }
    }

    fn answer(
        &mut self,
        cx: &mut Cx<'_>,
        _head: &mut ResponseHead<'_>,
        body: &AnswerBody<'_>,
    ) -> Option<Vec<u8>> {
        if let Some(reported) = &mut self.reported {
            reported.read(body.document_in_one_go());
        }
        // All of it is there: what has been said of its tokens holds, whatever becomes of it.
        if self.stated(cx).is_none() {
            for text in body.texts().unwrap_or_default() {
                self.written.add_escaped(inner(text.raw.get()));
            }
        }
        None
    }

    fn done(&mut self, cx: &mut Cx<'_>, outcome: Outcome) {
        // The client has left while the counts were being asked.
        if let Some(Pending::Check(check)) = self.pending.take() {
            let (plan, asked) = *check;
            self.limiter.release_there(cx.host, asked.lease(), &plan.claims);
        }
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
            self.limiter.learned.add(&self.model, &self.route, usage.completion_tokens);
        }
        if whole && !provider.is_empty() {
            self.limiter.learned.answered(&self.model, &provider, &model);
        }
        let ok = served && self.status < 400;
        let mut ask = Ask {
            cx: &mut *cx,
            model: &self.model,
            body: &self.body,
            provider: &provider,
            target_model: &model,
        };
        self.limiter.settle(&mut ask, &self.admitted, &usage, &model, ok);
    }
}

/// What stands between the quotes of a JSON string.
fn inner(raw: &str) -> &str {
    raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).unwrap_or(raw)
}

/// A number of Gemini's `generationConfig`, in either of its spellings.
fn google_number(config: Option<&RawValue>, spellings: [&str; 2]) -> Option<u64> {
    let [value, spelt] = pick::pick(config?.get(), spellings);
    let found = value.or(spelt)?;
    found.get().parse().ok()
}

/// Of a body, what rules may look at when the answer is there.
fn small(user: Option<&RawValue>, metadata: Option<&RawValue>) -> String {
    let or_null = |value: Option<&RawValue>| value.map_or("null", RawValue::get).to_owned();
    format!("{{\"user\":{},\"metadata\":{}}}", or_null(user), or_null(metadata))
}
