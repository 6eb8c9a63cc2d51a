//! Metrics and spans as OTLP's JSON,
//! <https://github.com/open-telemetry/opentelemetry-proto/tree/main/opentelemetry/proto>: 64-bit numbers
//! are strings, ids are hexadecimal.
//!
//! What is counted is a plain number all the same. Whoever follows the protocol reads either; what is built on
//! Rust's `opentelemetry-proto` reads only these, and drops the others without a word
//! (<https://github.com/open-telemetry/opentelemetry-rust/issues/2487>).

use shared::host::{Host, MetricKind};
use shared::write::JsonWriter;

use crate::config::Site;
use crate::names::{Definition, Label, Unit};
use crate::record::{Ending, NONE, Record};
use crate::series::{Histogram, SeriesTable, Total};
use crate::trace::Trace;

/// The name and version that what is sent here is known by.
const SCOPE: (&str, &str) = ("wasm-ai-gateway/ai-metrics", env!("CARGO_PKG_VERSION"));

/// Added up since the start, `AGGREGATION_TEMPORALITY_CUMULATIVE`.
const CUMULATIVE: u64 = 2;
/// `SPAN_KIND_SERVER`: the gateway answers a request.
const SERVER: u64 = 2;
/// `STATUS_CODE_ERROR`.
const ERROR: u64 = 2;

/// Who sends. Each worker counts for itself, and so is an instance of its own.
#[derive(Debug)]
pub(super) struct Resource {
    attributes: Vec<(&'static str, String)>,
    /// Since when it counts, nanoseconds; 0 before it has begun.
    start: u64,
}

impl Resource {
    pub(super) fn new(service: &str, site: &Site) -> Resource {
        let mut attributes = vec![("service.name", service.to_owned())];
        let site = [
            ("cloud.provider", &site.cloud),
            ("cloud.region", &site.region),
            ("k8s.cluster.name", &site.cluster),
        ];
        let site = site.into_iter().filter(|(_, value)| !value.is_empty());
        attributes.extend(site.map(|(name, value)| (name, value.clone())));
        Resource { attributes, start: 0 }
    }

    /// Gives it its number; once.
    pub(super) fn started(&mut self, host: &dyn Host) {
        if self.start == 0 {
            self.start = host.now_nanos().max(1);
            let id = format!("{:016x}{:016x}", self.start, host.random());
            self.attributes.push(("service.instance.id", id));
        }
    }

    fn write(&self, out: &mut JsonWriter) {
        out.key("resource");
        out.open('{');
        out.key("attributes");
        out.open('[');
        for (name, value) in &self.attributes {
            text(out, name, value);
        }
        out.close(']');
        out.close('}');
    }
}

/// All series; `None` if there are none.
pub(super) fn metrics(resource: &Resource, series: &SeriesTable, now: u64) -> Option<String> {
    let mut out = JsonWriter::with_capacity(64 << 10);
    let scope = "scopeMetrics";
    open(&mut out, "resourceMetrics", resource, scope, "metrics");
    let mut current: Option<&'static Definition> = None;
    series.each(|metric, labels, total| {
        if current.is_none_or(|last| !std::ptr::eq(last, metric)) {
            if current.is_some() {
                end_metric(&mut out);
            }
            begin_metric(&mut out, metric);
            current = Some(metric);
        }
        point(&mut out, resource.start, now, metric, labels, total);
    });
    current?;
    end_metric(&mut out);
    close(&mut out);
    Some(out.finish())
}

/// Spans that [`span`] has made.
pub(super) fn traces<'a>(resource: &Resource, spans: impl Iterator<Item = &'a String>) -> String {
    let mut out = JsonWriter::with_capacity(64 << 10);
    open(&mut out, "resourceSpans", resource, "scopeSpans", "spans");
    for span in spans {
        out.raw(span);
    }
    close(&mut out);
    out.finish()
}

fn open(out: &mut JsonWriter, all: &str, resource: &Resource, scope: &str, items: &str) {
    out.open('{');
    out.key(all);
    out.open('[');
    out.open('{');
    resource.write(out);
    out.key(scope);
    out.open('[');
    out.open('{');
    out.key("scope");
    out.open('{');
    out.field("name", SCOPE.0);
    out.field("version", SCOPE.1);
    out.close('}');
    out.key(items);
    out.open('[');
}

fn close(out: &mut JsonWriter) {
    for brace in [']', '}', ']', '}', ']', '}'] {
        out.close(brace);
    }
}

/// By how much a value on Envoy is divided, and the unit after that, in UCUM.
fn scale(unit: Unit) -> (f64, &'static str) {
    match unit {
        Unit::Milliseconds => (1e3, "s"),
        Unit::Microseconds => (1e6, "s"),
        Unit::Tokens => (1.0, "{token}"),
        Unit::Count => (1.0, "1"),
        Unit::NanoUsd => (1.0, "{nUSD}"),
    }
}

fn begin_metric(out: &mut JsonWriter, metric: &Definition) {
    out.open('{');
    out.key("name");
    out.text(metric.otlp);
    out.key("description");
    out.text(metric.help.trim());
    out.key("unit");
    out.text(scale(metric.unit).1);
    match metric.kind {
        MetricKind::Counter => {
            out.key("sum");
            out.open('{');
            out.key("aggregationTemporality");
            out.value(CUMULATIVE);
            out.key("isMonotonic");
            out.value(true);
        }
        MetricKind::Gauge => {
            out.key("gauge");
            out.open('{');
        }
        MetricKind::Histogram => {
            out.key("histogram");
            out.open('{');
            out.key("aggregationTemporality");
            out.value(CUMULATIVE);
        }
    }
    out.key("dataPoints");
    out.open('[');
}

fn end_metric(out: &mut JsonWriter) {
    out.close(']');
    out.close('}');
    out.close('}');
}

fn point(
    out: &mut JsonWriter,
    start: u64,
    now: u64,
    metric: &Definition,
    labels: &[(Label, &str)],
    total: Total<'_>,
) {
    out.open('{');
    out.key("attributes");
    out.open('[');
    for (label, value) in labels.iter().filter(|(_, value)| !value.is_empty()) {
        text(out, label.attribute(), value);
    }
    out.close(']');
    long(out, "startTimeUnixNano", start);
    long(out, "timeUnixNano", now);
    match total {
        Total::Number(number) => {
            out.key("asInt");
            out.value(number);
        }
        Total::Histogram(histogram) => buckets(out, metric, histogram),
    }
    out.close('}');
}

fn buckets(out: &mut JsonWriter, metric: &Definition, histogram: &Histogram) {
    let (by, _) = scale(metric.unit);
    // Sums and bounds are far below what a float holds exactly.
    #[allow(clippy::cast_precision_loss)]
    let scaled = |value: u64| value as f64 / by;
    out.key("count");
    out.value(histogram.count);
    out.key("sum");
    out.value(scaled(histogram.sum));
    out.key("bucketCounts");
    out.open('[');
    for count in &histogram.buckets {
        out.value(*count);
    }
    out.close(']');
    out.key("explicitBounds");
    out.open('[');
    for bound in metric.buckets {
        out.value(scaled(*bound));
    }
    out.close(']');
}

/// A request's span, <https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/>.
pub(super) fn span(record: &Record, trace: Trace) -> String {
    let r = record;
    let mut out = JsonWriter::with_capacity(2 << 10);
    out.open('{');
    out.key("traceId");
    out.text(&format!("{:032x}", trace.trace));
    out.key("spanId");
    out.text(&format!("{:016x}", trace.span));
    if let Some(parent) = trace.parent {
        out.key("parentSpanId");
        out.text(&format!("{parent:016x}"));
    }
    out.key("name");
    out.text(&format!("{} {}", r.operation, r.requested_model));
    out.key("kind");
    out.value(SERVER);
    long(&mut out, "startTimeUnixNano", r.arrived);
    long(&mut out, "endTimeUnixNano", r.arrived.saturating_add(r.total));
    out.key("attributes");
    out.open('[');
    words(&mut out, r);
    numbers(&mut out, r);
    out.close(']');
    if matches!(r.ending, Ending::Failed | Ending::Refused) {
        out.key("status");
        out.open('{');
        out.key("code");
        out.value(ERROR);
        out.close('}');
    }
    out.close('}');
    out.finish()
}

fn words(out: &mut JsonWriter, r: &Record) {
    let finish = r.finish.map_or("", |finish| finish.name());
    let words = [
        ("gen_ai.operation.name", r.operation),
        ("gen_ai.provider.name", &r.provider),
        ("gen_ai.request.model", &r.requested_model),
        ("gen_ai.response.model", &r.model),
        ("error.type", &r.error_type),
        ("ai.protocol", r.protocol),
        ("ai.consumer", &r.consumer),
        ("ai.key_id", &r.key_id),
        ("ai.team", &r.team),
        ("ai.route", &r.route),
        ("ai.variant", &r.variant),
        ("ai.region", &r.region),
        ("ai.cache", &r.cache),
        ("ai.guard", &r.guard),
        ("ai.limit", &r.limit),
    ];
    for (name, value) in words.into_iter().filter(|(_, v)| !v.is_empty() && *v != NONE) {
        text(out, name, value);
    }
    let finish = [finish].into_iter().filter(|finish| !finish.is_empty());
    list(out, "gen_ai.response.finish_reasons", finish);
    list(out, "ai.attempts", r.attempts.iter().map(String::as_str));
    list(out, "ai.guard.rules", r.guard_rules.iter().map(String::as_str));
    list(out, "ai.pii", r.pii.iter().map(String::as_str));
}

fn numbers(out: &mut JsonWriter, r: &Record) {
    let usage = r.usage.unwrap_or_default();
    let known = |value: u64| r.usage.map(|_| value);
    let numbers = [
        ("http.response.status_code", Some(u64::from(r.status)).filter(|status| *status > 0)),
        ("gen_ai.usage.input_tokens", known(usage.prompt_tokens)),
        ("gen_ai.usage.output_tokens", known(usage.completion_tokens)),
        ("gen_ai.usage.cache_read.input_tokens", known(usage.cached_tokens)),
        ("gen_ai.usage.cache_creation.input_tokens", known(usage.cache_creation_tokens)),
        ("ai.usage.reasoning_tokens", known(usage.reasoning_tokens)),
        ("ai.cost_nano_usd", r.cost),
    ];
    for (name, value) in numbers {
        if let Some(value) = value {
            attribute(out, name, |out| {
                out.key("intValue");
                out.text(&value.to_string());
            });
        }
    }
    let seconds =
        [("ai.time_to_first_chunk", r.first_event), ("ai.time_to_first_token", r.first_token)];
    for (name, nanos) in seconds {
        if let Some(nanos) = nanos {
            attribute(out, name, |out| {
                out.key("doubleValue");
                #[allow(clippy::cast_precision_loss)]
                out.value(nanos as f64 / 1e9);
            });
        }
    }
    for (name, value) in [("gen_ai.request.stream", r.stream), ("ai.usage.estimated", r.estimated)]
    {
        attribute(out, name, |out| {
            out.key("boolValue");
            out.value(value);
        });
    }
}

fn text(out: &mut JsonWriter, name: &str, value: &str) {
    attribute(out, name, |out| {
        out.key("stringValue");
        out.text(value);
    });
}

/// A list of strings; none if it is empty.
fn list<'a>(out: &mut JsonWriter, name: &str, values: impl Iterator<Item = &'a str>) {
    let mut values = values.peekable();
    if values.peek().is_none() {
        return;
    }
    attribute(out, name, |out| {
        out.key("arrayValue");
        out.open('{');
        out.key("values");
        out.open('[');
        for value in values {
            out.open('{');
            out.key("stringValue");
            out.text(value);
            out.close('}');
        }
        out.close(']');
        out.close('}');
    });
}

fn attribute(out: &mut JsonWriter, name: &str, value: impl FnOnce(&mut JsonWriter)) {
    out.open('{');
    out.key("key");
    out.text(name);
    out.key("value");
    out.open('{');
    value(out);
    out.close('}');
    out.close('}');
}

fn long(out: &mut JsonWriter, name: &str, value: u64) {
    out.key(name);
    out.text(&value.to_string());
}
