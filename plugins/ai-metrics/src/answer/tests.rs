use super::*;

fn stream(endpoint: Endpoint, events: &[&str]) -> Watch {
    let mut watch = Watch::new(false);
    for (at, event) in (1..).zip(events) {
        watch.event(Some(endpoint), event, at * 10);
    }
    watch
}

fn counts(watch: &Watch) -> Option<(u64, u64)> {
    watch.usage().map(|usage| (usage.prompt_tokens, usage.completion_tokens))
}

#[test]
fn the_first_token_is_not_the_first_event() {
    let watch = stream(
        Endpoint::OpenAiChat,
        &[
            r#"{"choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
            r#"{"choices":[{"delta":{"content":"Hel"}}]}"#,
            r#"{"choices":[{"delta":{"content":"lo法"}}]}"#,
            r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#,
            "[DONE]",
        ],
    );
    assert_eq!((watch.first_event, watch.first_token), (Some(10), Some(20)));
    assert_eq!((watch.last_token, watch.last_event, watch.events), (30, 60, 6));
    assert_eq!((watch.length(), watch.estimate()), (6, 3));
    assert_eq!((counts(&watch), watch.finish), (Some((5, 2)), Some(Finish::Stop)));
    assert!(watch.ended && !watch.failed);
}

#[test]
fn anthropics_stream() {
    let watch = stream(
        Endpoint::AnthropicMessages,
        &[
            r#"{"type":"message_start","message":{"content":[],"stop_reason":null,"usage":{"input_tokens":7,"output_tokens":1}}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\":1}"}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":9}}"#,
            r#"{"type":"message_stop"}"#,
        ],
    );
    assert_eq!((counts(&watch), watch.finish), (Some((7, 9)), Some(Finish::ToolCalls)));
    assert!(watch.tool_call && watch.ended);
    assert_eq!(watch.first_token, Some(30));
}

#[test]
fn the_stream_of_responses_counts_its_output_once() {
    let output = r#"{"type":"response.completed","response":{"status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"Hello"}]}],"usage":{"input_tokens":3,"output_tokens":1}}}"#;
    let watch = stream(
        Endpoint::OpenAiResponses,
        &[
            r#"{"type":"response.created","response":{"status":"in_progress","output":[]}}"#,
            r#"{"type":"response.output_text.delta","delta":"Hello"}"#,
            r#"{"type":"response.output_text.done","text":"Hello"}"#,
            output,
        ],
    );
    assert_eq!((watch.length(), counts(&watch)), (5, Some((3, 1))));
    assert_eq!((watch.finish, watch.ended), (Some(Finish::Stop), true));
}

#[test]
fn geminis_stream() {
    let watch = stream(
        Endpoint::Gemini,
        &[
            r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}],"usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":1}}"#,
            r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{}}}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":2}}"#,
        ],
    );
    assert_eq!((counts(&watch), watch.finish), (Some((4, 2)), Some(Finish::ToolCalls)));
    let blocked = stream(Endpoint::Gemini, &[r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#]);
    assert!(blocked.refusal && blocked.ended);
}

#[test]
fn an_error_in_the_midst_of_a_stream_is_one() {
    for (endpoint, event) in [
        (Endpoint::OpenAiChat, r#"{"error":{"message":"x","type":"server_error"}}"#),
        (Endpoint::AnthropicMessages, r#"{"type":"error","error":{"type":"overloaded_error"}}"#),
        (Endpoint::OpenAiResponses, r#"{"type":"response.failed","response":{"status":"failed"}}"#),
        (Endpoint::OpenAiResponses, r#"{"type":"error","code":"server_error"}"#),
        (Endpoint::Gemini, r#"{"error":{"code":500}}"#),
    ] {
        assert!(stream(endpoint, &[event]).failed, "{event}");
    }
    assert!(!stream(Endpoint::OpenAiChat, &[r#"{"error":null,"choices":[]}"#, "no json"]).failed);
}

#[test]
fn whole_answers_of_every_api() {
    for (endpoint, body, finish, tool, refusal) in [
        (
            Endpoint::OpenAiChat,
            r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"length"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
            Finish::Length,
            false,
            false,
        ),
        (
            Endpoint::OpenAiChat,
            r#"{"choices":[{"message":{"content":null,"refusal":"no"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
            Finish::Stop,
            false,
            true,
        ),
        (
            Endpoint::OpenAiCompletions,
            r#"{"choices":[{"text":"hi","finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
            Finish::Stop,
            false,
            false,
        ),
        (
            Endpoint::AnthropicMessages,
            r#"{"content":[{"type":"tool_use","input":{"a":1}}],"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":2}}"#,
            Finish::ToolCalls,
            true,
            false,
        ),
        (
            Endpoint::AnthropicMessages,
            r#"{"content":[],"stop_reason":"refusal","usage":{"input_tokens":1,"output_tokens":2}}"#,
            Finish::Refusal,
            false,
            true,
        ),
        (
            Endpoint::OpenAiResponses,
            r#"{"status":"completed","output":[{"type":"function_call","arguments":"{}"}],"usage":{"input_tokens":1,"output_tokens":2}}"#,
            Finish::ToolCalls,
            true,
            false,
        ),
        (
            Endpoint::OpenAiResponses,
            r#"{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[],"usage":{"input_tokens":1,"output_tokens":2}}"#,
            Finish::Length,
            false,
            false,
        ),
        (
            Endpoint::Gemini,
            r#"[{"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"SAFETY"}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":2}}]"#,
            Finish::ContentFilter,
            false,
            true,
        ),
    ] {
        let mut watch = Watch::new(false);
        watch.body(Some(endpoint), body.into());
        assert_eq!((counts(&watch), watch.finish), (Some((1, 2)), Some(finish)), "{body}");
        assert_eq!((watch.tool_call, watch.refusal), (tool, refusal), "{body}");
    }
}

#[test]
fn answers_that_should_be_json_are_checked() {
    for (pieces, valid) in [
        (vec!["{\\\"a\\\":", " [1, 2]}"], Some(true)),
        (vec!["{\\\"a\\\":"], Some(false)),
        (vec!["Sure! {}"], Some(false)),
    ] {
        let mut watch = Watch::new(true);
        for piece in pieces {
            let event = format!(r#"{{"choices":[{{"delta":{{"content":"{piece}"}}}}]}}"#);
            watch.event(Some(Endpoint::OpenAiChat), &event, 1);
        }
        assert_eq!(watch.is_json(), None, "not before its end");
        watch.event(Some(Endpoint::OpenAiChat), "[DONE]", 2);
        assert_eq!(watch.is_json(), valid);
    }
    let mut unasked = Watch::new(false);
    unasked
        .body(Some(Endpoint::OpenAiChat), r#"{"choices":[{"message":{"content":"{}"}}]}"#.into());
    assert_eq!(unasked.is_json(), None);
}

/// Some servers write an empty reason in the events before the last.
#[test]
fn an_empty_reason_ends_nothing() {
    let mut watch = Watch::new(true);
    let event = r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":""}]}"#;
    watch.event(Some(Endpoint::OpenAiChat), event, 1);
    assert!(!watch.ended);
    let event = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}"#;
    watch.event(Some(Endpoint::OpenAiChat), event, 2);
    assert!(watch.ended && watch.finish == Some(Finish::Length));
}

#[test]
fn events_that_differ_in_a_word_only_count_as_each_read_by_itself() {
    let chat = |delta: &str| {
        format!(r#"{{"choices":[{{"index":0,"delta":{{{delta}}},"finish_reason":null}}]}}"#)
    };
    let deltas = [
        r#""content":"one""#,
        r#""content":" two""#,
        r#""content":"世界""#,
        r#""content":"""#,
        r#""content":"a\nb""#,
        r#""content":"c""#,
        r#""reasoning_content":"x""#,
        r#""reasoning_content":"yes""#,
        r#""refusal":"no""#,
        r#""refusal":"never""#,
        r#""tool_calls":[{"index":0,"function":{"arguments":"{}"}}]"#,
        r#""tool_calls":[{"index":0,"function":{"arguments":"{1}"}}]"#,
        r#""content":"b","tool_calls":[{"index":0,"function":{"arguments":"{12}"}}]"#,
        r#""content":"d","tool_calls":[{"index":0,"function":{"arguments":"{12}"}}]"#,
    ];
    let (mut stream, mut each) = (Watch::new(true), Watch::new(true));
    for (now, delta) in (1..).zip(deltas) {
        stream.event(Some(Endpoint::OpenAiChat), &chat(delta), now);
        each.event(Some(Endpoint::OpenAiChat), &chat(delta), now);
        each.follow.forget();
        let seen = |watch: &Watch| {
            let times = (watch.first_token, watch.last_token, watch.events);
            (watch.ascii, watch.other, watch.json.clone(), watch.refusal, watch.tool_call, times)
        };
        assert_eq!(seen(&stream), seen(&each), "{delta}");
    }
    let mut alike = Watch::new(false);
    ["x", "y"].iter().for_each(|word| {
        let data = format!(r#"{{"choices":[{{"delta":{{"content":"{word}"}}}}],"usage":null}}"#);
        alike.event(None, &data, 1);
        assert_eq!(alike.follow.next(&data), Some((true, *word)));
    });
    let usage = |count: u32| {
        format!(
            r#"{{"choices":[{{"delta":{{"content":"x"}}}}],"usage":{{"completion_tokens":{count}}}}}"#
        )
    };
    stream.event(None, &usage(1), 100);
    stream.event(None, &usage(2), 101);
    assert_eq!(stream.usage().map(|usage| usage.completion_tokens), Some(2));
}
