//! What of an answer is compared with another.

use serde_json::Value;
use shared::json::Document;
use shared::usage::Usage;

use super::schema::is_valid;
use crate::config::Protocol;
use crate::routing::price::{Size, Tariff};
use crate::translate::ir::{Arguments, Body, Choice, Delta, StopReason};
use crate::translate::provider::{self, StreamReader};

/// Most bytes of text and arguments that are looked at.
const MOST_TEXT: usize = 256 << 10;

/// What an answer was like.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// HTTP status.
    status: u16,
    /// Why it ended.
    finish: Option<StopReason>,
    /// The model has refused.
    refused: bool,
    /// The functions that it calls, with their arguments; none if these are no JSON object.
    calls: Vec<(String, Option<Value>)>,
    /// Whether it is as the request's schema wants it; none if it wants nothing.
    valid: Option<bool>,
    tokens: Option<Usage>,
    nanos: u64,
    nano_usd: Option<u64>,
}

impl Summary {
    /// That of a whole answer in this protocol.
    pub fn of(protocol: Protocol, status: u16, body: &str, schema: Option<&Value>) -> Summary {
        let mut watch = Watch::new(protocol);
        watch.whole(body.into());
        watch.finish(status, schema)
    }

    /// How long it took, and what its tokens cost `now`, in nanoseconds since the Unix epoch.
    pub fn took(&mut self, nanos: u64, tariff: Option<&Tariff>, now: u64) {
        self.nanos = nanos;
        self.nano_usd = tariff.zip(self.tokens).map(|(tariff, used)| {
            let size = Size { prompt: used.prompt_tokens, answer: used.completion_tokens };
            // Saturates.
            (tariff.of(size, now) * 1e9).round() as u64
        });
    }

    /// What is added up of it.
    pub fn figures(&self) -> [(&'static str, i64); 9] {
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let yes = |value: bool| i64::from(value);
        let failed = !(200..300).contains(&self.status);
        [
            ("answers", 1),
            ("failures", yes(failed)),
            ("refusals", yes(self.refused)),
            ("cut_short", yes(self.finish == Some(StopReason::Length))),
            ("tool_calls", number(u64::try_from(self.calls.len()).unwrap_or(0))),
            ("invalid_arguments", yes(self.calls.iter().any(|(_, arguments)| arguments.is_none()))),
            ("invalid_schema", yes(self.valid == Some(false))),
            ("milliseconds", number(self.nanos / 1_000_000)),
            ("nano_usd", number(self.nano_usd.unwrap_or(0))),
        ]
    }
}

/// In what two answers agree; of one that failed there is nothing to compare.
pub fn compare(primary: &Summary, shadow: &Summary) -> Vec<(&'static str, bool)> {
    let good = |summary: &Summary| (200..300).contains(&summary.status);
    let mut all = vec![("success", good(primary) == good(shadow))];
    if !good(primary) || !good(shadow) {
        return all;
    }
    all.push(("finish", primary.finish == shadow.finish));
    all.push(("refusal", primary.refused == shadow.refused));
    let names =
        |summary: &Summary| summary.calls.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    if !primary.calls.is_empty() || !shadow.calls.is_empty() {
        let same = names(primary) == names(shadow);
        all.push(("tools", same));
        if same {
            all.push(("arguments", primary.calls == shadow.calls));
        }
    }
    if primary.valid.is_some() {
        all.push(("schema", primary.valid == shadow.valid));
    }
    all
}

/// Looks at an answer as it comes.
#[derive(Debug)]
pub struct Watch {
    protocol: Protocol,
    reader: Box<dyn StreamReader>,
    text: String,
    calls: Vec<(String, String)>,
    finish: Option<StopReason>,
    refused: bool,
    tokens: Option<Usage>,
}

impl Watch {
    /// At an answer in this protocol.
    pub fn new(protocol: Protocol) -> Watch {
        Watch {
            protocol,
            reader: provider::stream(protocol),
            text: String::new(),
            calls: Vec::new(),
            finish: None,
            refused: false,
            tokens: None,
        }
    }

    /// An event of a stream.
    pub fn event(&mut self, name: Option<&str>, data: &str) {
        if self.reader.progress().ended {
            return;
        }
        let mut steps = Vec::new();
        let read = self.reader.read(name, data, &mut |delta| {
            steps.push(match delta {
                Delta::Text(text) => Step::Text(text.decode().into_owned()),
                Delta::ToolStart { name, .. } => Step::Call(name.decode().into_owned()),
                Delta::ToolArguments(piece) => Step::Arguments(piece.decode().into_owned()),
                Delta::Refusal(_) => Step::Refusal,
                Delta::Stop(reason) => Step::Stop(reason),
                Delta::End(usage) => Step::End(usage),
                _ => return,
            });
        });
        if read.is_err() {
            self.reader.progress().ended = true;
        }
        for step in steps {
            self.step(step);
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Text(text) if self.text.len() + text.len() <= MOST_TEXT => self.text += &text,
            Step::Text(_) => {}
            Step::Call(name) => self.calls.push((name, String::new())),
            Step::Arguments(piece) => {
                if let Some((_, arguments)) = self.calls.last_mut()
                    && arguments.len() + piece.len() <= MOST_TEXT
                {
                    *arguments += &piece;
                }
            }
            Step::Refusal => self.refused = true,
            Step::Stop(reason) => self.finish = Some(reason),
            Step::End(usage) => self.tokens = usage,
        }
    }

    /// A whole answer.
    pub fn whole(&mut self, body: Document<'_>) {
        let Ok(response) = provider::read(self.protocol, body) else { return };
        self.tokens = response.usage;
        let Some(Choice { parts, stop, .. }) = response.choices.into_iter().next() else { return };
        self.finish = stop;
        for part in parts {
            match part.body {
                Body::Text(text) => self.step(Step::Text(text.decode().into_owned())),
                Body::Refusal(_) => self.refused = true,
                Body::ToolCall { name, arguments, .. } => {
                    self.step(Step::Call(name.decode().into_owned()));
                    self.step(Step::Arguments(match arguments {
                        Arguments::Text(text) => text.decode().into_owned(),
                        Arguments::Json(json) => json.get().to_owned(),
                    }));
                }
                _ => {}
            }
        }
    }

    /// It is over. `schema` has the members that a JSON object must have.
    pub fn finish(mut self, status: u16, schema: Option<&Value>) -> Summary {
        let _ = self.reader.finish(&mut |_| {});
        self.tokens = self.tokens.or_else(|| self.reader.progress().report.usage());
        let read = |text: &str| serde_json::from_str::<Value>(text).ok();
        let object = |text: &str| read(text).filter(Value::is_object);
        let valid =
            schema.map(|schema| read(&self.text).is_some_and(|answer| is_valid(schema, &answer)));
        Summary {
            status,
            finish: self.finish,
            refused: self.refused || self.finish == Some(StopReason::Filter),
            calls: self.calls.into_iter().map(|(name, text)| (name, object(&text))).collect(),
            // An answer that calls functions is not the one that the schema is for.
            valid: valid.filter(|_| self.finish != Some(StopReason::ToolCalls)),
            tokens: self.tokens,
            nanos: 0,
            nano_usd: None,
        }
    }
}

enum Step {
    Text(String),
    Call(String),
    Arguments(String),
    Refusal,
    Stop(StopReason),
    End(Option<Usage>),
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENAI: &str = r#"{"choices":[{"message":{"content":null,"tool_calls":[{"id":"1",
        "type":"function","function":{"name":"get","arguments":"{\"a\": 1}"}}]},
        "finish_reason":"tool_calls"}],"usage":{"prompt_tokens":10,"completion_tokens":5,
        "total_tokens":15}}"#;
    const ANTHROPIC: &str = r#"{"content":[{"type":"tool_use","id":"1","name":"get",
        "input":{"a":1}}],"stop_reason":"tool_use","usage":{"input_tokens":9,"output_tokens":5}}"#;

    #[test]
    fn answers_of_different_protocols_are_compared_by_what_they_mean() {
        let one = Summary::of(Protocol::Openai, 200, OPENAI, None);
        let two = Summary::of(Protocol::Anthropic, 200, ANTHROPIC, None);
        let all = compare(&one, &two);
        assert!(all.iter().all(|(_, same)| *same), "{all:?}");
        assert!(all.contains(&("arguments", true)));
        let other = ANTHROPIC.replace(r#"{"a":1}"#, r#"{"a":2}"#);
        let two = Summary::of(Protocol::Anthropic, 200, &other, None);
        assert!(compare(&one, &two).contains(&("arguments", false)));
        let failed = Summary::of(Protocol::Anthropic, 529, "{}", None);
        assert_eq!(compare(&one, &failed), [("success", false)]);
    }

    #[test]
    fn a_stream_is_summed_up_as_a_whole_answer_is() {
        let mut watch = Watch::new(Protocol::Openai);
        for data in [
            r#"{"choices":[{"delta":{"role":"assistant","tool_calls":[{"index":0,"id":"1","function":{"name":"get","arguments":"{\"a\""}}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":": 1}"}}]}}]}"#,
            r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#,
            "[DONE]",
        ] {
            watch.event(None, data);
        }
        let streamed = watch.finish(200, None);
        let whole = Summary::of(Protocol::Openai, 200, OPENAI, None);
        assert!(compare(&streamed, &whole).iter().all(|(_, same)| *same));
    }

    #[test]
    fn an_answer_must_be_valid_against_its_schema_unless_it_calls_functions() {
        let body = r#"{"choices":[{"message":{"content":"{\"a\": 1}"},"finish_reason":"stop"}]}"#;
        let valid = |kind: &str| {
            let schema = serde_json::json!({"type": "object", "required": ["a"],
                "properties": {"a": {"type": kind}}});
            Summary::of(Protocol::Openai, 200, body, Some(&schema))
        };
        assert_eq!((valid("number").valid, valid("string").valid), (Some(true), Some(false)));
        assert!(valid("string").figures().contains(&("invalid_schema", 1)));
        assert!(compare(&valid("number"), &valid("string")).contains(&("schema", false)));
        let calls = Summary::of(Protocol::Openai, 200, OPENAI, Some(&Value::Bool(false)));
        assert_eq!(calls.valid, None);
    }

    #[test]
    fn refusals_and_ends_are_compared_and_added_up() {
        let of = |reason: &str| {
            let body = format!(
                r#"{{"choices":[{{"message":{{"content":"x"}},"finish_reason":"{reason}"}}]}}"#
            );
            Summary::of(Protocol::Openai, 200, &body, None)
        };
        let (stop, cut, refused) = (of("stop"), of("length"), of("content_filter"));
        assert!(compare(&stop, &cut).contains(&("finish", false)));
        assert!(compare(&stop, &refused).contains(&("refusal", false)));
        assert!(refused.figures().contains(&("refusals", 1)));
        assert!(cut.figures().contains(&("cut_short", 1)));
        assert!(stop.figures().contains(&("refusals", 0)));
    }

    #[test]
    fn what_it_cost_is_known_by_its_tokens_and_the_targets_price() {
        let mut summary = Summary::of(Protocol::Openai, 200, OPENAI, None);
        let price = r#"{"input":1,"output":2,"long_context":[{"above":9,"input":2,"output":4}]}"#;
        let price = shared::config::document(price).unwrap();
        let tariff = Tariff::new(price, &shared::small_map::SmallMap::new(), "price").unwrap();
        summary.took(3_000_000, Some(&tariff), 0);
        let figures = summary.figures();
        assert!(figures.contains(&("milliseconds", 3)));
        assert!(figures.contains(&("nano_usd", 40_000)));
    }
}
