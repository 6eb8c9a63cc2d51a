//! The APISIX profile: what it leaves out, and where the real worker crashes.

use test_harness::emulator::probe::*;
use test_harness::emulator::{Exchange, Finish, Module, Options, RootContext, Status, Traps, Vm};

const POST: [(&str, &str); 5] = [
    (":method", "POST"),
    (":path", "/v1?q=1"),
    (":authority", "host.example:8080"),
    ("content-length", "4"),
    ("x-a", "1"),
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
    ex.request_headers(POST, false).request_body("ab", false).request_body("cd", true);
    ex
}

/// Runs one request through a plugin with these steps in its header callback.
fn with_header_steps(steps: impl IntoIterator<Item = Step>) -> (Vm, Exchange) {
    let (vm, root) = Probe::new().on("request_headers", steps).start(Options::apisix());
    let ex = posted(&vm, root);
    (vm, ex)
}

fn names(vm: &Vm) -> Vec<&'static str> {
    vm.callbacks().into_iter().map(|c| c.name).collect()
}

fn wants_request_body() -> Step {
    set_property(&["wasm_process_req_body"], "1")
}

fn wants_response_body() -> Step {
    set_property(&["wasm_process_resp_body"], "1")
}

#[test]
#[should_panic(expected = "APISIX worker would crash: Pause in a request phase")]
fn a_pause_without_a_call_crashes_an_apisix_worker() {
    with_header_steps([pause()]);
}

#[test]
#[should_panic(expected = "APISIX worker would crash: Pause in a request phase")]
fn a_pause_in_the_body_callback_crashes_it_too() {
    let probe =
        Probe::new().on("request_headers", [wants_request_body()]).on("request_body", [pause()]);
    let (vm, root) = probe.start(Options::apisix());
    posted(&vm, root);
}

#[test]
#[should_panic(expected = "reads the whole map of request headers")]
fn reading_all_request_headers_crashes_it() {
    with_header_steps([get_headers(0)]);
}

#[test]
#[should_panic(expected = "reads :authority")]
fn reading_the_authority_crashes_it() {
    with_header_steps([get_header(0, ":authority")]);
}

#[test]
fn both_work_for_http1_with_a_host() {
    let steps = [get_header(0, ":authority"), get_headers(0)];
    let probe = Probe::new().on("request_headers", steps);
    let (vm, root) = probe.start(Options { only_http1_with_host: true, ..Options::apisix() });
    posted(&vm, root);
    assert_eq!(values(&vm, "proxy_get_header_map_value"), ["host.example:8080"]);
    assert_eq!(statuses(&vm, "proxy_get_header_map_pairs"), [Status::Ok]);
}

#[test]
#[should_panic(expected = "overwrites the method")]
fn setting_the_authority_overwrites_the_method() {
    with_header_steps([set_header(0, ":authority", "x")]);
}

#[test]
#[should_panic(expected = "an HTTP call without :scheme reads freed memory")]
fn a_call_without_all_pseudo_headers_reads_freed_memory() {
    let headers = [(":method", "GET"), (":path", "/"), (":authority", "x")];
    with_header_steps([http_call_with("a:1", &headers, ""), pause()]);
}

#[test]
#[should_panic(expected = "request smuggling")]
fn removing_content_length_smuggles_a_request() {
    with_header_steps([remove_header(0, "Content-Length")]);
}

#[test]
#[should_panic(expected = "request smuggling")]
fn changing_content_length_smuggles_a_request() {
    with_header_steps([set_header(0, "content-length", "3")]);
}

#[test]
fn modules_that_import_get_metric_or_get_log_level_do_not_load() {
    for (name, args) in
        [("proxy_get_metric", vec![Arg::I32(4), Arg::Out]), ("proxy_get_log_level", vec![Arg::Out])]
    {
        let module = Probe::new().on("tick", [Step::Call(name, args)]).module();
        let error = Vm::start(&module, Options::apisix()).err().unwrap();
        assert!(error.to_string().contains(name), "{error}");
        assert!(Vm::start(&module, Options::envoy()).is_ok());
    }
    let no_memory = Module::from_wat("(module)").unwrap();
    assert!(Vm::start(&no_memory, Options::apisix()).is_err());
}

#[test]
fn what_is_not_implemented_answers_12() {
    let out = || Arg::Out;
    let calls = [
        Step::Call("proxy_set_header_map_pairs", vec![Arg::I32(0), bytes("")]),
        Step::Call("proxy_get_shared_data", vec![bytes("k"), out(), out(), out()]),
        Step::Call("proxy_set_shared_data", vec![bytes("k"), bytes("v"), Arg::I32(0)]),
        Step::Call("proxy_register_shared_queue", vec![bytes("q"), out()]),
        Step::Call("proxy_resolve_shared_queue", vec![bytes("v"), bytes("q"), out()]),
        Step::Call("proxy_dequeue_shared_queue", vec![Arg::I32(1), out(), out()]),
        Step::Call("proxy_enqueue_shared_queue", vec![Arg::I32(1), bytes("i")]),
        Step::Call("proxy_set_tick_period_milliseconds", vec![Arg::I32(1)]),
        Step::Call("proxy_get_current_time_nanoseconds", vec![out()]),
        Step::Call("proxy_grpc_cancel", vec![Arg::I32(1)]),
        Step::Call("proxy_get_status", vec![out(), out(), out()]),
        Step::Call("proxy_done", vec![]),
        Step::Call("proxy_call_foreign_function", vec![bytes("f"), bytes(""), out(), out()]),
        set_buffer(0, 0, 9, "new"),
        get_buffer(6, 0, Arg::I32(1)),
        get_header(1, "trailer"),
    ];
    let count = calls.len();
    let (vm, _) = with_header_steps(calls);
    let answers = vm.host_calls();
    assert_eq!(answers.len(), count);
    for call in answers {
        assert_eq!(call.status, Status::Unimplemented, "{}", call.name);
    }
}

#[test]
fn metrics_are_accepted_and_vanish() {
    let (vm, _) = with_header_steps([
        Step::Call("proxy_define_metric", vec![Arg::I32(0), bytes("c"), Arg::Out]),
        Step::Call("proxy_increment_metric", vec![Arg::I32(0), Arg::I64(1)]),
        Step::Call("proxy_record_metric", vec![Arg::I32(0), Arg::I64(1)]),
    ]);
    assert!(vm.host_calls().iter().all(|c| c.status == Status::Ok));
    assert!(vm.metrics().is_empty());
}

#[test]
fn some_callbacks_are_never_made() {
    let probe = Probe::new()
        .on("vm_start", [go_on()])
        .on("tick", [])
        .on("queue_ready", [])
        .on("request_trailers", [])
        .on("response_trailers", [])
        .on("log", [])
        .on("done", [pause()])
        .on("delete", []);
    let (vm, root) = probe.start(Options::apisix());
    let ex = vm.exchange(root);
    ex.request_headers(POST, false).request_body("abcd", false).request_trailers([("t", "1")]);
    ex.response_headers(OK, false).response_trailers([("t", "1")]).finish(Finish::Complete);
    assert!(!vm.tick(root));
    vm.queue_ready(root, 1);
    assert_eq!(names(&vm), ["proxy_on_done", "proxy_on_delete"]);
}

#[test]
fn configuration_waits_for_the_first_request() {
    let probe = Probe::new().on("configure", [get_buffer(7, 0, Arg::I32(0)), pause()]);
    let vm = Vm::start(&probe.module(), Options::apisix()).unwrap();
    let root = vm.configure("{\"a\":1}").unwrap();
    assert_eq!(names(&vm), [""; 0]);
    posted(&vm, root);
    posted(&vm, root);
    assert_eq!(names(&vm), ["proxy_on_configure"]);
    assert_eq!(values(&vm, "proxy_get_buffer_bytes"), ["{\"a\":1}"], "whole, whatever was asked");
}

#[test]
fn a_refused_configuration_answers_503_and_is_tried_again() {
    let probe = Probe::new().on("configure", [log("bad"), go_on()]).on("request_headers", []);
    let vm = Vm::start(&probe.module(), Options::apisix()).unwrap();
    let root = vm.configure("{}").unwrap();
    for _ in 0..2 {
        assert_eq!(posted(&vm, root).client_response().status(), 503);
    }
    assert_eq!(names(&vm), ["proxy_on_configure"; 2]);
    assert_eq!(vm.configure_now("{}").unwrap_err().logs, ["bad"]);
}

#[test]
fn no_request_exists_in_configure_and_done() {
    let steps = || [get_property(&["host"]), set_property(&["llm_model"], "m")];
    let probe = Probe::new()
        .on("configure", [steps().to_vec(), vec![pause()]].concat())
        .on("done", [steps().to_vec(), vec![pause()]].concat());
    let (vm, root) = probe.start(Options::apisix());
    let ex = posted(&vm, root);
    ex.response_headers(OK, true).finish(Finish::Complete);
    assert_eq!(statuses(&vm, "proxy_get_property"), [Status::BadArgument; 2]);
    assert_eq!(statuses(&vm, "proxy_set_property"), [Status::BadArgument; 2]);
}

#[test]
fn header_callbacks_are_told_no_count_and_always_the_end() {
    let probe = Probe::new().on("request_headers", []).on("response_headers", []);
    let (vm, root) = probe.start(Options::apisix());
    posted(&vm, root).response_headers(OK, false);
    let callbacks = vm.callbacks();
    assert!(callbacks.iter().all(|c| c.args == [0, 1]), "{callbacks:?}");
}

#[test]
fn body_callbacks_come_only_if_asked_for() {
    let probe = Probe::new().on("request_body", []).on("response_body", []);
    let (vm, root) = probe.start(Options::apisix());
    let ex = posted(&vm, root);
    ex.response_headers(OK, false).response_body("x", true);
    assert_eq!(names(&vm), [""; 0]);
    assert_eq!(ex.client_response().text(), "x");
    assert_eq!(ex.upstream_request().unwrap().text(), "abcd");
}

#[test]
fn the_request_body_arrives_whole() {
    let probe = Probe::new()
        .on("request_headers", [wants_request_body()])
        .on("request_body", [get_buffer(0, 0, Arg::Given(1))]);
    let (vm, root) = probe.start(Options::apisix());
    let ex = vm.exchange(root);
    ex.request_headers(POST, false).request_body("ab", false);
    assert_eq!(names(&vm), ["proxy_on_request_headers"]);
    assert!(ex.upstream_request().is_none(), "nginx waits for the whole body");
    ex.request_body("cd", true);
    assert_eq!(vm.callbacks()[1].args, [4, 1]);
    assert_eq!(values(&vm, "proxy_get_buffer_bytes"), ["abcd"]);
    assert!(ex.upstream_request().unwrap().complete);
}

#[test]
fn reads_of_all_of_nothing_or_from_the_end_are_errors() {
    let probe = Probe::new().on("request_headers", [wants_request_body()]).on(
        "request_body",
        [
            get_buffer(0, 0, Arg::I32(u32::MAX)),
            get_buffer(0, 0, Arg::I32(0)),
            get_buffer(0, 4, Arg::I32(1)),
            get_buffer(0, 3, Arg::I32(100)),
        ],
    );
    let (vm, root) = probe.start(Options::apisix());
    posted(&vm, root);
    let bad = (Status::BadArgument, None);
    let expected = [bad.clone(), bad.clone(), bad, (Status::Ok, Some(b"d".to_vec()))];
    assert_eq!(vm.answers("proxy_get_buffer_bytes"), expected);
}

#[test]
fn a_response_comes_in_buffers_and_then_an_empty_last_call() {
    let probe = Probe::new()
        .on("response_headers", [wants_response_body()])
        .on("response_body", [get_buffer(1, 0, Arg::Given(1))]);
    let (vm, root) = probe.start(Options { response_buffer: 3, ..Options::apisix() });
    let ex = posted(&vm, root);
    ex.response_headers(OK, false).response_body("abcd", false).response_body("e", true);
    let callbacks = vm.callbacks();
    let bodies = callbacks.iter().filter(|c| c.name == "proxy_on_response_body");
    let args: Vec<_> = bodies.map(|c| c.args.clone()).collect();
    assert_eq!(args, [[3, 0], [1, 0], [1, 0], [0, 1]]);
    assert_eq!(values(&vm, "proxy_get_buffer_bytes"), ["abc", "d", "e", ""]);
    assert_eq!(ex.client_response().text(), "abcde");
    assert_eq!(Options::apisix().response_buffer, 8192);
}

#[test]
fn a_local_reply_answers_and_the_response_callbacks_run() {
    let probe = Probe::new()
        .on("request_headers", [local_reply(401, &[("x-why", "key")], "no"), pause()])
        .on("response_headers", [get_header(2, ":status"), set_header(2, "x-seen", "1")]);
    let (vm, root) = probe.start(Options::apisix());
    let ex = posted(&vm, root);
    let client = ex.client_response();
    assert_eq!((client.status(), client.text(), client.complete), (401, "no".into(), true));
    assert_eq!(client.headers.get("x-why"), Some("key"));
    assert_eq!(client.headers.get("x-seen"), Some("1"));
    assert_eq!(values(&vm, "proxy_get_header_map_value"), ["401"]);
    assert_eq!(ex.upstream_request(), None);
    ex.finish(Finish::Complete);
}

#[test]
fn pause_and_local_replies_are_ignored_in_response_phases() {
    let reply = || vec![local_reply(500, &[], "no"), pause()];
    let probe = Probe::new()
        .on("response_headers", [vec![wants_response_body()], reply()].concat())
        .on("response_body", reply());
    let (vm, root) = probe.start(Options::apisix());
    let ex = posted(&vm, root);
    ex.response_headers(OK, false).response_body("x", true);
    let client = ex.client_response();
    assert_eq!(
        (client.status(), client.text(), client.local_reply.clone()),
        (200, "x".into(), None)
    );
}

#[test]
fn response_headers_set_in_the_body_phase_have_no_effect() {
    let probe = Probe::new()
        .on("response_headers", [wants_response_body(), set_header(2, "early", "1")])
        .on("response_body", [set_header(2, "late", "1")]);
    let (vm, root) = probe.start(Options::apisix());
    let ex = posted(&vm, root);
    ex.response_headers(OK, false).response_body("x", true);
    assert_eq!(statuses(&vm, "proxy_replace_header_map_value"), [Status::Ok; 3]);
    let headers = ex.client_response().message.headers;
    assert_eq!((headers.get("early"), headers.get("late")), (Some("1"), None));
}

#[test]
fn a_dead_worker_answers_503_until_reload() {
    let probe = Probe::new().on("request_headers", [Step::Trap]);
    let (vm, root) = probe.start(Options { traps: Traps::KillTheVm, ..Options::apisix() });
    for _ in 0..2 {
        assert_eq!(posted(&vm, root).client_response().status(), 503);
    }
    assert_eq!(names(&vm), ["proxy_on_request_headers"]);
}

#[test]
fn an_unreachable_upstream_is_a_502_that_the_plugin_sees() {
    let probe = Probe::new().on("response_headers", [get_header(2, ":status")]);
    let (vm, root) = probe.start(Options::apisix());
    let ex = posted(&vm, root);
    ex.finish(Finish::UpstreamReset);
    assert_eq!(ex.client_response().status(), 502);
    assert_eq!(values(&vm, "proxy_get_header_map_value"), ["502"]);
}

#[test]
fn a_plugin_gets_the_response_of_a_request_it_never_saw() {
    let probe = Probe::new().on("request_headers", []).on("response_headers", []).on("log", []);
    let (vm, root) = probe.start(Options::apisix());
    vm.exchange(root).response_to_unseen_request([(":status", "403")], true);
    assert_eq!(names(&vm), ["proxy_on_response_headers"]);
    let (vm, root) = probe.start(Options::envoy());
    let ex = vm.exchange(root);
    ex.response_to_unseen_request([(":status", "403")], true).finish(Finish::Complete);
    assert_eq!((names(&vm), ex.client_response().status()), (vec!["proxy_on_log"], 403));
}

#[test]
fn ngx_exec_gives_the_response_to_a_new_context() {
    let probe =
        Probe::new().on("context_create", []).on("response_headers", []).on("done", [pause()]);
    let (vm, root) = probe.start(Options::apisix());
    let ex = posted(&vm, root);
    let old = ex.context();
    ex.exec_to_named_location().response_headers(OK, true);
    let new = ex.context();
    ex.finish(Finish::Complete);
    let of = |id| vm.callbacks().into_iter().filter(|c| c.context == id).map(|c| c.name).collect();
    let (old, new): (Vec<_>, Vec<_>) = (of(old), of(new));
    assert_eq!(old, ["proxy_on_context_create", "proxy_on_done"]);
    assert_eq!(new, ["proxy_on_context_create", "proxy_on_response_headers", "proxy_on_done"]);
}
