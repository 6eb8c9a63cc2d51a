//! One request that is over: all that is told of it, by metrics, log, spans, report and drift.

use shared::facts::{Fact, Facts};
use shared::filter::Outcome;
use shared::host::{Capability, Host};
use shared::json::{JsonStr, parse};
use shared::pick::at;
use shared::protocol::Endpoint;
use shared::usage::Usage;

use crate::answer::{self, Finish, Watch};
use crate::request::{Asked, Profile, is_language};
use crate::trace::Trace;
use shared::price::Prices;

/// What a label says where there is nothing to say.
pub const NONE: &str = "none";

/// What the filter has seen of a request.
#[derive(Debug, Default)]
pub struct Seen {
    /// Nanoseconds since the Unix epoch at its first byte.
    pub arrived: u64,
    /// Its API.
    pub endpoint: Option<Endpoint>,
    /// Its body.
    pub asked: Asked,
    /// HTTP status of the answer; 0 without one.
    pub status: u16,
    /// Whether the answer is a stream.
    pub stream: bool,
    /// The answer.
    pub watch: Watch,
    /// Its place in a trace.
    pub trace: Option<Trace>,
}

/// How a request has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As it should.
    Ok,
    /// Refused for what was asked (4xx).
    Refused,
    /// Failed (5xx, a broken stream).
    Failed,
    /// The client left.
    Left,
}

/// One request.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // They are the fields of the access log, explained in `docs/ai-metrics.md`.
pub struct Record {
    pub arrived: u64,
    pub endpoint: Option<Endpoint>,
    pub operation: &'static str,
    pub protocol: &'static str,
    pub consumer: String,
    pub key_id: String,
    pub team: String,
    pub route: String,
    pub variant: String,
    pub requested_model: String,
    pub model: String,
    pub provider: String,
    pub region: String,
    pub attempts: Vec<String>,
    pub status: u16,
    pub ending: Ending,
    pub error_type: String,
    pub finish: Option<Finish>,
    pub stream: bool,
    /// Tokens that were used at a provider; of a cached answer, those that were saved.
    pub usage: Option<Usage>,
    /// The tokens are estimated, in part at least.
    pub estimated: bool,
    /// Billionths of a US dollar.
    pub cost: Option<u64>,
    /// A cheaper model that could have served it, and its cost.
    pub cheaper: Option<(String, u64)>,
    /// Nanoseconds, each.
    pub first_event: Option<u64>,
    pub first_token: Option<u64>,
    pub per_event: Option<u64>,
    pub per_token: Option<u64>,
    pub total: u64,
    pub upstream: Option<u64>,
    pub own: Option<u64>,
    pub cache: String,
    pub guard: String,
    pub guard_rules: Vec<String>,
    pub pii: Vec<String>,
    pub limit: String,
    pub tool_call: bool,
    pub refusal: bool,
    pub json_valid: Option<bool>,
    pub answer_length: u64,
    pub profile: Profile,
    pub trace: Option<Trace>,
}

impl Record {
    /// Puts together what was seen and what other plugins have stated.
    pub fn new(
        host: &dyn Host,
        facts: &mut Facts,
        seen: &Seen,
        outcome: Outcome,
        prices: &Prices,
        team_tag: &str,
    ) -> Record {
        let mut fact = |fact| facts.get(host, fact).unwrap_or_default();
        // Asking the proxy for what nobody has stated costs as much as for what somebody has, so one
        // fact of each plugin tells whether it is there.
        let asked_provider = fact(Fact::Provider);
        let asked_model = fact(Fact::RequestedModel);
        let cache = fact(Fact::Cache);
        let proxied = !asked_provider.is_empty() || !asked_model.is_empty();
        let list = |text: &str| -> Vec<String> {
            text.split(',').filter(|item| !item.is_empty()).map(str::to_owned).collect()
        };
        let watch = &seen.watch;
        let now = host.now_nanos();
        let since = |then: u64| then.saturating_sub(seen.arrived);
        let total = since(now);
        let provider = Some(asked_provider).filter(|p| !p.is_empty());
        // Without ai-proxy the cluster says where it went.
        let provider = provider.or_else(|| text(host, &["xds", "cluster_name"]));
        let from_cache = cache.starts_with("hit") || cache == "stale";
        let answered = proxied || from_cache;
        let stated = if answered && seen.status < 400 { facts.usage(host) } else { None };
        let mut of = |there: bool, name| match there {
            true => facts.get(host, name).unwrap_or_default(),
            false => String::new(),
        };
        let attempts = list(&of(proxied, Fact::Attempts));
        let requested = Some(asked_model).filter(|model| !model.is_empty());
        let requested = requested.or_else(|| seen.asked.model.clone());
        let model = Some(of(answered, Fact::Model)).filter(|model| !model.is_empty());
        let ended = Ended::of(host, seen, outcome);
        let counted = Counted::of(seen, stated, || of(true, Fact::Estimate), ended.whole);
        let provider = provider.unwrap_or_else(|| NONE.into());
        let model = model.or_else(|| requested.clone()).unwrap_or_else(|| NONE.into());
        let served = !from_cache && provider != NONE;
        let (cost, cheaper) = match &counted.usage {
            Some(usage) if served => {
                let cost = prices.cost(&provider, &model, usage);
                let cheaper = cost.and_then(|cost| {
                    let found = prices.cheaper(cost, usage, seen.asked.profile.needs())?;
                    Some((found.model.to_owned(), found.cost))
                });
                (cost, cheaper)
            }
            _ => (None, None),
        };
        let upstream = nanos(host, &["response", "backend_latency"]).filter(|_| served);
        let own = upstream.filter(|_| attempts.len() <= 1 && ended.ending == Ending::Ok);
        let stated_error = of(seen.status >= 400, Fact::Error);
        let consumer = of(true, Fact::Consumer);
        let known = !consumer.is_empty();
        let guard = of(true, Fact::Guard);
        let guarded = !guard.is_empty();
        Record {
            arrived: seen.arrived,
            endpoint: seen.endpoint,
            operation: answer::operation(seen.endpoint),
            protocol: answer::protocol(seen.endpoint),
            consumer: or_none(consumer),
            key_id: of(known, Fact::KeyId),
            team: or_none(tag(&of(known, Fact::Tags), team_tag)),
            route: or_none(of(proxied, Fact::Route)),
            variant: or_none(of(proxied, Fact::Variant)),
            requested_model: requested.unwrap_or_else(|| NONE.into()),
            model,
            provider,
            region: of(proxied, Fact::Region),
            attempts,
            status: seen.status,
            ending: ended.ending,
            error_type: error_type(ended.error, &stated_error, seen.status),
            finish: watch.finish,
            stream: seen.stream,
            usage: counted.usage,
            estimated: counted.estimated,
            cost,
            cheaper,
            first_event: watch.first_event.map(since),
            first_token: watch.first_token.map(since),
            per_event: mean_gap(watch.first_event, watch.last_event, watch.events),
            per_token: counted.usage.as_ref().and_then(|usage| {
                mean_gap(watch.first_token, watch.last_token, usage.completion_tokens)
            }),
            total,
            upstream,
            own: own.map(|upstream| total.saturating_sub(upstream)),
            cache,
            guard,
            guard_rules: list(&of(guarded, Fact::GuardRules)),
            pii: list(&of(guarded, Fact::Pii)),
            limit: of(true, Fact::Limit),
            tool_call: watch.tool_call,
            refusal: watch.refusal,
            json_valid: watch.is_json(),
            answer_length: watch.length(),
            profile: seen.asked.profile,
            trace: seen.trace,
        }
    }

    /// Whether the answer is from the cache.
    pub fn from_cache(&self) -> bool {
        self.cache.starts_with("hit") || self.cache == "stale"
    }

    /// Whether a provider has been asked.
    pub fn served(&self) -> bool {
        self.provider != NONE && !self.from_cache()
    }

    /// Whether a model was to write something, which OpenTelemetry calls inference.
    pub fn is_inference(&self) -> bool {
        matches!(self.operation, "chat" | "generate_content" | "text_completion")
    }

    /// Whether the names of models are more than the client's words.
    pub fn confirmed(&self) -> bool {
        (200..400).contains(&self.status) && self.provider != NONE
    }
}

/// How it has ended, and whether the answer is whole.
struct Ended {
    ending: Ending,
    error: &'static str,
    whole: bool,
}

impl Ended {
    fn of(host: &dyn Host, seen: &Seen, outcome: Outcome) -> Ended {
        let watch = &seen.watch;
        let is = |ending, error| Ended { ending, error, whole: false };
        if outcome == Outcome::Aborted {
            let details = text(host, &["response", "code_details"]).unwrap_or_default();
            // Hosts that say nothing of it: a broken provider is answered, so it was the client.
            let client = details.is_empty() || details.contains("downstream");
            // It has had all of it, and left before the connection was at its end.
            let whole = watch.ended && !watch.failed;
            return match (client, whole) {
                (false, _) => is(Ending::Failed, "upstream_reset"),
                (true, true) => Ended { ending: Ending::Ok, error: "", whole: true },
                (true, false) => is(Ending::Left, "client_disconnect"),
            };
        }
        match seen.status {
            0 => is(Ending::Left, "client_disconnect"),
            status @ 400.. => {
                let ending = if status < 500 { Ending::Refused } else { Ending::Failed };
                is(ending, class(status))
            }
            _ if watch.failed => is(Ending::Failed, "stream_error"),
            // Events came, and none of them was the last one that the protocol has.
            _ if seen.stream && watch.events > 0 && !watch.ended && is_language(seen.endpoint) => {
                is(Ending::Failed, "stream_incomplete")
            }
            _ => Ended { ending: Ending::Ok, error: "", whole: true },
        }
    }
}

/// The class of an error by its status.
fn class(status: u16) -> &'static str {
    match status {
        400 | 422 => "invalid_request",
        401 => "authentication",
        402 | 403 => "permission",
        404 => "not_found",
        408 | 504 => "timeout",
        413 => "too_large",
        429 => "rate_limit",
        451 => "blocked",
        500 => "internal",
        502 => "bad_gateway",
        503 | 529 => "overloaded",
        status if status < 500 => "client_error",
        _ => "server_error",
    }
}

/// The class of an error: that of its status, or what the plugin that refused has said, which is more
/// exact, in the same words (OpenAI calls it `rate_limit_error`, the class is `rate_limit`).
fn error_type(class: &str, stated: &str, status: u16) -> String {
    if class.is_empty() || stated.is_empty() || status >= 500 {
        return class.to_owned();
    }
    stated.strip_suffix("_error").unwrap_or(stated).to_owned()
}

/// Tokens, as they were reported or as far as they can be told.
struct Counted {
    usage: Option<Usage>,
    estimated: bool,
}

impl Counted {
    fn of(
        seen: &Seen,
        stated: Option<Usage>,
        estimate: impl FnOnce() -> String,
        whole: bool,
    ) -> Counted {
        let watch = &seen.watch;
        let reported = stated.or_else(|| watch.usage());
        if seen.status >= 400 || seen.status == 0 {
            return Counted { usage: None, estimated: false };
        }
        if let Some(usage) = reported.filter(|_| whole) {
            return Counted { usage: Some(usage), estimated: false };
        }
        let written = watch.estimate();
        if !is_language(seen.endpoint) || (reported.is_none() && written == 0 && !watch.tool_call) {
            return Counted { usage: reported, estimated: false };
        }
        // What a provider counts of a broken answer comes last, and so has not come.
        let prompt = || estimate().parse().unwrap_or(seen.asked.profile.estimate);
        let mut usage =
            reported.unwrap_or_else(|| Usage { prompt_tokens: prompt(), ..Usage::default() });
        usage.completion_tokens = usage.completion_tokens.max(written);
        Counted { usage: Some(usage), estimated: true }
    }
}

/// Mean time between so many things; `None` if there are fewer than two.
fn mean_gap(first: Option<u64>, last: u64, count: u64) -> Option<u64> {
    last.checked_sub(first?)?.checked_div(count.checked_sub(1)?)
}

fn or_none(text: String) -> String {
    if text.is_empty() { NONE.into() } else { text }
}

/// A tag of a consumer, see [`Fact::Tags`].
fn tag(tags: &str, name: &str) -> String {
    if tags.is_empty() {
        return String::new();
    }
    let value = at(tags, &[name]).and_then(|value| parse::<JsonStr<'_>>(value.get()).ok());
    value.map(|value| value.decode().into_owned()).unwrap_or_default()
}

/// A text that the proxy knows of a request.
fn text(host: &dyn Host, path: &[&str]) -> Option<String> {
    if !host.can(Capability::SharedProperties) {
        return None;
    }
    String::from_utf8(host.property(path)?).ok().filter(|text| !text.is_empty())
}

/// A length of time that the proxy knows of a request.
fn nanos(host: &dyn Host, path: &[&str]) -> Option<u64> {
    if !host.can(Capability::SharedProperties) {
        return None;
    }
    let bytes = host.property(path)?;
    let nanos = i64::from_le_bytes(bytes.try_into().ok()?);
    u64::try_from(nanos).ok()
}
