//! The built plugin in an Envoy cluster, once per attempt: its `translate` role, after the `route`
//! role in the listener.

use crate::support::*;
use shared::facts;
use test_harness::emulator::{Exchange, Exchanged, Finish, Headers, Request, Response};

type Properties = Vec<(Vec<String>, Vec<u8>)>;

/// What Envoy has once the listener's filter is through: headers, body, and properties.
struct Routed {
    headers: Headers,
    body: Vec<u8>,
    properties: Properties,
}

fn routed(plugin: &Plugin, request: Request) -> Routed {
    let done = plugin.envoy("route").run(request, |_| Response::json(200, "{}"));
    let sent = done.upstream.clone().unwrap();
    Routed { body: sent.body(), headers: sent.headers, properties: own(&done) }
}

fn own(done: &Exchanged) -> Properties {
    done.properties.iter().map(|(path, value)| (vec![path.clone()], value.clone())).collect()
}

fn metadata(of: &str, provider: &str) -> (Vec<String>, Vec<u8>) {
    let path = ["xds", of, "filter_metadata", "ai-gateway", "provider"];
    (path.map(str::to_owned).into(), provider.into())
}

impl Routed {
    /// The attempt at a host of this provider.
    fn to(&self, provider: &str) -> Request {
        self.with(metadata("upstream_host_metadata", provider))
    }

    fn with(&self, property: (Vec<String>, Vec<u8>)) -> Request {
        let mut request = Request::post(PATH, &self.body);
        request.headers = self.headers.clone();
        request.properties = self.properties.clone();
        request.properties.push(property);
        request
    }

    /// The next attempt of a retry: the headers are as the last one left them, the body is not.
    fn after(&mut self, done: &Exchanged) {
        self.headers = done.upstream.clone().unwrap().headers;
        let set = own(done);
        self.properties.retain(|(path, _)| set.iter().all(|(other, _)| other != path));
        self.properties.extend(set);
    }
}

fn begin(gateway: &Gateway, request: Request) -> Exchange {
    let ex = gateway.exchange();
    for (path, value) in &request.properties {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        ex.set_property(&path, value);
    }
    ex.request_headers(request.headers, false).request_body(request.body, true);
    ex
}

/// An attempt at Anthropic whose answer, an event stream, has begun.
fn streamed(gateway: &Gateway, plugin: &Plugin) -> Exchange {
    let ex = begin(gateway, routed(plugin, streaming("claude-x")).to("anthropic"));
    ex.response_headers(Response::event_stream([""; 0]).headers, false);
    ex
}

fn to_openai(done: &Exchanged) {
    let sent = done.upstream.as_ref().unwrap();
    assert_eq!(header(sent, ":path"), "/v1/chat/completions");
    assert_eq!(header(sent, ":authority"), "api.openai.com");
    assert_eq!(header(sent, "authorization"), format!("Bearer {OPENAI_KEY}"));
    assert_eq!(header(sent, "x-team"), "blue");
    assert_eq!(sent.text(), body("gpt-5", ""));
    let strangers = ["x-api-key", "anthropic-version", "x-ai-cluster", "x-ai-facts"];
    assert!(strangers.iter().all(|name| !sent.headers.contains(name)), "{:?}", sent.headers);
}

fn to_anthropic(done: &Exchanged) {
    let sent = done.upstream.as_ref().unwrap();
    assert_eq!(header(sent, ":path"), "/v1/messages");
    assert_eq!(header(sent, ":authority"), "api.anthropic.com");
    assert_eq!(header(sent, "x-api-key"), ANTHROPIC_KEY);
    assert_eq!(header(sent, "anthropic-version"), "2023-06-01");
    assert_eq!(sent.text(), anthropic_body("claude-sonnet-4-5", ""));
    let strangers = ["authorization", "x-team", "x-ai-cluster", "x-ai-facts"];
    assert!(strangers.iter().all(|name| !sent.headers.contains(name)), "{:?}", sent.headers);
}

#[test]
fn a_retry_at_another_provider_takes_nothing_over_from_the_attempt_before() {
    both(|plugin| {
        let gateway = plugin.envoy("translate");
        for size in [1, 7, 64, usize::MAX] {
            let mut state = routed(plugin, asking("best", "").in_chunks_of(size));
            let failed = |_: &_| Response::json(503, "{}");
            let first = gateway.run(state.to("openai").in_chunks_of(size), failed);
            to_openai(&first);
            state.after(&first);
            let second = gateway.run(state.to("anthropic"), failed);
            to_anthropic(&second);
            state.after(&second);
            let third = gateway.run(state.to("openai"), |_| Response::json(200, openai_answer()));
            to_openai(&third);
            assert_eq!(fact(&third, "attempts").unwrap(), "openai,anthropic,openai");
            assert_eq!(fact(&third, "provider").unwrap(), "openai");
            assert_eq!(fact(&third, "model").unwrap(), "gpt-5");
            assert_eq!(header(&third.client, "x-ai-provider"), "openai");
            assert_eq!(third.client.text(), openai_answer());
            usage_said(&fact(&third, "usage").unwrap());
        }
    });
}

#[test]
fn without_the_listeners_filter_the_cluster_decides_and_retries_work_too() {
    both(|plugin| {
        let gateway = plugin.envoy("translate");
        let request = asking("best", "");
        let mut state =
            Routed { headers: request.headers, body: request.body, properties: Vec::new() };
        let cluster = |name: &str| (vec!["xds".into(), "cluster_name".into()], name.into());
        let first = gateway.run(state.with(cluster("anthropic")), |_| Response::json(500, "{}"));
        to_anthropic(&first);
        state.after(&first);
        let by_cluster = state.with(metadata("cluster_metadata", "openai"));
        to_openai(&gateway.run(by_cluster, |_| Response::json(200, "{}")));
        let unknown = gateway.run(state.with(cluster("both")), |_| Response::json(200, "{}"));
        to_openai(&unknown);
    });
}

#[test]
fn a_cluster_that_leads_elsewhere_is_an_error_and_logged() {
    both(|plugin| {
        let gateway = plugin.envoy("translate");
        for provider in ["vllm", "nobody"] {
            let done = gateway.refuse(routed(plugin, asking("best", "")).to(provider));
            assert_eq!(done.client.status(), 502);
            assert!(gateway.vm.logged(&format!("leads to provider `{provider}`")));
        }
    });
}

#[test]
fn each_event_leaves_with_its_last_byte_however_the_stream_is_cut() {
    both(|plugin| {
        let gateway = plugin.envoy("translate");
        let (events, expected) = (anthropic_events(WORDS), openai_events(WORDS));
        for size in [1, 7, 64, usize::MAX] {
            let ex = streamed(&gateway, plugin);
            feed_events(&ex, size, &events, &expected);
            ex.response_body("", true).finish(Finish::Complete);
            assert_eq!(ex.client_response().text(), expected.concat());
            assert_eq!(header(&ex.client_response(), "content-type"), "text/event-stream");
        }
    });
}

#[test]
fn a_stream_in_the_clients_own_protocol_passes_byte_by_byte() {
    both(|plugin| {
        let gateway = plugin.envoy("translate");
        let usage = r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7}}"#;
        let stream =
            format!(": hi\r\n\r\ndata: {{\"choices\":[]}}\n\ndata:{usage}\n\ndata: [DONE]\n\n");
        for size in [1, 7, 64, usize::MAX] {
            let ex = begin(&gateway, routed(plugin, counted("gpt-5")).to("openai"));
            ex.response_headers(Response::event_stream([""; 0]).headers, false);
            for (at, piece) in stream.as_bytes().chunks(size).enumerate() {
                ex.response_body(piece, false);
                let so_far = &stream.as_bytes()[..stream.len().min((at + 1).saturating_mul(size))];
                assert_eq!(ex.client_response().body(), so_far);
            }
            ex.response_body("", true).finish(Finish::Complete);
            usage_said(&fact_in(&ex.property(&[facts::PROPERTY]).unwrap(), "usage").unwrap());
        }
    });
}

#[test]
fn a_stream_that_ends_too_early_does_not_look_complete() {
    both(|plugin| {
        let gateway = plugin.envoy("translate");
        let events = anthropic_events(WORDS);
        let whole = events.concat();
        for cut in [0, 40, events[0].len(), whole.len() / 2, whole.len() - 20] {
            let ex = streamed(&gateway, plugin);
            ex.response_body(&whole[..cut], false).response_body("", true).finish(Finish::Complete);
            let text = ex.client_response().text();
            assert!(text.contains("broke off") && text.contains("server_error"), "{cut}: {text}");
            assert!(text.ends_with("data: [DONE]\n\n"), "{cut}: {text}");
        }
        assert!(gateway.vm.logged("ended its stream too early"));
    });
}

#[test]
fn an_event_that_cannot_be_read_ends_the_stream_and_is_not_logged() {
    both(|plugin| {
        let gateway = plugin.envoy("translate");
        let delta = |rest: &str| format!(r#"{{"type":"content_block_delta","delta":{rest}}}"#);
        for data in [
            delta(r#"{"text":wombats}"#),
            delta(r#""a wombat""#),
            delta(r#"{"type":"text_delta","text":["a wombat"]}"#),
            "wombats".into(),
        ] {
            let ex = streamed(&gateway, plugin);
            let rest = anthropic_events(WORDS);
            ex.response_body(&rest[0], false).response_body(format!("data: {data}\n\n"), false);
            ex.response_body(rest[1..].concat(), false).response_body("", true);
            let text = ex.client_response().text();
            assert_eq!(text.matches("[DONE]").count(), 1, "{text}");
            assert_eq!(text.matches("broke off").count(), 1, "{text}");
            assert!(!text.contains("wombat"), "{text}");
            ex.finish(Finish::Complete);
        }
        assert!(gateway.vm.logged("unreadable event"));
    });
}

#[test]
fn an_event_without_end_ends_the_stream() {
    both(|plugin| {
        let gateway = plugin.envoy("translate");
        let ex = streamed(&gateway, plugin);
        ex.response_body("data: {\"type\":\"", false);
        for _ in 0..40 {
            ex.response_body("wombats ".repeat(8 << 10), false);
        }
        ex.response_body(anthropic_events(WORDS).concat(), true).finish(Finish::Complete);
        let text = ex.client_response().text();
        assert!(text.contains("broke off") && text.ends_with("data: [DONE]\n\n"), "{text}");
        assert!(!text.contains("wombats"));
    });
}

#[test]
fn an_error_in_the_stream_reaches_the_client_and_nothing_follows_it() {
    both(|plugin| {
        let gateway = plugin.envoy("translate");
        let ex = streamed(&gateway, plugin);
        let error =
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
        let events = anthropic_events(WORDS);
        ex.response_body(&events[0], false);
        ex.response_body(format!("event: error\ndata: {error}\n\n{}", events[3]), true);
        ex.finish(Finish::Complete);
        let text = ex.client_response().text();
        assert!(text.contains("overloaded_error") && text.ends_with("data: [DONE]\n\n"), "{text}");
    });
}

#[test]
fn what_was_used_before_the_client_or_the_upstream_left_is_stated() {
    both(|plugin| {
        let gateway = plugin.envoy("translate");
        for how in [Finish::ClientDisconnect, Finish::UpstreamReset] {
            let ex = streamed(&gateway, plugin);
            let (events, expected) = (anthropic_events(WORDS), openai_events(WORDS));
            ex.response_body(events[..5].concat(), false).response_body(&events[5][..9], false);
            ex.finish(how);
            let client = ex.client_response();
            assert!(client.reset && !client.complete);
            assert_eq!(client.text(), expected[..5].concat(), "{how:?}");
            let usage = fact_in(&ex.property(&[facts::PROPERTY]).unwrap(), "usage").unwrap();
            assert!(usage.contains("\"prompt_tokens\":5"), "{usage}");
        }
        for how in [Finish::ClientDisconnect, Finish::UpstreamReset] {
            let ex = begin(&gateway, routed(plugin, streaming("claude-x")).to("anthropic"));
            ex.finish(how);
            let gone = how == Finish::ClientDisconnect;
            assert_eq!(ex.client_response().status(), if gone { 0 } else { 503 });
            let ex = gateway.exchange();
            ex.request_headers(asking("claude-x", "").headers, false).finish(how);
        }
    });
}

#[test]
fn a_provider_that_refuses_our_key_becomes_a_502_without_its_words() {
    both(|plugin| {
        let gateway = plugin.envoy("translate");
        for (model, provider, key) in
            [("gpt-5", "openai", OPENAI_KEY), ("claude-x", "anthropic", ANTHROPIC_KEY)]
        {
            for status in [401, 403] {
                let words = format!(r#"{{"error":{{"message":"wrong key {key}"}}}}"#);
                let request = routed(plugin, asking(model, "")).to(provider);
                let answer = Response::json(status, words).in_chunks_of(7);
                let done = gateway.run(request, |_| answer.clone());
                assert_eq!(done.client.status(), 502);
                let refused = format!("provider `{provider}` refused the gateway's key");
                assert!(done.client.text().contains(&refused), "{}", done.client.text());
                assert!(!done.client.text().contains("sk-"));
            }
        }
        assert!(gateway.vm.logged("refused the configured key"));
    });
}

#[test]
fn errors_of_a_provider_reach_the_client_in_its_own_form() {
    both(|plugin| {
        let gateway = plugin.start(envoy("translate"), &config(r#""max_response_bytes": 300,"#));
        let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"Busy"}}"#;
        let mut html = Response::json(503, "<html>down</html>").in_chunks_of(4);
        html.headers.set("content-type", "text/html");
        let mut packed = Response::json(200, b"\x1f\x8b\x08");
        packed.headers.set("content-encoding", "gzip");
        let large = Response::json(200, anthropic_json(&"x".repeat(300)));
        for (answer, status, words) in [
            (Response::json(529, overloaded), 529, "provider `anthropic`: Busy"),
            (Response::json(429, ""), 429, "answered with status 429"),
            (Response::json(400, "{"), 400, "answered with status 400"),
            (html, 503, "answered with status 503"),
            (Response::json(200, "{\"x\": \"wombat\"}"), 502, "no readable answer"),
            (Response::json(200, ""), 502, "no readable answer"),
            (packed, 502, "no readable answer"),
            (large.clone(), 502, "larger than 300 bytes"),
            (large.in_chunks_of(50), 502, "larger than 300 bytes"),
        ] {
            let request = routed(plugin, asking("claude-x", "")).to("anthropic");
            let done = gateway.run(request, |_| answer.clone());
            let text = done.client.text();
            assert_eq!(done.client.status(), status, "{text}");
            assert!(text.starts_with(r#"{"error":{"#) && text.contains(words), "{words}: {text}");
            assert_eq!(header(&done.client, "content-type"), "application/json");
            assert!(!done.client.headers.contains("content-encoding"));
        }
    });
}

#[test]
fn trailers_end_a_request_and_an_answer_as_well_as_a_last_piece_does() {
    let end = [("x-end", "1")];
    both(|plugin| {
        let (route, translate) = (plugin.envoy("route"), plugin.envoy("translate"));
        for size in [7, usize::MAX] {
            let request = asking("claude-x", "");
            let mut headers = request.headers;
            headers.remove("content-length");
            let ex = route.exchange();
            ex.request_headers(headers.clone(), false);
            request.body.chunks(size).for_each(|piece| {
                ex.request_body(piece, false);
            });
            ex.request_trailers(end);
            let sent = ex.upstream_request().unwrap();
            assert_eq!(header(&sent, "x-ai-cluster"), "anthropic");
            assert!(sent.complete && sent.trailers.is_some() && sent.body() == request.body);

            let ex = translate.exchange();
            ex.set_property(&["xds", "cluster_name"], "anthropic");
            ex.request_headers(headers, false).request_body(&request.body, false);
            ex.request_trailers(end);
            assert_eq!(ex.upstream_request().unwrap().text(), anthropic_body("claude-x", ""));
            let mut answer = anthropic_answer();
            answer.headers.remove("content-length");
            ex.response_headers(answer.headers, false);
            for piece in answer.chunks.concat().chunks(size) {
                ex.response_body(piece, false);
            }
            ex.response_trailers(end).finish(Finish::Complete);
            assert_eq!(ex.client_response().text(), translated_answer());

            let ex = streamed(&translate, plugin);
            for piece in anthropic_events(WORDS).concat().as_bytes().chunks(size) {
                ex.response_body(piece, false);
            }
            ex.response_trailers(end).finish(Finish::Complete);
            assert_eq!(ex.client_response().text(), openai_events(WORDS).concat());
        }
    });
}

#[test]
fn an_answer_is_held_only_where_it_is_no_stream() {
    both(|plugin| {
        let gateway = plugin.envoy("translate");
        let ex = begin(&gateway, routed(plugin, asking("claude-x", "")).to("anthropic"));
        let answer = anthropic_answer();
        let bytes = answer.chunks.concat();
        ex.response_headers(answer.headers, false).response_body(&bytes[..50], false);
        assert_eq!(ex.client_response().status(), 0, "the headers wait for the body");
        ex.response_body(&bytes[50..], true).finish(Finish::Complete);
        assert_eq!(ex.client_response().text(), translated_answer());
        let ex = streamed(&gateway, plugin);
        assert_eq!(ex.client_response().status(), 200, "the headers of a stream do not");
        ex.finish(Finish::ClientDisconnect);
    });
}
