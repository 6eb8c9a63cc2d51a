//! One JSON line per request: numbers and names, never a prompt or an answer.

use shared::config::ConfigError;
use shared::host::{Capability, Host};
use shared::time;
use shared::write::{JsonWriter, Scalar};

use crate::config;
use crate::record::Record;

/// The property that has the line, for Envoy's own access log.
const PROPERTY: &str = "ai.log";

/// Writes a field, if the request has something to say in it.
type Field = fn(&mut Line<'_>, &Record);

/// All fields, in the order in which they are written unless the configuration has another.
pub const FIELDS: [(&str, Field); 40] = [
    ("time", |line, r| line.text(&time::written_millis(r.arrived))),
    ("trace_id", |line, r| {
        if let Some(trace) = r.trace {
            line.text(&format!("{:032x}", trace.trace));
        }
    }),
    ("operation", |line, r| line.text(r.operation)),
    ("protocol", |line, r| line.text(r.protocol)),
    ("consumer", |line, r| line.text(&r.consumer)),
    ("key_id", |line, r| line.text_if_any(&r.key_id)),
    ("team", |line, r| line.text(&r.team)),
    ("route", |line, r| line.text(&r.route)),
    ("variant", |line, r| line.text(&r.variant)),
    ("requested_model", |line, r| line.text(&r.requested_model)),
    ("model", |line, r| line.text(&r.model)),
    ("provider", |line, r| line.text(&r.provider)),
    ("region", |line, r| line.text_if_any(&r.region)),
    ("attempts", |line, r| line.list(&r.attempts)),
    ("status", |line, r| line.value(Some(u32::from(r.status)))),
    ("error_type", |line, r| line.text_if_any(&r.error_type)),
    ("finish_reason", |line, r| {
        if let Some(finish) = r.finish {
            line.text(finish.name());
        }
    }),
    ("stream", |line, r| line.value(Some(r.stream))),
    ("prompt_tokens", |line, r| line.value(r.usage.map(|u| u.prompt_tokens))),
    ("completion_tokens", |line, r| line.value(r.usage.map(|u| u.completion_tokens))),
    ("cached_tokens", |line, r| line.value(r.usage.map(|u| u.cached_tokens))),
    ("cache_write_tokens", |line, r| line.value(r.usage.map(|u| u.cache_creation_tokens))),
    ("reasoning_tokens", |line, r| line.value(r.usage.map(|u| u.reasoning_tokens))),
    ("estimated", |line, r| line.value(Some(r.estimated))),
    ("cost_nano_usd", |line, r| line.value(r.cost)),
    ("first_token_ms", |line, r| line.millis(r.first_token)),
    ("per_token_ms", |line, r| line.millis(r.per_token)),
    ("total_ms", |line, r| line.millis(Some(r.total))),
    ("upstream_ms", |line, r| line.millis(r.upstream)),
    ("own_ms", |line, r| line.millis(r.own)),
    ("cache", |line, r| line.text_if_any(&r.cache)),
    ("guard", |line, r| line.text_if_any(&r.guard)),
    ("guard_rules", |line, r| line.list(&r.guard_rules)),
    ("pii", |line, r| line.list(&r.pii)),
    ("limit", |line, r| line.text_if_any(&r.limit)),
    ("tool_call", |line, r| line.value(Some(r.tool_call))),
    ("refusal", |line, r| line.value(Some(r.refusal))),
    ("json_valid", |line, r| line.value(r.json_valid)),
    ("language", |line, r| line.text(r.profile.language.name())),
    ("prompt_bytes", |line, r| line.value(Some(r.profile.prompt_bytes))),
];

/// A line in the making, at one of its fields.
#[derive(Debug)]
pub struct Line<'a> {
    out: JsonWriter,
    field: &'a str,
}

impl Line<'_> {
    fn text(&mut self, text: &str) {
        self.out.key(self.field);
        self.out.text(text);
    }

    fn text_if_any(&mut self, text: &str) {
        if !text.is_empty() {
            self.text(text);
        }
    }

    fn list(&mut self, items: &[String]) {
        self.out.key(self.field);
        self.out.open('[');
        items.iter().for_each(|item| self.out.text(item));
        self.out.close(']');
    }

    fn value(&mut self, value: Option<impl Into<Scalar>>) {
        if let Some(value) = value {
            self.out.key(self.field);
            self.out.value(value);
        }
    }

    /// Milliseconds with three places.
    fn millis(&mut self, nanos: Option<u64>) {
        let Some(nanos) = nanos else { return };
        let micros = nanos / 1_000;
        self.out.key(self.field);
        self.out.raw(&format!("{}.{:03}", micros / 1_000, micros % 1_000));
    }
}

/// Bytes of a line with all fields, about.
const TYPICAL: usize = 1024;

/// Writes the lines.
#[derive(Debug, Default)]
pub struct AccessLog {
    log: bool,
    property: bool,
    fields: Vec<(&'static str, Field)>,
}

impl AccessLog {
    /// Checks the names of the fields.
    pub fn new(config: &config::AccessLog) -> Result<AccessLog, ConfigError> {
        let mut fields = Vec::new();
        for (index, name) in config.fields.iter().enumerate() {
            let field = FIELDS.into_iter().find(|(known, _)| known == name).ok_or_else(|| {
                let names: Vec<_> = FIELDS.iter().map(|(name, _)| *name).collect();
                let message = format!("no such field; there are {}", names.join(", "));
                ConfigError::new(format!("access_log.fields[{index}]"), message)
            })?;
            fields.push(field);
        }
        if fields.is_empty() {
            fields = FIELDS.to_vec();
        }
        Ok(AccessLog { log: config.enabled, property: config.property, fields })
    }

    /// Writes a request's line where it is to go.
    pub fn write(&self, host: &dyn Host, record: &Record) {
        if !self.log && !self.property {
            return;
        }
        let line = self.line(record);
        if self.property && host.can(Capability::SharedProperties) {
            let _ = host.set_property(&[PROPERTY], line.as_bytes());
        }
        if self.log {
            log::info!("{line}");
        }
    }

    /// The line; fields that say nothing are left out.
    pub fn line(&self, record: &Record) -> String {
        let mut line = Line { out: JsonWriter::with_capacity(TYPICAL), field: "" };
        line.out.open('{');
        for (name, write) in &self.fields {
            line.field = name;
            write(&mut line, record);
        }
        line.out.close('}');
        line.out.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_places() {
        let mut line = Line { out: JsonWriter::default(), field: "a" };
        line.out.open('{');
        line.millis(Some(1_234_567));
        line.millis(Some(5_000));
        line.millis(None);
        assert_eq!(line.out.finish(), r#"{"a":1.234,"a":0.005"#);
    }

    #[test]
    fn an_unknown_field_is_refused_with_its_place() {
        let fields = vec!["status".into(), "prompt".into()];
        let config = config::AccessLog { fields, ..config::AccessLog::default() };
        let error = AccessLog::new(&config).unwrap_err();
        assert_eq!(error.path, "access_log.fields[1]");
    }
}
