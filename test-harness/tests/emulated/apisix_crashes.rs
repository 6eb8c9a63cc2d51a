//! What brings a worker of APISIX down, or its module: none of it may happen, whatever a client, a provider
//! or a called service sends, and in whatever order callbacks come. The emulated host panics where the real
//! one would crash, and on every trap of a module.

use crate::support::{built, dist};
use test_harness::emulator::{Exchange, Finish, Headers, Module, Options, RootContext, Status, Vm};

/// A configuration with which a plugin has much to do.
fn config(module: &str) -> &'static str {
    match module {
        "ai-auth" => AUTH,
        "ai-metrics" => r#"{"site":{"region":"eu"},"access_log":{"enabled":true,"property":true}}"#,
        "ai-proxy" => PROXY,
        "prompt-guard" => r#"{"pii":{"entities":{"EMAIL":"flag","SECRET":"block"}}}"#,
        "token-ratelimit" => LIMITS,
        "ai-gateway" => BUNDLE,
        "semantic-cache-client" => CACHE,
        other => panic!("{other} is new: give it a configuration here"),
    }
}

const AUTH: &str = r#"{
    "consumers": [{"name": "demo", "keys": [{"id": "demo", "hash":
        "sha256:214384a00f05bde84110227f4ca11a371130f9325036b40aa27eb93259534a83"}]}],
    "host_identity": {"from": "apisix_consumer"},
    "anonymous": "demo",
    "lookup": {"kind": "http", "upstream": "keys:80", "prefix": "/keys/"}
}"#;
const LIMITS: &str = r#"{"admin_key": "secret", "rules": [
    {"name": "a", "key": ["consumer"], "unit": "total_tokens", "limit": 1000, "window": "minute"},
    {"name": "b", "key": ["ip"], "unit": "concurrent", "limit": 5}]}"#;
const PROXY: &str = r#"{"bridge": true,
    "providers": [
        {"name": "openai", "protocol": "openai", "base_url": "https://api.openai.com/v1",
         "api_key": "sk-1"},
        {"name": "anthropic", "protocol": "anthropic", "base_url": "https://api.anthropic.com",
         "api_key": "sk-2"}],
    "models": [
        {"name": "gpt-*", "targets": [{"provider": "openai"}]},
        {"name": "claude-*", "targets": [{"provider": "anthropic"}]},
        {"name": "best", "targets": [{"provider": "openai", "model": "gpt-5"},
            {"provider": "anthropic", "model": "claude-sonnet-4-5"}]}]}"#;
const BUNDLE: &str = r#"{
    "ai-metrics": {}, "ai-auth": {"anonymous": "demo", "consumers": [{"name": "demo"}]},
    "prompt-guard": {"pii": {"entities": {"EMAIL": "mask"}}, "answers": {"deny": ["forbidden"]}},
    "semantic-cache-client": {"admin_key": "secret", "semantic": {
        "embedder": {"kind": "openai", "model": "e", "service": {"upstream": "embed:80"}}}},
    "token-ratelimit": {"rules": [
        {"name": "a", "key": ["consumer"], "unit": "total_tokens", "limit": 100000, "window": "minute"}]},
    "ai-proxy": {"bridge": true,
        "providers": [
            {"name": "openai", "protocol": "openai", "base_url": "https://api.openai.com/v1",
             "api_key": "sk-1"},
            {"name": "anthropic", "protocol": "anthropic", "base_url": "https://api.anthropic.com",
             "api_key": "sk-2"}],
        "models": [
            {"name": "gpt-*", "targets": [{"provider": "openai"}]},
            {"name": "claude-*", "targets": [{"provider": "anthropic"}]},
            {"name": "best", "targets": [{"provider": "openai", "model": "gpt-5"},
                {"provider": "anthropic", "model": "claude-sonnet-4-5"}]}]}}"#;
const CACHE: &str = r#"{"scope": "shared", "admin_key": "secret", "semantic": {
    "embedder": {"kind": "openai", "model": "e", "service": {"upstream": "embed:80"}},
    "judge": {"kind": "tei", "service": {"upstream": "judge:80"}}}}"#;

/// Requests of all kinds: headers and body.
fn requests() -> Vec<(Headers, Vec<u8>)> {
    let chat = |model: &str, more: &str| {
        let text = "write to anna@example.com";
        format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"{text}"}}]{more}}}"#)
    };
    let post = |path: &str, body: &[u8]| {
        let length = body.len().to_string();
        let headers = Headers::from(&[
            (":method", "POST"),
            (":path", path),
            (":scheme", "http"),
            (":authority", "gateway.example"),
            ("content-type", "application/json"),
            ("content-length", length.as_str()),
        ]);
        (headers, body.to_vec())
    };
    let path = "/v1/chat/completions";
    let plain = |model: &str| post(path, chat(model, "").as_bytes());
    let changed = |change: &dyn Fn(&mut Headers)| {
        let (mut headers, body) = plain("gpt-5");
        change(&mut headers);
        (headers, body)
    };
    let mut all = vec![
        plain("gpt-5"),
        plain("claude-x"),
        plain("best"),
        plain("none"),
        post(path, chat("claude-x", r#","stream":true"#).as_bytes()),
        post(path, chat("gpt-5", r#","stream":true"#).as_bytes()),
        post("/v1/messages", chat("claude-x", r#","max_tokens":5"#).as_bytes()),
        post(path, b""),
        post(path, b"{"),
        post(path, b"\xff\xfe\x00"),
        post(path, &b"[".repeat(5000)),
        post("/", b"{}"),
        post("//v1//chat?x=ä&y=%ff", b"{}"),
        post("/_ai/limits?rule=a&key=", b"{}"),
        post("/_ai/cache/purge?all=true", b""),
        // The same to another API, which the cache knows by now.
        post("/v1/responses", br#"{"model":"gpt-5","input":"write to anna@example.com"}"#),
        post(
            "/v1beta/models/gpt-5:generateContent",
            br#"{"contents":[{"parts":[{"text":"write to anna@example.com"}]}]}"#,
        ),
        // HTTP/1.0 has no Host, HTTP/2 no need of a length.
        changed(&|headers| headers.remove(":authority")),
        changed(&|headers| headers.remove("content-length")),
        changed(&|headers| {
            headers.remove("content-length");
            headers.set("transfer-encoding", "chunked");
        }),
        changed(&|headers| headers.set("content-length", "99999999999999999999")),
        changed(&|headers| headers.set("content-encoding", "gzip")),
        changed(&|headers| headers.set("upgrade", "websocket")),
    ];
    for name in [
        "content-type",
        "authorization",
        "x-api-key",
        "x-consumer-username",
        "cookie",
        "content-length",
        "user-agent",
        "x-forwarded-for",
        "anthropic-version",
        "x-ai-provider",
    ] {
        all.push(changed(&|headers| headers.set(name, b"\xff\xfe\x80")));
        all.push(changed(&|headers| headers.set(name, "")));
        all.push(changed(&|headers| headers.add(name, "twice")));
    }
    for method in ["GET", "HEAD", "OPTIONS", "DELETE", "CONNECT"] {
        let (mut headers, _) = plain("gpt-5");
        headers.set(":method", method);
        headers.remove("content-length");
        all.push((headers, Vec::new()));
    }
    for path in ["/v1/models", "/v1/models/gpt-5", "/_ai/report", "/v1beta/models", "/health"] {
        let headers = [(":method", "GET"), (":path", path), (":scheme", "http")];
        all.push((Headers::from(&headers), Vec::new()));
    }
    all
}

/// Answers of all kinds: headers and pieces of the body.
fn answers() -> Vec<(Headers, Vec<&'static [u8]>)> {
    let of = |headers: &[(&str, &str)], pieces: &[&'static [u8]]| {
        let headers: Vec<(&str, &str)> = headers.to_vec();
        let mut all = Headers::new();
        headers.iter().for_each(|(name, value)| all.set(name, value));
        (all, pieces.to_vec())
    };
    let json = ("content-type", "application/json");
    let mut odd = of(&[(":status", "200")], &[b"{}"]);
    odd.0.set("content-type", b"\xff");
    odd.0.set("content-length", b"\xfe");
    vec![
        of(
            &[(":status", "200"), json],
            &[
                br#"{"id":"x","choices":[{"index":0,"message":{"role":"#,
                br#""assistant","content":"[EMAIL_1] forbidden"},"finish_reason":"stop"}]}"#,
            ],
        ),
        of(
            &[(":status", "200"), ("content-type", "text/event-stream")],
            &[
                b"data: {\"choices\":[{\"delta\":{\"content\":\"forb",
                b"idden\"}}]}\n\ndata: [DO",
                b"NE]\n\n",
            ],
        ),
        of(
            &[(":status", "200"), ("content-type", "text/event-stream")],
            &[b"data: \xff\xfe\n\n", b"\n"],
        ),
        of(&[(":status", "200"), json, ("content-encoding", "gzip")], &[b"\x1f\x8b"]),
        of(&[(":status", "500")], &[b"<html>"]),
        of(&[(":status", "401"), json, ("content-length", "2")], &[b"{}"]),
        of(&[(":status", "204")], &[]),
        of(&[(":status", "not a number"), json], &[b"{"]),
        odd,
    ]
}

/// How an exchange goes on once the request was shown.
#[derive(Clone, Copy, Debug)]
enum Way {
    ToTheEnd,
    LeftBeforeTheBody,
    LeftInTheAnswer,
    UpstreamGone,
    CutAnswer,
    ContextDropped,
    NeverSeen,
}

const WAYS: [Way; 7] = [
    Way::ToTheEnd,
    Way::LeftBeforeTheBody,
    Way::LeftInTheAnswer,
    Way::UpstreamGone,
    Way::CutAnswer,
    Way::ContextDropped,
    Way::NeverSeen,
];

/// What a called service answers, by turns.
fn serve(ex: &Exchange, turn: &mut usize) {
    while let Some(call) = ex.callouts().into_iter().next() {
        *turn += 1;
        let mut odd = Headers::new();
        odd.set(":status", b"\xff");
        odd.set("content-type", b"\xff");
        match *turn % 5 {
            0 => ex.fail_callout(call.id),
            1 => ex.answer_callout(call.id, [(":status", "200")], ""),
            2 => ex.answer_callout(call.id, odd, b"\xff\xfe"),
            3 => ex.answer_callout(call.id, [(":status", "503")], "<html>"),
            _ => ex.answer_callout(
                call.id,
                [(":status", "200"), ("content-type", "application/json")],
                "{}",
            ),
        };
    }
}

fn over(ex: &Exchange) -> bool {
    let client = ex.client_response();
    client.complete || client.reset
}

fn exchange(
    vm: &Vm,
    root: RootContext,
    request: &(Headers, Vec<u8>),
    answer: &(Headers, Vec<&[u8]>),
    way: Way,
    turn: &mut usize,
) {
    let ex = vm.exchange(root);
    if let Way::NeverSeen = way {
        ex.response_to_unseen_request(answer.0.clone(), false);
    } else {
        ex.request_headers(request.0.clone(), request.1.is_empty());
        if let Way::LeftBeforeTheBody = way {
            return ex.finish(Finish::ClientDisconnect);
        }
        serve(&ex, turn);
        if !request.1.is_empty() {
            ex.request_body(&request.1, true);
            serve(&ex, turn);
        }
        if over(&ex) {
            return ex.finish(Finish::Complete);
        }
        match way {
            Way::UpstreamGone => return ex.finish(Finish::UpstreamReset),
            Way::ContextDropped => {
                ex.exec_to_named_location();
                ex.response_to_unseen_request(answer.0.clone(), false);
            }
            _ => {
                ex.response_headers(answer.0.clone(), false);
            }
        }
    }
    for piece in &answer.1 {
        ex.response_body(piece, false);
        match way {
            Way::LeftInTheAnswer => return ex.finish(Finish::ClientDisconnect),
            Way::CutAnswer => return ex.finish(Finish::UpstreamReset),
            _ => {}
        }
    }
    ex.response_body(b"", true);
    ex.finish(Finish::Complete);
}

/// What the SDK panics on, and what the host does not have at all: not even asked for.
const NEVER: [&str; 9] = [
    "proxy_set_buffer_bytes",
    "proxy_set_header_map_pairs",
    "proxy_get_header_map_pairs",
    "proxy_get_shared_data",
    "proxy_set_shared_data",
    "proxy_set_tick_period_milliseconds",
    "proxy_get_current_time_nanoseconds",
    "proxy_call_foreign_function",
    "proxy_get_status",
];

fn drive(module: &Module, options: Options) {
    let vm = Vm::start(module, Options { check_content_length: false, ..options }).unwrap();
    let root = vm.configure(config(module.name())).unwrap();
    let (requests, answers) = (requests(), answers());
    let mut turn = 0;
    // All of each with all ways; answers go round, as all with all would take minutes.
    let mut next = answers.iter().cycle();
    for request in &requests {
        for way in WAYS {
            let answer = next.next().unwrap();
            exchange(&vm, root, request, answer, way, &mut turn);
        }
        let calls = vm.host_calls();
        for call in &calls {
            assert!(!NEVER.contains(&call.name), "{}: {call:?}", module.name());
            assert!(call.status != Status::Unimplemented, "{}: {call:?}", module.name());
        }
        vm.clear_trace();
    }
    assert!(!vm.is_dead());
}

#[test]
fn nothing_that_comes_brings_a_worker_down() {
    let _ = dist();
    let modules = built();
    assert!(modules.len() >= 6);
    // Each module at a time in a thread of its own: there are many exchanges.
    std::thread::scope(|scope| {
        for module in &modules {
            scope.spawn(move || {
                drive(module, Options::apisix());
                drive(module, Options::apisix_bridge());
            });
        }
    });
}

#[test]
fn a_module_whose_configuration_is_refused_answers_503_and_lives() {
    for module in built().into_iter().filter(|module| module.name() == "ai-gateway") {
        for conf in ["", "{", "[]", r#"{"nonsense": 1}"#, "\u{0}"] {
            let vm = Vm::start(&module, Options::apisix()).unwrap();
            let root = vm.configure(conf).unwrap();
            if conf.is_empty() {
                continue;
            }
            for _ in 0..2 {
                let ex = vm.exchange(root);
                ex.request_headers([(":method", "GET"), (":path", "/")], true);
                assert_eq!(ex.client_response().status(), 503, "{} {conf}", module.name());
                ex.finish(Finish::Complete);
            }
        }
    }
}
