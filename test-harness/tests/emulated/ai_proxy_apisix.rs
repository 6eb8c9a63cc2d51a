//! The built plugin in APISIX without the body bridge: passing through, and calling the provider
//! itself. Nothing here may trap: that worker would answer 503 until it is reloaded.

use crate::support::*;
use test_harness::emulator::{
    Callout, CalloutReply, Exchanged, Finish, Options, Request, Response,
};

fn plain(plugin: &Plugin, more: &str) -> Gateway {
    plugin.start(Options::apisix(), &config(more))
}

/// Where a body cannot be changed, its length must not be either.
fn body_untouched(gateway: &Gateway) {
    assert!(!gateway.changed_header("content-length"));
    assert!(gateway.vm.host_calls().iter().all(|call| call.name != "proxy_set_buffer_bytes"));
}

fn sent_by(call: &Callout, name: &str) -> String {
    call.headers.get(name).unwrap_or_default().to_owned()
}

fn to_openai(call: &Callout) {
    assert_eq!(call.upstream, "api.openai.com:443");
    assert_eq!(sent_by(call, ":scheme"), "https");
    assert_eq!(sent_by(call, ":path"), "/v1/chat/completions");
    assert_eq!(sent_by(call, ":authority"), "api.openai.com");
    assert_eq!(sent_by(call, "authorization"), format!("Bearer {OPENAI_KEY}"));
    assert_eq!(sent_by(call, "x-team"), "blue");
    assert!(!call.headers.contains("x-api-key"));
}

fn to_anthropic(call: &Callout) {
    assert_eq!(call.upstream, "api.anthropic.com:443");
    assert_eq!(sent_by(call, ":path"), "/v1/messages");
    assert_eq!(sent_by(call, "x-api-key"), ANTHROPIC_KEY);
    assert!(!call.headers.contains("authorization") && !call.headers.contains("x-team"));
}

#[test]
fn where_nothing_in_the_body_changes_the_request_streams_through() {
    both(|plugin| {
        for mode in ["", r#""inline": "pass","#] {
            let gateway = plain(plugin, mode);
            for size in [1, 7, 64, usize::MAX] {
                let stream = "data: {\"choices\":[]}\n\n: x\r\n\r\ndata: [DONE]\n\n";
                let whole = Response::event_stream([stream]).in_chunks_of(size);
                let request = streaming("gpt-5").in_chunks_of(size).header("x-ai-facts", "{}");
                let done = gateway.run(request, |sent| {
                    assert_eq!(sent.text(), body("gpt-5", r#","stream":true"#));
                    assert_eq!(header(sent, ":path"), "/v1/chat/completions");
                    assert_eq!(header(sent, "host"), "api.openai.com");
                    assert_eq!(header(sent, "authorization"), format!("Bearer {OPENAI_KEY}"));
                    assert_eq!(header(sent, "x-team"), "blue");
                    for gone in ["x-api-key", "x-ai-facts", "x-ai-cluster"] {
                        assert!(!sent.headers.contains(gone), "{gone} goes to the provider");
                    }
                    whole.clone()
                });
                assert_eq!(done.client.text(), stream);
                assert_eq!(header(&done.client, "x-ai-provider"), "openai");
                let json = Response::json(200, openai_answer()).in_chunks_of(size);
                let done = gateway.run(asking("local-a", ""), |sent| {
                    assert_eq!(header(sent, "host"), "vllm:8000");
                    assert!(!sent.headers.contains("authorization"));
                    json.clone()
                });
                assert_eq!(done.client.text(), openai_answer());
                assert_eq!(
                    done.client.headers.get("content-length"),
                    json.headers.get("content-length")
                );
            }
            body_untouched(&gateway);
        }
    });
}

#[test]
fn an_answer_that_cannot_be_rewritten_keeps_its_bytes_and_their_form() {
    both(|plugin| {
        let gateway = plain(plugin, r#""inline": "pass", "max_response_bytes": 40,"#);
        let error = r#"{"error":{"message":"no"}}"#;
        let long = openai_answer();
        for (kind, encoding, bytes) in [
            ("application/json", "", error),
            ("application/json", "", long.as_str()),
            ("text/html", "", "<html>"),
            ("application/json", "gzip", "packed"),
        ] {
            for status in [200, 400, 401, 500] {
                let mut answer = Response::json(status, bytes).in_chunks_of(30);
                answer.headers.set("content-type", kind);
                if !encoding.is_empty() {
                    answer.headers.set("content-encoding", encoding);
                }
                let done = gateway.run(asking("gpt-5", ""), |_| answer.clone());
                assert_eq!(done.client.text(), bytes);
                assert_eq!(header(&done.client, "content-type"), kind);
                assert_eq!(header(&done.client, "content-encoding"), encoding);
                assert_eq!(done.client.status(), if status == 401 { 502 } else { status });
            }
        }
        body_untouched(&gateway);
    });
}

#[test]
fn a_route_that_cannot_change_the_body_says_so() {
    both(|plugin| {
        for (mode, words) in [
            (r#""inline": "pass","#, "this route can only pass requests through"),
            // It says that it bridges, but the proxy does not declare the variables.
            (r#""inline": "rewrite", "bridge": true,"#, "the gateway cannot change this request"),
        ] {
            let gateway = plain(plugin, mode);
            for request in [asking("claude-x", ""), streaming("fast"), asking("smart", "")] {
                let done = gateway.refuse(request);
                assert_eq!(done.client.status(), 500, "{mode}");
                assert!(done.client.text().contains(words), "{mode}: {}", done.client.text());
                assert_eq!(header(&done.client, "content-type"), "application/json");
            }
            body_untouched(&gateway);
        }
    });
}

#[test]
fn a_call_of_its_own_is_answered_in_the_clients_form() {
    both(|plugin| {
        let gateway = plain(plugin, r#""call_timeout_ms": 5000,"#);
        let request = asking("claude-x", r#","logit_bias":{"1":2}"#).in_chunks_of(7);
        let done = gateway.call(request, |call| {
            to_anthropic(call);
            assert_eq!(call.body, anthropic_body("claude-x", "").into_bytes());
            assert_eq!(call.timeout_ms, 5000);
            CalloutReply::json(200, anthropic_json(ANSWER))
        });
        assert_eq!((done.client.status(), done.client.text()), (200, translated_answer()));
        assert_eq!(header(&done.client, "x-ai-provider"), "anthropic");
        assert_eq!(header(&done.client, "x-ai-dropped"), "logit_bias");
        assert_eq!(header(&done.client, "content-type"), "application/json");
        body_untouched(&gateway);
    });
}

#[test]
fn the_next_provider_is_asked_if_the_first_fails() {
    let fail = [
        CalloutReply::json(500, "{}"),
        CalloutReply::json(429, "{}"),
        CalloutReply::json(401, format!("wrong key {OPENAI_KEY}")),
        CalloutReply::Fail,
    ];
    both(|plugin| {
        // With the bridge there would be no second provider, so a call is made there as well.
        for options in [Options::apisix(), Options::apisix_bridge()] {
            let gateway = plugin.start(options, &config(""));
            for first in &fail {
                let done = gateway.call(asking("best", ""), |call| {
                    if call.upstream.contains("openai") {
                        to_openai(call);
                        assert_eq!(call.body, body("gpt-5", "").into_bytes());
                        return first.clone();
                    }
                    to_anthropic(call);
                    assert_eq!(call.body, anthropic_body("claude-sonnet-4-5", "").into_bytes());
                    CalloutReply::json(200, anthropic_json(ANSWER))
                });
                assert_eq!(done.callouts.len(), 2);
                assert_eq!((done.client.status(), done.client.text()), (200, translated_answer()));
                assert_eq!(header(&done.client, "x-ai-provider"), "anthropic");
                assert_eq!(header(&done.client, "x-ai-model"), "claude-sonnet-4-5");
            }
            body_untouched(&gateway);
        }
    });
}

fn refused(done: &Exchanged, status: u16, words: &str) {
    let text = done.client.text();
    assert_eq!(done.client.status(), status, "{text}");
    assert!(text.starts_with(r#"{"error":{"#) && text.contains(words), "{text}");
    assert!(!text.contains("sk-"), "{text}");
}

#[test]
fn the_last_providers_failure_is_the_answer() {
    let key = format!(r#"{{"error":{{"message":"wrong key {ANTHROPIC_KEY}"}}}}"#);
    let busy = r#"{"type":"error","error":{"type":"overloaded_error","message":"Busy"}}"#;
    let mut later = CalloutReply::json(429, "{}");
    if let CalloutReply::Answer(headers, _) = &mut later {
        headers.set("retry-after", "7");
    }
    both(|plugin| {
        let gateway = plain(plugin, "");
        for (reply, status, words) in [
            (CalloutReply::Fail, 503, "provider `anthropic` could not be reached"),
            (CalloutReply::json(401, &key), 502, "refused the gateway's key"),
            (CalloutReply::json(529, busy), 529, "provider `anthropic`: Busy"),
            (CalloutReply::json(200, "<html>"), 502, "no readable answer"),
            (later.clone(), 429, "answered with status 429"),
        ] {
            let done = gateway.call(asking("best", ""), |call| match call.upstream.as_str() {
                "api.openai.com:443" => CalloutReply::Fail,
                _ => reply.clone(),
            });
            refused(&done, status, words);
            assert_eq!(done.callouts.len(), 2);
            assert_eq!(header(&done.client, "retry-after"), if status == 429 { "7" } else { "" });
        }
        let done = gateway.call(asking("best", ""), |_| CalloutReply::json(400, "{\"error\":{}}"));
        assert_eq!(
            (done.client.status(), done.callouts.len()),
            (400, 1),
            "no other would do better"
        );
    });
}

#[test]
fn a_stream_that_comes_whole_is_still_a_valid_stream() {
    let stream = |events: &[String]| {
        let headers = [(":status", "200"), ("content-type", "text/event-stream")].into();
        CalloutReply::Answer(headers, events.concat().into_bytes())
    };
    both(|plugin| {
        let gateway = plain(plugin, "");
        let done = gateway.call(streaming("claude-x"), |call| {
            assert_eq!(call.body, anthropic_body("claude-x", r#","stream":true"#).into_bytes());
            stream(&anthropic_events(WORDS))
        });
        assert_eq!(done.client.text(), openai_events(WORDS).concat());
        assert_eq!(header(&done.client, "content-type"), "text/event-stream");
        // The same with a provider that failed before.
        let done = gateway.call(streaming("best"), |call| match call.upstream.as_str() {
            "api.openai.com:443" => CalloutReply::json(503, "{}"),
            _ => stream(&anthropic_events(WORDS)),
        });
        assert_eq!(done.client.text(), openai_events(WORDS).concat());
        // One that breaks off.
        let done = gateway.call(streaming("claude-x"), |_| stream(&anthropic_events(WORDS)[..4]));
        let text = done.client.text();
        assert!(text.contains("broke off") && text.ends_with("data: [DONE]\n\n"), "{text}");
        let done = gateway.call(streaming("smart"), |_| stream(&["data: [DONE]\n\n".into()]));
        assert_eq!(done.client.text(), "data: [DONE]\n\n");
    });
}

#[test]
fn what_cannot_be_served_is_refused_without_a_call() {
    both(|plugin| {
        for options in [Options::apisix(), Options::apisix_bridge()] {
            let gateway = plugin.start(options, &config(r#""max_request_bytes": 500,"#));
            let text = asking("gpt-5", "").header("content-type", "text/plain");
            let empty = Request::post(PATH, "");
            let mut without_length = empty.clone();
            without_length.headers.remove("content-length");
            for (request, status, words) in [
                (asking("gemini-9", ""), 404, "model_not_found"),
                (asking(&"x".repeat(600), ""), 413, "larger than 500 bytes"),
                (Request::post(PATH, "{kangaroo"), 400, "not valid JSON"),
                (Request::post(PATH, b"{\"model\":\"\xff\"}"), 400, "not valid UTF-8"),
                (empty, 400, "not valid JSON"),
                (without_length, 400, "not valid JSON"),
                (text, 415, "content-type: application/json"),
                (Request::get(PATH), 405, "only POST"),
                (Request::post("/v1/images?x=1", "{}"), 404, "unknown_path"),
            ] {
                refused(&gateway.refuse(with_key(request).in_chunks_of(9)), status, words);
            }
        }
    });
}

#[test]
fn old_and_new_versions_of_http_do_not_bring_the_worker_down() {
    both(|plugin| {
        for options in [Options::apisix(), Options::apisix_bridge()] {
            let gateway = plugin.start(options, &config(""));
            // HTTP/1.0 has no Host, HTTP/2 no need of a length.
            let mut old = asking("gpt-5", "");
            old.headers.remove(":authority");
            let mut new = asking("gpt-5", "");
            new.headers.remove("content-length");
            new.properties = vec![(vec!["server_protocol".into()], b"HTTP/2.0".into())];
            let mut chunked = asking("gpt-5", "").header("transfer-encoding", "chunked");
            chunked.headers.remove("content-length");
            let not_utf8 = asking("gpt-5", "").header("x-user", b"\xff\xfe");
            for mut request in [old, new, chunked, not_utf8] {
                let done = gateway.run(request.clone(), |_| Response::json(200, "{}"));
                assert_eq!(done.upstream.unwrap().text(), body("gpt-5", ""));
                request.headers.set("content-type", b"\xff");
                refused(&gateway.refuse(request), 415, "content-type");
            }
        }
    });
}

#[test]
fn a_client_that_leaves_while_a_call_is_made_leaves_nothing_behind() {
    both(|plugin| {
        let gateway = plain(plugin, "");
        let request = asking("claude-x", "");
        let ex = gateway.exchange();
        ex.request_headers(request.headers, false).request_body(request.body, true);
        assert!(ex.request_is_held());
        let call = ex.callouts().remove(0);
        ex.finish(Finish::ClientDisconnect);
        assert!(!gateway.vm.answer_callout(call.id, [(":status", "200")], "{}"));
        let done = gateway
            .call(asking("claude-x", ""), |_| CalloutReply::json(200, anthropic_json(ANSWER)));
        assert_eq!(done.client.text(), translated_answer());
    });
}

#[test]
fn a_dry_run_and_one_that_is_off_change_nothing() {
    both(|plugin| {
        for mode in ["dry_run", "off"] {
            for options in [Options::apisix(), Options::apisix_bridge()] {
                let gateway = plugin.start(options, &config(&format!(r#""mode": "{mode}","#)));
                for request in [asking("best", ""), asking("gemini-9", ""), Request::get("/health")]
                {
                    let mut headers = request.headers.clone();
                    headers.add("host", "gateway.example");
                    let bytes = request.body.clone();
                    let done = gateway.run(request, |_| Response::json(401, "{\"a\":1}"));
                    let sent = done.upstream.unwrap();
                    assert_eq!((&sent.headers, sent.body()), (&headers, bytes), "{mode}");
                    assert_eq!(
                        (done.client.status(), done.client.text().as_str()),
                        (401, "{\"a\":1}")
                    );
                }
                assert_eq!(
                    gateway.vm.logged("would ask openai, then anthropic"),
                    mode == "dry_run"
                );
                body_untouched(&gateway);
            }
        }
    });
}

#[test]
fn a_refused_configuration_names_its_place() {
    both(|plugin| {
        let wrong = config("").replace("gpt-*", "");
        let refused = plugin.configure(Options::apisix(), &plugin.config(&wrong)).err().unwrap();
        assert!(refused.to_string().contains("models[0].name: must be"), "{refused}");
    });
}
