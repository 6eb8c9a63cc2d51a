//! The metrics: their names, labels and buckets.
//!
//! One table, from which the plugin emits, the `stats_config` of Envoy's bootstrap is made and the
//! documentation is checked. Names follow OpenTelemetry's conventions for generative AI where these
//! have one (<https://github.com/open-telemetry/semantic-conventions-genai/tree/v0.1.0/docs/gen-ai>, and
//! `gen_ai.client.token.usage` of the conventions before); Envoy's histograms hold integers, so there a
//! unit stands at the end of the name.

use shared::host::MetricKind;

/// What a series is told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    /// `chat`, `embeddings` ...
    Operation,
    /// The provider by its name in ai-proxy's configuration; `none` if none was asked.
    Provider,
    /// The model that the client asked for.
    RequestModel,
    /// The model that answered.
    ResponseModel,
    /// Who asks.
    Consumer,
    /// The team, from the tag that the configuration names.
    Team,
    /// The route that was taken.
    Route,
    /// The variant of an experiment.
    Variant,
    /// The client's API.
    Protocol,
    /// Whether the answer was a stream.
    Stream,
    /// HTTP status.
    Status,
    /// Class of the error; empty if there was none.
    ErrorType,
    /// Why the answer ended, in OpenAI's words.
    FinishReason,
    /// Of tokens: input, output, cached, cache_write, reasoning; `gen_ai_token_type`.
    TokenType,
    /// Whether counts were `reported` by the provider or `estimated` here.
    Source,
    /// What came of it.
    Result,
    /// What was done.
    Action,
    /// Rule of prompt-guard.
    Rule,
    /// Kind of personal data.
    Kind,
    /// Name of a limit.
    Limit,
    /// What is watched for drift.
    Signal,
    /// Model or route that is watched.
    Subject,
    /// `up` or `down`.
    Direction,
    /// Name of a label, of what.
    What,
}

impl Label {
    /// How many there are.
    pub const COUNT: usize = 24;

    /// All of them, in the order of their numbers.
    pub const ALL: [Label; Label::COUNT] = [
        Label::Operation,
        Label::Provider,
        Label::RequestModel,
        Label::ResponseModel,
        Label::Consumer,
        Label::Team,
        Label::Route,
        Label::Variant,
        Label::Protocol,
        Label::Stream,
        Label::Status,
        Label::ErrorType,
        Label::FinishReason,
        Label::TokenType,
        Label::Source,
        Label::Result,
        Label::Action,
        Label::Rule,
        Label::Kind,
        Label::Limit,
        Label::Signal,
        Label::Subject,
        Label::Direction,
        Label::What,
    ];

    /// Its name in Prometheus.
    pub fn name(self) -> &'static str {
        match self {
            Label::Operation => "gen_ai_operation_name",
            Label::Provider => "gen_ai_provider_name",
            Label::RequestModel => "gen_ai_request_model",
            Label::ResponseModel => "gen_ai_response_model",
            Label::Consumer => "consumer",
            Label::Team => "team",
            Label::Route => "route",
            Label::Variant => "variant",
            Label::Protocol => "protocol",
            Label::Stream => "stream",
            Label::Status => "status",
            Label::ErrorType => "error_type",
            Label::FinishReason => "finish_reason",
            Label::TokenType => "gen_ai_token_type",
            Label::Source => "source",
            Label::Result => "result",
            Label::Action => "action",
            Label::Rule => "rule",
            Label::Kind => "kind",
            Label::Limit => "limit",
            Label::Signal => "signal",
            Label::Subject => "subject",
            Label::Direction => "direction",
            Label::What => "what",
        }
    }

    /// Its name as an attribute of OpenTelemetry.
    pub fn attribute(self) -> &'static str {
        match self {
            Label::Operation => "gen_ai.operation.name",
            Label::Provider => "gen_ai.provider.name",
            Label::RequestModel => "gen_ai.request.model",
            Label::ResponseModel => "gen_ai.response.model",
            Label::TokenType => "gen_ai.token.type",
            Label::ErrorType => "error.type",
            Label::Status => "http.response.status_code",
            Label::Consumer => "ai.consumer",
            Label::Team => "ai.team",
            Label::Route => "ai.route",
            Label::Variant => "ai.variant",
            Label::Protocol => "ai.protocol",
            Label::FinishReason => "ai.finish_reason",
            other => other.name(),
        }
    }

    /// Whether a series keeps its meaning, if less of it, without this.
    pub fn is_extra(self) -> bool {
        matches!(self, Label::Consumer | Label::Team | Label::Route | Label::Variant | Label::Rule)
    }
}

/// Labels of the site, which every series has if the configuration names them.
pub const SITE: [&str; 3] = ["cloud", "region", "cluster"];

/// In which unit a histogram's values are given to [`Definition`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds on Envoy, seconds in OTLP.
    Milliseconds,
    /// Microseconds on Envoy, seconds in OTLP.
    Microseconds,
    /// Tokens.
    Tokens,
    /// Anything counted.
    Count,
    /// Billionths of a US dollar.
    NanoUsd,
}

/// One metric.
#[derive(Debug)]
pub struct Definition {
    /// Its place in [`ALL`].
    pub place: usize,
    /// Its name on Envoy.
    pub name: &'static str,
    /// Its name in OTLP.
    pub otlp: &'static str,
    /// What it does with values.
    pub kind: MetricKind,
    /// In which unit.
    pub unit: Unit,
    /// Its labels, in the order in which their values are given.
    pub labels: &'static [Label],
    /// Upper bounds of a histogram's buckets, in its unit on Envoy.
    pub buckets: &'static [u64],
    /// What it says.
    pub help: &'static str,
}

const SERVED: &[Label] =
    &[Label::Operation, Label::Provider, Label::RequestModel, Label::ResponseModel];

/// Of all durations of the client's side, in milliseconds.
const DURATION: &[u64] =
    &[10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240, 20_480, 40_960, 81_920];
const FIRST_TOKEN: &[u64] =
    &[1, 5, 10, 20, 40, 60, 80, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10_000];
const PER_TOKEN: &[u64] = &[10, 25, 50, 75, 100, 150, 200, 300, 400, 500, 750, 1000, 2500];
const TOKENS: &[u64] = &[
    1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216,
    67_108_864,
];
const OVERHEAD: &[u64] =
    &[50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000];

macro_rules! metrics {
    ($( $(#[doc = $doc:literal])+ $id:ident = $kind:ident, $name:literal, $otlp:literal, $unit:ident,
        $labels:expr, $buckets:expr; )*) => {
        /// The metrics in their order.
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Place { $($id),* }

        $( $(#[doc = $doc])+ pub static $id: Definition = Definition {
            place: Place::$id as usize,
            name: $name,
            otlp: $otlp,
            kind: MetricKind::$kind,
            unit: Unit::$unit,
            labels: $labels,
            buckets: $buckets,
            help: concat!($($doc),+),
        }; )*

        /// All metrics.
        pub static ALL: &[&Definition] = &[$(&$id),*];
    };
}

metrics! {
    /// Requests that are over, however they ended.
    REQUESTS = Counter, "ai_requests_total", "ai.requests", Count, &[
        Label::Operation, Label::Provider, Label::RequestModel, Label::ResponseModel,
        Label::Consumer, Label::Team, Label::Route, Label::Variant, Label::Protocol, Label::Stream,
        Label::Status, Label::ErrorType, Label::FinishReason,
    ], &[];
    /// Requests that are under way.
    IN_FLIGHT = Gauge, "ai_requests_in_flight", "ai.requests.in_flight", Count,
        &[Label::Operation, Label::Protocol], &[];
    /// Tokens of answers that a provider gave. Cached ones are part of the input, reasoning of the output.
    TOKENS_USED = Counter, "ai_tokens_total", "ai.tokens", Tokens, &[
        Label::Operation, Label::Provider, Label::RequestModel, Label::ResponseModel,
        Label::Consumer, Label::Team, Label::Route, Label::Variant, Label::TokenType, Label::Source,
    ], &[];
    /// What answers have cost, in billionths of a US dollar.
    COST = Counter, "ai_cost_nano_usd_total", "ai.cost", NanoUsd, &[
        Label::Provider, Label::RequestModel, Label::ResponseModel, Label::Consumer, Label::Team,
        Label::Route, Label::Variant, Label::Source,
    ], &[];
    /// Answers whose cost is not known because their model has no price.
    UNPRICED = Counter, "ai_unpriced_requests_total", "ai.unpriced_requests", Count,
        &[Label::Provider, Label::ResponseModel], &[];
    /// Attempts at a provider: the last one of a request `served`, `refused` (which was at fault itself) or
    /// `failed`, those before it `failed`.
    ATTEMPTS = Counter, "ai_attempts_total", "ai.attempts", Count,
        &[Label::Provider, Label::Result], &[];
    /// What the cache did with requests.
    CACHE = Counter, "ai_cache_requests_total", "ai.cache.requests", Count,
        &[Label::Result, Label::Consumer, Label::Route], &[];
    /// Tokens that answers from the cache would have used.
    CACHE_TOKENS = Counter, "ai_cache_saved_tokens_total", "ai.cache.saved_tokens", Tokens,
        &[Label::RequestModel, Label::TokenType], &[];
    /// Requests that a limit or budget has refused.
    LIMITED = Counter, "ai_limited_requests_total", "ai.limited_requests", Count,
        &[Label::Limit, Label::Consumer, Label::Team], &[];
    /// What prompt-guard decided.
    GUARD = Counter, "ai_guard_requests_total", "ai.guard.requests", Count,
        &[Label::Action, Label::Consumer, Label::Route], &[];
    /// Rules that prompt-guard went by.
    GUARD_RULES = Counter, "ai_guard_rules_total", "ai.guard.rules", Count,
        &[Label::Rule, Label::Action], &[];
    /// Kinds of personal data that were found in requests.
    PII = Counter, "ai_pii_total", "ai.pii", Count, &[Label::Kind, Label::Consumer], &[];
    /// Feedback that was given on answers, in thousandths of a point.
    FEEDBACK = Counter, "ai_feedback_milli_total", "ai.feedback", Count,
        &[Label::Provider, Label::ResponseModel, Label::Variant], &[];
    /// How many times feedback was given.
    FEEDBACKS = Counter, "ai_feedbacks_total", "ai.feedbacks", Count,
        &[Label::Provider, Label::ResponseModel, Label::Variant], &[];
    /// How near a signal is to count as changed: 1000 and more is drift.
    DRIFT_SCORE = Gauge, "ai_drift_score_milli", "ai.drift.score", Count,
        &[Label::Subject, Label::Signal], &[];
    /// Whether a signal has changed and nobody has reset it.
    DRIFT_ACTIVE = Gauge, "ai_drift_active", "ai.drift.active", Count,
        &[Label::Subject, Label::Signal], &[];
    /// Changes that were found.
    DRIFT_EVENTS = Counter, "ai_drift_events_total", "ai.drift.events", Count,
        &[Label::Subject, Label::Signal, Label::Direction], &[];
    /// Values of labels that were folded into `other` because there are too many.
    FOLDED = Counter, "ai_metrics_folded_total", "ai.metrics.folded", Count, &[Label::What], &[];
    /// What the plugin itself had to leave out: series, spans, exports, detectors, groups.
    DROPPED = Counter, "ai_metrics_dropped_total", "ai.metrics.dropped", Count, &[Label::What], &[];
    /// Exports to the OTLP endpoint.
    EXPORTS = Counter, "ai_otlp_exports_total", "ai.otlp.exports", Count,
        &[Label::What, Label::Result], &[];
    /// Tokens of one request, by OpenTelemetry's conventions.
    TOKEN_USAGE = Histogram, "gen_ai_client_token_usage", "gen_ai.client.token.usage", Tokens, &[
        Label::Operation, Label::Provider, Label::RequestModel, Label::ResponseModel,
        Label::TokenType,
    ], TOKENS;
    /// From the first byte of the request to the last of the answer, as the client sees it.
    OPERATION_DURATION = Histogram, "gen_ai_client_operation_duration_milliseconds",
        "gen_ai.client.operation.duration", Milliseconds, &[
            Label::Operation, Label::Provider, Label::RequestModel, Label::ResponseModel,
            Label::ErrorType,
        ], DURATION;
    /// The same, of requests that have a model write something.
    INFERENCE_DURATION = Histogram, "gen_ai_client_inference_duration_milliseconds",
        "gen_ai.client.inference.duration", Milliseconds, &[
            Label::Operation, Label::Provider, Label::RequestModel, Label::ResponseModel,
            Label::ErrorType,
        ], DURATION;
    /// From the request to the first event of its streamed answer, as the client sees it.
    FIRST_CHUNK = Histogram, "gen_ai_client_inference_time_to_first_chunk_milliseconds",
        "gen_ai.client.inference.time_to_first_chunk", Milliseconds, SERVED, DURATION;
    /// Mean time between the events of a streamed answer; one value per answer.
    PER_CHUNK = Histogram, "gen_ai_client_inference_time_per_output_chunk_milliseconds",
        "gen_ai.client.inference.time_per_output_chunk", Milliseconds, SERVED, DURATION;
    /// Tokens of requests that have a model write something.
    USAGE_INPUT = Counter, "gen_ai_client_inference_usage_input_tokens_total",
        "gen_ai.client.inference.usage.input_tokens", Tokens, SERVED, &[];
    /// Tokens that models have written, those of thinking included.
    USAGE_OUTPUT = Counter, "gen_ai_client_inference_usage_output_tokens_total",
        "gen_ai.client.inference.usage.output_tokens", Tokens, SERVED, &[];
    /// Of the input, tokens that were read from the provider's cache.
    USAGE_CACHED = Counter, "gen_ai_client_inference_usage_cache_read_input_tokens_total",
        "gen_ai.client.inference.usage.cache_read.input_tokens", Tokens, SERVED, &[];
    /// Of the input, tokens that were written to the provider's cache.
    USAGE_CACHE_WRITE = Counter, "gen_ai_client_inference_usage_cache_write_input_tokens_total",
        "gen_ai.client.inference.usage.cache_write.input_tokens", Tokens, SERVED, &[];
    /// Of the output, tokens of thinking.
    USAGE_REASONING = Counter, "gen_ai_client_inference_usage_reasoning_output_tokens_total",
        "gen_ai.client.inference.usage.reasoning.output_tokens", Tokens, SERVED, &[];
    /// The provider's part of the duration: from the request's first byte to it to the answer's last.
    SERVER_DURATION = Histogram, "gen_ai_server_request_duration_milliseconds",
        "gen_ai.server.request.duration", Milliseconds, &[
            Label::Operation, Label::Provider, Label::RequestModel, Label::ResponseModel,
            Label::ErrorType,
        ], DURATION;
    /// From the request to the first token of a streamed answer.
    FIRST_TOKEN_TIME = Histogram, "gen_ai_server_time_to_first_token_milliseconds",
        "gen_ai.server.time_to_first_token", Milliseconds, SERVED, FIRST_TOKEN;
    /// Time between the tokens of a streamed answer after the first.
    PER_TOKEN_TIME = Histogram, "gen_ai_server_time_per_output_token_milliseconds",
        "gen_ai.server.time_per_output_token", Milliseconds, SERVED, PER_TOKEN;
    /// What the gateway adds to the provider's time, where one attempt was made.
    OVERHEAD_TIME = Histogram, "ai_gateway_overhead_microseconds", "ai.gateway.overhead",
        Microseconds, &[Label::Operation], OVERHEAD;
}

/// Stands between the parts of a name on Envoy: `name|label=value|label=value`.
pub const SEPARATOR: char = '|';

/// The `stats_config` that Envoy's bootstrap needs so that the labels come out as labels and the
/// histograms have their buckets, in YAML.
pub fn stats_config() -> String {
    let mut out = String::from("stats_config:\n  stats_tags:\n");
    let labels = SITE.into_iter().chain(Label::ALL.into_iter().map(Label::name));
    for name in labels {
        out.push_str(&format!(
            "    - {{ tag_name: {name}, regex: '(\\{SEPARATOR}{name}=([^{SEPARATOR}]*))' }}\n"
        ));
    }
    out.push_str("  histogram_bucket_settings:\n");
    for metric in ALL.iter().filter(|metric| metric.kind == MetricKind::Histogram) {
        let buckets: Vec<_> = metric.buckets.iter().map(u64::to_string).collect();
        let (name, buckets) = (metric.name, buckets.join(", "));
        out.push_str(&format!(
            "    - match: {{ prefix: \"wasmcustom.{name}\" }}\n      buckets: [{buckets}]\n"
        ));
    }
    out
}

/// A label's value as it stands in a name on Envoy. Dots, slashes and colons stay as they are, because
/// the tag's pattern takes them as part of the value. Written as `%XX` are only those that Envoy or the
/// pattern would lose: the separator, a dot at an end or next to another dot, what is no visible
/// character, and the percent sign itself.
pub fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let bytes = value.as_bytes();
    for (index, c) in value.char_indices() {
        let dot = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_none_or(|b| *b == b'.');
        let lost = match c {
            '.' => dot(index.checked_sub(1)) || dot(index.checked_add(1)),
            SEPARATOR | '%' | '"' | '\\' => true,
            _ => c.is_control() || c.is_whitespace(),
        };
        if lost {
            let mut buffer = [0; 4];
            for byte in c.encode_utf8(&mut buffer).bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a reader of the metrics does with an escaped value.
    fn decode(text: &str) -> String {
        let bytes = text.as_bytes();
        let (mut out, mut at) = (Vec::new(), 0);
        while let Some(byte) = bytes.get(at) {
            if *byte == b'%' {
                out.push(u8::from_str_radix(text.get(at + 1..at + 3).unwrap(), 16).unwrap());
                at += 3;
            } else {
                out.push(*byte);
                at += 1;
            }
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn names_of_models_stay_readable() {
        for model in ["gpt-4.1", "amazon.nova-pro-v1:0", "openai/gpt-4o", "ft:gpt-4o:org::id"] {
            assert_eq!(escape(model), model);
        }
    }

    #[test]
    fn what_would_be_lost_is_escaped() {
        assert_eq!(escape("a|b"), "a%7Cb");
        assert_eq!(escape(".a..b."), "%2Ea%2E%2Eb%2E");
        assert_eq!(escape("50% \"x\"\n"), "50%25%20%22x%22%0A");
    }

    proptest::proptest! {
        #[test]
        fn every_value_can_be_read_back(value in ".{0,40}") {
            let escaped = escape(&value);
            proptest::prop_assert!(!escaped.contains(['|', '\n', ' ']));
            proptest::prop_assert!(!escaped.starts_with('.') && !escaped.ends_with('.'));
            proptest::prop_assert_eq!(decode(&escaped), value);
        }
    }

    #[test]
    fn labels_are_numbered_in_their_order() {
        for (index, label) in Label::ALL.into_iter().enumerate() {
            assert_eq!(label as usize, index);
        }
    }

    #[test]
    fn no_two_metrics_share_a_name_or_its_beginning() {
        // A histogram's buckets are found by the beginning of its name.
        for a in ALL.iter().filter(|a| a.kind == MetricKind::Histogram) {
            let same = ALL.iter().filter(|b| b.name.starts_with(a.name)).count();
            assert_eq!(same, 1, "{}", a.name);
        }
    }
}
