//! The built plugin in APISIX with the body bridge: requests are rewritten, answers translated
//! event by event.

use crate::support::*;
use test_harness::emulator::{Exchange, Finish, HttpMessage, Options, Response};

fn bridge(plugin: &Plugin) -> Gateway {
    plugin.start(Options::apisix_bridge(), &config(""))
}

fn to_anthropic(sent: &HttpMessage, more: &str) {
    assert_eq!(sent.text(), anthropic_body("claude-x", more));
    assert_eq!(header(sent, "content-length"), sent.body().len().to_string());
    assert_eq!(header(sent, ":path"), "/v1/messages");
    assert_eq!(header(sent, "host"), "api.anthropic.com");
    assert_eq!(header(sent, ":method"), "POST");
    assert_eq!(header(sent, "x-api-key"), ANTHROPIC_KEY);
    for gone in ["authorization", "x-ai-facts", "x-ai-cluster", "x-team"] {
        assert!(!sent.headers.contains(gone), "{gone} goes to the provider");
    }
}

fn streamed(gateway: &Gateway) -> Exchange {
    let ex = gateway.exchange();
    let request = streaming("claude-x");
    ex.request_headers(request.headers, false).request_body(request.body, true);
    ex.response_headers(Response::event_stream([""; 0]).headers, false);
    ex
}

#[test]
fn a_request_is_rewritten_and_its_answer_translated() {
    both(|plugin| {
        let gateway = bridge(plugin);
        for size in [1, 7, 64, usize::MAX] {
            let request = asking("claude-x", "").in_chunks_of(size).header("x-ai-facts", "{}");
            let answer = anthropic_answer().in_chunks_of(size);
            let done = gateway.run(request, |sent| {
                to_anthropic(sent, "");
                answer.clone()
            });
            assert_eq!(done.client.text(), translated_answer());
            assert_eq!(header(&done.client, "x-ai-provider"), "anthropic");
        }
        let done = gateway.run(asking("smart", ""), |sent| {
            assert_eq!(sent.text(), body("gpt-5", ""));
            Response::json(200, openai_answer()).in_chunks_of(7)
        });
        assert_eq!(done.client.text(), openai_answer());
    });
}

#[test]
fn each_event_leaves_with_its_last_byte_however_the_stream_is_cut() {
    both(|plugin| {
        let gateway = bridge(plugin);
        let (events, expected) = (anthropic_events(WORDS), openai_events(WORDS));
        for size in [1, 7, 64, usize::MAX] {
            let ex = streamed(&gateway);
            to_anthropic(&ex.upstream_request().unwrap(), r#","stream":true"#);
            feed_events(&ex, size, &events, &expected);
            ex.response_body("", true).finish(Finish::Complete);
            assert_eq!(ex.client_response().text(), expected.concat());
        }
    });
}

#[test]
fn bodies_larger_than_nginx_buffers_come_out_whole() {
    both(|plugin| {
        let gateway = bridge(plugin);
        let long = "long ".repeat(8000);
        let answer = anthropic_json(&format!("{ANSWER}{long}"));
        let expected = translated_answer().replace(ANSWER, &format!("{ANSWER}{long}"));
        let done = gateway.run(asking("claude-x", ""), |_| Response::json(200, &answer));
        assert_eq!(done.client.text(), expected);
        let stream = Response::event_stream([anthropic_events([long.as_str(); 5]).concat()]);
        let done = gateway.run(streaming("claude-x"), |_| stream.clone());
        assert_eq!(done.client.text(), openai_events([long.as_str(); 5]).concat());
        let prompt = format!(r#","user":"{long}""#);
        let done = gateway.run(asking("claude-x", &prompt), |sent| {
            let user = format!(r#","metadata":{{"user_id":"{long}"}}"#);
            to_anthropic(sent, &user);
            anthropic_answer()
        });
        assert_eq!(done.client.text(), translated_answer());
    });
}

#[test]
fn a_stream_that_ends_too_early_does_not_look_complete() {
    both(|plugin| {
        let gateway = bridge(plugin);
        let whole = anthropic_events(WORDS).concat();
        for cut in [0, 40, whole.len() / 2, whole.len() - 20] {
            let ex = streamed(&gateway);
            ex.response_body(&whole[..cut], false).response_body("", true).finish(Finish::Complete);
            let text = ex.client_response().text();
            assert!(text.contains("broke off") && text.ends_with("data: [DONE]\n\n"), "{text}");
        }
        for how in [Finish::ClientDisconnect, Finish::UpstreamReset] {
            let ex = streamed(&gateway);
            ex.response_body(&whole[..whole.len() / 2], false).finish(how);
            let client = ex.client_response();
            assert!(client.reset && !client.text().contains("[DONE]"));
        }
    });
}

#[test]
fn errors_of_a_provider_reach_the_client_in_its_own_form() {
    let busy = r#"{"type":"error","error":{"type":"overloaded_error","message":"Busy"}}"#;
    let key = format!(r#"{{"error":{{"message":"wrong key {ANTHROPIC_KEY}"}}}}"#);
    let mut html = Response::json(503, "<html>down</html>");
    html.headers.set("content-type", "text/html");
    both(|plugin| {
        let gateway = bridge(plugin);
        for (answer, status, words) in [
            (Response::json(529, busy), 529, "provider `anthropic`: Busy"),
            (Response::json(401, &key), 502, "refused the gateway's key"),
            (Response::json(429, ""), 429, "answered with status 429"),
            (html.clone(), 503, "answered with status 503"),
            // The headers have left by the time that the body is known.
            (Response::json(200, "{}"), 200, "no readable answer"),
            (Response::json(200, ""), 200, "no readable answer"),
        ] {
            for request in [asking("claude-x", ""), streaming("claude-x")] {
                let done = gateway.run(request, |_| answer.clone().in_chunks_of(9));
                let text = done.client.text();
                assert_eq!(done.client.status(), status, "{text}");
                assert!(text.starts_with(r#"{"error":{"#) && text.contains(words), "{text}");
                assert_eq!(header(&done.client, "content-type"), "application/json");
            }
        }
        let wrong = format!("{{\"error\":{{\"message\":\"wrong key {OPENAI_KEY}\"}}}}");
        let done = gateway.run(asking("gpt-5", ""), |_| Response::json(401, &wrong));
        assert!(done.client.status() == 502 && !done.client.text().contains("sk-"));
    });
}

#[test]
fn an_upstream_that_cannot_be_reached_is_an_error_in_the_clients_form() {
    both(|plugin| {
        for model in ["claude-x", "gpt-5"] {
            let gateway = bridge(plugin);
            let ex = gateway.exchange();
            let request = streaming(model);
            ex.request_headers(request.headers, false).request_body(request.body, true);
            ex.finish(Finish::UpstreamReset);
            let client = ex.client_response();
            assert_eq!(client.status(), 502);
            assert!(client.text().starts_with(r#"{"error":{"#), "{}", client.text());
        }
    });
}

#[test]
fn an_answer_over_the_limit_is_an_error_and_nothing_of_it_gets_out() {
    both(|plugin| {
        for limit in [100, 10_000] {
            let more = format!(r#""max_response_bytes": {limit},"#);
            let gateway = plugin.start(Options::apisix_bridge(), &config(&more));
            let large = anthropic_json(&format!("{ANSWER}{}", "x".repeat(3 * limit)));
            for size in [64, usize::MAX] {
                let answer = Response::json(200, &large).in_chunks_of(size);
                let done = gateway.run(asking("claude-x", ""), |_| answer.clone());
                let text = done.client.text();
                assert!(text.starts_with(r#"{"error":{"#), "{text}");
                assert!(text.contains(&format!("larger than {limit} bytes")), "{text}");
                assert_eq!(text.matches("larger than").count(), 1, "{text}");
                assert!(!text.contains("wombat"), "{text}");
            }
        }
    });
}

#[test]
fn an_exchange_whose_context_was_dropped_passes_untouched() {
    both(|plugin| {
        let gateway = bridge(plugin);
        let ex = gateway.exchange();
        let request = streaming("gpt-5");
        ex.request_headers(request.headers, false).request_body(request.body, true);
        ex.exec_to_named_location();
        ex.response_headers(Response::event_stream([""; 0]).headers, false);
        ex.response_body("data: 1\n\nda", false).response_body("ta: 2\n\n", true);
        ex.finish(Finish::Complete);
        assert_eq!(ex.client_response().text(), "data: 1\n\ndata: 2\n\n");
    });
}
