//! One JSON line per request: numbers and names, never a prompt or an answer.

use serde_json::value::RawValue;
use serde_json::{Value, json};
use shared::config::ConfigError;
use shared::host::{Capability, Host};

use crate::config;
use crate::record::Record;

/// The property that has the line, for Envoy's own access log.
const PROPERTY: &str = "ai.log";

type Field = fn(&Record) -> Value;

/// All fields, in the order in which they are written unless the configuration has another.
pub const FIELDS: [(&str, Field); 40] = [
    ("time", |r| json!(timestamp(r.arrived))),
    ("trace_id", |r| r.trace.map_or(Value::Null, |t| json!(format!("{:032x}", t.trace)))),
    ("operation", |r| json!(r.operation)),
    ("protocol", |r| json!(r.protocol)),
    ("consumer", |r| json!(r.consumer)),
    ("key_id", |r| text(&r.key_id)),
    ("team", |r| json!(r.team)),
    ("route", |r| json!(r.route)),
    ("variant", |r| json!(r.variant)),
    ("requested_model", |r| json!(r.requested_model)),
    ("model", |r| json!(r.model)),
    ("provider", |r| json!(r.provider)),
    ("region", |r| text(&r.region)),
    ("attempts", |r| json!(r.attempts)),
    ("status", |r| json!(r.status)),
    ("error_type", |r| text(&r.error_type)),
    ("finish_reason", |r| r.finish.map_or(Value::Null, |finish| json!(finish.name()))),
    ("stream", |r| json!(r.stream)),
    ("prompt_tokens", |r| json!(r.usage.map(|u| u.prompt_tokens))),
    ("completion_tokens", |r| json!(r.usage.map(|u| u.completion_tokens))),
    ("cached_tokens", |r| json!(r.usage.map(|u| u.cached_tokens))),
    ("cache_write_tokens", |r| json!(r.usage.map(|u| u.cache_creation_tokens))),
    ("reasoning_tokens", |r| json!(r.usage.map(|u| u.reasoning_tokens))),
    ("estimated", |r| json!(r.estimated)),
    ("cost_nano_usd", |r| json!(r.cost)),
    ("first_token_ms", |r| millis(r.first_token)),
    ("per_token_ms", |r| millis(r.per_token)),
    ("total_ms", |r| millis(Some(r.total))),
    ("upstream_ms", |r| millis(r.upstream)),
    ("own_ms", |r| millis(r.own)),
    ("cache", |r| text(&r.cache)),
    ("guard", |r| text(&r.guard)),
    ("guard_rules", |r| json!(r.guard_rules)),
    ("pii", |r| json!(r.pii)),
    ("limit", |r| text(&r.limit)),
    ("tool_call", |r| json!(r.tool_call)),
    ("refusal", |r| json!(r.refusal)),
    ("json_valid", |r| json!(r.json_valid)),
    ("language", |r| json!(r.profile.language.name())),
    ("prompt_bytes", |r| json!(r.profile.prompt_bytes)),
];

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
        let mut out = String::from("{");
        for (name, field) in &self.fields {
            let value = field(record);
            if value.is_null() {
                continue;
            }
            if out.len() > 1 {
                out.push(',');
            }
            out.push_str(&format!("{}:{value}", Value::from(*name)));
        }
        out.push('}');
        out
    }
}

fn text(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { json!(text) }
}

/// Milliseconds with three places.
fn millis(nanos: Option<u64>) -> Value {
    let Some(nanos) = nanos else { return Value::Null };
    let micros = nanos / 1_000;
    let text = format!("{}.{:03}", micros / 1_000, micros % 1_000);
    RawValue::from_string(text)
        .ok()
        .and_then(|raw| serde_json::to_value(raw).ok())
        .unwrap_or_default()
}

/// RFC 3339 in UTC, with milliseconds.
pub fn timestamp(nanos: u64) -> String {
    let (seconds, millis) = (nanos / 1_000_000_000, nanos / 1_000_000 % 1_000);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// The date so many days after the Unix epoch, by counting years from March on in eras of 400.
/// <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>
fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days.saturating_add(719_468);
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let january = month >= 10;
    let month = if january { month - 9 } else { month + 3 };
    (era * 400 + year_of_era + u64::from(january), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_767_225_599, "2025-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(timestamp(seconds * 1_000_000_000), text);
        }
    }

    #[test]
    fn times_have_three_places() {
        assert_eq!(millis(Some(1_234_567)).to_string(), "1.234");
        assert_eq!(millis(Some(5_000)).to_string(), "0.005");
    }

    #[test]
    fn an_unknown_field_is_refused_with_its_place() {
        let fields = vec!["status".into(), "prompt".into()];
        let config = config::AccessLog { fields, ..config::AccessLog::default() };
        let error = AccessLog::new(&config).unwrap_err();
        assert_eq!(error.path, "access_log.fields[1]");
    }
}
