use super::*;
use crate::presets;
use crate::provider::Cloud;
use crate::translate::client::Client;

#[test]
fn openais_newest_models_call_functions_without_thinking() {
    let tool = r#"{"name":"f","input_schema":{"type":"object"}}"#;
    let quirks = presets::find("openai").unwrap().quirks;
    for (model, tools, effort, written, left_out) in [
        ("gpt-5.6", tool, "high", Some("none"), true),
        ("gpt-5.6-terra", "", "high", Some("high"), false),
        ("ft:gpt-5.4-mini-2026-03-05:x", tool, "high", Some("none"), true),
        ("gpt-6", tool, "high", Some("none"), true),
        ("gpt-5.1", tool, "high", Some("high"), false),
        ("gpt-5-2025-08-07", tool, "high", Some("high"), false),
        ("gpt-4.1", tool, "high", Some("high"), false),
        ("o4-mini", tool, "high", Some("high"), false),
    ] {
        let text = format!(
            r#"{{"max_tokens":9,"messages":[{{"role":"user","content":"a"}}],
            "tools":[{tools}],"output_config":{{"effort":"{effort}"}}}}"#
        );
        let mut request = Client::Anthropic.read(&text).unwrap();
        let options = Options { model, default_max_tokens: 9, quirks, cloud: Cloud::Own };
        let body = write(&mut request, &options).unwrap();
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["reasoning_effort"].as_str(), written, "{model}");
        assert_eq!(request.unsupported == [Field::Thinking], left_out, "{model}");
    }
}

#[test]
fn mistral_is_told_that_an_answer_is_to_be_gone_on_with() {
    for (messages, prefix) in [
        (r#"{"role":"user","content":"a"},{"role":"assistant","content":"The"}"#, true),
        (
            r#"{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}"#,
            false,
        ),
    ] {
        let text = format!(r#"{{"max_tokens":9,"messages":[{messages}]}}"#);
        for (preset, knows) in [("mistral", true), ("groq", false)] {
            let mut request = Client::Anthropic.read(&text).unwrap();
            let quirks = presets::find(preset).unwrap().quirks;
            let options = Options { model: "m", default_max_tokens: 9, quirks, cloud: Cloud::Own };
            let body = write(&mut request, &options).unwrap();
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(body["messages"][1]["prefix"] == true, prefix && knows, "{preset}: {body}");
        }
    }
}

#[test]
fn mistral_gets_calls_by_names_that_it_takes_and_an_answer_to_each_result() {
    let text = r#"{"max_tokens":9,"messages":[
        {"role":"user","content":"a"},
        {"role":"assistant","content":[{"type":"tool_use","id":"toolu_01A","name":"f","input":{}},
            {"type":"tool_use","id":"D681PevKs","name":"f","input":{}}]},
        {"role":"user","content":[
            {"type":"tool_result","tool_use_id":"toolu_01A","content":"1"},
            {"type":"tool_result","tool_use_id":"D681PevKs","content":"2"},
            {"type":"text","text":"b"}]},
        {"role":"assistant","content":[{"type":"tool_use","id":"toolu_01B","name":"f","input":{}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_01B","content":"3"}]}]}"#;
    for (preset, roles, fit) in [
        ("mistral", "user assistant tool tool assistant user assistant tool", true),
        ("vllm", "user assistant tool tool user assistant tool", false),
    ] {
        let mut request = Client::Anthropic.read(text).unwrap();
        let quirks = presets::find(preset).unwrap().quirks;
        let options = Options { model: "m", default_max_tokens: 9, quirks, cloud: Cloud::Own };
        let body = write(&mut request, &options).unwrap();
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let messages = body["messages"].as_array().unwrap();
        let said: Vec<_> = messages.iter().map(|m| m["role"].as_str().unwrap()).collect();
        assert_eq!(said.join(" "), roles);
        let calls: Vec<_> = messages
            .iter()
            .flat_map(|m| m["tool_calls"].as_array().into_iter().flatten())
            .map(|call| call["id"].as_str().unwrap())
            .collect();
        let results: Vec<_> = messages.iter().filter_map(|m| m["tool_call_id"].as_str()).collect();
        assert_eq!(calls, results);
        assert_eq!(calls[1], "D681PevKs");
        assert_ne!(calls[0], calls[2]);
        let taken = |id: &&str| id.len() == 9 && id.bytes().all(|b| b.is_ascii_alphanumeric());
        assert_eq!(calls.iter().all(taken), fit, "{calls:?}");
    }
}

#[test]
fn those_who_demand_them_get_the_thoughts_before_calls() {
    let text = r#"{"max_tokens":9,"messages":[
        {"role":"user","content":"a"},
        {"role":"assistant","content":[
            {"type":"thinking","thinking":"Hm.","signature":""},{"type":"text","text":"b"},
            {"type":"tool_use","id":"c1","name":"f","input":{}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":"1"}]},
        {"role":"assistant","content":[{"type":"tool_use","id":"c2","name":"f","input":{}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"c2","content":"2"}]},
        {"role":"assistant","content":"c"},
        {"role":"user","content":"d"}]}"#;
    for (preset, thoughts) in [
        ("deepseek", [Some("Hm."), Some(""), None]),
        ("moonshot", [Some("Hm."), Some(""), None]),
        ("vllm", [None; 3]),
    ] {
        let mut request = Client::Anthropic.read(text).unwrap();
        let quirks = presets::find(preset).unwrap().quirks;
        let options = Options { model: "m", default_max_tokens: 9, quirks, cloud: Cloud::Own };
        let protocol = crate::config::Protocol::Openai;
        let body = crate::translate::provider::write(protocol, &mut request, &options).unwrap();
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let said = body["messages"].as_array().unwrap().iter();
        let said = said.filter(|message| message["role"] == "assistant");
        let found: Vec<_> = said.map(|message| message["reasoning_content"].as_str()).collect();
        assert_eq!(found, thoughts, "{preset}");
        assert_eq!(request.unsupported == [Field::Thoughts], preset == "vllm");
    }
}

#[test]
fn openais_open_models_get_efforts_that_they_know() {
    let quirks = presets::find("groq").unwrap().quirks;
    for (model, effort, written) in [
        ("openai/gpt-oss-120b", "none", "low"),
        ("openai/gpt-oss-120b", "minimal", "low"),
        ("openai/gpt-oss-120b", "medium", "medium"),
        ("openai/gpt-oss-20b", "xhigh", "high"),
        ("qwen/qwen3-32b", "none", "none"),
    ] {
        let text = format!(
            r#"{{"messages":[{{"role":"user","content":"a"}}],"reasoning_effort":"{effort}"}}"#
        );
        let mut request = Client::OpenAiChat.read(&text).unwrap();
        let options = Options { model, default_max_tokens: 9, quirks, cloud: Cloud::Own };
        let body = write(&mut request, &options).unwrap();
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["reasoning_effort"], written, "{model} {effort}");
    }
}
