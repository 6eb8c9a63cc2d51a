//! What to do for one request.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use hyper::header::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The request header that carries a script.
pub(crate) const HEADER: &str = "x-mock-llm";

/// The answer one request gets; every field may be left out.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Script {
    /// The HTTP status; from 300 on the body is an error.
    pub(crate) status: Option<u16>,
    /// Seconds in a `Retry-After` header.
    pub(crate) retry_after: Option<u64>,
    /// Replaces the error's type.
    pub(crate) error_type: Option<String>,
    /// Replaces the error's message.
    pub(crate) error_message: Option<String>,
    /// Extra response headers.
    pub(crate) headers: BTreeMap<String, Values>,
    /// Delay before the response headers.
    pub(crate) latency_ms: u64,
    /// Delay between the response headers and the first token.
    pub(crate) ttft_ms: u64,
    /// The pace of a stream's tokens.
    pub(crate) tokens_per_second: Option<f64>,
    /// The text of the answer.
    pub(crate) text: Option<String>,
    /// Makes up a text of so many tokens.
    pub(crate) tokens: Option<u64>,
    /// What the model thinks before it answers.
    pub(crate) thinking: Option<String>,
    /// The tools the model calls.
    pub(crate) tool_calls: Vec<ToolCall>,
    /// The model declines with this text.
    pub(crate) refusal: Option<String>,
    /// The finish or stop reason, as this protocol spells it.
    pub(crate) finish_reason: Option<String>,
    /// Where the body is cut into separate writes.
    pub(crate) split: Split,
    /// A pause between the writes, so that the reader does not get several at once.
    pub(crate) split_ms: u64,
    /// Ends the lines of an event stream with CR LF.
    pub(crate) crlf: bool,
    /// Puts comments between the events.
    pub(crate) comments: bool,
    /// Starts the body with a byte order mark.
    pub(crate) bom: bool,
    /// Breaks the connection after so many events.
    pub(crate) cut_after_events: Option<usize>,
    /// Breaks the connection after so many bytes of the body.
    pub(crate) cut_after_bytes: Option<usize>,
    /// Ends the body properly after so many events, never with a terminal one.
    pub(crate) end_after_events: Option<usize>,
    /// Pauses after so many events.
    pub(crate) stall_after_events: Option<usize>,
    /// The length of the pause; an hour if left out.
    pub(crate) stall_ms: Option<u64>,
    /// Sends an error event after so many events, and ends.
    pub(crate) error_after_events: Option<usize>,
    /// `false` leaves the usage out, an object replaces it.
    pub(crate) usage: Option<Value>,
    /// Input tokens that came from a cache.
    pub(crate) cached_tokens: Option<u64>,
    /// Output tokens spent on reasoning.
    pub(crate) reasoning_tokens: Option<u64>,
    /// The body (of a stream: its second event) is not JSON.
    pub(crate) garbage: bool,
    /// Exactly this body.
    pub(crate) raw_body: Option<String>,
    /// The content type of any answer.
    pub(crate) content_type: Option<String>,
    /// Only the first half of the JSON body (of a stream: of its last event).
    pub(crate) truncate_json: bool,
    /// Accepts any request.
    pub(crate) lenient: bool,
    /// Sends the usage of a stream although it was not asked for.
    pub(crate) usage_always: bool,
    /// Closes the connection without any answer.
    pub(crate) drop_connection: bool,
}

/// One header's value or values.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Values {
    /// The header appears once.
    One(String),
    /// The header appears once for each value.
    Many(Vec<String>),
}

impl Values {
    /// All the values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        match self {
            Values::One(value) => std::slice::from_ref(value),
            Values::Many(values) => values.as_slice(),
        }
        .iter()
        .map(String::as_str)
    }
}

/// A tool call of the model.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToolCall {
    /// The tool.
    pub(crate) name: String,
    /// An object, or a string that is sent as it is.
    #[serde(default)]
    pub(crate) arguments: Value,
    /// Made up if left out.
    pub(crate) id: Option<String>,
}

/// Where a body is cut into separate writes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Split {
    /// One write for each event.
    #[default]
    Event,
    /// One write for everything.
    Whole,
    /// One write for so many bytes.
    Every(NonZeroUsize),
    /// Cuts at these offsets from the start of the body.
    At(Vec<usize>),
}

impl Script {
    /// Reads a script for one listener: the fields of `on.<listener>` win over the others.
    ///
    /// The parts for other listeners are checked too, so that a mistyped field never goes unseen.
    pub(crate) fn parse(value: Value, listener: &str) -> Result<Script, String> {
        let Value::Object(mut base) = value else {
            return Err("a script must be a JSON object".to_owned());
        };
        let on = match base.remove("on") {
            None => Map::new(),
            Some(Value::Object(on)) => on,
            Some(_) => return Err("on: must map listeners to scripts".to_owned()),
        };
        let mut script = Script::read(base.clone())?;
        for (name, part) in on {
            let Value::Object(part) = part else {
                return Err(format!("on.{name}: must be a JSON object"));
            };
            let mut merged = base.clone();
            merged.extend(part);
            let merged = Script::read(merged).map_err(|error| format!("on.{name}: {error}"))?;
            if name == listener {
                script = merged;
            }
        }
        Ok(script)
    }

    /// Reads the script in a request header.
    pub(crate) fn from_header(header: &HeaderValue, listener: &str) -> Result<Script, String> {
        serde_json::from_slice(header.as_bytes())
            .map_err(|error| format!("not JSON: {error}"))
            .and_then(|value| Script::parse(value, listener))
    }

    fn read(fields: Map<String, Value>) -> Result<Script, String> {
        let script: Script = serde_path_to_error::deserialize(Value::Object(fields))
            .map_err(|error| error.to_string())?;
        script.check()?;
        Ok(script)
    }

    fn check(&self) -> Result<(), String> {
        if self.status.is_some_and(|status| !(200..=599).contains(&status)) {
            return Err("status: must be 200 to 599".to_owned());
        }
        if self.tokens_per_second.is_some_and(|pace| !pace.is_finite() || pace <= 0.0) {
            return Err("tokens_per_second: must be above 0".to_owned());
        }
        if !matches!(self.usage, None | Some(Value::Bool(_) | Value::Object(_))) {
            return Err("usage: must be a boolean or an object".to_owned());
        }
        for (name, values) in &self.headers {
            if HeaderName::from_bytes(name.as_bytes()).is_err()
                || values.iter().any(|value| HeaderValue::from_str(value).is_err())
            {
                return Err(format!("headers: `{name}` is not a valid header"));
            }
        }
        Ok(())
    }

    /// Whether the usage is left out.
    pub(crate) fn hides_usage(&self) -> bool {
        self.usage == Some(Value::Bool(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unknown_fields_are_named() {
        let error = Script::parse(json!({"statuss": 1}), "a").unwrap_err();
        assert!(error.contains("unknown field `statuss`"), "{error}");
        let error = Script::parse(json!({"on": {"b": {"txt": ""}}}), "a").unwrap_err();
        assert!(error.starts_with("on.b: ") && error.contains("`txt`"), "{error}");
    }

    #[test]
    fn wrong_types_name_the_field() {
        let error = Script::parse(json!({"status": "x"}), "a").unwrap_err();
        assert!(error.starts_with("status: invalid type"), "{error}");
    }

    #[test]
    fn a_listener_has_its_own_part() {
        let value = json!({"text": "hi", "on": {"a": {"status": 503}, "b": {"text": "b"}}});
        let a = Script::parse(value.clone(), "a").unwrap();
        assert_eq!((a.status, a.text.as_deref()), (Some(503), Some("hi")));
        let b = Script::parse(value.clone(), "b").unwrap();
        assert_eq!((b.status, b.text.as_deref()), (None, Some("b")));
        assert_eq!(Script::parse(value, "c").unwrap().text.as_deref(), Some("hi"));
    }

    #[test]
    fn every_form_of_split_is_read() {
        let split = |value| Script::parse(json!({ "split": value }), "a").map(|s| s.split);
        assert_eq!(split(json!("event")), Ok(Split::Event));
        assert_eq!(split(json!("whole")), Ok(Split::Whole));
        assert_eq!(split(json!({"every": 3})), Ok(Split::Every(NonZeroUsize::new(3).unwrap())));
        assert_eq!(split(json!({"at": [1, 5]})), Ok(Split::At(vec![1, 5])));
        assert!(split(json!({"every": 0})).is_err());
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for bad in [
            json!({"status": 99}),
            json!({"tokens_per_second": 0}),
            json!({"usage": 3}),
            json!({"headers": {"bad name": "x"}}),
            json!({"headers": {"x": "a\nb"}}),
            json!([]),
            json!({"on": []}),
        ] {
            assert!(Script::parse(bad.clone(), "a").is_err(), "{bad}");
        }
    }
}
