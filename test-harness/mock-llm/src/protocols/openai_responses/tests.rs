use super::*;
use crate::protocols::testing::{answer, body, data, events};
use serde_json::json;

fn request(extra: Value) -> Value {
    let mut request = json!({"model": "gpt-5", "input": [{"role": "user", "content": "hi"}]});
    request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    request
}

fn whole(extra: Value, script: Value) -> Value {
    body(answer(&Responses, Endpoint::Chat, &request(extra), script))
}

fn stream(mut extra: Value, script: Value) -> Vec<Event> {
    extra["stream"] = json!(true);
    events(answer(&Responses, Endpoint::Chat, &request(extra), script))
}

/// Checks the envelopes of a stream, and that its deltas join to what the items say; the last answer.
fn assemble(events: &[Event]) -> Value {
    let mut joined = String::new();
    for (number, event) in events.iter().enumerate() {
        let data = data(event);
        assert_eq!(event.name.unwrap(), data["type"]);
        assert_eq!(data["sequence_number"], number);
        assert_eq!(event.token, event.name.unwrap().ends_with(".delta"));
        match event.name.unwrap() {
            "response.output_item.added" => joined.clear(),
            name if name.ends_with(".delta") => joined += data["delta"].as_str().unwrap(),
            "response.output_item.done" => {
                let item = &data["item"];
                let said = [
                    "/content/0/text",
                    "/content/0/refusal",
                    "/arguments",
                    "/input",
                    "/summary/0/text",
                ];
                let said = said.iter().find_map(|path| item.pointer(path)?.as_str());
                assert_eq!(joined, said.unwrap_or_default());
            }
            _ => {}
        }
    }
    let (last, others) = events.split_last().unwrap();
    assert!(last.terminal && others.iter().all(|event| !event.terminal));
    data(last)["response"].clone()
}

#[test]
fn an_answer_has_every_field() {
    let answer = whole(json!({"store": false}), json!({"cached_tokens": 4, "reasoning_tokens": 2}));
    assert!(answer["id"].as_str().unwrap().starts_with("resp_"));
    assert_eq!((&answer["object"], &answer["status"]), (&json!("response"), &json!("completed")));
    assert_eq!((&answer["store"], &answer["tools"]), (&json!(false), &json!([])));
    let item = &answer["output"][0];
    assert_eq!((&item["type"], &item["role"]), (&json!("message"), &json!("assistant")));
    assert_eq!(item["content"][0]["text"], "Hello from a: hi");
    assert_eq!(
        answer["usage"],
        json!({
            "input_tokens": 8, "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
            "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 2},
            "total_tokens": 15,
        })
    );
    assert_eq!(
        whole(json!({"input": "yo"}), json!({}))["output"][0]["content"][0]["text"],
        "Hello from a: yo"
    );
}

#[test]
fn calls_are_items_of_the_declared_type() {
    let tools = json!([{"type": "custom", "name": "p"}]);
    let script = json!({"tool_calls": [
        {"name": "f", "arguments": {"a": 1}, "id": "call_1"}, {"name": "p", "arguments": "x y"}]});
    for output in [
        whole(json!({"tools": tools}), script.clone())["output"].clone(),
        assemble(&stream(json!({"tools": tools}), script))["output"].clone(),
    ] {
        let function = &output[0];
        assert_eq!(
            (&function["type"], &function["call_id"]),
            (&json!("function_call"), &json!("call_1"))
        );
        assert_eq!(function["arguments"], "{\"a\":1}");
        assert_eq!(
            (&output[1]["type"], &output[1]["input"]),
            (&json!("custom_tool_call"), &json!("x y"))
        );
    }
}

#[test]
fn thoughts_are_encrypted_and_shown_if_asked() {
    let shown = whole(json!({"reasoning": {"summary": "auto"}}), json!({"thinking": "hm"}));
    assert_eq!(shown["output"][0]["summary"], json!([{"type": "summary_text", "text": "hm"}]));
    let hidden = whole(json!({}), json!({"thinking": "hm"}));
    assert_eq!(hidden["output"][0]["summary"], json!([]));
    assert!(hidden["output"][0]["encrypted_content"].as_str().unwrap().starts_with(ENCRYPTED));
    assert_eq!(hidden["usage"]["output_tokens_details"]["reasoning_tokens"], 1);
}

#[test]
fn an_answer_that_is_cut_says_why() {
    let cut = whole(json!({"max_output_tokens": 16}), json!({"tokens": 99}));
    assert_eq!(
        (&cut["status"], &cut["output"][0]["status"]),
        (&json!("incomplete"), &json!("incomplete"))
    );
    assert_eq!(cut["incomplete_details"], json!({"reason": "max_output_tokens"}));
    let filtered = stream(json!({}), json!({"finish_reason": "content_filter"}));
    assert_eq!(filtered.last().unwrap().name, Some("response.incomplete"));
    assert_eq!(assemble(&filtered)["incomplete_details"]["reason"], "content_filter");
}

#[test]
fn a_stream_says_the_same() {
    for (extra, script) in [
        (json!({}), json!({"text": "Hi, you"})),
        (json!({"reasoning": {"summary": "auto"}}), json!({"text": "a b", "thinking": "hm hm"})),
        (json!({}), json!({"refusal": "I can't."})),
        (json!({}), json!({"tool_calls": [{"name": "f"}], "text": "a"})),
        (json!({}), json!({"usage": false})),
    ] {
        let mut asked = extra.clone();
        asked["stream"] = json!(true);
        assert_eq!(assemble(&stream(extra.clone(), script.clone())), whole_of(asked, script));
    }
}

/// The answer that the same request gets as a whole.
fn whole_of(mut extra: Value, script: Value) -> Value {
    extra["stream"] = json!(false);
    whole(extra, script)
}

#[test]
fn errors_come_twice() {
    let error = ApiError::status(429).message("slow");
    let events = Responses.error_event(&error);
    let names: Vec<_> = events.iter().map(|event| event.name.unwrap()).collect();
    assert_eq!(names, ["error", "response.failed"]);
    assert_eq!(data(&events[0])["error"]["message"], "slow");
    assert_eq!(data(&events[1])["response"]["error"]["code"], "rate_limit_exceeded");
}

#[test]
fn tokens_are_counted() {
    let path = "/v1/responses/input_tokens";
    let (_, endpoint) = crate::protocols::find(&Method::POST, path).unwrap();
    let asked = json!({"model": "gpt-5", "input": "hi", "instructions": "Be brief."});
    let told = body(answer(&Responses, endpoint, &asked, json!({})));
    assert_eq!(told["object"], "response.input_tokens");
    assert!(told["input_tokens"].as_u64().unwrap() > 4);
    let headers = crate::protocols::testing::headers();
    let check =
        |body: &Value| crate::protocols::testing::check(&Responses, endpoint, &headers, body);
    assert_eq!(check(&asked), Ok(()));
    assert!(check(&json!({"model": "gpt-5", "input": "hi", "stream": true})).is_err());
}
