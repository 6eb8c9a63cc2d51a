//! The providers' side: writes requests, reads answers.

pub mod anthropic;
pub mod bedrock;
pub mod betas;
pub mod cohere;
pub mod gemini;
mod interleaved;
pub mod openai_chat;
mod openai_model;
pub mod openai_responses;

use std::fmt::Debug;

use shared::json::{BadJson, Document};
use shared::usage::Report;

use super::ir::{Delta, Request, Response, Unsupported};
use super::lost;
use crate::config::Protocol;
use crate::presets::Quirks;
use crate::provider::Cloud;

/// What a provider's requests depend on besides the client's.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// The provider's name of the model.
    pub model: &'a str,
    /// `max_tokens` where the protocol demands it and the client gives none.
    pub default_max_tokens: u64,
    /// What it does in its own way.
    pub quirks: Quirks,
    /// On whose cloud it runs.
    pub cloud: Cloud,
}

/// Writes a request. Names what has no place in it in `request.unsupported`; refuses what cannot be
/// left out without changing what was asked.
pub fn write(
    protocol: Protocol,
    request: &mut Request<'_>,
    options: &Options<'_>,
) -> Result<String, Unsupported> {
    // Templates of many models refuse instructions that do not come first.
    let anywhere = match protocol {
        Protocol::Openai => options.quirks.are_openais(),
        Protocol::OpenaiResponses => true,
        _ => false,
    };
    if !anywhere {
        request.move_instructions();
    }
    if matches!(protocol, Protocol::Anthropic | Protocol::Bedrock) {
        request.tell_calls_apart();
    }
    let body = match protocol {
        Protocol::Openai => openai_chat::write(request, options),
        Protocol::Anthropic => anthropic::write(request, options),
        Protocol::OpenaiResponses => openai_responses::write(request, options),
        Protocol::Gemini => gemini::write(request, options),
        Protocol::Bedrock => bedrock::write(request, options),
        Protocol::Cohere => cohere::write(request, options),
    }?;
    lost::note(protocol, request, options);
    Ok(body)
}

/// Reads a whole answer.
pub fn read<'a>(
    protocol: Protocol,
    answer: impl Into<Document<'a>>,
) -> Result<Response<'a>, BadJson> {
    let answer = answer.into();
    match protocol {
        Protocol::Openai => openai_chat::read(answer),
        Protocol::Anthropic => anthropic::read(answer),
        Protocol::OpenaiResponses => openai_responses::read(answer),
        Protocol::Gemini => gemini::read(answer),
        Protocol::Bedrock => bedrock::read(answer),
        Protocol::Cohere => cohere::read(answer),
    }
}

/// The provider's name of an error and its words, from the body of an error.
pub fn read_error(protocol: Protocol, text: &str) -> Option<(String, String)> {
    match protocol {
        Protocol::Openai => openai_chat::read_error(text),
        Protocol::Anthropic => anthropic::read_error(text),
        Protocol::OpenaiResponses => openai_responses::read_error(text),
        Protocol::Gemini => gemini::read_error(text),
        Protocol::Bedrock => bedrock::read_error(text),
        Protocol::Cohere => cohere::read_error(text),
    }
}

/// Reads no more than the token counts, of a whole answer or of an event that passes as it is.
pub fn observe(protocol: Protocol, said: Document<'_>, report: &mut Report) {
    match protocol {
        Protocol::Openai => openai_chat::observe(said, report),
        Protocol::OpenaiResponses => openai_responses::observe(said, report),
        Protocol::Anthropic => anthropic::observe(said, report),
        Protocol::Gemini => gemini::observe(said, report),
        Protocol::Bedrock => bedrock::observe(said, report),
        Protocol::Cohere => cohere::observe(said, report),
    }
}

/// Whether a text has this in it. To prepare the standard library's search takes longer than this one.
fn has(text: &str, mark: &str) -> bool {
    memchr::memmem::find(text.as_bytes(), mark.as_bytes()).is_some()
}

/// Whether an event that passes as it is ends its stream, be it with an error. Looks only at what
/// tells the last events from all others.
pub fn is_last(protocol: Protocol, data: &str) -> bool {
    let given = |key: &str| {
        let at = memchr::memmem::find(data.as_bytes(), key.as_bytes());
        let rest = at.and_then(|at| data.get(at + key.len()..)).unwrap_or("null");
        let value = rest.trim_start_matches([' ', ':']);
        // Some servers write an empty text where there is nothing yet.
        !value.starts_with("null") && !value.starts_with("\"\"")
    };
    match protocol {
        // Some servers leave `[DONE]` out.
        Protocol::Openai => data == "[DONE]" || given("\"finish_reason\"") || given("\"error\""),
        Protocol::OpenaiResponses => {
            let last = ["\"response.completed\"", "\"response.incomplete\"", "\"response.failed\""];
            // Answers that are under way have an `error` too: null.
            last.iter().any(|kind| has(data, kind)) || given("\"error\"")
        }
        Protocol::Anthropic => has(data, "\"message_stop\"") || has(data, "\"error\""),
        Protocol::Gemini => {
            given("\"finishReason\"") || given("\"blockReason\"") || given("\"error\"")
        }
        // No client speaks these.
        Protocol::Bedrock | Protocol::Cohere => true,
    }
}

/// Begins to read a streamed answer.
pub fn stream(protocol: Protocol) -> Box<dyn StreamReader> {
    match protocol {
        Protocol::Openai => Box::new(openai_chat::StreamReader::default()),
        Protocol::Anthropic => Box::new(anthropic::StreamReader::default()),
        Protocol::OpenaiResponses => Box::new(openai_responses::StreamReader::default()),
        Protocol::Gemini => Box::new(gemini::StreamReader::default()),
        Protocol::Bedrock => Box::new(bedrock::StreamReader::default()),
        Protocol::Cohere => Box::new(cohere::StreamReader::default()),
    }
}

/// How far a streamed answer has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// The last event has come, or no more are taken.
    pub ended: bool,
    /// The tokens reported so far.
    pub report: Report,
}

/// A streamed answer on its way in.
pub trait StreamReader: Debug {
    /// How far it has come.
    fn progress(&mut self) -> &mut Progress;

    /// Reads one event, its name (if it has one) and its data, and hands over the steps it stands
    /// for. Not called any more once it has ended.
    fn read<'a>(
        &mut self,
        name: Option<&str>,
        data: &'a str,
        step: &mut dyn FnMut(Delta<'a>),
    ) -> Result<(), BadJson>;

    /// The body is over. Hands over what the protocol lets a provider leave out; true if the answer
    /// was complete.
    fn finish<'a>(&mut self, step: &mut dyn FnMut(Delta<'a>)) -> bool {
        let _ = step;
        self.progress().ended
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::presets;
    use crate::translate::client::Client;

    fn written(protocol: Protocol, preset: &str, client: Client, body: &Value) -> Value {
        let text = body.to_string();
        let mut request = client.read(&text).unwrap();
        let quirks = presets::find(preset).unwrap().quirks;
        let options = Options { model: "m", default_max_tokens: 9, quirks, cloud: Cloud::Own };
        let body = write(protocol, &mut request, &options).unwrap();
        serde_json::from_str(&body).unwrap()
    }

    #[test]
    fn claude_gets_calls_that_can_be_told_apart_and_their_results_first() {
        let call = |id: &str| json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"});
        let user = |text: &str| json!({"role": "user", "content": text});
        let output = |id: &str, text: &str| json!({"type": "function_call_output", "call_id": id, "output": text});
        let body = json!({"model": "m", "input": [user("go"),
            call("call_0"), call("call_1"), user("quick"), output("call_1", "b"), output("call_0", "a"),
            call("call_0"), output("call_0", "c"),
            call("call_0"), call("call_0"), output("call_0", "d"), output("call_0", "e"),
            // One without a result.
            call("x"), user("on"), call("x"), output("x", "f")]});
        let expected = [
            ["call_0", "call_1", "call_1 b", "call_0 a"].as_slice(),
            &["call_0_2", "call_0_2 c", "call_0_3", "call_0_4", "call_0_3 d", "call_0_4 e"],
            &["x", "x_2", "x_2 f"],
        ]
        .concat();
        for protocol in [Protocol::Anthropic, Protocol::Bedrock] {
            let out = written(protocol, "anthropic", Client::OpenAiResponses, &body);
            let messages = out["messages"].as_array().unwrap();
            let blocks = messages
                .iter()
                .flat_map(|message| message["content"].as_array().into_iter().flatten());
            let shown = blocks.filter_map(|block| {
                let text = |value: &Value| value.as_str().map(str::to_owned);
                let call = text(&block["id"]).or(text(&block["toolUse"]["toolUseId"]));
                let result =
                    text(&block["tool_use_id"]).or(text(&block["toolResult"]["toolUseId"]));
                let said =
                    text(&block["content"]).or(text(&block["toolResult"]["content"][0]["text"]));
                call.or_else(|| Some(format!("{} {}", result?, said?)))
            });
            assert_eq!(shown.collect::<Vec<_>>(), expected, "{out}");
            let third = &messages[2]["content"];
            assert_eq!(third[2]["text"], "quick", "{out}");
        }
    }

    #[test]
    fn openai_gets_names_of_calls_and_schemas_that_it_takes() {
        let long = "chatcmpl-tool-0123456789abcdef0123456789abcdef";
        let body = json!({"max_tokens": 9, "messages": [{"role": "user", "content": "a"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": long, "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": long, "content": "b"}]}],
            "tools": [{"name": "f", "input_schema": {"type": "object"}},
                      {"name": "g", "input_schema": {"type": "object", "additionalProperties":
                          {"type": "object", "properties": {}}}},
                      {"name": "h", "input_schema": {"type": "object", "properties": {"a": {}}}}]});
        let out = written(Protocol::Openai, "openai", Client::Anthropic, &body);
        let id = out["messages"][1]["tool_calls"][0]["id"].as_str().unwrap();
        assert!(id.len() == 40 && id.starts_with("chatcmpl-tool-012345678_"), "{id}");
        assert_eq!(out["messages"][2]["tool_call_id"], id);
        let other = written(Protocol::Openai, "vllm", Client::Anthropic, &body);
        assert_eq!(other["messages"][2]["tool_call_id"], long);
        for (protocol, place) in
            [(Protocol::Openai, "/function/parameters"), (Protocol::OpenaiResponses, "/parameters")]
        {
            let out = written(protocol, "openai", Client::Anthropic, &body);
            let tools = out["tools"].as_array().unwrap();
            let named: Vec<_> =
                tools.iter().map(|t| t.pointer(place).unwrap()["properties"].clone()).collect();
            assert_eq!(named, [json!({}), json!({}), json!({"a": {}})], "{out}");
        }
    }

    #[test]
    fn schemas_that_do_not_say_so_are_of_objects() {
        let schema = |schema: &str| {
            let tool = json!({"type": "function", "name": "f", "parameters": Value::Null});
            let body = json!({"model": "m", "input": "a", "tools": [tool]}).to_string();
            let text = body.replace("null", schema);
            let body: Value = serde_json::from_str(&text).unwrap();
            let pick = |protocol, at: &str| {
                let out = written(protocol, "openai", Client::OpenAiResponses, &body);
                out.pointer(at).unwrap().clone()
            };
            let found = pick(Protocol::Anthropic, "/tools/0/input_schema");
            for (protocol, at) in [
                (Protocol::Bedrock, "/toolConfig/tools/0/toolSpec/inputSchema/json"),
                (Protocol::Openai, "/tools/0/function/parameters"),
                (Protocol::OpenaiResponses, "/tools/0/parameters"),
            ] {
                assert_eq!(pick(protocol, at), found);
            }
            found.to_string()
        };
        let none = r#"{"properties":{},"type":"object"}"#;
        for (given, written) in [
            ("null", none),
            ("{}", none),
            ("{ }", none),
            (r#"{"properties":{"a":{}}}"#, r#"{"properties":{"a":{}},"type":"object"}"#),
            (
                r##"{"$ref":"#/$defs/A","$defs":{"A":{"type":"object"}}}"##,
                r##"{"$defs":{"A":{"type":"object"}},"$ref":"#/$defs/A","properties":{},"type":"object"}"##,
            ),
            (r#"{"type":["object","null"]}"#, r#"{"type":["object","null"]}"#),
        ] {
            assert_eq!(schema(given), written);
        }
    }
}
