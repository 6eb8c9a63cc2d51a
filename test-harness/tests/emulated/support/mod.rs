//! What the scenarios of the built plugins share: the plugins, a configuration, requests, answers.
#![allow(dead_code, reason = "each test file uses its part")]

use shared::facts;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use test_harness::emulator::{
    Callout, CalloutReply, ConfigRefused, Exchange, Exchanged, HttpMessage, Module, Options,
    Profile, Request, Response, RootContext, Vm, no_callouts, run,
};

pub const OPENAI_KEY: &str = "sk-of-openai";
pub const ANTHROPIC_KEY: &str = "sk-of-anthropic";
pub const CLIENT_KEY: &str = "sk-of-the-client";
pub const PROMPT: &str = "a prompt about kangaroos";
pub const ANSWER: &str = "an answer about wombats";
pub const PATH: &str = "/v1/chat/completions";

pub use test_harness::cost::dist;

/// A built plugin. Whoever asks for it first compiles it, for all tests.
pub fn module(name: &str) -> Module {
    static COMPILED: Mutex<BTreeMap<String, Module>> = Mutex::new(BTreeMap::new());
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(module) = compiled.get(name) {
        return module.clone();
    }
    let path = dist().join(name).with_extension("wasm");
    assert!(path.exists(), "{} is missing: run `make wasm` first", path.display());
    let module = Module::from_file(path).unwrap();
    compiled.insert(name.to_owned(), module.clone());
    module
}

/// Every built plugin.
pub fn built() -> Vec<Module> {
    let files = std::fs::read_dir(dist()).into_iter().flatten().flatten();
    let mut paths: Vec<_> = files.map(|file| file.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "wasm"));
    paths.sort();
    assert!(!paths.is_empty(), "no .wasm in {}: run `make wasm` first", dist().display());
    paths.iter().map(|path| module(&path.file_stem().unwrap().to_string_lossy())).collect()
}

/// The plugin by itself, or the bundle.
pub struct Plugin {
    pub module: Module,
}

/// Runs a scenario with the plugin by itself and with the bundle.
pub fn both(scenario: impl Fn(&Plugin)) {
    for plugin in ["ai-proxy", "ai-gateway"].map(|name| Plugin { module: module(name) }) {
        println!("with {}", plugin.module.name());
        scenario(&plugin);
    }
}

impl Plugin {
    pub fn is_bundle(&self) -> bool {
        self.module.name() == "ai-gateway"
    }

    /// The configuration of ai-proxy as this one takes it.
    pub fn config(&self, json: &str) -> String {
        if self.is_bundle() { format!(r#"{{"ai-proxy":{json}}}"#) } else { json.to_owned() }
    }

    /// Starts it with this configuration.
    pub fn start(&self, options: Options, json: &str) -> Gateway {
        // With the bridge on the host, the route says that it has its functions.
        let bridged = json.replacen('{', r#"{"bridge":true,"#, 1);
        let json = if options.bridge { &bridged } else { json };
        let gateway = self.configure(options, &self.config(json));
        gateway.unwrap_or_else(|refused| panic!("{refused}"))
    }

    /// Starts it with these very bytes.
    pub fn configure(&self, options: Options, bytes: &str) -> Result<Gateway, ConfigRefused> {
        let env = [("OPENAI_API_KEY", OPENAI_KEY), ("ANTHROPIC_API_KEY", ANTHROPIC_KEY)];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let vm = Vm::start(&self.module, Options { env, ..options }).unwrap();
        let root = vm.configure_now(bytes)?;
        Ok(Gateway { vm, root })
    }

    /// In an Envoy, in this role.
    pub fn envoy(&self, role: &str) -> Gateway {
        self.start(envoy(role), &config(""))
    }
}

pub fn envoy(role: &str) -> Options {
    Options { vm_configuration: role.into(), ..Options::envoy() }
}

/// A plugin at work. What it has logged is looked through in the end.
pub struct Gateway {
    pub vm: Vm,
    pub root: RootContext,
}

impl Gateway {
    /// A whole exchange with an upstream.
    pub fn run(
        &self,
        request: Request,
        upstream: impl FnMut(&HttpMessage) -> Response,
    ) -> Exchanged {
        let done = run(&self.vm, self.root, request, upstream, no_callouts);
        if self.vm.profile() == Profile::Envoy {
            for (name, value) in &done.properties {
                assert_no_secrets(name, &String::from_utf8_lossy(value));
            }
        }
        done
    }

    /// A whole exchange in which nothing must reach an upstream.
    pub fn refuse(&self, request: Request) -> Exchanged {
        self.run(request, |sent| panic!("this reached the upstream: {sent:?}"))
    }

    /// A whole exchange that the plugin makes calls for.
    pub fn call(
        &self,
        request: Request,
        service: impl FnMut(&Callout) -> CalloutReply,
    ) -> Exchanged {
        let upstream = |sent: &HttpMessage| panic!("this reached the upstream: {sent:?}");
        run(&self.vm, self.root, request, upstream, service)
    }

    pub fn exchange(&self) -> Exchange {
        self.vm.exchange(self.root)
    }

    /// Whether a header of this name, in whichever direction, was changed.
    pub fn changed_header(&self, name: &str) -> bool {
        let changes = ["replace", "remove", "add"].map(|c| format!("proxy_{c}_header_map_value"));
        let calls = self.vm.host_calls();
        calls.iter().any(|call| changes.iter().any(|c| c == call.name) && call.what == name)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.vm.logs().iter().for_each(|line| assert_no_secrets("the log", &line.text));
        }
    }
}

/// Neither keys nor what was said.
pub fn assert_no_secrets(place: &str, text: &str) {
    for secret in [OPENAI_KEY, ANTHROPIC_KEY, CLIENT_KEY, "kangaroo", "wombat"] {
        assert!(!text.contains(secret), "{secret} in {place}: {text}");
    }
}

/// Two providers, a server that needs no key, and a model that two have; `more` goes before it. Streams
/// leave event by event from the first one on.
pub fn config(more: &str) -> String {
    let rest = r#"
        "providers": [
            {"name": "openai", "protocol": "openai", "base_url": "https://api.openai.com/v1",
             "api_key": "$env://OPENAI_API_KEY", "cluster": "openai",
             "headers": {"X-Team": "blue"}},
            {"name": "anthropic", "protocol": "anthropic",
             "base_url": "https://api.anthropic.com",
             "api_key": "$env://ANTHROPIC_API_KEY", "cluster": "anthropic"},
            {"name": "vllm", "protocol": "openai", "base_url": "http://vllm:8000/v1"}
        ],
        "models": [
            {"name": "gpt-*", "targets": [{"provider": "openai"}]},
            {"name": "claude-*", "targets": [{"provider": "anthropic"}]},
            {"name": "local-*", "targets": [{"provider": "vllm"}]},
            {"name": "best", "cluster": "both", "targets": [
                {"provider": "openai", "model": "gpt-5"},
                {"provider": "anthropic", "model": "claude-sonnet-4-5"}]}
        ],
        "aliases": {"fast": "claude-haiku-4-5", "smart": "gpt-5"},
        "hold_first_event": false"#;
    format!("{{{more}{rest}}}")
}

/// A document without its line breaks and what they are followed by.
fn one_line(text: &str) -> String {
    text.lines().map(str::trim_start).collect()
}

/// The body of a request; `more` is further fields.
pub fn body(model: &str, more: &str) -> String {
    one_line(&format!(
        r#"{{"model": "{model}",
        "messages":[{{"role":"user","content":"{PROMPT}"}}]{more}}}"#
    ))
}

/// A request with the client's own key.
pub fn asking(model: &str, more: &str) -> Request {
    with_key(Request::post(PATH, body(model, more)))
}

pub fn with_key(request: Request) -> Request {
    request.header("authorization", format!("Bearer {CLIENT_KEY}")).header("x-api-key", CLIENT_KEY)
}

pub fn streaming(model: &str) -> Request {
    asking(model, r#","stream":true"#)
}

/// The same by a client that wants the token counts.
pub fn counted(model: &str) -> Request {
    asking(model, r#","stream":true,"stream_options":{"include_usage":true}"#)
}

/// What [`body`] becomes for Anthropic.
pub fn anthropic_body(model: &str, more: &str) -> String {
    one_line(&format!(
        r#"{{"model":"{model}","max_tokens":4096,
        "messages":[{{"role":"user","content":"{PROMPT}"}}]{more}}}"#
    ))
}

pub fn anthropic_answer() -> Response {
    Response::json(200, anthropic_json(ANSWER))
}

pub fn anthropic_json(text: &str) -> String {
    one_line(&format!(
        r#"{{"id":"msg_1","type":"message","role":"assistant","model":"claude-x",
        "content":[{{"type":"text","text":"{text}"}}],"stop_reason":"end_turn",
        "usage":{{"input_tokens":5,"output_tokens":7}}}}"#
    ))
}

/// What [`anthropic_answer`] becomes for the client.
pub fn translated_answer() -> String {
    one_line(&format!(
        r#"{{"id":"msg_1","object":"chat.completion","created":1750000000,"model":"claude-x",
        "choices":[{{"index":0,
            "message":{{"role":"assistant","content":"{ANSWER}","refusal":null}},
            "logprobs":null,"finish_reason":"stop"}}],
        "usage":{{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12,
            "prompt_tokens_details":{{"cached_tokens":0,"cache_creation_tokens":0}}}}}}"#
    ))
}

pub fn openai_answer() -> String {
    one_line(&format!(
        r#"{{"id":"c1","object":"chat.completion","model":"gpt-5",
        "choices":[{{"index":0,"message":{{"role":"assistant","content":"{ANSWER}"}},
            "finish_reason":"stop"}}],
        "usage":{{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}}}"#
    ))
}

/// The events of a streamed answer of Anthropic, each of these words in one of its own.
pub fn anthropic_events<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let event =
        |name: &str, rest: &str| format!("event: {name}\ndata: {{\"type\":\"{name}\"{rest}}}\n\n");
    let text = |word: &str| {
        let delta = format!(r#","index":0,"delta":{{"type":"text_delta","text":"{word}"}}"#);
        event("content_block_delta", &delta)
    };
    let usage = r#"{"input_tokens":5,"output_tokens":1}"#;
    let start = format!(r#","message":{{"id":"msg_1","model":"claude-x","usage":{usage}}}"#);
    let block = r#","index":0,"content_block":{"type":"text","text":""}"#;
    let stop = r#","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7}"#;
    let mut events = vec![
        event("message_start", &start),
        event("ping", ""),
        event("content_block_start", block),
    ];
    events.extend(words.into_iter().map(text));
    events.push(event("content_block_stop", r#","index":0"#));
    events.push(event("message_delta", stop));
    events.push(event("message_stop", ""));
    events
}

pub const WORDS: [&str; 3] = ["an answer ", "about w\u{f6}mbats\\n", "\u{1f998} wombats"];

/// What the client gets for those events, event by event.
pub fn openai_events<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let chunk = |delta: &str, finish: &str| {
        let data = one_line(&format!(
            r#"{{"id":"msg_1","object":"chat.completion.chunk","created":1750000000,
            "model":"claude-x","choices":[{{"index":0,"delta":{delta},
            "logprobs":null,"finish_reason":{finish}}}]}}"#
        ));
        format!("data: {data}\n\n")
    };
    let nothing = String::new;
    let mut out = vec![chunk(r#"{"role":"assistant"}"#, "null"), nothing(), nothing()];
    let text = |word: &str| chunk(&format!(r#"{{"content":"{word}"}}"#), "null");
    out.extend(words.into_iter().map(text));
    out.extend([nothing(), chunk("{}", "\"stop\""), "data: [DONE]\n\n".into()]);
    out
}

/// A fact that the plugin has stated.
pub fn fact(done: &Exchanged, name: &str) -> Option<String> {
    let found = done.properties.iter().find(|(path, _)| path == facts::PROPERTY);
    found.and_then(|(_, value)| fact_in(value, name))
}

/// A fact in the property that has them.
pub fn fact_in(property: &[u8], name: &str) -> Option<String> {
    facts::stated(std::str::from_utf8(property).unwrap(), name).map(str::to_owned)
}

pub fn usage_said(text: &str) {
    assert!(
        text.contains("\"prompt_tokens\":5") && text.contains("\"completion_tokens\":7"),
        "{text}"
    );
}

/// The header of a message, empty if it has none.
pub fn header<'a>(message: &'a HttpMessage, name: &str) -> &'a str {
    message.headers.get(name).unwrap_or_default()
}

/// Feeds events in pieces of this size; each must leave in the callback that its last byte came in.
pub fn feed_events(ex: &Exchange, size: usize, events: &[String], expected: &[String]) {
    let ends: Vec<usize> = events
        .iter()
        .scan(0, |at, event| {
            *at += event.len();
            Some(*at)
        })
        .collect();
    let mut fed = 0;
    for piece in events.concat().as_bytes().chunks(size) {
        ex.response_body(piece, false);
        fed += piece.len();
        let whole = ends.iter().filter(|end| **end <= fed).count();
        assert_eq!(ex.client_response().text(), expected[..whole].concat(), "{size}, {fed} bytes");
    }
}
