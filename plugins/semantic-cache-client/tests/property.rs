//! No two requests that differ in anything share a name, and spellings do not matter.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::rc::Rc;

use proptest::prelude::*;
use semantic_cache_client::ask::Ask;
use semantic_cache_client::config::Config;
use semantic_cache_client::control::Control;
use semantic_cache_client::policy::Policy;
use semantic_cache_client::recent::Recent;
use serde_json::{Value, json};
use shared::config::parse;
use shared::facts::{Fact, Facts};
use shared::filter::Cx;
use shared::host::script::ScriptHost;
use shared::protocol::Endpoint;

const PATHS: [&str; 5] = [
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/messages",
    "/v1beta/models/g:generateContent",
    "/v1/completions",
];

thread_local! {
    static RECENT: Recent = Recent::default();
}

/// All that a request can differ in.
#[derive(Clone, Debug, PartialEq)]
struct Request {
    path: usize,
    consumer: u8,
    model: u8,
    system: String,
    tool: u8,
    temperature: u8,
    max_tokens: u8,
    format: bool,
    turns: Vec<String>,
}

fn request() -> impl Strategy<Value = Request> {
    (
        0..PATHS.len(),
        0..3_u8,
        0..3_u8,
        "[ab\"\\\\é]{0,2}",
        0..3_u8,
        0..3_u8,
        0..3_u8,
        any::<bool>(),
        prop::collection::vec("[ab,\\[\\]]{0,2}", 1..4),
    )
        .prop_map(
            |(path, consumer, model, system, tool, temperature, max_tokens, format, turns)| {
                Request {
                    path,
                    consumer,
                    model,
                    system,
                    tool,
                    temperature,
                    max_tokens,
                    format,
                    turns,
                }
            },
        )
}

impl Request {
    fn body(&self) -> Value {
        let turns: Vec<Value> = self
            .turns
            .iter()
            .enumerate()
            .map(|(at, text)| json!({"role": if at % 2 == 0 { "user" } else { "assistant" }, "content": text}))
            .collect();
        let mut body = json!({"model": format!("m{}", self.model)});
        match PATHS[self.path] {
            "/v1/responses" => {
                body["input"] = json!(turns);
                body["instructions"] = json!(self.system);
            }
            "/v1/messages" => {
                body["messages"] = json!(turns);
                body["system"] = json!(self.system);
            }
            "/v1/completions" => body["prompt"] = json!([self.system, self.turns]),
            "/v1/chat/completions" => {
                let mut all = vec![json!({"role": "system", "content": self.system})];
                all.extend(turns);
                body["messages"] = json!(all);
            }
            _ => {
                let turns: Vec<Value> =
                    self.turns.iter().map(|text| json!({"parts": [{"text": text}]})).collect();
                body["contents"] = json!(turns);
                body["systemInstruction"] = json!({"parts": [{"text": self.system}]});
            }
        }
        if self.tool > 0 {
            body["tools"] = json!([{"type": "function", "name": format!("t{}", self.tool)}]);
        }
        body["temperature"] = json!(f64::from(self.temperature) / 2.0);
        body["max_tokens"] = json!(self.max_tokens);
        if self.format {
            body["response_format"] = json!({"type": "json_object"});
        }
        body
    }

    fn ask(&self, text: &str) -> Rc<Ask> {
        let config: Config = parse(
            br#"{"cache":{"tools":true,"max_temperature":2},
                "semantic":{"embedder":{"kind":"tei","service":{"upstream":"u"}}}}"#,
        )
        .unwrap();
        let policy = Policy::new(&config).unwrap();
        let host = ScriptHost::post(PATHS[self.path]);
        let mut facts = Facts::default();
        facts.set(&host, Fact::Consumer, format!("c{}", self.consumer));
        let mut cx = Cx::new(&host, &mut facts, Endpoint::of(PATHS[self.path]));
        // The names of all requests are made anew, and found among those before.
        let mut read = |recent: &Recent| {
            Ask::read(&policy, recent, &mut cx, &Control::default(), text).unwrap()
        };
        let anew = read(&Recent::default());
        let known = RECENT.with(|recent| {
            read(recent);
            read(recent)
        });
        assert_eq!(known.key, anew.key);
        assert_eq!((&known.model, &known.consumer), (&anew.model, &anew.consumer));
        anew
    }
}

/// The same document with its members turned round and some space.
fn spelt(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .rev()
                .map(|(key, value)| format!("{} : {}", Value::from(key.as_str()), spelt(value)))
                .collect();
            format!("{{ {} }}", members.join(" ,\n"))
        }
        Value::Array(items) => {
            format!("[ {} ]", items.iter().map(spelt).collect::<Vec<_>>().join(" , "))
        }
        other => other.to_string(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_differs_in_anything_has_another_name(one in request(), two in request()) {
        let (a, b) = (one.ask(&one.body().to_string()), two.ask(&two.body().to_string()));
        // Gemini's model is in the path.
        let mut alike = two.clone();
        if PATHS[one.path].contains("generate") && one.path == two.path {
            alike.model = one.model;
        }
        if one.body() != two.body() || one.path != two.path || one.consumer != two.consumer {
            prop_assert_ne!(a.key, b.key);
        } else {
            prop_assert_eq!(a.key, b.key);
        }
        if let (Some(p), Some(q)) = (&a.question, &b.question) && p.partition == q.partition {
            // All but the last question is the same.
            let (mut rest, mut other) = (one.clone(), two.clone());
            rest.turns.pop();
            other.turns.pop();
            prop_assert_eq!(rest, other);
        }
    }

    #[test]
    fn spellings_have_the_same_name(one in request()) {
        let body = one.body();
        prop_assert_eq!(one.ask(&body.to_string()).key, one.ask(&spelt(&body)).key);
    }
}
