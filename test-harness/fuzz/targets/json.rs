//! Views and strings: no input is a panic, what is kept is kept as it stands, and a string that is
//! written reads back as what it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use shared::json::{JsonStr, fields, parse};
use shared::request::RequestBody;
use shared::protocol::{
    anthropic, bedrock, cohere, gemini, head, openai_chat, openai_completions, openai_responses,
};

fuzz_target!(|text: &str| {
    if let Ok(request) = parse::<openai_chat::Request<'_>>(text) {
        for (key, value) in &request.rest {
            assert!(text.contains(value.get()));
            let _ = JsonStr::encode(key);
        }
    }
    // What is a value and what is not is as serde_json has it. (Half a surrogate pair in a key is no key.)
    let raw = parse::<&RawValue>(text).map(RawValue::get).ok();
    assert_eq!(raw, serde_json::from_str::<&RawValue>(text).map(RawValue::get).ok());
    if text.trim_start_matches([' ', '\n', '\r', '\t']).starts_with('{') && !text.contains("\\u") {
        assert_eq!(fields(text).is_ok(), serde_json::from_str::<&RawValue>(text).is_ok());
    }
    // Knowing where its values end changes nothing.
    if let Ok(body) = RequestBody::new(text.into()) {
        let known = body.document();
        assert_eq!(known.parse::<&RawValue>().map(RawValue::get).ok(), raw);
        if let (Ok(one), Ok(other)) = (known.fields(), fields(text)) {
            assert!(one.iter().zip(&other).all(|(a, b)| a.0 == b.0 && a.1.get() == b.1.get()));
            for (_, value) in one {
                let inner = known.value(value).fields().map(|fields| fields.len()).ok();
                assert_eq!(inner, fields(value.get()).map(|fields| fields.len()).ok());
            }
        }
    }
    let _ = parse::<head::Head<'_>>(text);
    let _ = parse::<openai_chat::Response<'_>>(text);
    let _ = parse::<anthropic::Request<'_>>(text);
    let _ = parse::<anthropic::Response<'_>>(text);
    let _ = parse::<anthropic::Event<'_>>(text);
    let _ = parse::<openai_completions::Request<'_>>(text);
    let _ = parse::<openai_responses::Request<'_>>(text);
    let _ = parse::<openai_responses::Response<'_>>(text);
    let _ = parse::<openai_responses::Event<'_>>(text);
    let _ = parse::<gemini::Request<'_>>(text);
    let _ = parse::<gemini::Response<'_>>(text);
    let _ = parse::<bedrock::Response<'_>>(text);
    let _ = parse::<bedrock::Event<'_>>(text);
    let _ = parse::<cohere::Response<'_>>(text);
    let _ = parse::<cohere::Event<'_>>(text);
    if let Err(error) = parse::<Vec<anthropic::Block<'_>>>(text) {
        let _ = error.to_string();
    }
    if let Ok(string) = parse::<JsonStr<'_>>(text) {
        let decoded = string.decode();
        let encoded = JsonStr::encode(&decoded);
        assert_eq!(encoded.decode(), decoded);
        assert!(JsonStr::from_escaped(string.escaped()).is_some());
    }
    assert_eq!(JsonStr::encode(text).decode(), text);
});
