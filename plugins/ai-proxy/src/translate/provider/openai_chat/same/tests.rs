use serde_json::{Value, json};
use shared::sort;

use super::*;
use crate::config::Protocol;
use crate::overrides::apply;
use crate::presets;
use crate::provider::Cloud;
use crate::translate::provider::openai_chat;

/// Everything that a client of OpenAI's may say, but for what only one answer may have.
const ALL: &str = r#"{"model":"m","messages":[{"role":"user","content":"a"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"tool_choice":"required","parallel_tool_calls":false,"max_completion_tokens":9,"temperature":1.5,"top_p":0.5,"top_k":4,"frequency_penalty":0.5,"presence_penalty":0.25,"seed":7,"logprobs":true,"top_logprobs":2,"stop":["x","y"],"reasoning_effort":"high","verbosity":"low","user":"u","prompt_cache_key":"k","store":true,"metadata":{"a":"b"},"service_tier":"flex","response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}},"stream":true,"stream_options":{"include_usage":true}}"#;

fn options(preset: &str, model: &'static str) -> Options<'static> {
    let quirks = presets::find(preset).unwrap().quirks;
    Options { model, default_max_tokens: 9, quirks, cloud: Cloud::Own }
}

/// A request as it is sent, and what was left out.
fn fitted(text: &str, options: &Options<'_>, renamed: bool) -> (String, Vec<String>) {
    let fit = fit(text.into(), options, renamed).unwrap();
    let mut edits = fit.members.edits(text);
    edits.extend(fit.edits);
    sort::by_key(&mut edits, |(range, _)| range.start);
    for pair in edits.windows(2) {
        assert!(pair[0].0.end <= pair[1].0.start, "{pair:?}");
    }
    let out = apply(text, &edits);
    serde_json::from_str::<Value>(&out).unwrap_or_else(|error| panic!("{error}: {out}"));
    (out, fit.dropped)
}

fn of(preset: &str, text: &str) -> (Value, Vec<String>) {
    let (out, dropped) = fitted(text, &options(preset, "m"), true);
    (serde_json::from_str(&out).unwrap(), dropped)
}

/// The presets that speak this protocol.
fn all() -> impl Iterator<Item = &'static str> {
    presets::names().filter(|name| presets::find(name).unwrap().protocol == Protocol::Openai)
}

#[test]
fn parameters_are_those_that_a_translation_writes() {
    for preset in all() {
        for model in ["m", "gpt-5", "gpt-5.4", "openai/gpt-oss-120b"] {
            let options = options(preset, model);
            let (sent, dropped) = fitted(ALL, &options, true);
            let mut sent: Value = serde_json::from_str(&sent).unwrap();
            let mut request = Client::OpenAiChat.read(ALL).unwrap();
            let written = openai_chat::write(&mut request, &options).unwrap();
            let mut written: Value = serde_json::from_str(&written).unwrap();
            for body in [&mut sent, &mut written] {
                let body = body.as_object_mut().unwrap();
                body.retain(|name, _| !["model", "messages", "tools"].contains(&name.as_str()));
            }
            if options.quirks.are_openais() && model == "m" {
                let unchanged: Value = serde_json::from_str(ALL).unwrap();
                assert_eq!(sent["top_k"], unchanged["top_k"], "{preset}: nothing is known of it");
                continue;
            }
            assert_eq!(sent, written, "{preset} {model}");
            for field in &request.unsupported {
                let name = Client::OpenAiChat.name_of(*field).to_owned();
                assert!(dropped.contains(&name), "{preset} {model}: {name} of {dropped:?}");
            }
        }
    }
}

#[test]
fn what_is_fitted_already_stays() {
    for preset in all() {
        for model in ["m", "gpt-5", "openai/gpt-oss-120b"] {
            let options = options(preset, model);
            let (once, _) = fitted(ALL, &options, true);
            let (twice, dropped) = fitted(&once, &options, true);
            assert_eq!((twice, dropped), (once, vec![]), "{preset} {model}");
        }
    }
}

#[test]
fn what_all_take_stays_to_the_byte() {
    let text = r#" {"model" : "m","messages":[ {"role":"system","content":"s"},{"content":[{"type":"text","text":"a"}] ,"role":"user"}], "temperature":0.50,"top_p":1,"max_tokens":9,"stop":"x","tools":[],"stream":true,"guided_json":{"a":[1, 2]}}"#;
    for preset in all().filter(|name| !presets::find(name).unwrap().quirks.max_completion_tokens) {
        assert_eq!(
            fitted(text, &options(preset, "m"), true),
            (text.to_owned(), vec![]),
            "{preset}"
        );
    }
    // What is no request is the server's to refuse.
    for text in ["[]", r#"{"messages":7,"seed":"x"}"#, r#"{"messages":[{}],"seed":1,"seed":2}"#] {
        let (out, dropped) = fitted(text, &options("deepseek", "m"), true);
        assert_eq!((out.as_str(), dropped), (text, vec![]));
    }
}

#[test]
fn a_conversation_goes_on_where_only_known_members_are_taken() {
    let text = r#"{"model":"m","messages":[
        {"role":"developer","content":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}]},
        {"role":"user","content":"a","name":"bob"},
        {"role":"assistant","content":null,"refusal":null,"annotations":[],"reasoning_content":"hm","reasoning":"hm","tool_calls":[
            {"id":"call_abcdefgh","type":"function","function":{"name":"f","arguments":"{}"}},
            {"id":"Abcdefg12","type":"function","function":{"name":"f","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"call_abcdefgh","content":"1","name":"f"},
        {"role":"tool","tool_call_id":"Abcdefg12","content":"2"},
        {"role":"user","content":"b"},
        {"role":"assistant","content":"The"}],
        "logprobs":false,"user":null,"logit_bias":{"5":1},"stream":true,"stream_options":{"include_usage":true}}"#;
    let (body, dropped) = of("mistral", text);
    let id = body["messages"][2]["tool_calls"][0]["id"].as_str().unwrap();
    assert!(id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let messages = json!([
        {"role": "system", "content": [{"type": "text", "text": "s"}]},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": null, "tool_calls": [call(id), call("Abcdefg12")]},
        {"role": "tool", "tool_call_id": id, "content": "1", "name": "f"},
        {"role": "tool", "tool_call_id": "Abcdefg12", "content": "2"},
        {"role": "assistant", "content": "OK"},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "The", "prefix": true},
    ]);
    assert_eq!(body, json!({"model": "m", "messages": messages, "stream": true}));
    let names = [
        "logit_bias",
        "messages.content.cache_control",
        "messages.name",
        "messages.reasoning_content",
        "messages.reasoning",
    ];
    assert_eq!(dropped, names);

    // Others take marks for the cache.
    let (body, dropped) = of("openrouter", text);
    assert!(body["messages"][0]["content"][0].get("cache_control").is_some());
    assert!(dropped.iter().all(|name| !name.starts_with("messages.")), "{dropped:?}");

    // These know some more, and any name of a call.
    for preset in ["groq", "cerebras"] {
        let (body, dropped) = of(preset, text);
        assert_eq!(body["messages"][1]["name"], "bob");
        assert_eq!(body["messages"][2]["reasoning"], "hm");
        assert_eq!(body["messages"][2]["tool_calls"][0]["id"], "call_abcdefgh");
        assert!(body["messages"][2].get("refusal").is_none(), "{body}");
        assert_eq!(body["messages"].as_array().unwrap().len(), 7);
        assert!(body["messages"][6].get("prefix").is_none());
        assert!(dropped.contains(&"messages.reasoning_content".to_owned()), "{dropped:?}");
    }
}

#[test]
fn each_thing_that_is_left_out_is_named_once_and_nothing_that_says_nothing() {
    let fields = |members: &str| {
        of("mistral", &format!(r#"{{"messages":[{{"role":"user","content":"a"}}],{members}}}"#))
    };
    let (body, dropped) = fields(
        r#""safety_identifier":"u","service_tier":"flex","logprobs":true,"top_logprobs":2,"store":true,"modalities":["text"]"#,
    );
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    assert_eq!(dropped, ["service_tier", "modalities", "logprobs", "user", "store"]);
    let (body, dropped) = fields(
        r#""user":"","metadata":{},"store":false,"logprobs":false,"top_logprobs":null,"logit_bias":{},"stream_options":null,"seed":null,"top_k":null"#,
    );
    assert_eq!((body.as_object().unwrap().len(), dropped), (1, vec![]), "{body}");
}

#[test]
fn only_openai_knows_developers() {
    let text = r#"{"messages":[{"role":"developer","content":"a"},{"role":"user","content":"\"developer\""}]}"#;
    for preset in all() {
        let (body, dropped) = of(preset, text);
        let own = presets::find(preset).unwrap().quirks.are_openais();
        let role = if own { "developer" } else { "system" };
        assert_eq!((&body["messages"][0]["role"], dropped), (&json!(role), vec![]), "{preset}");
        assert_eq!(body["messages"][1]["content"], "\"developer\"");
    }
}

#[test]
fn thoughts_go_back_with_calls_where_they_must() {
    let call =
        r#""tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]"#;
    let text = format!(
        r#"{{"messages":[{{"role":"user","content":"a"}},{{"role":"assistant",{call}}},{{"role":"tool","tool_call_id":"c","content":""}},{{"role":"assistant","reasoning_content":"b",{call}}},{{"role":"tool","tool_call_id":"c","content":""}},{{"role":"assistant","content":"c"}}]}}"#
    );
    for preset in ["deepseek", "moonshot"] {
        let (body, _) = of(preset, &text);
        let thoughts = [1, 3, 5].map(|place| body["messages"][place]["reasoning_content"].clone());
        assert_eq!(thoughts, [json!(""), json!("b"), Value::Null], "{preset}");
    }
    assert_eq!(of("vllm", &text).0, serde_json::from_str::<Value>(&text).unwrap());
}

#[test]
fn of_openais_models_what_the_client_has_chosen_itself_passes() {
    let long = "c".repeat(60);
    let text = format!(
        r#"{{"model":"x","messages":[{{"role":"assistant","tool_calls":[{{"id":"{long}","type":"function","function":{{"name":"f","arguments":"{{}}"}}}}]}},{{"role":"tool","tool_call_id":"{long}","content":"1"}}],"max_tokens":9,"temperature":0.2,"reasoning_effort":"none"}}"#
    );
    let options = options("openai", "gpt-5");
    assert_eq!(fitted(&text, &options, false), (text.clone(), vec![]));
    let (body, dropped) = fitted(&text, &options, true);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&body["max_completion_tokens"], &body["reasoning_effort"]),
        (&json!(9), &json!("minimal"))
    );
    assert!(body.get("max_tokens").is_none() && body.get("temperature").is_none(), "{body}");
    assert_eq!(dropped, ["reasoning_effort", "temperature"]);
    let id = &body["messages"][0]["tool_calls"][0]["id"];
    assert_eq!((id.as_str().unwrap().len(), id), (40, &body["messages"][1]["tool_call_id"]));
    assert_eq!(
        fitted(&text, &Options { model: "gpt-4.1", ..options }, true),
        (text.clone(), vec![])
    );
}

#[test]
fn a_model_that_calls_or_thinks_is_told_not_to_think() {
    let tools = r#"[{"type":"function","function":{"name":"f"}}]"#;
    let text = format!(r#"{{"messages":[{{"role":"user","content":"a"}}],"tools":{tools}}}"#);
    for (preset, model) in [("openai", "gpt-5.6"), ("bedrock-mantle", "openai.gpt-5.6")] {
        let (body, dropped) = fitted(&text, &options(preset, model), true);
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&body["reasoning_effort"], dropped), (&json!("none"), vec![]), "{preset}");
        assert_eq!(body["tools"].to_string().len(), tools.len());
        let none = text.replace(tools, "[]");
        assert_eq!(
            fitted(&none, &options(preset, model), true),
            (none.clone(), vec![]),
            "{preset}"
        );
    }
}

#[test]
fn the_longest_answer_has_the_name_that_is_known() {
    let of = |preset: &str, members: &str| {
        of(preset, &format!(r#"{{"messages":[{{"role":"user","content":"a"}}],{members}}}"#)).0
    };
    for (preset, members, name, value) in [
        ("deepseek", r#""max_completion_tokens":5"#, "max_tokens", 5),
        ("deepseek", r#""max_tokens":4,"max_completion_tokens":5"#, "max_tokens", 5),
        ("deepseek", r#""max_tokens":4,"max_completion_tokens":null"#, "max_tokens", 4),
        ("groq", r#""max_tokens":4"#, "max_completion_tokens", 4),
        ("groq", r#""max_completion_tokens":5"#, "max_completion_tokens", 5),
    ] {
        let body = of(preset, members);
        assert_eq!(body[name], value, "{preset} {members}");
        let one = MAX_TOKENS.iter().filter(|name| body.get(name).is_some()).count();
        assert_eq!(one, 1, "{body}");
    }
}

#[test]
fn a_temperature_that_is_too_high_or_too_low_becomes_the_nearest() {
    for (preset, given, nearest) in [("zai", 1.5, 1.0), ("zai", 0.0, 0.0), ("minimax", 0.0, 0.01)] {
        let text = json!({"messages": [{"role": "user", "content": "a"}], "temperature": given});
        assert_eq!(of(preset, &text.to_string()).0["temperature"], nearest, "{preset} {given}");
    }
}

#[test]
fn several_answers_are_refused_where_there_is_only_one() {
    let text = r#"{"messages":[{"role":"user","content":"a"}],"n":2}"#;
    assert!(fit(text.into(), &options("groq", "m"), true).is_err());
    assert!(fit(text.into(), &options("vllm", "m"), true).is_ok());
    assert!(of("groq", &text.replace("2", "1")).0.get("n").is_none());
}

#[test]
fn what_a_client_says_in_the_servers_own_words_holds() {
    let text = r#"{"messages":[{"role":"user","content":"a"}],"reasoning_effort":"high","thinking":{"type":"disabled"},"random_seed":5}"#;
    let (body, _) = of("deepseek", text);
    assert_eq!(body["thinking"], json!({"type": "disabled"}));
    let prefix = r#"{"messages":[{"role":"assistant","content":"a","prefix":true}]}"#;
    for (preset, kept) in [("mistral", true), ("deepseek", true), ("groq", false)] {
        assert_eq!(of(preset, prefix).0["messages"][0].get("prefix").is_some(), kept, "{preset}");
    }
    let (body, _) = of("mistral", text);
    assert_eq!((&body["random_seed"], &body["reasoning_effort"]), (&json!(5), &json!("high")));
}
