//! What must hold for every request, answer and stream of OpenAI Responses, as the client's protocol
//! and as the provider's.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use ai_proxy::config::Protocol;
use ai_proxy::presets;
use ai_proxy::provider::Cloud;
use ai_proxy::translate::client::{Client, Context};
use ai_proxy::translate::ir::{Delta, Logprob, Request, StopReason, Unsupported};
use ai_proxy::translate::provider::{self, Options};
use proptest::prelude::*;
use serde_json::{Value, json};
use shared::errors::ErrorKind;
use shared::json::JsonStr;
use shared::usage::Usage;

const CLIENT: Client = Client::OpenAiResponses;

fn write(protocol: Protocol, request: &mut Request<'_>) -> Result<Value, Unsupported> {
    let quirks = presets::find("openai").unwrap().quirks;
    let options = Options { model: "x", default_max_tokens: 4096, quirks, cloud: Cloud::Own };
    let body = provider::write(protocol, request, &options)?;
    Ok(serde_json::from_str(&body).unwrap())
}

/// The context of an answer to this request.
fn context(request: &str) -> Context {
    let request = CLIENT.read(request).unwrap();
    let custom = request.tools.iter().filter(|tool| tool.custom);
    Context {
        model: "m".into(),
        created: 1,
        id: 2,
        echo: request.echo,
        custom_tools: custom.map(|tool| tool.name.decode().into_owned()).collect(),
        ..Context::default()
    }
}

/// The events of these steps, checked for their names and numbers.
fn events(context: Context, steps: &[Delta<'_>]) -> Vec<Value> {
    let mut writer = CLIENT.stream(context);
    let mut events: Vec<Value> = Vec::new();
    for step in steps {
        writer.write(step, &mut |name, data| {
            let event: Value = serde_json::from_str(data).unwrap();
            assert_eq!(name, event["type"].as_str());
            assert_eq!(event["sequence_number"], events.len());
            events.push(event);
        });
    }
    events
}

fn of<'e>(events: &'e [Value], kind: &str) -> impl Iterator<Item = &'e Value> {
    let kind = kind.to_owned();
    events.iter().filter(move |event| event["type"] == *kind)
}

/// The pieces of one item, joined.
fn joined(events: &[Value], kind: &str, item: &Value) -> String {
    let own = of(events, kind).filter(|event| event["item_id"] == *item);
    own.filter_map(|event| event["delta"].as_str()).collect()
}

#[derive(Clone, Debug)]
enum Said {
    Text(Vec<String>),
    Refusal(Vec<String>),
    Thought(Vec<String>, Option<String>),
    Call(Vec<String>),
    Patch(String),
    Encrypted,
}

fn said() -> impl Strategy<Value = Said> {
    let pieces = || prop::collection::vec(any::<String>(), 1..4);
    prop_oneof![
        pieces().prop_map(Said::Text),
        pieces().prop_map(Said::Refusal),
        (pieces(), prop::option::of("[a-zA-Z0-9+/=]{1,9}")).prop_map(|(p, s)| Said::Thought(p, s)),
        pieces().prop_map(Said::Call),
        any::<String>().prop_map(Said::Patch),
        Just(Said::Encrypted),
    ]
}

fn steps(said: &[Said]) -> Vec<Delta<'static>> {
    let mut steps = vec![Delta::Start { id: Some(JsonStr::encode("a")), model: None }];
    for (at, said) in said.iter().enumerate() {
        let id = JsonStr::encode(&format!("call_{at}"));
        match said {
            Said::Text(pieces) => {
                steps.extend(pieces.iter().map(|p| Delta::Text(JsonStr::encode(p))));
                let token = JsonStr::encode("x");
                let logprob = Logprob { top: vec![(token.clone(), -1.5)], token, logprob: -0.5 };
                steps.push(Delta::Logprobs(vec![logprob]));
            }
            Said::Refusal(pieces) => {
                steps.extend(pieces.iter().map(|p| Delta::Refusal(JsonStr::encode(p))));
            }
            Said::Thought(pieces, signature) => {
                steps.extend(pieces.iter().map(|p| Delta::Thinking(JsonStr::encode(p))));
                steps.extend(signature.as_ref().map(|signature| Delta::ThoughtEnd {
                    text: JsonStr::encode(&pieces.concat()),
                    signature: JsonStr::encode(signature),
                }));
            }
            Said::Call(pieces) => {
                steps.push(Delta::ToolStart { id, name: JsonStr::encode("weather") });
                steps.extend(pieces.iter().map(|p| Delta::ToolArguments(JsonStr::encode(p))));
            }
            Said::Patch(text) => {
                steps.push(Delta::ToolStart { id, name: JsonStr::encode("apply_patch") });
                let document = json!({ "input": text }).to_string();
                // Cut anywhere.
                let half = document.char_indices().nth(document.chars().count() / 2).unwrap().0;
                let (one, other) = document.split_at(half);
                steps.extend([one, other].map(|p| Delta::ToolArguments(JsonStr::encode(p))));
            }
            Said::Encrypted => steps.push(Delta::RedactedThinking(JsonStr::encode("abc"))),
        }
    }
    steps
}

const CODEX: &str = r#"{"model":"m","input":"x","instructions":"Be \"brief\".","tools":[
    {"type":"custom","name":"apply_patch","format":{"type":"text"}},
    {"type":"namespace","name":"mcp__docs","description":"d","tools":[
        {"type":"function","name":"search","parameters":{}}]}]}"#;

proptest! {
    #[test]
    fn the_last_event_repeats_what_was_streamed(
        said in prop::collection::vec(said(), 0..6),
        reason in prop::sample::select(vec![
            StopReason::End, StopReason::Length, StopReason::ToolCalls, StopReason::Filter]),
    ) {
        let mut steps = steps(&said);
        steps.push(Delta::Stop(reason));
        steps.push(Delta::End(Some(Usage { prompt_tokens: 3, ..Usage::default() })));
        let events = events(context(CODEX), &steps);
        let last = &events.last().unwrap()["response"];
        let output = last["output"].as_array().unwrap();
        // Every item begins and ends once, in its place.
        for kind in ["response.output_item.added", "response.output_item.done"] {
            let places: Vec<_> = of(&events, kind).map(|e| e["output_index"].clone()).collect();
            prop_assert_eq!(places, (0..output.len()).map(Value::from).collect::<Vec<_>>());
        }
        let done: Vec<_> = of(&events, "response.output_item.done").map(|e| &e["item"]).collect();
        prop_assert_eq!(done, output.iter().collect::<Vec<_>>());
        for item in output {
            let (kind, whole) = match item["type"].as_str().unwrap() {
                "message" => {
                    let part = |part: &Value| {
                        part["text"].as_str().or(part["refusal"].as_str()).unwrap().to_owned()
                    };
                    let all: String =
                        item["content"].as_array().unwrap().iter().map(part).collect();
                    let mut streamed = String::new();
                    for event in &events {
                        let delta = matches!(event["type"].as_str().unwrap(),
                            "response.output_text.delta" | "response.refusal.delta");
                        if delta && event["item_id"] == item["id"] {
                            streamed.push_str(event["delta"].as_str().unwrap());
                        }
                    }
                    prop_assert_eq!(streamed, all);
                    continue;
                }
                "reasoning" => ("reasoning_summary_text",
                    item.pointer("/summary/0/text").and_then(Value::as_str).unwrap_or_default()),
                "function_call" => ("function_call_arguments", item["arguments"].as_str().unwrap()),
                _ => ("custom_tool_call_input", item["input"].as_str().unwrap()),
            };
            let deltas = joined(&events, &format!("response.{kind}.delta"), &item["id"]);
            prop_assert_eq!(&deltas, whole);
        }
        let patches: Vec<_> = said.iter().filter_map(|said| match said {
            Said::Patch(text) => Some(text.as_str()),
            _ => None,
        }).collect();
        let calls = output.iter().filter(|item| item["type"] == "custom_tool_call");
        prop_assert_eq!(calls.map(|c| c["input"].as_str().unwrap()).collect::<Vec<_>>(), patches);
        prop_assert_eq!(&last["instructions"], "Be \"brief\".");
        prop_assert_eq!(&last["usage"]["total_tokens"], 3);
    }

    #[test]
    fn what_a_client_sends_is_read_or_refused_and_what_is_written_is_json(
        body in json_value(),
        keys in prop::collection::vec(0..FIELDS.len(), 0..6),
    ) {
        let mut object = json!({"model": "m", "input": "x"});
        for key in keys {
            object[FIELDS[key]] = body.clone();
        }
        let text = object.to_string();
        match CLIENT.read(&text) {
            Ok(mut request) => {
                let echo = format!("{{{}}}", request.echo);
                prop_assert!(serde_json::from_str::<Value>(&echo).is_ok(), "{}", echo);
                for protocol in [Protocol::OpenaiResponses, Protocol::Openai] {
                    let _ = write(protocol, &mut request);
                }
                let answer = CLIENT.write(&Default::default(), &context(&text));
                prop_assert!(serde_json::from_str::<Value>(&answer).is_ok(), "{}", answer);
            }
            Err(error) => prop_assert!(error.status == 400 && error.param.is_some()),
        }
    }

    #[test]
    fn any_answer_is_read_or_refused(body in json_value(), key in 0..ANSWER.len()) {
        let mut object = json!({"id": "resp_1", "model": "m", "status": "completed", "output": [
            {"type": "message", "content": [{"type": "output_text", "text": "x"}]}]});
        object[ANSWER[key]] = body.clone();
        if let Ok(response) = provider::read(Protocol::OpenaiResponses, &object.to_string()) {
            for client in Client::ALL {
                let out = client.write(&response, &context(CODEX));
                prop_assert!(serde_json::from_str::<Value>(&out).is_ok(), "{}", out);
            }
        }
        let mut reader = provider::stream(Protocol::OpenaiResponses);
        let mut writer = CLIENT.stream(context(CODEX));
        for kind in EVENTS {
            let mut event = json!({"type": kind, "output_index": 0, "item": body.clone()});
            event[ANSWER[key]] = body.clone();
            let event = event.to_string();
            if reader.progress().ended {
                reader = provider::stream(Protocol::OpenaiResponses);
            }
            let _ = reader.read(None, &event, &mut |delta| writer.write(&delta, &mut |_, data| {
                assert!(serde_json::from_str::<Value>(data).is_ok(), "{data}");
            }));
        }
    }

    #[test]
    fn texts_arrive_as_they_were_written(
        system in any::<String>(),
        user in "\\PC+",
        arguments in any::<String>(),
        patch in any::<String>(),
        result in any::<String>(),
    ) {
        let body = json!({"model": "m", "instructions": system, "input": [
            {"role": "user", "content": [{"type": "input_text", "text": user}]},
            {"type": "function_call", "call_id": "1", "name": "f", "arguments": arguments},
            {"type": "function_call_output", "call_id": "1", "output": result},
            {"type": "custom_tool_call", "call_id": "2", "name": "apply_patch", "input": patch},
            {"type": "custom_tool_call_output", "call_id": "2", "output": result},
        ], "tools": [{"type": "custom", "name": "apply_patch"}]}).to_string();
        let mut request = CLIENT.read(&body).unwrap();
        let out = write(Protocol::OpenaiResponses, &mut request).unwrap();
        prop_assert_eq!(out["instructions"].as_str().unwrap_or_default(), &system);
        let input = out["input"].as_array().unwrap();
        prop_assert_eq!(input[0]["content"].as_str().unwrap(), &user);
        let sent = if arguments.is_empty() { "{}".to_owned() } else { arguments.clone() };
        prop_assert_eq!(input[1]["arguments"].as_str().unwrap(), &sent);
        prop_assert_eq!(input[2]["output"].as_str().unwrap(), &result);
        prop_assert_eq!(&input[3]["type"], "custom_tool_call");
        prop_assert_eq!(input[3]["input"].as_str().unwrap(), &patch);
        prop_assert_eq!(&input[4]["type"], "custom_tool_call_output");
        let mut request = CLIENT.read(&body).unwrap();
        let out = write(Protocol::Openai, &mut request).unwrap();
        let call = out["messages"].as_array().unwrap().iter().find_map(|message| {
            let function = message.pointer("/tool_calls/0/function")?;
            (function["name"] == "apply_patch").then_some(&function["arguments"])
        });
        let arguments: Value = serde_json::from_str(call.unwrap().as_str().unwrap()).unwrap();
        prop_assert_eq!(arguments["input"].as_str().unwrap(), &patch);
    }

    #[test]
    fn calls_that_take_turns_keep_their_arguments(
        calls in prop::collection::vec(prop::collection::vec(any::<String>(), 0..4), 1..5),
        order in prop::collection::vec(any::<prop::sample::Index>(), 30),
    ) {
        let mut reader = provider::stream(Protocol::OpenaiResponses);
        let mut got: Vec<(String, String)> = Vec::new();
        let mut read = |event: Value| {
            let event = event.to_string();
            reader.read(None, &event, &mut |delta| match delta {
                Delta::ToolStart { id, .. } => got.push((id.decode().into_owned(), String::new())),
                Delta::ToolArguments(piece) => {
                    got.last_mut().unwrap().1.push_str(&piece.decode());
                }
                _ => {}
            }).unwrap();
        };
        let mut events: Vec<Vec<Value>> = Vec::new();
        for (at, pieces) in calls.iter().enumerate() {
            let item = |arguments: &str| json!({"type": "function_call", "id": format!("fc_{at}"),
                "call_id": at.to_string(), "name": "f", "arguments": arguments});
            let mut own = vec![json!({"type": "response.output_item.added", "output_index": at,
                "item": item("")})];
            own.extend(pieces.iter().map(|piece| json!({"output_index": at, "delta": piece,
                "type": "response.function_call_arguments.delta"})));
            own.push(json!({"type": "response.output_item.done", "output_index": at,
                "item": item(&pieces.concat())}));
            own.reverse();
            events.push(own);
        }
        let mut order = order.iter().cycle();
        while !events.is_empty() {
            let at = order.next().unwrap().index(events.len());
            match events[at].pop() {
                Some(event) => read(event),
                None => drop(events.remove(at)),
            }
        }
        read(json!({"type": "response.completed", "response": {"status": "completed"}}));
        got.sort();
        let expected = calls.iter().enumerate().map(|(at, pieces)| {
            let all = pieces.concat();
            (at.to_string(), if all.is_empty() { "{}".to_owned() } else { all })
        });
        prop_assert_eq!(got, expected.collect::<Vec<_>>());
    }
}

#[test]
fn what_is_kept_for_the_last_event_is_bounded() {
    let piece = "x".repeat(1 << 20);
    let mut steps: Vec<_> = (0..20).map(|_| Delta::Text(JsonStr::encode(&piece))).collect();
    steps.extend([Delta::Stop(StopReason::End), Delta::End(None)]);
    let events = events(context(CODEX), &steps);
    assert_eq!(of(&events, "response.output_text.delta").count(), 20);
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.incomplete");
    let text = last.pointer("/response/output/0/content/0/text").unwrap().as_str().unwrap();
    assert_eq!(text.len(), 16 << 20);
}

#[test]
fn a_custom_call_that_is_too_long_is_an_error_and_not_half_a_call() {
    let piece = "x".repeat(1 << 20);
    let name = JsonStr::encode("apply_patch");
    let mut steps = vec![Delta::ToolStart { id: JsonStr::encode("1"), name }];
    steps.extend((0..20).map(|_| Delta::ToolArguments(JsonStr::encode(&piece))));
    steps.push(Delta::End(None));
    let events = events(context(CODEX), &steps);
    assert_eq!(events.last().unwrap()["type"], "response.failed");
}

#[test]
fn a_function_of_a_namespace_gets_its_names_back() {
    let steps = [
        Delta::ToolStart { id: JsonStr::encode("1"), name: JsonStr::encode("mcp__docs__search") },
        Delta::ToolArguments(JsonStr::encode("{}")),
        Delta::Stop(StopReason::ToolCalls),
        Delta::End(None),
    ];
    let events = events(context(CODEX), &steps);
    let call = events.last().unwrap().pointer("/response/output/0").unwrap();
    assert_eq!((&call["namespace"], &call["name"]), (&json!("mcp__docs"), &json!("search")));
}

#[test]
fn an_answer_repeats_its_request() {
    let request = r#"{"model":"m","input":"x","tools":[{"type":"web_search"}],"temperature":0.5,
        "metadata":{"a":"b"},"store":true,"text":{"verbosity":"low"},"tool_choice":"auto"}"#;
    let answer: Value =
        serde_json::from_str(&CLIENT.write(&Default::default(), &context(request))).unwrap();
    for (key, value) in [
        ("tools", json!([{"type": "web_search"}])),
        ("temperature", json!(0.5)),
        ("top_p", json!(1)),
        ("metadata", json!({"a": "b"})),
        ("store", json!(false)),
        ("text", json!({"verbosity": "low"})),
        ("parallel_tool_calls", json!(true)),
        ("previous_response_id", Value::Null),
        ("id", json!("resp_0000000000000002")),
    ] {
        assert_eq!(answer[key], value, "{key}");
    }
}

#[test]
fn an_error_ends_a_stream_in_both_ways_that_sdks_know() {
    let error = Delta::Error {
        kind: ErrorKind::Overloaded,
        code: "overloaded_error".into(),
        message: "busy \"now\"".into(),
    };
    let steps = [Delta::Text(JsonStr::encode("a")), error, Delta::End(None)];
    let events = events(context(CODEX), &steps);
    let [.., error, failed] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((&error["type"], &error["message"]), (&json!("error"), &json!("busy \"now\"")));
    assert_eq!(error["error"]["code"], "overloaded_error");
    assert_eq!(failed["type"], "response.failed");
    assert_eq!(failed["response"]["error"]["code"], "server_error");
}

const FIELDS: [&str; 19] = [
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "text",
    "reasoning",
    "include",
    "temperature",
    "top_p",
    "top_logprobs",
    "max_output_tokens",
    "user",
    "metadata",
    "stream",
    "store",
    "parallel_tool_calls",
    "truncation",
    "conversation",
    "whatever",
];

const ANSWER: [&str; 8] =
    ["output", "status", "usage", "error", "incomplete_details", "delta", "response", "item"];

const EVENTS: [&str; 10] = [
    "response.created",
    "response.output_item.added",
    "response.output_text.delta",
    "response.reasoning_summary_text.delta",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.output_item.done",
    "response.whatever",
    "response.completed",
    "error",
];

/// JSON made of the words that mean something here.
fn json_value() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "user",
        "assistant",
        "developer",
        "message",
        "input_text",
        "output_text",
        "input_image",
        "input_file",
        "function",
        "custom",
        "namespace",
        "web_search",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "reasoning",
        "refusal",
        "allowed_tools",
        "auto",
        "required",
        "low",
        "json_schema",
        "completed",
        "data:image/png;base64,AA",
        "data:x",
        "{}",
        "redacted#a",
        "#",
        "",
    ]);
    let key = prop::sample::select(vec![
        "type",
        "role",
        "content",
        "text",
        "image_url",
        "file_data",
        "name",
        "arguments",
        "input",
        "output",
        "call_id",
        "id",
        "summary",
        "encrypted_content",
        "tools",
        "format",
        "schema",
        "effort",
        "mode",
        "parameters",
        "namespace",
        "usage",
        "reason",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6).prop_map(|pairs| {
                Value::Object(pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
            }),
        ]
    })
}
