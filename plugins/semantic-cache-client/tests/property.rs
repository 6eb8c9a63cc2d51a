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
use shared::request::RequestBody;

const PATHS: [&str; 5] = [
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/messages",
    "/v1beta/models/g:generateContent",
    "/v1/completions",
];

thread_local! {
    static POLICY: Policy = Policy::new(
        &parse::<Config>(
            br#"{"cache":{"tools":true,"max_temperature":2},
                "semantic":{"embedder":{"kind":"tei","service":{"upstream":"u"}}}}"#,
        )
        .unwrap(),
    )
    .unwrap();
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
            .map(|(at, text)| json!({"role": if at.is_multiple_of(2) { "user" } else { "assistant" }, "content": text}))
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
        ask(PATHS[self.path], self.consumer, text)
    }
}

fn ask(path: &str, consumer: u8, text: &str) -> Rc<Ask> {
    let host = ScriptHost::post(path);
    let mut facts = Facts::default();
    facts.set(&host, Fact::Consumer, format!("c{}", consumer));
    let mut cx = Cx::new(&host, &mut facts, Endpoint::of(path));
    let body = RequestBody::new(text.into()).unwrap();
    // The names of all requests are made anew, and found among those before.
    let mut read = |recent: &Recent| {
        POLICY
            .with(|policy| Ask::read(policy, recent, &mut cx, &Control::default(), &body))
            .unwrap()
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

/// A question that each API can be asked.
#[derive(Clone, Debug, PartialEq)]
struct Plain {
    consumer: u8,
    model: u8,
    system: Option<Vec<String>>,
    turns: Vec<Vec<String>>,
    temperature: Option<u8>,
    top_p: Option<u8>,
    most: Option<u8>,
    stop: Option<Vec<String>>,
    user: Option<String>,
}

fn plain() -> impl Strategy<Value = Plain> {
    let texts = || prop::collection::vec("[ab\"\\\\é\\]\\[;]{0,2}", 1..3);
    let number = || prop::option::of(0..2_u8);
    (
        (0..2_u8, 0..2_u8, prop::option::of(texts()), prop::collection::vec(texts(), 1..4)),
        (number(), number(), number(), prop::option::of(texts()), prop::option::of("[ab]{1,2}")),
    )
        .prop_map(
            |((consumer, model, system, mut turns), (temperature, top_p, most, stop, user))| {
                // The last is the user's.
                turns.truncate(turns.len() - (turns.len() + 1) % 2);
                Plain { consumer, model, system, turns, temperature, top_p, most, stop, user }
            },
        )
}

impl Plain {
    /// To the API of this path; `None` if it cannot be asked that.
    fn body(&self, path: &str) -> Option<Value> {
        let typed = |texts: &[String], kind: &str| -> Value {
            texts.iter().map(|text| json!({"type": kind, "text": text})).collect()
        };
        let parts = |texts: &[String]| -> Value {
            texts.iter().map(|text| json!({"text": text})).collect()
        };
        let said = |at: usize| if at.is_multiple_of(2) { "user" } else { "assistant" };
        let mut body = json!({"model": format!("m{}", self.model)});
        let turns = self.turns.iter().enumerate();
        let names = match path {
            "/v1/chat/completions" => {
                let mut all = Vec::new();
                all.extend(
                    self.system
                        .iter()
                        .map(|texts| json!({"role": "system", "content": typed(texts, "text")})),
                );
                all.extend(turns.map(|(at, texts)| match texts.as_slice() {
                    [one] => json!({"role": said(at), "content": one}),
                    _ => json!({"role": said(at), "content": typed(texts, "text")}),
                }));
                body["messages"] = json!(all);
                ["temperature", "top_p", "max_completion_tokens", "stop", "user"]
            }
            "/v1/responses" => {
                let mut all = Vec::new();
                all.extend(
                    self.system.iter().map(
                        |texts| json!({"role": "system", "content": typed(texts, "input_text")}),
                    ),
                );
                all.extend(turns.map(|(at, texts)| {
                    json!({"role": said(at), "content": typed(texts, if at.is_multiple_of(2) { "input_text" } else { "output_text" })})
                }));
                body["input"] = json!(all);
                ["temperature", "top_p", "max_output_tokens", "", "user"]
            }
            "/v1/messages" => {
                if let Some(system) = &self.system {
                    body["system"] = typed(system, "text");
                }
                body["messages"] = turns
                    .map(|(at, texts)| json!({"role": said(at), "content": typed(texts, "text")}))
                    .collect();
                ["temperature", "top_p", "max_tokens", "stop_sequences", "metadata"]
            }
            _ => {
                body = json!({"generationConfig": {}});
                if let Some(system) = &self.system {
                    body["systemInstruction"] = json!({"parts": parts(system)});
                }
                body["contents"] = turns
                    .map(|(at, texts)| json!({"role": if at.is_multiple_of(2) { "user" } else { "model" }, "parts": parts(texts)}))
                    .collect();
                ["temperature", "topP", "maxOutputTokens", "stopSequences", ""]
            }
        };
        let settings = [
            self.temperature.map(|value| json!(value)),
            self.top_p.map(|value| json!(value)),
            self.most.map(|value| json!(value)),
            self.stop.as_ref().map(|value| json!(value)),
            self.user.as_ref().map(|user| match names[4] {
                "metadata" => json!({"user_id": user}),
                _ => json!(user),
            }),
        ];
        let gemini = body.get("generationConfig").is_some();
        for (name, value) in names.into_iter().zip(settings) {
            let Some(value) = value else { continue };
            if name.is_empty() {
                return None;
            }
            let place = if gemini { &mut body["generationConfig"] } else { &mut body };
            place[name] = value;
        }
        Some(body)
    }

    fn ask(&self, path: usize) -> Option<Rc<Ask>> {
        let body = self.body(PATHS[path])?;
        let path = match PATHS[path] {
            path if path.contains("generate") => {
                format!("/v1beta/models/m{}:generateContent", self.model)
            }
            path => path.to_owned(),
        };
        Some(ask(&path, self.consumer, &body.to_string()))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn equal_requests_to_all_apis_share_a_name_and_others_do_not(one in plain(), two in plain()) {
        let [mine, theirs] = [&one, &two].map(|plain| [0, 1, 2, 3].map(|path| plain.ask(path)));
        let names: Vec<&Rc<Ask>> = mine.iter().flatten().collect();
        for pair in names.windows(2) {
            prop_assert_eq!(pair[0].key, pair[1].key);
            let partitions = [pair[0], pair[1]].map(|ask| ask.question.as_ref().map(|question| question.partition));
            prop_assert_eq!(partitions[0], partitions[1]);
        }
        prop_assert!(names.iter().all(|ask| ask.plain));
        for (path, other) in (0..4).flat_map(|path| (0..4).map(move |other| (path, other))) {
            if let (Some(a), Some(b)) = (&mine[path], &theirs[other]) {
                prop_assert_eq!(one == two, a.key == b.key);
            }
        }
    }

    #[test]
    fn a_request_that_differs_in_one_thing_is_another(one in plain(), what in 0..9_usize) {
        let mut two = one.clone();
        match what {
            0 => two.consumer += 1,
            1 => two.model += 1,
            2 => two.system.get_or_insert_default().push("x".into()),
            3 => two.turns[0].push(String::new()),
            4 => two.temperature = Some(two.temperature.map_or(0, |value| value + 1)),
            5 => two.top_p = Some(two.top_p.map_or(0, |value| value + 1)),
            6 => two.most = Some(two.most.map_or(0, |value| value + 1)),
            7 => two.stop.get_or_insert_default().push("x".into()),
            _ => two.user.get_or_insert_default().push('x'),
        }
        let [mine, theirs] = [&one, &two].map(|plain| [0, 1, 2, 3].map(|path| plain.ask(path)));
        for (path, other) in (0..4).flat_map(|path| (0..4).map(move |other| (path, other))) {
            if let (Some(a), Some(b)) = (&mine[path], &theirs[other]) {
                prop_assert_ne!(a.key, b.key);
            }
        }
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
