#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::walk::{ATTACHMENTS, NAMED};
use super::*;

fn shown(texts: &[Text<'_>]) -> Vec<String> {
    let one = |t: &Text<'_>| {
        let again = if t.again { " again" } else { "" };
        format!("{:?} {:?} {}.{}{again}: {}", t.role, t.kind, t.message, t.part, t.raw.get())
    };
    texts.iter().map(one).collect()
}

fn asked(body: &str) -> Vec<String> {
    shown(&request(body.into()).unwrap().texts)
}

#[test]
fn every_mark_of_an_attachment_is_found() {
    let seen = |part: &str| {
        let body = format!(r#"{{"messages":[{{"role":"user","content":[{part}]}}]}}"#);
        request(body.as_str().into()).unwrap().attachments
    };
    for mark in ATTACHMENTS {
        assert!(seen(&format!(r#"{{"type": "{mark}"}}"#)), "{mark}");
    }
    for mark in &ATTACHMENTS[..NAMED] {
        assert!(seen(&format!(r#"{{"{mark}": {{"a": 1}}}}"#)), "{mark}");
    }
    assert!(!seen(r#"{"type":"text","text":"\"image_url\" document"}"#));
}

#[test]
fn a_chat_is_read_with_its_roles_and_calls() {
    let body = r#"{"model":"m","messages":[
        {"role":"developer","content":"rules"},
        {"content":[{"type":"text","text":"hello"},
                    {"type":"image_url","image_url":{"url":"https://x"}},
                    {"type":"novelty","words":"new"}],"role":"user"},
        {"role":"assistant","content":null,"reasoning_content":"hm",
         "tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},
        {"role":"tool","tool_call_id":"c","content":"found"}],
        "tools":[{"type":"function","function":{"name":"f","description":"finds",
                  "parameters":{"properties":{"name":{"description":"whose"}}}}}]}"#;
    assert_eq!(
        asked(body),
        [
            r#"System Text 0.0: "rules""#,
            r#"User Text 1.0: "hello""#,
            r#"User Text 1.0: "new""#,
            r#"Assistant Thinking 2.0: "hm""#,
            r#"Assistant Arguments 2.0: "{\"a\":1}""#,
            r#"Tool Text 3.0: "found""#,
            r#"Declaration Text 4.0: "finds""#,
            r#"Declaration Value 4.0: "whose""#,
        ]
    );
}

#[test]
fn anthropics_results_of_tools_are_not_the_users_words() {
    let body = r#"{"system":[{"type":"text","text":"rules"}],"messages":[
        {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},
            {"type":"tool_use","id":"t","name":"f","input":{"type":"x","deep":[{"id":"y"}]}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"t",
            "content":[{"type":"text","text":"found"}]},{"type":"text","text":"so?"}]}]}"#;
    assert_eq!(
        asked(body),
        [
            r#"System Text 0.0: "rules""#,
            r#"Assistant Signed 0.0: "hm""#,
            r#"Assistant Value 0.0: "x""#,
            r#"Assistant Value 0.0: "y""#,
            r#"Tool Text 1.0: "found""#,
            r#"User Text 1.0: "so?""#,
        ]
    );
}

#[test]
fn gemini_and_responses_are_read_too() {
    let body = r#"{"systemInstruction":{"parts":[{"text":"rules"}]},"contents":[
        {"role":"model","parts":[{"functionCall":{"name":"f","args":{"q":"x"}}}]},
        {"role":"user","parts":[{"functionResponse":{"name":"f","response":{"output":"found"}}}]},
        {"parts":{"text":"so?"}}]}"#;
    assert_eq!(
        asked(body),
        [
            r#"System Text 0.0: "rules""#,
            r#"Assistant Value 0.0: "x""#,
            r#"Tool Value 1.0: "found""#,
            r#"User Text 2.0: "so?""#,
        ]
    );
    let body = r#"{"instructions":"rules","input":[{"role":"user","content":"a"},
        {"type":"function_call","call_id":"c","name":"f","arguments":"{}"},
        {"type":"function_call_output","call_id":"c","output":"found"},
        {"type":"custom_tool_call","call_id":"d","name":"p","input":"patch"}]}"#;
    assert_eq!(
        asked(body),
        [
            r#"System Text 0.0: "rules""#,
            r#"User Text 0.0: "a""#,
            r#"Assistant Arguments 1.0: "{}""#,
            r#"Tool Text 2.0: "found""#,
            r#"Assistant Value 3.0: "patch""#,
        ]
    );
    assert_eq!(asked(r#"{"input":"one"}"#), [r#"User Text 0.0: "one""#]);
    assert_eq!(asked(r#"{"input":["one","two"]}"#).len(), 2);
    assert_eq!(asked(r#"{"requests":[{"content":{"parts":[{"text":"x"}]}}]}"#).len(), 1);
    let batch =
        r#"{"requests":[{"custom_id":"1","params":{"system":"x","messages":[{"content":"y"}]}}]}"#;
    assert_eq!(asked(batch).len(), 2);
}

#[test]
fn answers_say_which_of_several_they_are() {
    let chat = r#"{"choices":[{"index":1,"message":{"role":"assistant","content":"b",
        "tool_calls":[{"id":"c","function":{"name":"f","arguments":"{}"}}]}}]}"#;
    assert_eq!(
        shown(&answer(chat.into()).unwrap().texts),
        [r#"Assistant Text 1.0: "b""#, r#"Assistant Arguments 1.0: "{}""#]
    );
    let messages = r#"{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}"#;
    assert_eq!(
        shown(&answer(messages.into()).unwrap().texts),
        [r#"Assistant Text 0.0: "a""#, r#"Assistant Text 0.1: "b""#]
    );
    let gemini =
        r#"{"candidates":[{"content":{"parts":[{"text":"t","thought":true},{"text":"a"}]}}]}"#;
    assert_eq!(
        shown(&answer(gemini.into()).unwrap().texts),
        [r#"Assistant Thinking 0.0: "t""#, r#"Assistant Text 0.0: "a""#]
    );
}

#[test]
fn events_say_where_their_piece_belongs() {
    for (data, expected) in [
        (r#"{"choices":[{"index":2,"delta":{"content":"x"}}]}"#, r#"Assistant Text 2.0: "x""#),
        (
            r#"{"choices":[{"delta":{"tool_calls":[{"index":3,"function":{"arguments":"x"}}]}}]}"#,
            r#"Assistant Arguments 0.4: "x""#,
        ),
        (
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"x"}}"#,
            r#"Assistant Text 0.1024: "x""#,
        ),
        (
            r#"{"type":"response.output_text.delta","output_index":1,"content_index":2,"delta":"x"}"#,
            r#"Assistant Text 0.1026: "x""#,
        ),
        (
            r#"{"type":"response.output_text.done","output_index":0,"text":"x"}"#,
            r#"Assistant Text 0.0 again: "x""#,
        ),
        (
            r#"{"type":"response.completed","response":{"output":[{"content":[{"text":"x"}]}]}}"#,
            r#"Assistant Text 0.0 again: "x""#,
        ),
        (r#"{"candidates":[{"content":{"parts":[{"text":"x"}]}}]}"#, r#"Assistant Text 0.0: "x""#),
    ] {
        assert_eq!(shown(&event(data)), [expected], "{data}");
    }
    assert!(event("[DONE]").is_empty() && event(r#"{"type":"ping"}"#).is_empty());
}

#[test]
fn a_document_of_no_known_api_is_walked_whole() {
    let texts = shown(&any(r#"{"id":"a","x":[{"type":"b"}]}"#).unwrap());
    assert_eq!(texts, [r#"User Value 0.0: "a""#, r#"User Value 0.0: "b""#]);
    assert!(any("{").is_err());
}

#[test]
fn the_events_of_a_stream_read_as_each_of_them_by_itself_does() {
    let chat = |content: &str| {
        format!(
            r#"{{"id":"c","choices":[{{"index":0,"delta":{{"content":{content}}},"finish_reason":null}}]}}"#
        )
    };
    let call = r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":"{"}}]}}]}"#;
    let stream = [
        r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#.to_owned(),
        chat("\"one\""),
        chat("\" two\""),
        chat("\"\""),
        chat("\"a\\nb\""),
        chat("\"three\",\"refusal\":\"four\""),
        chat("\"five\""),
        call.to_owned(),
        call.replace("{\"}", "}\"}"),
        chat("\"世界\""),
        chat("\"six\""),
        r#"{"type":"response.output_text.done","text":"all"}"#.to_owned(),
        r#"{"type":"response.output_text.done","text":"more"}"#.to_owned(),
        "[DONE]".to_owned(),
    ];
    let mut events = Events::default();
    let mut followed = 0;
    for data in &stream {
        let (found, same) = events.read(data);
        assert_eq!(shown(&found), shown(&event(data)), "{data}");
        followed += usize::from(same);
    }
    assert_eq!(followed, 4);
}
