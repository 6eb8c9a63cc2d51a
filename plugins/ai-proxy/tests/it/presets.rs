//! The table of vendors, and docs/providers.md, which is made of it: `make features`
//! writes it anew.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use ai_proxy::base_url::BaseUrl;
use ai_proxy::config::Protocol;
use ai_proxy::presets::{Auth, GROUPS, Preset, Quirks, Switch, find, names};
use ai_proxy::provider::Cloud;
use ai_proxy::translate::client::Client;
use ai_proxy::translate::ir::Unsupported;
use ai_proxy::translate::provider::{Options, write};
use serde_json::{Value, json};

fn all() -> impl Iterator<Item = &'static Preset> {
    GROUPS.iter().flat_map(|(_, presets)| presets.iter())
}

/// The names in braces.
fn placeholders(text: &str) -> Vec<&str> {
    text.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()).collect()
}

#[test]
fn names_are_unique_and_sorted_within_their_group() {
    for (group, presets) in &GROUPS {
        assert!(presets.is_sorted_by_key(|preset| preset.name), "{group}");
    }
    let unique: BTreeSet<_> = names().collect();
    assert_eq!(unique.len(), all().count());
    assert!(unique.len() >= 45, "{}", unique.len());
    assert!(names().is_sorted());
    for preset in all() {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(preset.name.chars().all(plain), "{}", preset.name);
        assert_eq!(find(preset.name).unwrap().title, preset.title);
        assert!(!preset.title.is_empty(), "{}", preset.name);
    }
    assert!(find("no-such-vendor").is_none());
}

#[test]
fn every_base_url_and_every_page_of_documentation_is_an_address() {
    for preset in all() {
        let mut url = preset.base_url.to_owned();
        for name in placeholders(preset.base_url) {
            assert!(name.chars().all(|c| c.is_ascii_lowercase()), "{}: {name}", preset.name);
            url = url.replace(&format!("{{{name}}}"), "word");
        }
        let parsed = BaseUrl::parse(&url).unwrap_or_else(|e| panic!("{}: {e}", preset.name));
        assert!(!preset.base_url.ends_with('/'), "{}", preset.name);
        let local = parsed.authority.starts_with("localhost:");
        assert_eq!(parsed.scheme == "http", local, "{}", preset.name);
        assert!(preset.docs.starts_with("https://"), "{}", preset.name);
        assert!(BaseUrl::parse(preset.docs).is_ok(), "{}", preset.docs);
    }
}

#[test]
fn paths_begin_with_a_slash() {
    for preset in all() {
        for (service, path) in services(preset) {
            let plain = path.starts_with('/') && !path.ends_with('/') && !path.contains('?');
            assert!(plain, "{}: {service}: {path}", preset.name);
        }
    }
}

#[test]
fn what_signs_requests_knows_for_where() {
    for preset in all() {
        let wanted: &[&str] = match preset.auth {
            Auth::SigV4 => &["region"],
            Auth::GoogleServiceAccount => &["project"],
            _ => &[],
        };
        let has = placeholders(preset.base_url);
        assert!(wanted.iter().all(|name| has.contains(name)), "{}", preset.name);
    }
}

/// What a Chat Completions provider with the quirks is sent, and what it is not.
fn sent(quirks: Quirks, request: Value) -> Result<(Value, Vec<String>), Unsupported> {
    let mut request = request;
    request["model"] = json!("m");
    request["messages"] = json!([{ "role": "user", "content": "Hi" }]);
    let text = request.to_string();
    let mut request = Client::OpenAiChat.read(&text).unwrap();
    let options = Options { model: "m", default_max_tokens: 4096, quirks, cloud: Cloud::Own };
    let body = write(Protocol::Openai, &mut request, &options)?;
    let mut body: Value = serde_json::from_str(&body).unwrap();
    body.as_object_mut().unwrap().retain(|key, _| !matches!(&**key, "model" | "messages"));
    let left_out = request.unsupported.iter().map(|f| Client::OpenAiChat.name_of(*f).to_owned());
    Ok((body, left_out.collect()))
}

#[test]
fn thinking_is_switched_in_the_servers_own_way() {
    let with = |thinking| Quirks { thinking, ..Quirks::NONE };
    for (quirks, effort, expected) in [
        (with(Switch::None), "none", json!({ "reasoning_effort": "none" })),
        (
            with(Switch::Type),
            "high",
            json!({ "thinking": { "type": "enabled" }, "reasoning_effort": "high" }),
        ),
        (with(Switch::Type), "none", json!({ "thinking": { "type": "disabled" } })),
        (
            with(Switch::Reasoning),
            "low",
            json!({ "reasoning": { "enabled": true }, "reasoning_effort": "low" }),
        ),
        (
            with(Switch::Template),
            "none",
            json!({ "chat_template_kwargs": { "enable_thinking": false } }),
        ),
        (with(Switch::HighOrNone), "medium", json!({ "reasoning_effort": "high" })),
        (with(Switch::HighOrNone), "none", json!({ "reasoning_effort": "none" })),
        (find("qwen").unwrap().quirks, "low", json!({ "enable_thinking": true })),
        (find("qwen").unwrap().quirks, "none", json!({ "enable_thinking": false })),
    ] {
        let (body, left_out) = sent(quirks, json!({ "reasoning_effort": effort })).unwrap();
        assert_eq!((body, left_out), (expected, Vec::new()));
    }
}

#[test]
fn what_a_server_refuses_is_not_sent_to_it() {
    let glm = find("zai").unwrap().quirks;
    let (body, left_out) =
        sent(glm, json!({ "temperature": 1.5, "stop": ["a", "b"], "seed": 7 })).unwrap();
    assert_eq!(body, json!({ "temperature": 1, "stop": ["a"], "seed": 7 }));
    assert_eq!(left_out, ["temperature", "stop"]);
    let minimax = find("minimax").unwrap().quirks;
    let (body, left_out) = sent(minimax, json!({ "temperature": 0, "max_tokens": 9 })).unwrap();
    assert_eq!(body, json!({ "temperature": 0.01, "max_completion_tokens": 9 }));
    assert!(left_out.is_empty());
    let mistral = find("mistral").unwrap().quirks;
    let asked = json!({ "seed": 7, "top_k": 40, "logprobs": true, "verbosity": "low" });
    let (body, left_out) = sent(mistral, asked).unwrap();
    assert_eq!(body, json!({ "random_seed": 7 }));
    assert_eq!(left_out, ["top_k", "logprobs", "verbosity"]);
    let groq = find("groq").unwrap().quirks;
    assert_eq!(
        sent(groq, json!({ "n": 2 })),
        Err(Unsupported("more than one answer to a request (`n`, `candidateCount`)"))
    );
    assert_eq!(sent(groq, json!({ "n": 1, "verbosity": "low" })).unwrap().0, json!({}));
}

#[test]
fn the_documentation_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/providers.md");
    let text = documentation();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == text, "docs/providers.md is out of date: run `make features`");
}

const HEAD: &str = r#"# Providers

<!-- Made from plugins/ai-proxy/src/presets by plugins/ai-proxy/tests/it/presets.rs. -->

A preset says where a vendor's API begins, how it is shown who asks, which services it has and what it
does in its own way:

```json
{ "name": "deepseek", "preset": "deepseek", "api_key": "$env://DEEPSEEK_API_KEY" }
```

Names in braces are the account's own and come from `params`; `{model}` is the model's name, on Azure that
of the deployment:

```json
{ "name": "gemini", "preset": "vertex", "params": { "region": "europe-west1", "project": "my-project" },
  "google": { "service_account": "$env://GOOGLE_SERVICE_ACCOUNT" } }
```

What a provider's own fields say (`base_url`, `query`, ...) goes before its preset. Servers of your own are
wherever you say: `"preset": "vllm", "base_url": "http://vllm.internal:8000/v1"`.

A provider that is not in the tables needs a `protocol` (`openai`, `openai_responses`, `anthropic`,
`gemini`, `bedrock` or `cohere`) and a `base_url`:

```json
{ "name": "other", "protocol": "openai", "base_url": "https://llm.example.com/v1", "api_key": "$env://KEY" }
```

Auth: `Bearer` is `authorization: Bearer <api_key>`; a header's name is a header with the key alone; `SigV4`
is signed with the credentials in `aws`, or `Bearer` with a Bedrock API key; `service account` is an access
token for a Google service account.

Notes say what a vendor refuses or calls otherwise. Requests are fitted to that, whether they are translated or in
Chat Completions already; what is left out is named in `x-ai-dropped`, see [ai-proxy.md](ai-proxy.md#chat-completions-to-chat-completions).
"#;

fn documentation() -> String {
    let mut out = HEAD.to_owned();
    for (group, presets) in &GROUPS {
        write!(out, "\n## {group}\n\n").unwrap();
        out.push_str("| preset | vendor | protocol | base URL | auth | services | notes |\n");
        out.push_str("| --- | --- | --- | --- | --- | --- | --- |\n");
        for preset in *presets {
            let query = preset.query.iter().map(|(name, value)| format!("`?{name}={value}`"));
            let notes: Vec<_> = query.chain(notes(&preset.quirks).map(str::to_owned)).collect();
            writeln!(
                out,
                "| `{}` | [{}]({}) | {} | `{}` | {} | {} | {} |",
                preset.name,
                preset.title,
                preset.docs,
                preset.protocol.name(),
                preset.base_url,
                auth(preset.auth),
                names_of_services(preset).join(", "),
                notes.join("; "),
            )
            .unwrap();
        }
    }
    out
}

fn auth(auth: Auth) -> String {
    match auth {
        Auth::Bearer => "Bearer".into(),
        Auth::Header(name) => format!("`{name}`"),
        Auth::SigV4 => "SigV4".into(),
        Auth::GoogleServiceAccount => "service account".into(),
        Auth::None => "none".into(),
    }
}

/// Those of paths of their own, and what belongs to the protocol.
fn names_of_services(preset: &Preset) -> Vec<&'static str> {
    let mut names: Vec<_> = services(preset).map(|(service, _)| service).collect();
    let protocol = preset.protocol;
    if matches!(protocol, Protocol::Gemini | Protocol::Bedrock | Protocol::Cohere) {
        names.push("embeddings");
    }
    let counts = matches!(protocol, Protocol::Anthropic | Protocol::Gemini | Protocol::Bedrock);
    if counts || preset.paths.input_tokens.is_some() {
        names.push("token counts");
    }
    names
}

fn services(preset: &Preset) -> impl Iterator<Item = (&'static str, &'static str)> {
    let paths = &preset.paths;
    let chat = Some(paths.chat).filter(|chat| !chat.is_empty());
    let all = [
        ("chat", chat),
        ("responses", paths.responses),
        ("completions", paths.completions),
        ("embeddings", paths.embeddings),
        ("images", paths.images),
        ("speech", paths.speech),
        ("transcriptions", paths.transcriptions),
        ("moderations", paths.moderations),
        ("rerank", paths.rerank),
        ("files", paths.files),
        ("batches", paths.batches),
    ];
    all.into_iter().filter_map(|(service, path)| Some((service, path?)))
}

fn notes(quirks: &Quirks) -> impl Iterator<Item = &'static str> {
    // Every field is named, so that a new one is not forgotten here.
    let Quirks {
        max_completion_tokens,
        safety_identifier,
        no_top_k,
        no_stream_options,
        no_json_schema,
        no_parallel_tool_calls,
        no_forced_tool,
        no_reasoning_effort,
        no_seed,
        no_penalties,
        no_logprobs,
        temperature_to_one,
        no_zero_temperature,
        random_seed,
        one_stop,
        no_n,
        thinking,
        no_notes,
        strict,
        strict_calls,
        wants_thoughts,
    } = *quirks;
    let switch = match thinking {
        Switch::None => "",
        Switch::Type => "`thinking.type`",
        Switch::Enable => "`enable_thinking`",
        Switch::Reasoning => "`reasoning.enabled`",
        Switch::HighOrNone => "`reasoning_effort` `high` or `none`",
        Switch::Template => "`chat_template_kwargs.enable_thinking`",
    };
    let all = [
        (max_completion_tokens, "`max_completion_tokens`"),
        (safety_identifier, "`safety_identifier`"),
        (!switch.is_empty(), switch),
        (random_seed, "`random_seed`"),
        (temperature_to_one && no_zero_temperature, "`temperature` above 0, up to 1"),
        (temperature_to_one && !no_zero_temperature, "`temperature` up to 1"),
        (no_zero_temperature && !temperature_to_one, "`temperature` above 0"),
        (one_stop, "one `stop`"),
        (no_json_schema, "no `json_schema`"),
        (no_forced_tool, "no forced `tool_choice`"),
        (no_parallel_tool_calls, "no `parallel_tool_calls`"),
        (no_reasoning_effort, "no `reasoning_effort`"),
        (no_n, "no `n`"),
        (no_top_k, "no `top_k`"),
        (no_seed, "no `seed`"),
        (no_penalties, "no penalties"),
        (no_logprobs, "no `logprobs`"),
        (no_stream_options, "no `stream_options`"),
        (no_notes, "no `user`, `store`, `metadata`"),
        (strict, "nothing that it does not know"),
        (strict_calls, "calls' `id` of nine letters and digits"),
        (wants_thoughts, "thoughts go back as `reasoning_content`"),
    ];
    all.into_iter().filter_map(|(is_so, note)| is_so.then_some(note))
}
