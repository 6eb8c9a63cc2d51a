//! What an exchange costs a plugin: Wasm instructions, and calls of the proxy.
//!
//! The scenarios are those of the base case of `make bench`, with the same policies and the same body, in
//! the emulated Envoy, where time, ids and randomness are fixed: counts are the same on every machine, as
//! long as the module is.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::emulator::{
    HttpMessage, LoadError, Module, Options, Request, Response, RootContext, Vm, no_callouts, run,
};

const POLICIES: &str = include_str!("../performance/policies.json");
const BODY: &str = include_str!("../bench/src/bodies/chat.request.json");
const ANSWER: &str = include_str!("../bench/src/bodies/chat.answer.json");
/// The key whose hash is among the policies.
const KEY: &str =
    "sk-aigw-demo-1dd2346586293333043183b40f80b27aa1d4cd64bf55439e564d08f493bfbdf4c897dccb";
/// Exchanges before the one that is counted: the first makes what all later ones find, and what was written in
/// the last two seconds is not yet relied on.
const BEFORE: usize = 3;
/// Between two exchanges, in nanoseconds.
const APART: u64 = 4_000_000_000;
/// Events of a streamed answer.
pub const EVENTS: usize = 100;

/// One plugin with one configuration, and how it is asked.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// As in the table of `make bench`.
    pub name: String,
    /// The file in `dist`, without its extension.
    pub module: &'static str,
    configuration: Value,
    streamed: bool,
    translated: bool,
    /// All requests are the same, so that all but the first are answered from the cache.
    repeated: bool,
}

/// What one exchange took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cost {
    /// Wasm instructions, all callbacks of the exchange together.
    pub fuel: u64,
    /// Calls of the proxy, by function and what was asked for.
    pub calls: Vec<Call>,
    /// Instructions of one tick of the root context, after the exchange.
    pub tick: u64,
}

/// One call of the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// For example `proxy_get_property`.
    pub function: &'static str,
    /// Which header, property ...
    pub what: String,
    /// The bytes that crossed over, 4,096 at most.
    pub bytes: usize,
    /// The status, 0 if all is well.
    pub status: u32,
    /// Instructions that its callback had left.
    pub left: u64,
}

/// All of them.
pub fn scenarios() -> Vec<Scenario> {
    let policies: Map<String, Value> = serde_json::from_str(POLICIES).unwrap_or_default();
    let policy = |name: &str| policies.get(name).cloned().unwrap_or_default();
    let bundle = |guard: &str| {
        let mut sections = Map::new();
        for name in ["ai-metrics", "ai-auth", "token-ratelimit", "semantic-cache-client"] {
            sections.insert(name.into(), policy(name));
        }
        sections.insert("prompt-guard".into(), policy(guard));
        sections.insert("ai-proxy".into(), policy("ai-proxy translate"));
        Value::Object(sections)
    };
    let plain = |name: &str, module, configuration, translated| Scenario {
        name: name.into(),
        module,
        configuration,
        streamed: false,
        translated,
        repeated: false,
    };
    let mut all: Vec<Scenario> =
        ["ai-metrics", "ai-auth", "prompt-guard", "token-ratelimit", "semantic-cache-client"]
            .map(|module| plain(&module.replace('-', "_"), module, policy(module), false))
            .into();
    all.extend([
        plain("ai_proxy_passthrough", "ai-proxy", policy("ai-proxy passthrough"), false),
        plain("ai_proxy_translate", "ai-proxy", policy("ai-proxy translate"), true),
        plain("bundle", "ai-gateway", bundle("prompt-guard"), true),
        plain("bundle_without_guard", "ai-gateway", bundle("prompt-guard without detectors"), true),
    ]);
    let streamed: Vec<Scenario> = all
        .iter()
        .map(|one| Scenario {
            name: format!("{}, stream of {EVENTS}", one.name),
            streamed: true,
            ..one.clone()
        })
        .collect();
    all.extend(streamed);
    let cache = plain("cache_hit", "semantic-cache-client", policy("semantic-cache-client"), false);
    all.push(Scenario { repeated: true, ..cache });
    all
}

impl Scenario {
    /// Runs it, with the plugin compiled from `dist`.
    ///
    /// # Errors
    /// If the plugin does not start, with what it said.
    ///
    /// # Panics
    /// If an exchange goes wrong.
    pub fn cost(&self, module: &Module) -> Result<Cost, LoadError> {
        let (vm, root) = self.warm(module)?;
        let fuel = self.next(&vm, root);
        let calls = vm.host_calls().into_iter().map(|call| Call {
            function: call.name,
            what: call.what,
            bytes: call.value.map_or(0, |value| value.len()),
            status: call.status as u32,
            left: call.left,
        });
        let calls = calls.collect();
        let before = vm.fuel();
        vm.tick(root);
        Ok(Cost { fuel, calls, tick: vm.fuel() - before })
    }

    /// A plugin that has had some exchanges; [`next`](Self::next) is the one that counts.
    pub(crate) fn warm(&self, module: &Module) -> Result<(Vm, RootContext), LoadError> {
        let (vm, root) = self.start(module)?;
        for number in 0..BEFORE {
            self.exchange(&vm, root, number);
            vm.advance(APART);
        }
        vm.clear_trace();
        Ok((vm, root))
    }

    /// The exchange after those of [`warm`](Self::warm).
    pub(crate) fn next(&self, vm: &Vm, root: RootContext) -> u64 {
        self.exchange(vm, root, BEFORE)
    }

    /// A started plugin, for [`Scenario::exchange`].
    ///
    /// # Errors
    /// If the plugin does not start, with what it said.
    pub fn start(&self, module: &Module) -> Result<(Vm, RootContext), LoadError> {
        let role =
            if self.module == "ai-proxy" || self.module == "ai-gateway" { "inline" } else { "" };
        let vm = Vm::start(module, Options { vm_configuration: role.into(), ..Options::envoy() })?;
        let root = vm
            .configure_now(self.configuration.to_string())
            .map_err(|refused| LoadError(refused.to_string()))?;
        Ok((vm, root))
    }

    /// One exchange, the `number`th: what it took.
    ///
    /// # Panics
    /// If the answer is not 200.
    pub fn exchange(&self, vm: &Vm, root: RootContext, number: usize) -> u64 {
        let request = self.request(number);
        let done = run(vm, root, request, |sent| self.answer(sent), no_callouts);
        assert_eq!(done.client.status(), 200, "{}: {}", self.name, done.client.text());
        done.fuel
    }

    fn request(&self, number: usize) -> Request {
        let mut body: Value = serde_json::from_str(BODY).unwrap_or_default();
        // No two are alike, or they would be answered from the cache.
        let mark = if self.repeated { 0 } else { number };
        let mark = format!(" This is question {mark:08}.");
        if let Some(Value::String(text)) = body.pointer_mut("/messages/1/content") {
            text.push_str(&mark);
        }
        if self.streamed {
            body["stream"] = true.into();
            body["stream_options"] = json!({"include_usage": true});
        } else if let Some(body) = body.as_object_mut() {
            body.retain(|name, _| name != "stream" && name != "stream_options");
        }
        let mut request = Request::post("/v1/chat/completions", body.to_string())
            .header("authorization", format!("Bearer {KEY}"))
            .header("x-request-id", format!("7c9e6679-7425-40de-944b-{number:012}"));
        request.properties =
            vec![(vec!["source".into(), "address".into()], b"10.0.0.1:40000".to_vec())];
        request
    }

    fn answer(&self, sent: &HttpMessage) -> Response {
        assert!(!sent.body().is_empty());
        match (self.translated, self.streamed) {
            (true, true) => Response::event_stream(anthropic_events()),
            (true, false) => Response::json(200, ANSWER),
            (false, true) => Response::event_stream(openai_events()),
            (false, false) => Response::json(200, openai_answer().to_string()),
        }
    }
}

/// The calls by function, the most frequent first: how many, and how many bytes.
pub fn by_function(calls: &[Call]) -> Vec<(&'static str, usize, usize)> {
    let mut sums: BTreeMap<&'static str, (usize, usize)> = BTreeMap::new();
    for call in calls {
        let sum = sums.entry(call.function).or_default();
        *sum = (sum.0 + 1, sum.1 + call.bytes);
    }
    let mut rows: Vec<_> = sums.into_iter().map(|(name, (n, bytes))| (name, n, bytes)).collect();
    rows.sort_by_key(|(_, n, _)| std::cmp::Reverse(*n));
    rows
}

/// Where `make wasm` puts the plugins.
pub fn dist() -> std::path::PathBuf {
    let built = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist");
    std::env::var_os("DIST").map_or_else(built, Into::into)
}

fn openai_answer() -> Value {
    let answer: Value = serde_json::from_str(ANSWER).unwrap_or_default();
    let text = answer.pointer("/content/0/text").cloned().unwrap_or_default();
    json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1_750_000_000,
        "model": "claude-sonnet-4-5",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text},
                     "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 420, "completion_tokens": 110, "total_tokens": 530}})
}

fn openai_events() -> Vec<String> {
    let event = |delta: Value, finish: Value| {
        let data = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk",
            "created": 1_750_000_000, "model": "claude-sonnet-4-5",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
        format!("data: {data}\n\n")
    };
    let mut events = vec![event(json!({"role": "assistant", "content": ""}), Value::Null)];
    events.extend((0..EVENTS).map(|_| event(json!({"content": " word"}), Value::Null)));
    events.push(event(json!({}), "stop".into()));
    let usage = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk",
        "created": 1_750_000_000, "model": "claude-sonnet-4-5", "choices": [],
        "usage": {"prompt_tokens": 420, "completion_tokens": EVENTS, "total_tokens": 420 + EVENTS}});
    events.push(format!("data: {usage}\n\n"));
    events.push("data: [DONE]\n\n".into());
    events
}

fn anthropic_events() -> Vec<String> {
    let event = |value: Value| {
        let name = value["type"].as_str().unwrap_or_default().to_owned();
        format!("event: {name}\ndata: {value}\n\n")
    };
    let mut events = vec![
        event(json!({"type": "message_start", "message": {"id": "msg_1", "type": "message",
            "role": "assistant", "model": "claude-sonnet-4-5", "content": [], "stop_reason": null,
            "usage": {"input_tokens": 420, "output_tokens": 1}}})),
        event(json!({"type": "content_block_start", "index": 0,
            "content_block": {"type": "text", "text": ""}})),
    ];
    events.extend((0..EVENTS).map(|_| {
        event(json!({"type": "content_block_delta", "index": 0,
            "delta": {"type": "text_delta", "text": " word"}}))
    }));
    events.extend([
        event(json!({"type": "content_block_stop", "index": 0})),
        event(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": EVENTS}})),
        event(json!({"type": "message_stop"})),
    ]);
    events
}
