//! The built plugin in Envoy: its `route` and `inline` roles, its modes, its configuration.

use crate::support::*;
use test_harness::emulator::{CalloutReply, Finish, Headers, Options, Request, Response};

const OK: &str = "{}";

fn spoofing(request: Request) -> Request {
    request
        .header("x-ai-cluster", "internal")
        .header("x-ai-facts", r#"{"provider":"internal"}"#)
        .header("cookie", "id=1")
        .header("anthropic-beta", "x")
}

#[test]
fn the_model_decides_which_cluster_a_request_goes_to() {
    both(|plugin| {
        let gateway = plugin.envoy("route");
        for (model, cluster, targets) in [
            ("gpt-5", "openai", "openai=gpt-5"),
            ("claude-x", "anthropic", "anthropic=claude-x"),
            ("fast", "anthropic", "anthropic=claude-haiku-4-5"),
            ("best", "both", "openai=gpt-5\nanthropic=claude-sonnet-4-5"),
            ("local-a", "", "vllm=local-a"),
        ] {
            for size in [1, 7, 64, usize::MAX] {
                let mut request = spoofing(asking(model, "")).in_chunks_of(size);
                request.separate_end = size == 7;
                let done = gateway.run(request, |_| Response::json(200, OK));
                let sent = done.upstream.as_ref().unwrap();
                assert_eq!(header(sent, "x-ai-cluster"), cluster, "{model}");
                assert_eq!(sent.text(), body(model, ""));
                assert_eq!(header(sent, ":path"), PATH);
                for gone in ["authorization", "x-api-key", "cookie", "x-ai-facts"] {
                    assert!(!sent.headers.contains(gone), "{gone}");
                }
                assert_eq!(fact(&done, "requested_model").unwrap(), model);
                let stated = fact(&done, "targets").unwrap();
                let pairs: Vec<_> = stated.lines().filter_map(|l| l.split('\t').next()).collect();
                assert_eq!(pairs.join("\n"), targets);
                assert_eq!(fact(&done, "path").unwrap(), PATH);
                assert_eq!(done.client.text(), OK);
            }
        }
    });
}

#[test]
fn what_cannot_be_served_is_refused_before_a_provider_sees_it() {
    both(|plugin| {
        for role in ["route", "inline"] {
            let gateway = plugin.envoy(role);
            let plain = asking("gpt-5", "").header("content-type", "text/plain");
            let packed = asking("gpt-5", "").header("content-encoding", "gzip");
            let mut put = asking("gpt-5", "");
            put.headers.set(":method", "PUT");
            for (request, status, words) in [
                (asking("gemini-9", ""), 404, "model_not_found"),
                (asking("", ""), 400, "model: is required"),
                (Request::post(PATH, "{\"model\": \"kangaroo"), 400, "not valid JSON"),
                (Request::post(PATH, b"{\"model\":\"\xff\"}"), 400, "not valid UTF-8"),
                (Request::post(PATH, r#"{"model":"gpt-5"}"#), 400, "messages: is required"),
                (Request::post(PATH, r#"{"model":["kangaroo"]}"#), 400, "model"),
                (Request::post(PATH, ""), 400, "not valid JSON"),
                (plain, 415, "content-type: application/json"),
                (packed, 415, "content-encoding"),
                (put, 405, "only POST"),
                (Request::get(PATH), 405, "only POST"),
                (Request::post("/v1/images", "{}"), 404, "unknown_path"),
                (Request::post("/", "{}"), 404, "unknown_path"),
            ] {
                let done = gateway.refuse(with_key(request).in_chunks_of(9));
                let text = done.client.text();
                assert_eq!(done.client.status(), status, "{role}: {text}");
                assert!(text.starts_with(r#"{"error":{"#) && text.contains(words), "{text}");
                assert_eq!(header(&done.client, "content-type"), "application/json");
                assert!(done.client.local_reply.is_some());
            }
        }
    });
}

#[test]
fn a_body_over_the_limit_is_refused_however_it_arrives() {
    both(|plugin| {
        for role in ["route", "translate", "inline"] {
            let gateway = plugin.start(envoy(role), &config(r#""max_request_bytes": 64,"#));
            for size in [1, 7, 63, 64, 65, usize::MAX] {
                let done = gateway.refuse(asking("gpt-5", "").in_chunks_of(size));
                assert_eq!(done.client.status(), 413, "{role}, {size}");
                assert!(done.client.text().contains("larger than 64 bytes"), "{role}, {size}");
            }
            let exact = r#"{"model":"gpt-5","messages":[]          }"#;
            let request = Request::post(PATH, format!("{exact:64}")).in_chunks_of(10);
            assert_eq!(gateway.run(request, |_| Response::json(200, OK)).client.status(), 200);
        }
        // Envoy's own limit is reached first: its answer is put into the client's form.
        let options = Options { buffer_limit: 64, ..envoy("route") };
        let gateway = plugin.start(options, &config(""));
        let done = gateway.refuse(asking("gpt-5", "").in_chunks_of(30));
        assert_eq!(done.client.status(), 413);
        assert!(done.client.text().contains("per_connection_buffer_limit_bytes"));
    });
}

#[test]
fn errors_of_the_proxy_itself_are_put_into_the_clients_form() {
    both(|plugin| {
        for role in ["route", "inline"] {
            let gateway = plugin.envoy(role);
            let ex = gateway.exchange();
            let request = asking("gpt-5", "");
            ex.request_headers(request.headers, false).request_body(request.body, true);
            ex.finish(Finish::UpstreamReset);
            let client = ex.client_response();
            assert_eq!(
                (client.status(), header(&client, "content-type")),
                (503, "application/json")
            );
            assert!(client.text().starts_with(r#"{"error":{"#), "{role}: {}", client.text());
        }
        // A provider's own words are left as they are.
        let gateway = plugin.envoy("route");
        let words = r#"{"error":{"message":"slow down"}}"#;
        let done = gateway.run(asking("gpt-5", ""), |_| Response::json(429, words));
        assert_eq!((done.client.status(), done.client.text().as_str()), (429, words));
    });
}

#[test]
fn a_dry_run_changes_nothing_and_logs_the_choice() {
    both(|plugin| {
        for role in ["route", "inline"] {
            let gateway = plugin.start(envoy(role), &config(r#""mode": "dry_run","#));
            for (request, choice) in [
                (asking("best", ""), "would ask openai, then anthropic"),
                (streaming("fast"), "would ask anthropic"),
                (asking("gemini-9", ""), ""),
                (with_key(Request::post(PATH, "{")), ""),
                (with_key(Request::get("/health")), ""),
            ] {
                let (headers, bytes) = (request.headers.clone(), request.body.clone());
                let answer = Response::json(401, OK);
                let done = gateway.run(request.in_chunks_of(7), |_| answer.clone());
                let sent = done.upstream.as_ref().unwrap();
                assert_eq!((&sent.headers, sent.body()), (&headers, bytes), "{role}");
                assert_eq!(done.client.headers, answer.headers);
                assert_eq!(done.client.text(), OK);
                assert!(gateway.vm.logged(choice));
            }
        }
        let gateway = plugin.start(envoy("translate"), &config(r#""mode": "dry_run","#));
        let done = gateway.run(asking("fast", ""), |_| Response::json(401, OK));
        assert_eq!(done.upstream.unwrap().headers, asking("fast", "").headers);
        assert_eq!(done.client.status(), 401);
    });
}

#[test]
fn switched_off_it_touches_nothing() {
    both(|plugin| {
        for role in ["route", "translate", "inline"] {
            let gateway = plugin.start(envoy(role), &config(r#""mode": "off","#));
            gateway.vm.clear_trace();
            let request = spoofing(asking("gpt-5", "")).in_chunks_of(7);
            let headers = request.headers.clone();
            let answer = Response::event_stream(["data: 1\n\n", "da"]);
            let done = gateway.run(request, |_| answer.clone());
            assert_eq!(done.upstream.unwrap().headers, headers);
            assert_eq!(done.client.text(), "data: 1\n\nda");
            assert_eq!(gateway.vm.host_calls(), [], "{role}");
            assert!(
                gateway
                    .vm
                    .callbacks()
                    .iter()
                    .all(|call| call.result.unwrap_or(0) == 0 || call.name == "proxy_on_done")
            );
        }
    });
}

#[test]
fn a_mistake_in_the_configuration_is_refused_with_its_exact_place() {
    let wrong = |from: &str, to: &str| config("").replacen(from, to, 1);
    let key = r#""$env://ANTHROPIC_API_KEY""#;
    both(|plugin| {
        for (json, place) in [
            (wrong(key, r#""$env://NO_SUCH_KEY""#), "providers[1].api_key: environment variable"),
            (wrong(key, r#"{"key": "sk-of-anthropic"}"#), "providers[1].api_key"),
            (wrong(key, r#""sk-of-anthropic\n""#), "providers[1].api_key: a secret may have"),
            (
                wrong(r#""name": "vllm""#, r#""name": "sk-of-openai!""#),
                "providers[2].name: may have",
            ),
            (wrong(r#""protocol": "anthropic""#, r#""protocol": "soap""#), "providers[1].protocol"),
            (wrong("http://vllm:8000/v1", "vllm:8000"), "providers[2].base_url: must begin"),
            (wrong("X-Team", "Host"), "providers[0].headers.Host: is set by"),
            (
                wrong(r#""provider": "vllm""#, r#""provider": "x""#),
                "models[2].targets[0].provider: no",
            ),
            (wrong("claude-*", "gpt-*"), "models[1].name: is there already"),
            (wrong(r#""smart": "gpt-5""#, r#""smart": "x""#), "aliases.smart: no entry"),
            (config(r#""moed": "off","#), "moed: unknown field"),
            (config(r#""max_request_bytes": -1,"#), "max_request_bytes: invalid"),
            (wrong(r#""providers": ["#, r#""providers": [1,"#), "providers[0]: invalid type"),
        ] {
            let prefix = if plugin.is_bundle() { "ai-proxy." } else { "" };
            let refused = plugin.configure(envoy("route"), &plugin.config(&json)).err().unwrap();
            let expected = format!("configuration refused: {prefix}{place}");
            assert!(
                refused.logs.iter().any(|line| line.starts_with(&expected)),
                "{refused}, not {expected}"
            );
            assert_no_secrets("the log", &refused.to_string());
        }
        for (bytes, role, words) in [
            ("", "route", "configuration refused: the configuration is empty"),
            (
                "\n\u{12}sk-of-openai",
                "route",
                "configuration refused: the configuration is not valid JSON",
            ),
            (
                &plugin.config(&config("")),
                "router",
                "configuration refused: vm_config.configuration: expected route",
            ),
        ] {
            let refused = plugin.configure(envoy(role), bytes).err().unwrap();
            assert!(refused.logs.iter().any(|line| line.starts_with(words)), "{refused}");
            assert_no_secrets("the log", &refused.to_string());
        }
    });
}

#[test]
fn in_one_place_it_does_both_parts() {
    both(|plugin| {
        let gateway = plugin.envoy("inline");
        let (events, expected) = (anthropic_events(WORDS), openai_events(WORDS));
        for size in [1, 7, 64, usize::MAX] {
            let request = spoofing(streaming("claude-x")).in_chunks_of(size);
            let answer = Response::event_stream(&events).in_chunks_of(size);
            let done = gateway.run(request, |sent| {
                assert_eq!(sent.text(), anthropic_body("claude-x", r#","stream":true"#));
                assert_eq!(header(sent, ":path"), "/v1/messages");
                assert_eq!(header(sent, ":authority"), "api.anthropic.com");
                assert_eq!(header(sent, "x-api-key"), ANTHROPIC_KEY);
                assert!(!sent.headers.contains("authorization"));
                assert!(!sent.headers.contains("x-ai-cluster"));
                answer.clone()
            });
            assert_eq!(done.client.text(), expected.concat());
            assert_eq!(header(&done.client, "x-ai-provider"), "anthropic");
            usage_said(&fact(&done, "usage").unwrap());
        }
        let done = gateway.run(asking("claude-x", ""), |_| anthropic_answer().in_chunks_of(5));
        assert_eq!(done.client.text(), translated_answer());
        let done = gateway.run(asking("smart", ""), |sent| {
            assert_eq!(sent.text(), body("gpt-5", ""), "all but the name stays");
            assert_eq!(header(sent, "authorization"), format!("Bearer {OPENAI_KEY}"));
            assert_eq!(header(sent, "x-team"), "blue");
            Response::json(200, openai_answer()).in_chunks_of(9)
        });
        assert_eq!(done.client.text(), openai_answer());
        usage_said(&fact(&done, "usage").unwrap());
    });
}

#[test]
fn told_to_call_by_itself_it_asks_one_provider_after_the_other() {
    both(|plugin| {
        let call = config(r#""inline": "call","#);
        let gateway = plugin.start(envoy("inline"), &call);
        let done = gateway.call(asking("best", "").in_chunks_of(7), |call| {
            if call.upstream == "openai" {
                return CalloutReply::Fail;
            }
            assert_eq!(call.upstream, "anthropic");
            assert_eq!(call.headers.get(":authority"), Some("api.anthropic.com"));
            CalloutReply::json(200, anthropic_json(ANSWER))
        });
        assert_eq!((done.client.status(), done.client.text()), (200, translated_answer()));
        assert_eq!(fact(&done, "attempts").unwrap(), "openai,anthropic");
        usage_said(&fact(&done, "usage").unwrap());
        // A provider that has no cluster, and clusters that Envoy does not know.
        let done = gateway.call(asking("local-a", ""), |call| {
            assert_eq!(call.upstream, "vllm:8000");
            CalloutReply::json(200, openai_answer())
        });
        assert_eq!(done.client.text(), openai_answer());
        let options = Options { clusters: Some(Vec::new()), ..envoy("inline") };
        let done = plugin.start(options, &call).refuse(asking("best", ""));
        assert_eq!(done.client.status(), 503);
        assert_eq!(fact(&done, "attempts").unwrap(), "openai,anthropic");
    });
}

#[test]
fn many_exchanges_at_once_do_not_mix() {
    both(|plugin| {
        let gateway = plugin.envoy("inline");
        let words: Vec<String> = (0..20).map(|n| format!("word {n}")).collect();
        let exchanges: Vec<_> = words.iter().map(|_| gateway.exchange()).collect();
        let request = streaming("claude-x");
        let headers: Headers = request.headers;
        for ex in &exchanges {
            ex.request_headers(headers.clone(), false);
        }
        for ex in &exchanges {
            ex.request_body(&request.body, true);
        }
        let answer = Response::event_stream([""; 0]).headers;
        for ex in &exchanges {
            ex.response_headers(answer.clone(), false);
        }
        let streams: Vec<_> =
            words.iter().map(|word| anthropic_events([word.as_str()]).concat()).collect();
        for at in (0..streams.iter().map(String::len).max().unwrap()).step_by(11) {
            for (ex, stream) in exchanges.iter().zip(&streams) {
                let end = stream.len().min(at + 11);
                ex.response_body(
                    stream.get(at..end).unwrap_or_default(),
                    end == stream.len() && at < end,
                );
            }
        }
        for (ex, word) in exchanges.iter().zip(&words) {
            assert_eq!(ex.client_response().text(), openai_events([word.as_str()]).concat());
            ex.finish(Finish::Complete);
        }
    });
}
