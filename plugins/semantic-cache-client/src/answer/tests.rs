//! Streams are put together, taken apart and put together again.

use serde_json::{Value, json};

use super::*;

const TOOLS: Wanted = Wanted { tools: true };
const PLAIN: Wanted = Wanted { tools: false };

fn assemble(endpoint: Endpoint, events: &[&str]) -> Option<Value> {
    let mut assembly = Assembly::new(endpoint);
    events.iter().for_each(|event| assembly.add(event));
    assembly.finish()
}

/// The data of a stream's events.
fn data(stream: &[u8]) -> Vec<String> {
    let text = String::from_utf8(stream.to_vec()).unwrap();
    text.lines().filter_map(|line| line.strip_prefix("data: ")).map(str::to_owned).collect()
}

/// The answer that the stream of an answer adds up to.
fn again(endpoint: Endpoint, answer: &Value) -> Value {
    let stream = stream(endpoint, answer.to_string().as_bytes(), true).unwrap();
    let events = data(&stream);
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    assert!(events.len() > 2);
    assemble(endpoint, &events).unwrap()
}

const LONG: &str = "The capital of France is Paris, which lies on the river Seine. 巴黎是法国的首都，位于塞纳河畔。It has many museums.";

#[test]
fn chat() {
    let chunk = |delta: Value, finish: Value| {
        json!({"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "m",
               "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]})
        .to_string()
    };
    let usage = json!({"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": [],
                       "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}});
    let events = [
        chunk(json!({"role": "assistant", "content": ""}), Value::Null),
        chunk(json!({"reasoning_content": "Hm"}), Value::Null),
        chunk(json!({"content": "Hel"}), Value::Null),
        chunk(json!({"content": "lo"}), Value::Null),
        chunk(json!({}), json!("stop")),
        usage.to_string(),
        "[DONE]".to_owned(),
    ];
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    let answer = assemble(Endpoint::OpenAiChat, &events).unwrap();
    let expected = json!({
        "id": "c1", "object": "chat.completion", "created": 7, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "logprobs": null, "message":
            {"role": "assistant", "content": "Hello", "reasoning_content": "Hm", "refusal": null}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    });
    assert_eq!(answer, expected);
    assert!(good(Endpoint::OpenAiChat, &answer.to_string(), PLAIN));
    assert_eq!(again(Endpoint::OpenAiChat, &answer), answer);
    // Cut off before its end, or with anything after it.
    assert_eq!(assemble(Endpoint::OpenAiChat, &events[..6]), None);
    assert_eq!(assemble(Endpoint::OpenAiChat, &[&events[..], &events[..1]].concat()), None);
    assert_eq!(assemble(Endpoint::OpenAiChat, &[r#"{"error":{"message":"x"}}"#, "[DONE]"]), None);
}

#[test]
fn chat_with_tools_and_several_choices() {
    let answer = json!({
        "id": "c1", "object": "chat.completion", "created": 7, "model": "m",
        "choices": [
            {"index": 0, "finish_reason": "tool_calls", "logprobs": null, "message":
                {"role": "assistant", "content": null, "refusal": null, "tool_calls": [
                    {"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
                    {"id": "t2", "type": "function", "function": {"name": "g", "arguments": "{}"}}]}},
            {"index": 1, "finish_reason": "stop", "logprobs": {"content": [{"token": "x", "logprob": -1}]},
             "message": {"role": "assistant", "content": LONG, "refusal": null}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    });
    assert_eq!(again(Endpoint::OpenAiChat, &answer), answer);
    assert!(good(Endpoint::OpenAiChat, &answer.to_string(), TOOLS));
    assert!(!good(Endpoint::OpenAiChat, &answer.to_string(), PLAIN));
}

#[test]
fn usage_is_streamed_only_to_whom_asked() {
    let answer = json!({
        "id": "c1", "object": "chat.completion", "created": 7, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "x"}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    });
    let bytes = answer.to_string();
    let without = stream(Endpoint::OpenAiChat, bytes.as_bytes(), false).unwrap();
    assert!(!String::from_utf8(without).unwrap().contains("usage"));
}

#[test]
fn completions() {
    let answer = json!({
        "id": "c", "object": "text_completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "text": LONG, "finish_reason": "stop", "logprobs": null}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    });
    assert!(good(Endpoint::OpenAiCompletions, &answer.to_string(), PLAIN));
    assert_eq!(again(Endpoint::OpenAiCompletions, &answer), answer);
}

#[test]
fn messages() {
    let answer = json!({
        "id": "m1", "type": "message", "role": "assistant", "model": "claude", "content": [
            {"type": "thinking", "thinking": "Let me see", "signature": "sig"},
            {"type": "text", "text": LONG},
            {"type": "tool_use", "id": "t", "name": "f", "input": {"a": [1, {"b": null}]}}
        ],
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": {"input_tokens": 3, "output_tokens": 9}
    });
    assert!(good(Endpoint::AnthropicMessages, &answer.to_string(), TOOLS));
    assert!(!good(Endpoint::AnthropicMessages, &answer.to_string(), PLAIN));
    assert_eq!(again(Endpoint::AnthropicMessages, &answer), answer);
    // A block that does not end its JSON.
    let events = [
        r#"{"type":"message_start","message":{"id":"m","content":[],"usage":{}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","input":{}}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"message_stop"}"#,
    ];
    assert_eq!(assemble(Endpoint::AnthropicMessages, &events), None);
}

#[test]
fn responses() {
    let answer = json!({
        "id": "r1", "object": "response", "created_at": 1, "status": "completed", "model": "m", "output": [
            {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "thought"}]},
            {"type": "message", "id": "m", "status": "completed", "role": "assistant", "content": [
                {"type": "output_text", "text": LONG, "annotations": [], "logprobs": []}]},
            {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": "{}", "status": "completed"}
        ],
        "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    });
    assert!(good(Endpoint::OpenAiResponses, &answer.to_string(), TOOLS));
    assert!(!good(Endpoint::OpenAiResponses, &answer.to_string(), PLAIN));
    assert_eq!(again(Endpoint::OpenAiResponses, &answer), answer);
    let stream = stream(Endpoint::OpenAiResponses, answer.to_string().as_bytes(), true).unwrap();
    let events: Vec<Value> =
        data(&stream).iter().map(|data| serde_json::from_str(data).unwrap()).collect();
    let numbers: Vec<u64> =
        events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
    let said: String = events
        .iter()
        .filter(|event| event["type"] == "response.output_text.delta")
        .map(|event| event["delta"].as_str().unwrap())
        .collect();
    assert_eq!(said, LONG);
}

#[test]
fn gemini() {
    let answer = json!({
        "candidates": [{"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [
            {"text": "I think", "thought": true}, {"text": LONG}]}}],
        "usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 2}, "modelVersion": "g", "responseId": "r"
    });
    assert!(good(Endpoint::Gemini, &answer.to_string(), PLAIN));
    assert_eq!(again(Endpoint::Gemini, &answer), answer);
}

#[test]
fn what_is_cut_refused_or_empty_is_not_good() {
    let chat = |finish: &str, content: Value, refusal: Value| json!({"choices": [{"index": 0, "finish_reason": finish, "message": {"content": content, "refusal": refusal}}]});
    let bad = [
        (Endpoint::OpenAiChat, chat("length", json!("x"), Value::Null)),
        (Endpoint::OpenAiChat, chat("content_filter", json!("x"), Value::Null)),
        (Endpoint::OpenAiChat, chat("stop", json!(""), Value::Null)),
        (Endpoint::OpenAiChat, chat("stop", json!("x"), json!("I cannot"))),
        (Endpoint::OpenAiChat, json!({"error": {"message": "x"}})),
        (Endpoint::OpenAiChat, json!({"choices": []})),
        (
            Endpoint::OpenAiCompletions,
            json!({"choices": [{"finish_reason": "length", "text": "x"}]}),
        ),
        (Endpoint::OpenAiResponses, json!({"status": "incomplete", "output": []})),
        (
            Endpoint::AnthropicMessages,
            json!({"stop_reason": "max_tokens", "content": [{"type": "text", "text": "x"}]}),
        ),
        (
            Endpoint::AnthropicMessages,
            json!({"stop_reason": "refusal", "content": [{"type": "text", "text": "x"}]}),
        ),
        (
            Endpoint::Gemini,
            json!({"candidates": [{"finishReason": "SAFETY", "content": {"parts": [{"text": "x"}]}}]}),
        ),
        (Endpoint::Gemini, json!({"promptFeedback": {"blockReason": "SAFETY"}})),
    ];
    for (endpoint, answer) in bad {
        assert!(!good(endpoint, &answer.to_string(), TOOLS), "{endpoint:?} {answer}");
    }
}

#[test]
fn pieces_are_the_text() {
    for text in ["", "a", LONG, &"x".repeat(200), &"字".repeat(100), "a  b   c"] {
        let pieces = pieces(text);
        assert_eq!(pieces.concat(), text);
        assert!(pieces.iter().all(|piece| !piece.is_empty() && piece.len() <= PIECE + 4));
    }
}

/// What the events add up to, each of them read.
fn one_by_one(endpoint: Endpoint, events: &[String]) -> Option<Value> {
    let mut assembly = Assembly::new(endpoint);
    for event in events {
        assembly.add(event);
        assembly.like.forget();
    }
    assembly.finish()
}

#[test]
fn a_run_of_pieces_adds_up_to_what_they_do_one_by_one() {
    let words = ["Hel", "lo", "", " 世界", "\n", "a \"b\"", "x", "y", "z"];
    let chat = |delta: Value, more: Value| {
        json!({"id": "c", "choices": [{"delta": delta, "index": 0, "logprobs": more}]}).to_string()
    };
    let list = json!({"content": [{"token": "ha"}]});
    let mut events: Vec<String> =
        words.iter().map(|word| chat(json!({"content": word}), Value::Null)).collect();
    events.extend(words.iter().map(|word| chat(json!({"reasoning_content": word}), Value::Null)));
    events.extend((0..3).map(|_| chat(json!({"content": " ha"}), list.clone())));
    events.extend((0..3).map(|_| chat(json!({"content": " ha", "refusal": "no"}), Value::Null)));
    let call = |arguments: &str| {
        let function = json!({"name": "f", "arguments": arguments});
        chat(
            json!({"content": "t", "tool_calls": [{"index": 0, "function": function}]}),
            Value::Null,
        )
    };
    events.extend(["{", "}"].map(call));
    let two =
        r#"{"choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"content":"b"}}]}"#;
    events.extend([two, two, "[DONE]"].map(str::to_owned));
    let mut streams = vec![(Endpoint::OpenAiChat, events)];

    let mut events: Vec<String> = words
        .iter()
        .map(|word| json!({"choices": [{"index": 0, "text": word}]}).to_string())
        .collect();
    events.push("[DONE]".into());
    streams.push((Endpoint::OpenAiCompletions, events));

    let block = |index: u32, block: Value| {
        json!({"type": "content_block_start", "index": index, "content_block": block}).to_string()
    };
    let delta = |index: u32, kind: &str, key: &str, piece: &str| {
        format!(
            r#"{{"type":"content_block_delta","index":{index},"delta":{{"type":"{kind}","{key}":{}}}}}"#,
            Value::from(piece)
        )
    };
    let mut events = vec![
        json!({"type": "message_start", "message": {"id": "m", "content": []}}).to_string(),
        block(0, json!({"type": "text", "text": ""})),
    ];
    events.extend(words.iter().map(|word| delta(0, "text_delta", "text", word)));
    events.push(json!({"type": "content_block_stop", "index": 0}).to_string());
    events.push(block(1, json!({"type": "tool_use", "id": "t", "name": "f", "input": {}})));
    events.extend(
        ["{", "\"a\":", " 1", "23", "4", "}"]
            .map(|piece| delta(1, "input_json_delta", "partial_json", piece)),
    );
    events.push(json!({"type": "content_block_stop", "index": 1}).to_string());
    events.push(json!({"type": "message_stop"}).to_string());
    streams.push((Endpoint::AnthropicMessages, events));

    let part = |part: Value| json!({"candidates": [{"content": {"parts": [part]}}]}).to_string();
    let mut events: Vec<String> = words.iter().map(|word| part(json!({"text": word}))).collect();
    events.extend(words.iter().map(|word| part(json!({"text": word, "thought": true}))));
    events.push(r#"{"candidates":[{"content":{"parts":[{"text":"a"},{"text":"b"}]}}]}"#.into());
    streams.push((Endpoint::Gemini, events));

    for (endpoint, events) in streams {
        let read: Vec<&str> = events.iter().map(String::as_str).collect();
        let whole = assemble(endpoint, &read);
        assert!(whole.is_some(), "{endpoint:?}");
        assert_eq!(whole, one_by_one(endpoint, &events), "{endpoint:?}");
    }
    // Some of them are not read at all.
    let mut assembly = Assembly::new(Endpoint::OpenAiChat);
    ["a", "b", "c"]
        .iter()
        .for_each(|word| assembly.add(&chat(json!({"content": word}), Value::Null)));
    assert_eq!(assembly.pieces, "bc");
}
