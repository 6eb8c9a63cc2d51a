//! Moderation by services outside: what each is sent, and what its answer leads to.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use prompt_guard::configure;
use serde_json::{Value, json};
use shared::exchange::{Action, Exchange};
use shared::host::script::ScriptHost;
use shared::host::{Body, Call, Capability, Map};
use shared::testing::{called, chat_host, exchange_of, head, plugin, refused, send, sent};

const KEYS: [&str; 3] = ["region", "access_key_id", "secret_access_key"];

fn service(name: &str, more: Value) -> Value {
    let mut config = json!({"service": name, "upstream": "judge"});
    if ["bedrock", "aliyun", "tencent"].contains(&name) {
        for key in KEYS {
            config[key] = json!(if key == "region" { "eu-west-1" } else { "k" });
        }
    }
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

fn fact(host: &ScriptHost, name: &str) -> String {
    let value = host.properties.borrow().get(&format!("ai.{name}")).cloned().unwrap_or_default();
    String::from_utf8(value).unwrap()
}

/// Asks with this text; the call that was made.
fn asked(config: &Value, text: &str, answers: &[(u16, Value)]) -> (ScriptHost, Vec<Call>, bool) {
    let config = json!({"moderation": config, "pii": {"entities": {"EMAIL": "mask"}}});
    let plugin = plugin(configure, &config.to_string());
    let (host, mut exchange) = (chat_host(), exchange_of(&plugin));
    let body = json!({"messages": [{"role": "system", "content": "be nice"},
                                   {"role": "user", "content": text}]});
    assert!(!send(&mut exchange, &host, &body.to_string()), "it waits");
    let mut passed = false;
    for (number, (status, answer)) in (1..).zip(answers) {
        called(&mut exchange, &host, number, *status, &answer.to_string());
        passed = host.resumed.get() == 1;
    }
    let calls = host.calls.borrow().clone();
    (host, calls, passed)
}

fn json_of(call: &Call) -> Value {
    serde_json::from_slice(&call.body).unwrap()
}

fn header<'a>(call: &'a Call, name: &str) -> &'a str {
    call.headers.iter().find(|header| header.0 == name).map_or("", |header| &header.1)
}

#[test]
fn openais_categories_and_thresholds_decide() {
    let result = |flagged: bool, score: f64| {
        json!({"results": [{"flagged": flagged, "categories": {"hate": flagged, "violence": false},
                            "category_scores": {"hate": score, "violence": 0.1}}]})
    };
    let config = service(
        "openai",
        json!({"model": "omni-moderation-latest",
        "api_key": "k"}),
    );
    let (host, calls, passed) = asked(&config, "I am a@b.org", &[(200, result(true, 0.9))]);
    assert_eq!(
        json_of(&calls[0]),
        json!({"model": "omni-moderation-latest", "input": "I am [EMAIL_1]"})
    );
    let call = &calls[0];
    assert_eq!(
        (call.path.as_str(), call.authority.as_str()),
        ("/v1/moderations", "api.openai.com")
    );
    assert_eq!(header(call, "authorization"), "Bearer k");
    assert!(!passed && sent(&host).0 == 400 && sent(&host).1.contains("content_policy_violation"));
    assert_eq!(fact(&host, "guard_rules"), "moderation:hate");
    assert!(asked(&config, "hi", &[(200, result(false, 0.4))]).2);
    let config = service("openai", json!({"thresholds": {"hate": 0.3}}));
    assert!(!asked(&config, "hi", &[(200, result(false, 0.4))]).2);
    let config = service("openai", json!({"action": "flag"}));
    let (host, _, passed) = asked(&config, "hi", &[(200, result(true, 0.9))]);
    assert!(passed);
    assert_eq!(
        (fact(&host, "guard"), fact(&host, "guard_rules")),
        ("flag".into(), "moderation:hate".into())
    );
}

#[test]
fn a_guardrail_of_bedrock_is_asked_with_a_signature() {
    let config = service("bedrock", json!({"guardrail": "gr1", "guardrail_version": "DRAFT"}));
    let none = json!({"action": "NONE", "assessments": []});
    let (_, calls, passed) = asked(&config, "hi", &[(200, none)]);
    assert!(passed);
    let call = &calls[0];
    assert_eq!(call.path, "/guardrail/gr1/version/DRAFT/apply");
    assert_eq!(call.authority, "bedrock-runtime.eu-west-1.amazonaws.com");
    assert_eq!(json_of(call), json!({"source": "INPUT", "content": [{"text": {"text": "hi"}}]}));
    assert!(
        header(call, "authorization")
            .starts_with("AWS4-HMAC-SHA256 Credential=k/20251009/eu-west-1/bedrock/")
    );
    let acted = json!({"action": "GUARDRAIL_INTERVENED", "assessments": [
        {"contentPolicy": {"filters": [{"type": "HATE", "confidence": "HIGH", "action": "BLOCKED"},
                                       {"type": "SEXUAL", "confidence": "LOW", "action": "NONE"}]},
         "topicPolicy": {"topics": [{"name": "deals", "type": "DENY", "action": "BLOCKED"}]}}]});
    let (host, _, passed) = asked(&config, "hi", &[(200, acted)]);
    assert!(!passed);
    assert_eq!(fact(&host, "guard_rules"), "moderation:HATE");
}

#[test]
fn alibabas_and_tencents_moderation_are_asked_in_their_forms() {
    let config = service("aliyun", json!({}));
    let level = |level: &str| {
        json!({"Code": 200, "Data": {"RiskLevel": level,
                                     "Result": [{"Label": "violence", "Confidence": 99.0}]}})
    };
    let (host, calls, passed) = asked(&config, "hi & you", &[(200, level("high"))]);
    assert!(!passed && fact(&host, "guard_rules") == "moderation:violence");
    assert_eq!(
        String::from_utf8(calls[0].body.clone()).unwrap(),
        "Service=llm_query_moderation&ServiceParameters=%7B%22content%22%3A%22hi%20%26%20you%22%7D"
    );
    assert_eq!(header(&calls[0], "x-acs-action"), "TextModerationPlus");
    assert!(asked(&config, "hi", &[(200, level("medium"))]).2);
    assert!(!asked(&service("aliyun", json!({"strict": true})), "hi", &[(200, level("medium"))]).2);

    let config = service("tencent", json!({}));
    let answer = |word: &str| json!({"Response": {"Suggestion": word, "Label": "Abuse"}});
    let (host, calls, passed) = asked(&config, "hi", &[(200, answer("Block"))]);
    assert!(!passed && fact(&host, "guard_rules") == "moderation:Abuse");
    assert_eq!(json_of(&calls[0]), json!({"Content": BASE64_STANDARD.encode("hi")}));
    assert!(
        header(&calls[0], "authorization")
            .starts_with("TC3-HMAC-SHA256 Credential=k/2025-10-09/tms/")
    );
    assert!(asked(&config, "hi", &[(200, answer("Review"))]).2);
}

#[test]
fn any_service_can_be_asked_by_a_template() {
    let config = service(
        "http",
        json!({"path": "/judge", "flagged": "/risk/score",
        "body": r#"{"q": {{text}}, "kind": {{source}}}"#, "thresholds": {"flagged": 0.7}}),
    );
    let answer = |score: f64| json!({"risk": {"score": score}});
    let (_, calls, passed) = asked(&config, "say \"{{source}}\"", &[(200, answer(0.6))]);
    assert!(passed);
    assert_eq!(json_of(&calls[0]), json!({"q": "say \"{{source}}\"", "kind": "INPUT"}));
    assert!(!asked(&config, "hi", &[(200, answer(0.7))]).2);
}

#[test]
fn a_service_that_does_not_answer_as_it_should_is_configured_for() {
    for answer in [(500, json!({})), (200, json!("what")), (200, json!({"results": []}))] {
        let closed = service("openai", json!({}));
        let (host, _, passed) = asked(&closed, "hi", std::slice::from_ref(&answer));
        assert!(!passed && sent(&host).0 == 503, "{answer:?}");
        assert!(asked(&service("openai", json!({"fail": "open"})), "hi", &[answer]).2);
    }
}

#[test]
fn what_may_not_leave_its_regions_is_not_sent_to_a_service_elsewhere() {
    let asked = |more: Value, regions: Option<&str>| {
        let config = json!({"moderation": service("openai", more)});
        let plugin = plugin(configure, &config.to_string());
        let host = chat_host();
        if let Some(regions) = regions {
            host.properties.borrow_mut().insert("ai.allowed_regions".into(), regions.into());
        }
        let body = json!({"messages": [{"role": "user", "content": "hi"}]}).to_string();
        let went = send(&mut exchange_of(&plugin), &host, &body);
        let calls = host.calls.borrow().len();
        let refused = host.sent.borrow().as_ref().map(|sent| sent.0);
        (calls, went, refused)
    };
    let waits = (1, false, None);
    assert_eq!(asked(json!({}), None), waits);
    assert_eq!(asked(json!({"region": "eu"}), Some("de, eu")), waits);
    for (region, regions) in [("us", "de,eu"), ("", "eu"), ("eu", "")] {
        assert_eq!(asked(json!({"region": region}), Some(regions)), (0, false, Some(403)));
        let open = asked(json!({"region": region, "fail": "open"}), Some(regions));
        assert_eq!(open, (0, true, None), "not sent there either");
    }
}

#[test]
fn a_text_that_comes_again_is_judged_again() {
    let config = json!({"moderation": service("openai", json!({})), "pii": {"preset": "gdpr"}});
    let plugin = plugin(configure, &config.to_string());
    let text = "There are four seasons in a year, \"and\" each has its own weather. ".repeat(20);
    let body = json!({"messages": [{"role": "user", "content": text}]}).to_string();
    for _ in 0..2 {
        let host = chat_host();
        assert!(!send(&mut exchange_of(&plugin), &host, &body), "it waits");
        let call = host.calls.borrow()[0].clone();
        assert_eq!(json_of(&call)["input"], text.as_str());
    }
}

#[test]
fn a_long_text_is_judged_in_pieces_and_never_in_part() {
    let pass = || (200, json!({"results": [{"flagged": false, "categories": {}}]}));
    let block = (200, json!({"results": [{"flagged": true, "categories": {"hate": true}}]}));
    let config = service("openai", json!({"max_characters": 10, "max_calls": 3}));
    let (_, calls, passed) =
        asked(&config, "一二三四五六七八九十1234567890abc", &[pass(), pass(), pass()]);
    assert!(passed);
    let texts: Vec<_> = calls.iter().map(|call| json_of(call)["input"].clone()).collect();
    assert_eq!(texts, ["一二三四五六七八九十", "1234567890", "abc"]);
    assert!(!asked(&config, "1234567890abc", &[pass(), block]).2);
    let config =
        json!({"moderation": service("openai", json!({"max_characters": 10, "max_calls": 1}))});
    let plugin = plugin(configure, &config.to_string());
    let (host, body) =
        (chat_host(), json!({"messages": [{"role": "user", "content": "1234567890a"}]}));
    assert!(!send(&mut exchange_of(&plugin), &host, &body.to_string()));
    assert_eq!(sent(&host).0, 503);
}

#[test]
fn mistakes_are_named() {
    for (config, place) in [
        (json!({"service": "openai", "upstream": ""}), "moderation.upstream: "),
        (json!({"service": "tencent", "upstream": "u"}), "moderation.access_key_id: "),
        (json!({"service": "http", "upstream": "u"}), "moderation.body: "),
        (json!({"service": "http", "upstream": "u", "body": "{{text}}"}), "moderation.flagged: "),
        (service("bedrock", json!({})), "moderation.guardrail: "),
        (service("openai", json!({"max_calls": 0})), "moderation.timeout_ms: "),
        (service("openai", json!({"keys": 1})), "moderation.keys: "),
    ] {
        let error = refused(configure, &json!({"moderation": config}).to_string());
        assert!(error.starts_with(place), "{config}: {error}");
    }
}

const PASSES: &str = r#"{"results":[{"flagged":false,"categories":{}}]}"#;
const AGAINST: &str = r#"{"results":[{"flagged":true,"categories":{"hate":true}}]}"#;

/// The end of `host`'s answer as the client gets it once a call of this number has been answered.
fn judged(exchange: &mut Exchange, host: &ScriptHost, call: u32, verdict: &str) {
    called(exchange, host, call, 200, verdict);
}

fn asked_of_answer(config: Value) -> (Exchange, ScriptHost) {
    let mut moderation = json!({"service": "openai", "upstream": "judge", "api_key": "k",
        "roles": ["user"], "answers": true});
    for (key, value) in config.as_object().unwrap() {
        moderation[key] = value.clone();
    }
    let config = json!({"moderation": moderation, "pii": {"entities": {"EMAIL": "mask"}}});
    let plugin = plugin(configure, &config.to_string());
    let (mut exchange, host) = (exchange_of(&plugin), chat_host());
    let body = r#"{"model":"m","messages":[{"role":"user","content":"I am a@b.de"}]}"#;
    assert!(!send(&mut exchange, &host, body));
    judged(&mut exchange, &host, 1, PASSES);
    assert_eq!(host.resumed.get(), 1);
    (exchange, host)
}

fn chunk(text: &str) -> String {
    format!(
        "data: {}\n\n",
        json!({"id": "c", "choices": [{"index": 0, "delta": {"content": text}}]})
    )
}

/// One more piece of a stream; what the client gets with it, and whether the proxy waits.
fn piece(exchange: &mut Exchange, host: &ScriptHost, bytes: &str, end: bool) -> (String, bool) {
    host.put_body(Body::Response, bytes.as_bytes());
    let action = exchange.response_body(host, bytes.len(), end);
    match action {
        Action::Pause => (String::new(), true),
        Action::Continue => (host.body_text(Body::Response), false),
    }
}

const STOP: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

fn last_asked(host: &ScriptHost) -> String {
    let calls = host.calls.borrow();
    let body: Value = serde_json::from_slice(&calls.last().unwrap().body).unwrap();
    body["input"].as_str().unwrap().to_owned()
}

#[test]
fn a_whole_answer_goes_out_once_it_is_judged_and_the_service_sees_it_masked() {
    let body = r#"{"choices":[{"index":0,"message":{"content":"You are [EMAIL_1]"}}]}"#;
    for (verdict, passes) in [(PASSES, true), (AGAINST, false), ("no JSON", false)] {
        let (mut exchange, host) = asked_of_answer(json!({}));
        head(&mut exchange, &host, 200, "application/json");
        assert_eq!(piece(&mut exchange, &host, body, true), (String::new(), true));
        assert_eq!(last_asked(&host), "You are [EMAIL_1]");
        judged(&mut exchange, &host, 2, verdict);
        if passes {
            assert_eq!(host.resumed_response.get(), 1);
            assert!(host.body_text(Body::Response).contains("You are a@b.de"));
            continue;
        }
        let (status, error) = sent(&host);
        assert_eq!(status, if verdict == AGAINST { 400 } else { 503 });
        assert!(!error.contains("EMAIL") && host.resumed_response.get() == 0, "{error}");
        assert_eq!(fact(&host, "guard"), "block_answer");
    }
}

#[test]
fn a_stream_goes_out_in_pieces_that_have_been_judged() {
    let (mut exchange, host) = asked_of_answer(json!({"answer_piece": 20}));
    head(&mut exchange, &host, 200, "text/event-stream");
    let first = [chunk("The first "), chunk("of two pieces")];
    assert_eq!(piece(&mut exchange, &host, &first[0], false), (String::new(), false));
    assert_eq!(piece(&mut exchange, &host, &first[1], false), (String::new(), false));
    assert_eq!(last_asked(&host), "The first of two pieces");
    // Nothing that has not been judged goes out with the next event ...
    let second = chunk(" and more");
    assert_eq!(piece(&mut exchange, &host, &second, false), (String::new(), false));
    judged(&mut exchange, &host, 2, PASSES);
    // ... and what has been does.
    assert_eq!(piece(&mut exchange, &host, ": ping\n\n", false), (first.concat(), false));
    assert_eq!(piece(&mut exchange, &host, STOP, true), (String::new(), true));
    // With the end of what was judged before.
    assert_eq!(last_asked(&host), "The first of two pieces and more");
    judged(&mut exchange, &host, 3, PASSES);
    assert_eq!(host.resumed_response.get(), 1);
    assert_eq!(host.body_text(Body::Response), [&second, ": ping\n\n", STOP].concat());
}

#[test]
fn a_stream_that_the_service_is_against_ends_where_it_was_judged_last() {
    for (late, verdict) in [(false, AGAINST), (true, AGAINST), (true, "no JSON")] {
        let (mut exchange, host) = asked_of_answer(json!({"answer_piece": 5}));
        head(&mut exchange, &host, 200, "text/event-stream");
        let good = chunk("all is well");
        piece(&mut exchange, &host, &good, false);
        judged(&mut exchange, &host, 2, PASSES);
        let (out, _) = piece(&mut exchange, &host, &chunk("hateful things"), false);
        assert_eq!(out, good);
        let out = if late {
            assert_eq!(piece(&mut exchange, &host, STOP, true), (String::new(), true));
            judged(&mut exchange, &host, 3, verdict);
            assert_eq!(host.resumed_response.get(), 1);
            host.body_text(Body::Response)
        } else {
            judged(&mut exchange, &host, 3, verdict);
            let (out, waits) = piece(&mut exchange, &host, &chunk("and more"), false);
            assert!(!waits);
            assert_eq!(piece(&mut exchange, &host, STOP, true), (String::new(), false));
            out
        };
        assert!(out.contains("content_filter") && out.ends_with("data: [DONE]\n\n"), "{out}");
        assert!(!out.contains("hateful") && !out.contains("more"), "{out}");
        assert_eq!(fact(&host, "guard"), "block_answer");
    }
}

#[test]
fn what_takes_several_calls_goes_out_once_all_of_them_let_it_pass() {
    for (verdicts, passes) in [([PASSES, PASSES], true), ([PASSES, AGAINST], false)] {
        for order in [[2, 3], [3, 2]] {
            let config = json!({"answer_piece": 25, "max_characters": 20});
            let (mut exchange, host) = asked_of_answer(config);
            head(&mut exchange, &host, 200, "text/event-stream");
            let text = chunk("the first half, the second half");
            assert_eq!(piece(&mut exchange, &host, &text, false).0, "");
            assert_eq!(host.calls.borrow().len(), 3);
            judged(&mut exchange, &host, order[0], verdicts[0]);
            // One of two is not all.
            assert_eq!(piece(&mut exchange, &host, ": ping\n\n", false).0, "");
            judged(&mut exchange, &host, order[1], verdicts[1]);
            let (out, _) = piece(&mut exchange, &host, STOP, true);
            assert_eq!(out.contains("first half"), passes, "{out}");
            assert_eq!(out.contains("content_filter"), !passes, "{out}");
        }
    }
}

#[test]
fn an_answer_that_cannot_be_read_is_not_let_out_unjudged() {
    for (name, encoding) in [("gzip", "gzip"), ("not UTF-8", "identity")] {
        let (mut exchange, host) = asked_of_answer(json!({}));
        host.put(Map::Response, "content-encoding", encoding);
        head(&mut exchange, &host, 200, "application/json");
        let bytes = b"\x1f\x8b\xff";
        host.put_body(Body::Response, bytes);
        exchange.response_body(&host, bytes.len(), true);
        let out = host.body_text(Body::Response);
        assert!(out.contains("cannot be inspected"), "{name}: {out}");
    }
}

#[test]
fn a_stream_that_is_longer_than_is_judged_ends_or_goes_on_as_configured() {
    for fail in ["closed", "open"] {
        let config = json!({"answer_piece": 5, "max_answer_calls": 1, "fail": fail});
        let (mut exchange, host) = asked_of_answer(config);
        head(&mut exchange, &host, 200, "text/event-stream");
        piece(&mut exchange, &host, &chunk("all is well"), false);
        judged(&mut exchange, &host, 2, PASSES);
        piece(&mut exchange, &host, &chunk("and more"), false);
        let calls = u32::try_from(host.calls.borrow().len()).unwrap();
        if calls > 2 {
            // The scripted host makes any call; a proxy makes none to nobody.
            assert_eq!(host.calls.borrow().last().unwrap().upstream, "");
            called(&mut exchange, &host, calls, 503, "");
        }
        let (out, waits) = piece(&mut exchange, &host, STOP, true);
        assert!(!waits);
        assert_eq!(out.contains("and more"), fail == "open", "{out}");
        assert_eq!(out.contains("content_filter"), fail == "closed", "{out}");
    }
}

#[test]
fn dry_run_asks_and_lets_all_pass() {
    let config = json!({"mode": "dry_run", "moderation": {"service": "openai", "upstream": "judge",
        "api_key": "k", "roles": ["user"], "answers": true, "answer_piece": 5}});
    let plugin = plugin(configure, &config.to_string());
    let (mut exchange, host) = (exchange_of(&plugin), chat_host());
    send(&mut exchange, &host, r#"{"messages":[{"role":"user","content":"hi"}]}"#);
    judged(&mut exchange, &host, 1, AGAINST);
    head(&mut exchange, &host, 200, "text/event-stream");
    let text = chunk("hateful things");
    piece(&mut exchange, &host, &text, false);
    judged(&mut exchange, &host, 2, AGAINST);
    let (out, _) = piece(&mut exchange, &host, STOP, true);
    assert_eq!(out, [&text, STOP].concat());
}

#[test]
fn a_proxy_that_cannot_make_an_answer_wait_refuses_it() {
    let config = json!({"moderation": {"service": "openai", "upstream": "judge", "api_key": "k",
        "answers": true}});
    let plugin = plugin(configure, &config.to_string());
    let needs = plugin.needs();
    let need = needs.iter().find(|need| need.capability == Capability::HoldResponse).unwrap();
    assert_eq!(need.otherwise.path, "moderation.answers");
}

/// Their clients fail at an event that comes before the first.
#[test]
fn a_stream_of_which_nothing_may_go_out_begins_before_it_ends() {
    let begins = json!({"type": "message_start", "message": {"id": "msg_1", "model": "claude",
        "role": "assistant", "content": [], "usage": {"input_tokens": 3, "output_tokens": 1}}});
    let created = json!({"type": "response.created", "sequence_number": 0, "response":
        {"id": "resp_1", "object": "response", "status": "in_progress", "output": []}});
    for (path, body, first, said, last) in [
        (
            "/v1/messages",
            json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}),
            begins,
            json!({"type": "content_block_delta", "index": 0,
                   "delta": {"type": "text_delta", "text": "hateful"}}),
            "message_stop",
        ),
        (
            "/v1/responses",
            json!({"model": "m", "input": "hi"}),
            created,
            json!({"type": "response.output_text.delta", "sequence_number": 1, "output_index": 0,
                   "content_index": 0, "delta": "hateful"}),
            "response.incomplete",
        ),
    ] {
        for verdict in [AGAINST, "no JSON"] {
            let config = json!({"moderation": service("openai", json!({"roles": ["system"], "answers": true}))});
            let plugin = plugin(configure, &config.to_string());
            let (mut exchange, host) = (exchange_of(&plugin), chat_host());
            host.put(Map::Request, ":path", path);
            assert!(send(&mut exchange, &host, &body.to_string()));
            head(&mut exchange, &host, 200, "text/event-stream");
            let all: String = [&first, &said]
                .map(|event| {
                    format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap())
                })
                .concat();
            assert!(piece(&mut exchange, &host, &all, true).1);
            judged(&mut exchange, &host, 1, verdict);
            let out = host.body_text(Body::Response);
            let events = out.lines().filter_map(|line| line.strip_prefix("data: "));
            let events: Vec<Value> = events.map(|e| serde_json::from_str(e).unwrap()).collect();
            assert_eq!(events.first(), Some(&first), "{out}");
            assert_eq!(events.last().unwrap()["type"], last);
            assert!(!out.contains("hateful"), "{out}");
        }
    }
}

#[test]
fn pictures_that_were_made_are_no_texts() {
    let picture = "iVBORw0KGgoAAAANSUhEUg".repeat(2000);
    let made = json!({"type": "image_generation_call", "id": "ig", "status": "completed", "result": picture});
    let config = json!({"moderation": service("openai", json!({"answers": true}))});
    let plugin = plugin(configure, &config.to_string());
    let (mut exchange, host) = (exchange_of(&plugin), chat_host());
    host.put(Map::Request, ":path", "/v1/responses");
    let body = json!({"model": "m", "input": [made, {"role": "user", "content": "larger"}]});
    assert!(!send(&mut exchange, &host, &body.to_string()));
    assert_eq!(last_asked(&host), "larger");
    judged(&mut exchange, &host, 1, PASSES);
    head(&mut exchange, &host, 200, "application/json");
    let answer = json!({"output": [made, {"type": "message", "content": [{"text": "here"}]}]});
    assert!(piece(&mut exchange, &host, &answer.to_string(), true).1);
    assert_eq!(last_asked(&host), "here");
}
