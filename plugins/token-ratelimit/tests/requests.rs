//! What is admitted and what is charged, on a scripted host.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::rc::Rc;

use proptest::prelude::*;
use serde_json::{Value, json};
use shared::host::script::ScriptHost;
use shared::host::{Body, Host, Map};
use shared::plugin::Plugin;
use shared::testing::{answer, chat_host, exchange_of, head, plugin, refused, send, sent};
use token_ratelimit::configure;

/// 4 tokens of prompt, about.
const BODY: &str = r#"{"model":"gpt-4o","max_tokens":10,"messages":[{"role":"user","content":"one two three four"}]}"#;

fn with(rules: Value) -> Rc<dyn Plugin> {
    plugin(configure, &json!({"rules": rules, "admin_key": "adm"}).to_string())
}

fn rule(more: Value) -> Value {
    let mut rule = json!({"name": "r", "unit": "total_tokens", "limit": 100, "window": "1h",
                          "algorithm": "fixed_window"});
    rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    rule
}

/// All requests of a test share what the workers share.
struct World {
    shared: std::collections::BTreeMap<String, shared::host::Shared>,
}

impl World {
    fn new() -> World {
        World { shared: Default::default() }
    }

    fn run<T>(&mut self, run: impl FnOnce(&ScriptHost) -> T) -> T {
        let host = chat_host();
        *host.shared.borrow_mut() = std::mem::take(&mut self.shared);
        let result = run(&host);
        self.shared = std::mem::take(&mut host.shared.borrow_mut());
        result
    }

    fn used(&mut self, limits: &Rc<dyn Plugin>, rule: &str, key: &str) -> u64 {
        self.standing(limits, rule, key)["used"].as_u64().unwrap()
    }

    fn standing(&mut self, limits: &Rc<dyn Plugin>, rule: &str, key: &str) -> Value {
        self.run(|host| {
            host.put(Map::Request, ":method", "GET");
            host.put(Map::Request, ":path", &format!("/_ai/limits?rule={rule}&key={key}"));
            host.put(Map::Request, "authorization", "Bearer adm");
            exchange_of(limits).request_headers(host, true);
            serde_json::from_str(&sent(host).1).unwrap()
        })
    }
}

fn fact(host: &ScriptHost, name: &str, value: &str) {
    host.set_property(&[&format!("ai.{name}")], value.as_bytes()).unwrap();
}

fn usage(prompt: u64, completion: u64) -> String {
    json!({"prompt_tokens": prompt, "completion_tokens": completion}).to_string()
}

/// A whole exchange; `None` if it was refused.
fn ask(world: &mut World, limits: &Rc<dyn Plugin>, used: (u64, u64)) -> Option<()> {
    world.run(|host| {
        let mut exchange = exchange_of(limits);
        if !send(&mut exchange, host, BODY) {
            return None;
        }
        fact(host, "provider", "openai");
        fact(host, "attempts", "openai");
        answer(&mut exchange, host, 200, "application/json", r#"{"choices":[]}"#);
        fact(host, "usage", &usage(used.0, used.1));
        exchange.done(host);
        Some(())
    })
}

#[test]
fn what_was_really_used_is_charged() {
    let (mut world, limits) = (World::new(), with(json!([rule(json!({}))])));
    ask(&mut world, &limits, (30, 15)).unwrap();
    assert_eq!(world.used(&limits, "r", ""), 45);
    ask(&mut world, &limits, (40, 10)).unwrap();
    assert_eq!(world.used(&limits, "r", ""), 95);
    assert!(ask(&mut world, &limits, (1, 1)).is_none(), "5 are left, and it may use 14");
    assert_eq!(world.used(&limits, "r", ""), 95);
}

/// A budget that only logs has room for whatever is asked: what is beyond all counts must not take with it, when
/// it is given back, what others have used.
#[test]
fn what_a_request_asks_for_beyond_all_measure_does_not_wipe_out_what_was_used() {
    for (unit, most) in [
        ("total_tokens", r#""max_tokens":18446744073709551615"#),
        ("total_tokens", r#""n":9000000000000000000,"max_tokens":9000000000000000000"#),
        ("cost", r#""max_tokens":18446744073709551615"#),
    ] {
        let rules = json!([rule(json!({"unit": unit, "exceeded": "log"}))]);
        let (mut world, limits) = (World::new(), with(rules));
        ask(&mut world, &limits, (30_000, 15_000)).unwrap();
        let before = world.standing(&limits, "r", "")["used"].clone();
        assert!(before.as_f64().unwrap() > 0.0);
        world.run(|host| {
            let mut exchange = exchange_of(&limits);
            assert!(send(&mut exchange, host, &BODY.replace(r#""max_tokens":10"#, most)));
            fact(host, "attempts", "openai");
            answer(&mut exchange, host, 400, "application/json", r#"{"error":{}}"#);
            exchange.done(host);
        });
        assert_eq!(world.standing(&limits, "r", "")["used"], before, "{unit} {most}");
    }
}

/// Counting tokens writes none and costs nothing, and who counts asks often: before each message it sends.
#[test]
fn what_writes_nothing_is_reserved_and_charged_no_tokens_of_an_answer() {
    let (mut world, limits) = (World::new(), with(json!([rule(json!({}))])));
    let mut ask = |path: &str, body: &str, answered: &str| {
        world.run(|host| {
            host.put(Map::Request, ":path", path);
            let mut exchange = exchange_of(&limits);
            if !send(&mut exchange, host, body) {
                return false;
            }
            fact(host, "provider", "x");
            fact(host, "attempts", "x");
            answer(&mut exchange, host, 200, "application/json", answered);
            exchange.done(host);
            true
        })
    };
    let text = "one two three four ".repeat(10);
    let messages =
        json!({"model": "m", "messages": [{"role": "user", "content": text}]}).to_string();
    let contents = json!({"contents": [{"parts": [{"text": text}]}]}).to_string();
    let input = json!({"model": "m", "input": text}).to_string();
    for _ in 0..4 {
        assert!(ask("/v1/messages/count_tokens", &messages, r#"{"input_tokens":40}"#));
        assert!(ask("/v1beta/models/m:countTokens", &contents, r#"{"totalTokens":40}"#));
        assert!(ask("/v1/responses/input_tokens", &input, r#"{"input_tokens":40}"#));
    }
    assert!(ask("/v1/embeddings", &input, r#"{"data":[]}"#));
    let used = world.used(&limits, "r", "");
    assert!((35..50).contains(&used), "the embedding's prompt, as estimated: {used}");
}

#[test]
fn the_weight_of_a_name_goes_before_those_of_patterns_and_of_these_the_closest_counts() {
    let weights = json!({"*": 1, "big": 50, "gpt-*": 4, "gpt-4o": 3, "gpt-4*": 2, "~^x": 6});
    let rules = json!([rule(json!({"limit": 1_000_000, "key": ["model"], "weights": weights}))]);
    let (mut world, limits) = (World::new(), with(rules));
    let models = [("gpt-4o", 30), ("gpt-4.1", 20), ("gpt-5", 40), ("big", 500), ("other", 10)];
    for (model, used) in models {
        world.run(|host| {
            let mut exchange = exchange_of(&limits);
            assert!(send(&mut exchange, host, &BODY.replace("gpt-4o", model)));
            fact(host, "attempts", "openai");
            answer(&mut exchange, host, 200, "application/json", "{}");
            fact(host, "usage", &usage(6, 4));
            exchange.done(host);
        });
        assert_eq!(world.used(&limits, "r", model), used, "{model}");
    }
}

#[test]
fn a_name_with_a_slash_has_limits_of_its_own_and_is_shown() {
    let overrides = json!({"meta-llama/Llama-3": 50, "x/y": "blocked"});
    let rules = json!([rule(json!({"key": ["model"], "limit": 20, "overrides": overrides}))]);
    let (mut world, limits) = (World::new(), with(rules));
    let mut ask = |model: &str| {
        world.run(|host| send(&mut exchange_of(&limits), host, &BODY.replace("gpt-4o", model)))
    };
    assert!(!ask("x/y"), "it is blocked");
    assert!(ask("meta-llama/Llama-3") && ask("meta-llama/Llama-3"));
    assert!(ask("other/one") && !ask("other/one"));
    let shown = world.standing(&limits, "r", "meta-llama/Llama-3");
    assert_eq!((&shown["limit"], shown["used"].as_u64() > Some(20)), (&json!(50), true), "{shown}");
    for (key, written) in
        [(json!([]), "a"), (json!(["model", "ip"]), "a"), (json!(["model", "ip"]), "a/b/c")]
    {
        let rules = json!({"rules": [rule(json!({"key": key, "overrides": {written: 1}}))]});
        let error = refused(configure, &rules.to_string());
        assert!(error.starts_with(&format!("rules[0].overrides.{written}: ")), "{error}");
    }
}

#[test]
fn images_seconds_and_pages_are_limited_by_what_services_report() {
    for unit in ["images", "seconds", "pages"] {
        let mut world = World::new();
        let limits = with(json!([rule(json!({"unit": unit, "limit": 5, "weights": {"big*": 2}}))]));
        let mut ask = |model: &str, used: Value| {
            world.run(|host| {
                let mut exchange = exchange_of(&limits);
                if !send(&mut exchange, host, &BODY.replace("gpt-4o", model)) {
                    return Some(sent(host).1);
                }
                fact(host, "provider", "ocr");
                fact(host, "attempts", "ocr");
                answer(&mut exchange, host, 200, "application/json", "{}");
                fact(host, "usage", &used.to_string());
                exchange.done(host);
                None
            })
        };
        assert_eq!(ask("m", json!({unit: 2})), None);
        assert_eq!(ask("m", json!({"prompt_tokens": 900})), None, "none were used");
        assert_eq!(ask("big-one", json!({unit: 1})), None);
        assert_eq!(ask("m", json!({unit: 1})), None);
        let refused = ask("m", json!({})).unwrap();
        assert!(refused.contains(&format!("the {unit} are used up")), "{refused}");
        assert_eq!(world.used(&limits, "r", ""), 5);
    }
}

#[test]
fn a_service_that_does_not_count_is_charged_one_for_each_answer() {
    let rules = json!([rule(json!({"unit": "images", "limit": 5}))]);
    let config = json!({"rules": rules, "services": ["/rank/*"], "admin_key": "adm"});
    let (mut world, limits) = (World::new(), plugin(configure, &config.to_string()));
    for (path, status, used) in
        [("/rank/x", 200, 1), ("/rank/x", 500, 1), ("/v1/chat/completions", 200, 1)]
    {
        world.run(|host| {
            host.put(Map::Request, ":path", path);
            let mut exchange = exchange_of(&limits);
            assert!(send(&mut exchange, host, BODY));
            fact(host, "provider", "ranking");
            fact(host, "attempts", "ranking");
            answer(&mut exchange, host, status, "application/json", "{}");
            exchange.done(host);
        });
        assert_eq!(world.used(&limits, "r", ""), used, "{path} {status}");
    }
}

#[test]
fn a_stream_is_not_cut_by_what_is_known_only_at_its_end() {
    let rules = json!([rule(json!({"unit": "pages", "cut": true}))]);
    let error = shared::testing::refused(configure, &json!({"rules": rules}).to_string());
    assert!(error.contains("rules[0].cut"), "{error}");
}

#[test]
fn requests_at_the_same_time_see_each_other() {
    let limits = with(json!([rule(json!({}))]));
    let host = chat_host();
    let mut open = Vec::new();
    for _ in 0..50 {
        let mut exchange = exchange_of(&limits);
        host.sent.take();
        if send(&mut exchange, &host, BODY) {
            open.push(exchange);
        }
    }
    assert!((6..=7).contains(&open.len()), "14 or 15 tokens each: {}", open.len());
    // They all end without having used anything.
    for mut exchange in open {
        answer(&mut exchange, &host, 503, "application/json", "{}");
        exchange.done(&host);
    }
    let mut world = World { shared: host.shared.take() };
    assert_eq!(world.used(&limits, "r", ""), 0);
}

#[test]
fn a_refusal_says_which_limit_when_and_what_is_left() {
    let limits = with(json!([rule(json!({"limit": 5}))]));
    for (path, pointer) in [
        ("/v1/chat/completions", "/error/message"),
        ("/v1/messages", "/error/message"),
        ("/v1beta/models/g:generateContent", "/error/message"),
    ] {
        let host = chat_host();
        host.put(Map::Request, ":path", path);
        assert!(!send(&mut exchange_of(&limits), &host, BODY));
        let (status, body) = sent(&host);
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(status, 429);
        assert!(body.pointer(pointer).unwrap().as_str().unwrap().contains("limit `r`"), "{body}");
        let headers = host.sent.borrow().as_ref().unwrap().1.clone();
        let get = |name: &str| headers.iter().find(|(key, _)| key == name).unwrap().1.clone();
        assert!(get("retry-after").parse::<u64>().unwrap() > 0);
        assert_eq!(get("x-ratelimit-limit-tokens"), "5");
        assert_eq!(get("ratelimit-policy"), "\"r\";q=5;w=3600");
        assert_eq!(fact_of(&host, "limit"), "r");
    }
}

fn fact_of(host: &ScriptHost, name: &str) -> String {
    let value = host.properties.borrow().get(&format!("ai.{name}")).cloned().unwrap_or_default();
    String::from_utf8(value).unwrap()
}

#[test]
fn what_one_rule_refuses_the_others_give_back() {
    let rules = json!([rule(json!({"name": "wide"})), rule(json!({"name": "tight", "limit": 5}))]);
    let (mut world, limits) = (World::new(), with(rules));
    assert!(ask(&mut world, &limits, (1, 1)).is_none());
    assert_eq!(world.used(&limits, "wide", ""), 0);
}

#[test]
fn a_stream_without_usage_or_that_is_left_is_charged_for_what_came() {
    for left in [false, true] {
        let (mut world, limits) = (World::new(), with(json!([rule(json!({}))])));
        world.run(|host| {
            let mut exchange = exchange_of(&limits);
            assert!(send(&mut exchange, host, BODY));
            fact(host, "attempts", "openai");
            head(&mut exchange, host, 200, "text/event-stream");
            let text = "eight words of an answer are in here";
            let chunk = json!({"choices": [{"index": 0, "delta": {"content": text}}]});
            let event = format!("data: {chunk}\n\n");
            host.put_body(Body::Response, event.as_bytes());
            exchange.response_body(host, event.len(), false);
            if !left {
                host.put_body(Body::Response, b"data: [DONE]\n\n");
                exchange.response_body(host, 14, true);
            }
            exchange.done(host);
        });
        let used = world.used(&limits, "r", "");
        assert!((10..=18).contains(&used), "left: {left}: {used}");
    }
}

#[test]
fn a_whole_answer_is_counted_only_where_nobody_has_said_its_tokens() {
    let text = "eight words of an answer are in here";
    let body = json!({"choices": [{"index": 0, "message": {"content": text}}]}).to_string();
    for (said, used) in [(None, 10..=18), (Some((30, 2)), 32..=32)] {
        let (mut world, limits) = (World::new(), with(json!([rule(json!({}))])));
        world.run(|host| {
            let mut exchange = exchange_of(&limits);
            assert!(send(&mut exchange, host, BODY));
            fact(host, "attempts", "openai");
            if let Some((prompt, completion)) = said {
                fact(host, "usage", &usage(prompt, completion));
            }
            answer(&mut exchange, host, 200, "application/json", &body);
            exchange.done(host);
        });
        let found = world.used(&limits, "r", "");
        assert!(used.contains(&found), "said: {said:?}: {found}");
    }
}

#[test]
fn what_is_estimated_of_an_answer_is_no_more_than_it_could_have() {
    // Nobody has said what was used, and by its letters the answer is far longer than 10 tokens.
    for (body, most) in [
        (BODY.to_owned(), 10),
        (BODY.replace("\"max_tokens\":10", "\"max_completion_tokens\":10,\"n\":2"), 20),
        (
            r#"{"model":"g","contents":[{"parts":[{"text":"hi"}]}],
             "generationConfig":{"maxOutputTokens":10,"candidateCount":3}}"#
                .to_owned(),
            30,
        ),
    ] {
        let limits = with(json!([rule(json!({"unit": "completion_tokens", "limit": 30}))]));
        let mut world = World::new();
        world.run(|host| {
            if body.contains("contents") {
                host.put(Map::Request, ":path", "/v1beta/models/g:streamGenerateContent?alt=sse");
            }
            let mut exchange = exchange_of(&limits);
            assert!(send(&mut exchange, host, &body));
            fact(host, "attempts", "openai");
            head(&mut exchange, host, 200, "text/event-stream");
            let text = "incomprehensibilities ".repeat(30);
            let parts = json!([{"text": &text}]);
            let chunk = json!({"choices": [{"index": 0, "delta": {"content": &text}}],
                               "candidates": [{"index": 0, "content": {"parts": parts}}]});
            let event = format!("data: {chunk}\n\n");
            host.put_body(Body::Response, event.as_bytes());
            exchange.response_body(host, event.len(), false);
            exchange.done(host);
        });
        assert_eq!(world.used(&limits, "r", ""), most);
    }
}

#[test]
fn keys_have_counts_of_their_own_and_limits_of_their_own() {
    let overrides = json!({"bob": 1000, "carol": "unlimited", "mallory": "blocked"});
    let rules = json!([rule(json!({"key": ["consumer"], "limit": 20, "overrides": overrides}))]);
    let limits = with(rules);
    let mut world = World::new();
    let mut turn = |name: &str| {
        world.run(|host| {
            fact(host, "consumer", name);
            let mut exchange = exchange_of(&limits);
            let went = send(&mut exchange, host, BODY);
            if went {
                fact(host, "attempts", "a");
                answer(&mut exchange, host, 200, "application/json", "{}");
                fact(host, "usage", &usage(10, 8));
                exchange.done(host);
            }
            went
        })
    };
    assert!(turn("alice") && !turn("alice"), "18 of 20 are used");
    assert!(turn("dave"), "another has a count of its own");
    assert!((0..10).all(|_| turn("bob")) && (0..10).all(|_| turn("carol")));
    assert!(!turn("mallory"));
}

#[test]
fn every_unit_counts_its_own() {
    // 1000 prompt tokens, 500 of the answer; gpt-4o costs 2.5 and 10 dollars per million.
    for (unit, used) in [
        ("total_tokens", 1500),
        ("prompt_tokens", 1000),
        ("completion_tokens", 500),
        ("requests", 1),
    ] {
        let limits = with(json!([rule(json!({"unit": unit, "limit": 100_000}))]));
        let mut world = World::new();
        ask(&mut world, &limits, (1000, 500)).unwrap();
        assert_eq!(world.used(&limits, "r", ""), used, "{unit}");
    }
    let limits = with(json!([rule(json!({"unit": "cost", "limit": 0.0076}))]));
    let mut world = World::new();
    ask(&mut world, &limits, (1000, 500)).unwrap();
    assert!(ask(&mut world, &limits, (1000, 500)).is_none(), "0.0075 dollars are used");
    let weighted = json!({"unit": "weighted_tokens", "limit": 100_000, "completion_weight": 4.0,
                          "weights": {"gpt-*": 0.5}});
    let limits = with(json!([rule(weighted)]));
    let mut world = World::new();
    ask(&mut world, &limits, (1000, 500)).unwrap();
    assert_eq!(world.used(&limits, "r", ""), 1500);
}

#[test]
fn requests_under_way_are_limited() {
    let concurrent = json!([{"name": "c", "unit": "concurrent", "limit": 2}]);
    let limits = with(concurrent);
    let host = chat_host();
    let mut open: Vec<_> = (0..2).map(|_| exchange_of(&limits)).collect();
    assert!(open.iter_mut().all(|exchange| send(exchange, &host, BODY)));
    assert!(!send(&mut exchange_of(&limits), &host, BODY));
    host.sent.take();
    open.pop().unwrap().done(&host);
    assert!(send(&mut exchange_of(&limits), &host, BODY));
}

#[test]
fn a_budget_warns_then_asks_for_a_cheaper_model() {
    let rules = json!([rule(json!({"soft": [0.5, 0.8], "exceeded": "downgrade"}))]);
    let (mut world, limits) = (World::new(), with(rules));
    ask(&mut world, &limits, (80, 15)).unwrap();
    world.run(|host| {
        let mut exchange = exchange_of(&limits);
        assert!(send(&mut exchange, host, BODY));
        assert_eq!(fact_of(host, "downgrade"), "r");
        head(&mut exchange, host, 200, "application/json");
        assert_eq!(host.text(Map::Response, "x-ai-budget").unwrap(), "r=0.8");
    });
}

#[test]
fn providers_that_are_used_up_are_left_out() {
    let rules = json!([rule(json!({"key": ["provider"], "providers": ["openai", "azure"]}))]);
    let (mut world, limits) = (World::new(), with(rules));
    ask(&mut world, &limits, (90, 30)).unwrap();
    world.run(|host| {
        assert!(send(&mut exchange_of(&limits), host, BODY));
        assert_eq!(fact_of(host, "exhausted"), "openai=*");
    });
}

#[test]
fn models_of_providers_that_are_used_up_are_left_out() {
    let providers = ["openai=gpt-4o", "azure=gpt-4o", "openai=o3"];
    for (key, left_out) in [
        (json!(["target_model"]), "openai=gpt-4o\nazure=gpt-4o"),
        (json!(["provider", "target_model"]), "openai=gpt-4o"),
    ] {
        let limits = with(json!([rule(json!({"key": key, "providers": providers}))]));
        let mut world = World::new();
        world.run(|host| {
            let mut exchange = exchange_of(&limits);
            assert!(send(&mut exchange, host, &BODY.replace("gpt-4o", "smart")));
            for (name, value) in
                [("provider", "openai"), ("attempts", "openai"), ("model", "gpt-4o")]
            {
                fact(host, name, value);
            }
            answer(&mut exchange, host, 200, "application/json", "{}");
            fact(host, "usage", &usage(90, 30));
            exchange.done(host);
        });
        world.run(|host| {
            assert!(send(&mut exchange_of(&limits), host, BODY));
            assert_eq!(fact_of(host, "exhausted"), left_out);
        });
    }
}

#[test]
fn an_admin_resets_and_tops_up() {
    let (mut world, limits) = (World::new(), with(json!([rule(json!({}))])));
    ask(&mut world, &limits, (80, 15)).unwrap();
    let mut post = |path: &str, key: &str| {
        world.run(|host| {
            host.put(Map::Request, ":path", path);
            host.put(Map::Request, "authorization", &format!("Bearer {key}"));
            exchange_of(&limits).request_headers(host, true);
            (sent(host).0, sent(host).1)
        })
    };
    assert_eq!(post("/_ai/limits/reset?rule=r", "wrong").0, 401);
    let (status, body) = post("/_ai/budgets/topup?rule=r&amount=50", "adm");
    assert!(status == 200 && body.contains("\"limit\":150"), "{body}");
    let (_, body) = post("/_ai/limits/reset?rule=r", "adm");
    assert!(body.contains("\"used\":0"), "{body}");
    assert_eq!(post("/_ai/limits/reset?rule=x", "adm").0, 404);
}

#[test]
fn a_dry_run_refuses_nothing_and_counts() {
    let config =
        json!({"mode": "dry_run", "admin_key": "adm", "rules": [rule(json!({"limit": 5}))]});
    let (mut world, limits) = (World::new(), plugin(configure, &config.to_string()));
    ask(&mut world, &limits, (10, 10)).unwrap();
    assert_eq!(world.used(&limits, "r", ""), 20);
}

#[test]
fn mistakes_are_named() {
    let wrong = |rule: Value| refused(configure, &json!({"rules": [rule]}).to_string());
    for (more, place) in [
        (json!({"name": "a b"}), "rules[0].name: "),
        (json!({"key": ["consumer", "shoe"]}), "rules[0].key[1]: "),
        (json!({"key": ["provider"]}), "rules[0].providers: "),
        (json!({"key": ["target_model"], "providers": ["a"]}), "rules[0].providers[0]: "),
        (json!({"key": ["provider"], "providers": ["a", "a=b"]}), "rules[0].providers[1]: "),
        (json!({"key": ["provider"], "providers": ["a"], "cut": true}), "rules[0].cut: "),
        (json!({"key": ["provider"], "providers": ["a"], "soft": [0.5]}), "rules[0].soft: "),
        (
            json!({"key": ["provider"], "providers": ["a"], "forecast": {}, "window": "day"}),
            "rules[0].forecast: ",
        ),
        (
            json!({"key": ["provider"], "providers": ["a"], "exceeded": "log"}),
            "rules[0].exceeded: ",
        ),
        (json!({"time_zone": "Europe/Atlantis"}), "rules[0].time_zone: "),
        (json!({"time_zone": "UTC", "utc_offset": "+01:00"}), "rules[0].time_zone: "),
        (json!({"window": "1y"}), "rules[0].window: "),
        (json!({"limit": -1}), "rules[0].limit: "),
        (json!({"limit": 1.5}), "rules[0].limit: "),
        (json!({"burst": 5}), "rules[0].burst: "),
        (json!({"unit": "concurrent"}), "rules[0].window: "),
        (json!({"utc_offset": "8"}), "rules[0].utc_offset: "),
        (json!({"soft": [0.5, 1.5]}), "rules[0].soft[1]: "),
        (json!({"overrides": {"x": "free"}}), "rules[0].overrides.x: "),
        (json!({"when": {"ips": ["x"]}}), "rules[0].when.ips[0]: "),
    ] {
        let error = wrong(rule(more.clone()));
        assert!(error.starts_with(place), "{more}: {error}");
    }
    let places = json!({"name": "r", "unit": "concurrent", "limit": 2, "key": ["provider"], "providers": ["a"]});
    assert!(wrong(places).starts_with("rules[0].unit: "));
}

proptest! {
    /// However requests end, and in whatever order, nothing stays reserved that was not used.
    #[test]
    fn no_reservation_leaks(steps in proptest::collection::vec((0_u8..6, 0_u64..50, 0_u64..50), 1..60)) {
        let limits = with(json!([rule(json!({"limit": 100_000}))]));
        let host = chat_host();
        let (mut open, mut truth) = (Vec::new(), 0);
        for (step, prompt, completion) in steps {
            host.sent.take();
            if step < 3 || open.is_empty() {
                let mut exchange = exchange_of(&limits);
                prop_assert!(send(&mut exchange, &host, BODY));
                open.push(exchange);
                continue;
            }
            let mut exchange = open.swap_remove(usize::try_from(prompt).unwrap() % open.len());
            host.properties.borrow_mut().clear();
            match step {
                3 => {
                    fact(&host, "attempts", "a");
                    answer(&mut exchange, &host, 200, "application/json", "{}");
                    fact(&host, "usage", &usage(prompt, completion));
                    truth += prompt + completion;
                }
                4 => {
                    answer(&mut exchange, &host, 500, "application/json", "{}");
                }
                // Nobody was asked.
                _ => {}
            }
            exchange.done(&host);
        }
        for mut exchange in open {
            host.properties.borrow_mut().clear();
            exchange.done(&host);
        }
        let mut world = World { shared: host.shared.take() };
        prop_assert_eq!(world.used(&limits, "r", ""), truth);
    }
}

/// The name that the client knows may be an alias, or that of a rule, and a price may be one provider's own.
#[test]
fn a_stream_is_cut_by_what_it_costs_where_it_is_answered() {
    let config = json!({"prices": [{"model": "big", "provider": "p", "input": 0, "output": 1000}],
        "rules": [rule(json!({"unit": "cost", "limit": 0.01, "cut": true}))]});
    let limits = plugin(configure, &config.to_string());
    let host = chat_host();
    let mut exchange = exchange_of(&limits);
    assert!(send(&mut exchange, &host, &BODY.replace("gpt-4o", "fast")));
    fact(&host, "provider", "p");
    fact(&host, "attempts", "p");
    fact(&host, "model", "big");
    let chunk =
        json!({"choices": [{"index": 0, "delta": {"content": "one two three four five "}}]});
    let piece = format!("data: {chunk}\n\n");
    let out = shared::testing::stream(&mut exchange, &host, &[piece.as_bytes(); 20]).concat();
    assert!(out.contains(r#""finish_reason":"length""#) && out.contains("[DONE]"), "{out}");
    assert!(out.matches("five").count() < 5, "a hundredth of a dollar are ten tokens: {out}");
}
