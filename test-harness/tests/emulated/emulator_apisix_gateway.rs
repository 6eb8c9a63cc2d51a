//! The APISIX profile: headers, variables, HTTP calls, and the bridge that makes it a full gateway.

use test_harness::emulator::probe::*;
use test_harness::emulator::{Exchange, Finish, Options, RootContext, Status, Vm};

const POST: [(&str, &str); 5] = [
    (":method", "POST"),
    (":path", "/v1?q=1&r="),
    (":authority", "Host.example:8080"),
    ("content-length", "4"),
    ("X-Custom", "1"),
];
const OK: [(&str, &str); 1] = [(":status", "200")];

fn statuses(vm: &Vm, function: &str) -> Vec<Status> {
    vm.answers(function).into_iter().map(|(status, _)| status).collect()
}

fn values(vm: &Vm, function: &str) -> Vec<String> {
    let text = |(_, v): (Status, Option<Vec<u8>>)| {
        String::from_utf8_lossy(&v.unwrap_or_default()).into_owned()
    };
    vm.answers(function).into_iter().map(text).collect()
}

fn posted(vm: &Vm, root: RootContext) -> Exchange {
    let ex = vm.exchange(root);
    ex.request_headers(POST, false).request_body("abcd", true);
    ex
}

fn with_header_steps(steps: impl IntoIterator<Item = Step>, options: Options) -> (Vm, Exchange) {
    let (vm, root) = Probe::new().on("request_headers", steps).start(options);
    let ex = posted(&vm, root);
    (vm, ex)
}

fn wants_bodies() -> Step {
    set_property(&["wasm_process_req_body"], "1")
}

#[test]
fn single_headers_are_read_and_changed_by_name() {
    let steps = [
        get_header(0, "x-custom"),
        get_header(0, ":path"),
        get_header(0, ":method"),
        get_header(0, "none"),
        set_header(0, "x-custom", "2"),
        add_header(0, "x-more", "3"),
        set_header(0, ":method", "PUT"),
        set_header(0, ":method", "P T"),
        remove_header(0, ":method"),
    ];
    let (vm, ex) = with_header_steps(steps, Options::apisix());
    assert_eq!(values(&vm, "proxy_get_header_map_value"), ["1", "/v1?q=1&r=", "POST", ""]);
    let sets = statuses(&vm, "proxy_replace_header_map_value");
    assert_eq!(sets, [Status::Ok, Status::Ok, Status::BadArgument]);
    assert_eq!(statuses(&vm, "proxy_remove_header_map_value"), [Status::BadArgument]);
    let headers = ex.upstream_request().unwrap().headers;
    for (name, value) in [("x-custom", "2"), ("x-more", "3"), (":method", "PUT")] {
        assert_eq!(headers.get(name), Some(value));
    }
}

#[test]
fn a_path_that_is_set_is_escaped_and_not_read_back() {
    let steps = [set_header(0, ":path", "/a b?c"), get_header(0, ":path")];
    let (vm, ex) = with_header_steps(steps, Options::apisix());
    assert_eq!(values(&vm, "proxy_get_header_map_value"), ["/v1?q=1&r="]);
    let sent = ex.upstream_request().unwrap();
    assert_eq!(sent.headers.get(":path"), Some("/a%20b%3Fc?q=1&r="), "with the old query");
}

#[test]
fn a_path_with_a_query_goes_through_upstream_uri_and_a_host_through_upstream_host() {
    let steps = [
        set_property(&["upstream_uri"], "/v2/chat?key=1"),
        set_property(&["upstream_host"], "api.example"),
    ];
    let (_, ex) = with_header_steps(steps, Options::apisix());
    let headers = ex.upstream_request().unwrap().headers;
    assert_eq!(headers.get(":path"), Some("/v2/chat?key=1"));
    assert_eq!(headers.get(":authority"), Some("api.example"));
}

#[test]
fn properties_are_nginx_variables() {
    let names = [
        "host",
        "uri",
        "request_uri",
        "args",
        "request_method",
        "remote_addr",
        "scheme",
        "http_x_custom",
        "arg_q",
        "upstream_uri",
        "consumer_name",
        "plugin_root_id",
        "undeclared",
    ];
    let steps: Vec<Step> = names.iter().map(|name| get_property(&[name])).collect();
    let (vm, root) = Probe::new().on("request_headers", steps).start(Options::apisix());
    let ex = vm.exchange(root);
    ex.set_property(&["consumer_name"], "jack").request_headers(POST, false);
    let expected = [
        "host.example",
        "/v1",
        "/v1?q=1&r=",
        "q=1&r=",
        "POST",
        "127.0.0.1",
        "http",
        "1",
        "1",
        "",
        "jack",
        "plugin",
        "",
    ];
    assert_eq!(values(&vm, "proxy_get_property"), expected);
    assert_eq!(statuses(&vm, "proxy_get_property")[9], Status::Ok, "declared and empty");
    assert_eq!(statuses(&vm, "proxy_get_property")[12], Status::NotFound);
}

#[test]
fn only_declared_variables_can_be_set_and_paths_have_one_segment() {
    let steps = [
        set_property(&["undeclared"], "1"),
        set_property(&["remote_addr"], "1"),
        set_property(&["mine"], "1"),
        set_property(&["request_type"], "ai_stream"),
        set_property(&["ai", "model"], "1"),
        get_property(&["mine"]),
        get_property(&["ai", "model"]),
    ];
    let options = Options { nginx_variables: vec!["mine".into()], ..Options::apisix() };
    let (vm, ex) = with_header_steps(steps, options);
    let sets = statuses(&vm, "proxy_set_property");
    let (ok, missing) = (Status::Ok, Status::NotFound);
    assert_eq!(sets, [missing, Status::InternalFailure, ok, ok, missing]);
    assert_eq!(statuses(&vm, "proxy_get_property"), [Status::Ok, Status::NotFound]);
    assert_eq!(ex.property(&["request_type"]).unwrap(), b"ai_stream");
}

#[test]
fn an_http_call_holds_the_request_until_its_answer() {
    let probe =
        Probe::new().on("request_headers", [http_call("127.0.0.1:80", "body"), pause()]).on(
            "http_call_response",
            [
                get_header(6, ":status"),
                get_buffer(4, 0, Arg::Given(3)),
                set_header(0, "x-checked", "1"),
            ],
        );
    let (vm, root) = probe.start(Options::apisix());
    let ex = posted(&vm, root);
    assert!(ex.upstream_request().is_none());
    let call = &ex.callouts()[0];
    assert_eq!(
        (call.upstream.as_str(), call.body.as_slice()),
        ("127.0.0.1:80", b"body".as_slice())
    );
    ex.answer_callout(call.id, [(":status", "200"), ("a", "b")], "hello");
    assert_eq!(values(&vm, "proxy_get_header_map_value"), ["200"]);
    assert_eq!(values(&vm, "proxy_get_buffer_bytes"), ["hello"]);
    assert_eq!(vm.callbacks()[1].args[1..], [2, 5, 0]);
    assert_eq!(ex.upstream_request().unwrap().headers.get("x-checked"), Some("1"));
}

#[test]
fn only_one_call_at_a_time_but_chains_from_the_callback() {
    let probe = Probe::new()
        .on("request_headers", [http_call("a:1", ""), http_call("b:1", ""), pause()])
        .on("http_call_response", [http_call("c:1", "")]);
    let (vm, root) = probe.start(Options::apisix());
    let ex = posted(&vm, root);
    assert_eq!(statuses(&vm, "proxy_http_call"), [Status::Ok, Status::InternalFailure]);
    ex.answer_callout(ex.callouts()[0].id, OK, "");
    assert_eq!(ex.callouts()[0].upstream, "c:1");
    assert!(ex.upstream_request().is_none());
}

#[test]
fn calls_are_made_in_request_phases_only_and_to_an_address() {
    let probe = Probe::new()
        .on("request_headers", [http_call("http://a/", ""), http_call("a:0", "")])
        .on("response_headers", [http_call("a:1", "")]);
    let (vm, root) = probe.start(Options::apisix());
    posted(&vm, root).response_headers(OK, true);
    assert_eq!(statuses(&vm, "proxy_http_call"), [Status::BadArgument; 3]);
}

#[test]
fn a_failed_call_has_no_headers_and_no_body() {
    let probe = Probe::new().on("request_headers", [http_call("a:1", ""), pause()]).on(
        "http_call_response",
        [get_header(6, ":status"), get_headers(6), get_buffer(4, 0, Arg::I32(1))],
    );
    let (vm, root) = probe.start(Options::apisix());
    let ex = posted(&vm, root);
    ex.fail_callout(ex.callouts()[0].id);
    assert_eq!(vm.callbacks()[1].args[1..], [0, 0, 0]);
    assert!(vm.host_calls()[1..].iter().all(|c| c.status == Status::NotFound));
    assert!(ex.upstream_request().is_some());
}

#[test]
fn the_request_body_is_gone_in_the_callback_of_a_call() {
    let read = || get_buffer(0, 0, Arg::I32(4));
    let probe = Probe::new()
        .on("request_headers", [wants_bodies()])
        .on("request_body", [read(), http_call("a:1", ""), pause()])
        .on("http_call_response", [read()]);
    let (vm, root) = probe.start(Options::apisix());
    let ex = posted(&vm, root);
    ex.answer_callout(ex.callouts()[0].id, OK, "x");
    let expected = [(Status::Ok, Some(b"abcd".to_vec())), (Status::NotFound, None)];
    assert_eq!(vm.answers("proxy_get_buffer_bytes"), expected);
    assert_eq!(ex.upstream_request().unwrap().text(), "abcd");
}

#[test]
fn the_callback_of_a_call_can_answer_the_client() {
    let probe = Probe::new()
        .on("request_headers", [wants_bodies()])
        .on("request_body", [http_call("provider:443", "{}"), pause()])
        .on("http_call_response", [local_reply(200, &[("content-type", "a/b")], "answer")]);
    let (vm, root) = probe.start(Options::apisix());
    let ex = posted(&vm, root);
    ex.answer_callout(ex.callouts()[0].id, OK, "x");
    let client = ex.client_response();
    assert_eq!((client.status(), client.text()), (200, "answer".into()));
    assert_eq!(client.headers.get("content-type"), Some("a/b"));
}

// From wasm-nginx-module's source (handle_rc_before_proxy).
#[test]
fn a_call_goes_before_a_local_reply_of_the_same_callback() {
    let probe = Probe::new()
        .on("request_headers", [http_call("a:1", ""), local_reply(401, &[], "no"), pause()]);
    let (vm, root) = probe.start(Options::apisix());
    let ex = posted(&vm, root);
    ex.answer_callout(ex.callouts()[0].id, OK, "");
    assert_eq!(ex.client_response().status(), 0);
    assert!(ex.upstream_request().is_some(), "the reply is lost");
}

#[test]
fn without_the_bridge_its_variables_are_not_declared() {
    let steps = [set_property(&["wasm_req_body"], "x"), set_property(&["wasm_req_body_set"], "1")];
    let (vm, ex) = with_header_steps(steps, Options::apisix());
    assert_eq!(statuses(&vm, "proxy_set_property"), [Status::NotFound; 2]);
    assert_eq!(ex.upstream_request().unwrap().text(), "abcd");
}

#[test]
fn the_bridge_replaces_the_request_body_and_its_length() {
    let set =
        [set_property(&["wasm_req_body"], "longer"), set_property(&["wasm_req_body_set"], "1")];
    let probe = Probe::new().on("request_headers", [wants_bodies()]).on("request_body", set);
    let (vm, root) = probe.start(Options::apisix_bridge());
    let sent = posted(&vm, root).upstream_request().unwrap();
    assert_eq!((sent.text(), sent.headers.get("content-length")), ("longer".into(), Some("6")));
}

#[test]
fn the_bridge_leaves_a_body_alone_whose_flag_is_not_set() {
    let probe = Probe::new()
        .on("request_headers", [set_property(&["wasm_req_body"], "x")])
        .on("response_headers", [set_property(&["wasm_resp_body"], "x")]);
    let (vm, root) = probe.start(Options::apisix_bridge());
    let ex = posted(&vm, root);
    assert_eq!(ex.upstream_request().unwrap().text(), "abcd");
    ex.response_headers(OK, false).response_body("y", true);
    assert_eq!(ex.client_response().text(), "y");
}

#[test]
fn the_bridge_replaces_every_response_buffer_and_can_add_a_tail() {
    let put = |text: &str| {
        vec![
            set_property(&["wasm_resp_body"], text),
            set_property(&["wasm_resp_body_set"], "1"),
            go_on(),
        ]
    };
    let probe = Probe::new()
        .on(
            "response_headers",
            [set_property(&["wasm_process_resp_body"], "1"), remove_header(2, "content-length")],
        )
        .on("response_body", [Step::AtEnd(put("tail"), put("piece,"))]);
    let (vm, root) = probe.start(Options::apisix_bridge());
    let ex = posted(&vm, root);
    ex.response_headers([(":status", "200"), ("content-length", "2")], false);
    ex.response_body("a", false);
    assert_eq!(ex.client_response().text(), "piece,", "streams");
    ex.response_body("b", true).finish(Finish::Complete);
    assert_eq!(ex.client_response().text(), "piece,piece,tail");
}

#[test]
#[should_panic(expected = "content-length of the response says 2, but its body has 4 bytes")]
fn the_bridge_needs_the_content_length_of_the_response_removed() {
    let probe =
        Probe::new().on("response_headers", [set_property(&["wasm_process_resp_body"], "1")]).on(
            "response_body",
            [Step::AtEnd(
                vec![set_property(&["wasm_resp_body"], "")],
                vec![
                    set_property(&["wasm_resp_body"], "long"),
                    set_property(&["wasm_resp_body_set"], "1"),
                ],
            )],
        );
    let (vm, root) = probe.start(Options::apisix_bridge());
    let ex = posted(&vm, root);
    ex.response_headers([(":status", "200"), ("content-length", "2")], false);
    ex.response_body("ab", true);
}
