//! The Envoy profile: responses, HTTP calls, the end of a stream, what VMs share.

use test_harness::emulator::probe::*;
use test_harness::emulator::{
    Exchange, Finish, Metric, MetricKind, Options, RootContext, SharedStore, Status, Vm,
};

const GET: [(&str, &str); 3] = [(":method", "GET"), (":path", "/"), (":authority", "h")];
const OK: [(&str, &str); 1] = [(":status", "200")];

fn statuses(vm: &Vm, function: &str) -> Vec<Status> {
    vm.answers(function).into_iter().map(|(status, _)| status).collect()
}

fn asked(vm: &Vm, root: RootContext) -> Exchange {
    let ex = vm.exchange(root);
    ex.request_headers(GET, true);
    ex
}

fn callbacks(vm: &Vm, ex: &Exchange) -> Vec<&'static str> {
    vm.callbacks().into_iter().filter(|c| c.context == ex.context()).map(|c| c.name).collect()
}

#[test]
fn response_headers_are_held_until_a_body_callback_continues() {
    let replace = [set_header(2, ":status", "451"), set_buffer(1, 0, 99, "no")];
    let probe = Probe::new()
        .on("response_headers", [pause()])
        .on("response_body", [pause_until_end(replace)]);
    let (vm, root) = probe.start(Options::envoy());
    let ex = asked(&vm, root);
    ex.response_headers(OK, false).response_body("ab", false);
    assert_eq!(ex.client_response().status(), 0, "nothing is out");
    ex.response_body("cd", true);
    let client = ex.client_response();
    assert_eq!((client.status(), client.text()), (451, "no".into()));
    assert_eq!(client.local_reply, None);
}

#[test]
fn a_call_of_the_response_phase_is_cancelled_if_the_stream_ends_first() {
    let probe = Probe::new()
        .on("response_headers", [http_call("guard", ""), pause()])
        .on("http_call_response", []);
    let (vm, root) = probe.start(Options::envoy());
    let ex = asked(&vm, root);
    ex.response_headers(OK, false);
    let id = ex.callouts()[0].id;
    ex.response_body("a", true);
    assert!(ex.client_response().complete, "the body's Continue let all of it go");
    assert!(!ex.answer_callout(id, OK, ""), "no callback");
    assert!(!callbacks(&vm, &ex).contains(&"proxy_on_http_call_response"));
}

#[test]
fn a_call_of_the_response_phase_can_turn_the_answer_into_another() {
    let probe = Probe::new()
        .on("response_headers", [http_call("guard", ""), pause()])
        .on("response_body", [pause()])
        .on("http_call_response", [local_reply(451, &[], "blocked")]);
    let (vm, root) = probe.start(Options::envoy());
    let ex = asked(&vm, root);
    ex.response_headers(OK, false).response_body("secret", true);
    assert!(ex.answer_callout(ex.callouts()[0].id, OK, ""));
    let client = ex.client_response();
    assert_eq!((client.status(), client.text()), (451, "blocked".into()));
}

// From Envoy's source (FilterManager::sendLocalReply): straight to the codec.
#[test]
fn a_local_reply_of_the_response_phase_goes_round_the_filters() {
    let probe = Probe::new()
        .on("response_headers", [local_reply(451, &[], "blocked"), pause()])
        .on("response_body", []);
    let (vm, root) = probe.start(Options::envoy());
    let ex = asked(&vm, root);
    ex.response_headers(OK, false).response_body("late", true);
    assert_eq!(ex.client_response().status(), 451);
    assert_eq!(callbacks(&vm, &ex), ["proxy_on_response_headers"]);
}

#[test]
fn a_call_of_the_response_phase_can_let_the_response_go_on() {
    let probe = Probe::new()
        .on("response_headers", [http_call("guard", ""), pause()])
        .on("response_body", [pause()])
        .on("http_call_response", [set_header(2, "x-checked", "1"), continue_stream(1)]);
    let (vm, root) = probe.start(Options::envoy());
    let ex = asked(&vm, root);
    ex.response_headers(OK, false).response_body("a", false).response_body("b", true);
    assert_eq!(ex.client_response().chunks.len(), 0);
    ex.answer_callout(ex.callouts()[0].id, OK, "");
    let client = ex.client_response();
    assert_eq!((client.text(), client.complete), ("ab".into(), true));
    assert_eq!(client.headers.get("x-checked"), Some("1"));
}

// From Envoy's source (FilterManager::sendLocalReply).
#[test]
fn a_local_reply_after_the_headers_went_out_cuts_the_stream() {
    let probe = Probe::new().on("response_body", [local_reply(500, &[], "late")]);
    let (vm, root) = probe.start(Options::envoy());
    let ex = asked(&vm, root);
    ex.response_headers(OK, false).response_body("a", false);
    let client = ex.client_response();
    assert_eq!((client.status(), client.text(), client.reset), (200, String::new(), true));
}

#[test]
fn closing_the_stream_loses_the_chunk_at_hand() {
    for kind in [0, 1] {
        let steps = [set_buffer(1, 0, 9, "changed"), close_stream(kind)];
        let (vm, root) = Probe::new().on("response_body", steps).start(Options::envoy());
        let ex = asked(&vm, root);
        ex.response_headers(OK, false).response_body("a", false);
        assert!(ex.client_response().reset);
        assert_eq!(ex.client_response().text(), "");
    }
    for kind in [2, 3] {
        let probe = Probe::new().on("response_body", [close_stream(kind)]);
        let (vm, root) = probe.start(Options::envoy());
        let ex = asked(&vm, root);
        ex.response_headers(OK, false).response_body("a", true);
        assert_eq!(ex.client_response().text(), "a", "types 2 and 3 do nothing");
    }
}

#[test]
fn a_stream_can_be_muted() {
    let probe = Probe::new().on("response_body", [set_buffer(1, 0, 99, "")]);
    let (vm, root) = probe.start(Options::envoy());
    let ex = asked(&vm, root);
    ex.response_headers(OK, false).response_body("a", false).response_body("b", true);
    assert_eq!((ex.client_response().text(), ex.client_response().complete), (String::new(), true));
}

#[test]
fn a_held_response_beyond_the_buffer_limit_becomes_500() {
    let probe = Probe::new().on("response_headers", [pause()]).on("response_body", [pause()]);
    let (vm, root) = probe.start(Options { buffer_limit: 3, ..Options::envoy() });
    let ex = asked(&vm, root);
    ex.response_headers(OK, false).response_body("abcd", false);
    assert_eq!(ex.client_response().status(), 500);
}

#[test]
fn on_log_reads_headers_and_what_became_of_the_request() {
    let steps = [
        get_property(&["request", "duration"]),
        get_property(&["response", "code"]),
        get_header(0, ":path"),
        get_header(2, "x-none"),
    ];
    let (vm, root) = Probe::new().on("log", steps).start(Options::envoy());
    let ex = asked(&vm, root);
    vm.advance(1234);
    ex.response_headers(OK, true).finish(Finish::Complete);
    let values = vm.answers("proxy_get_property");
    assert_eq!(values[0].1.as_deref(), Some(1234u64.to_le_bytes().as_slice()));
    assert_eq!(values[1].1.as_deref(), Some(200u64.to_le_bytes().as_slice()));
    assert_eq!(statuses(&vm, "proxy_get_header_map_value"), [Status::Ok, Status::NotFound]);
}

#[test]
fn every_stream_ends_with_log_then_done_then_delete() {
    let end = || Probe::new().on("log", []).on("done", [pause()]).on("delete", []);
    let order = ["proxy_on_log", "proxy_on_done", "proxy_on_delete"];
    let (vm, root) = end().start(Options::envoy());
    let ex = asked(&vm, root);
    ex.response_headers(OK, true).finish(Finish::Complete);
    assert_eq!(callbacks(&vm, &ex), order);
    let (vm, root) =
        end().on("request_headers", [local_reply(401, &[], "")]).start(Options::envoy());
    let ex = asked(&vm, root);
    ex.finish(Finish::Complete);
    assert_eq!(callbacks(&vm, &ex)[1..], order);
}

#[test]
fn a_client_that_disconnects_gives_no_last_body_callback() {
    let details = get_property(&["response", "code_details"]);
    let probe = Probe::new()
        .on("response_body", [])
        .on("log", [details, get_property(&["response", "flags"])])
        .on("done", [pause()]);
    let (vm, root) = probe.start(Options::envoy());
    let ex = asked(&vm, root);
    ex.response_headers(OK, false).response_body("a", false).finish(Finish::ClientDisconnect);
    let order = ["proxy_on_response_body", "proxy_on_log", "proxy_on_done"];
    assert_eq!(callbacks(&vm, &ex), order);
    let values = vm.answers("proxy_get_property");
    assert_eq!(values[0].1.as_deref(), Some(b"downstream_remote_disconnect".as_slice()));
    assert_eq!(values[1].1.as_deref(), Some(0x4000u64.to_le_bytes().as_slice()));
    assert!(ex.client_response().reset);
}

#[test]
fn an_upstream_reset_before_the_response_is_a_503_and_after_it_a_cut() {
    let probe = Probe::new().on("response_headers", []).on("response_body", []).on("log", []);
    let (vm, root) = probe.start(Options::envoy());
    let ex = asked(&vm, root);
    ex.finish(Finish::UpstreamReset);
    assert_eq!(ex.client_response().status(), 503);
    assert_eq!(callbacks(&vm, &ex)[0], "proxy_on_response_headers");
    vm.clear_trace();
    let ex = asked(&vm, root);
    ex.response_headers(OK, false).response_body("a", false).finish(Finish::UpstreamReset);
    assert!(ex.client_response().reset && !ex.client_response().complete);
    let order = ["proxy_on_response_headers", "proxy_on_response_body", "proxy_on_log"];
    assert_eq!(callbacks(&vm, &ex), order);
}

#[test]
fn an_http_call_needs_a_known_cluster_and_method_path_and_authority() {
    let incomplete = http_call_with("a", &[(":method", "GET"), (":path", "/")], "");
    let steps = [http_call("a", ""), http_call("b", "body"), incomplete, pause()];
    let clusters = Some(vec!["a".to_string(), "c".to_string()]);
    let probe = Probe::new().on("request_headers", steps);
    let (vm, root) = probe.start(Options { clusters, ..Options::envoy() });
    let ex = asked(&vm, root);
    let expected = [Status::Ok, Status::BadArgument, Status::BadArgument];
    assert_eq!(statuses(&vm, "proxy_http_call"), expected);
    assert_eq!(ex.callouts().len(), 1);
    assert_eq!(ex.callouts()[0].timeout_ms, 5000);
}

#[test]
fn the_answer_of_a_call_is_readable_in_its_callback_only() {
    let read = [get_header(6, ":status"), get_buffer(4, 0, Arg::I32(u32::MAX))];
    let probe = Probe::new()
        .on("request_headers", [http_call("a", "x"), pause()])
        .on("http_call_response", [read.to_vec(), vec![continue_stream(0)]].concat())
        .on("response_headers", read);
    let (vm, root) = probe.start(Options::envoy());
    let ex = asked(&vm, root);
    assert_eq!(ex.callouts()[0].headers.get("content-length"), Some("1"));
    ex.answer_callout(ex.callouts()[0].id, [(":status", "202")], "hello");
    ex.response_headers(OK, true);
    assert_eq!(statuses(&vm, "proxy_get_header_map_value"), [Status::Ok, Status::BadArgument]);
    let bodies = vm.answers("proxy_get_buffer_bytes");
    assert_eq!(bodies, [(Status::Ok, Some(b"hello".to_vec())), (Status::NotFound, None)]);
}

#[test]
fn a_failed_call_has_no_headers_and_asking_for_one_is_an_error() {
    let probe = Probe::new()
        .on("request_headers", [http_call("a", ""), pause()])
        .on("http_call_response", [get_header(6, ":status"), continue_stream(0)]);
    let (vm, root) = probe.start(Options::envoy());
    let ex = asked(&vm, root);
    ex.fail_callout(ex.callouts()[0].id);
    assert_eq!(statuses(&vm, "proxy_get_header_map_value"), [Status::BadArgument]);
    let callback = vm.callbacks().into_iter().find(|c| c.name == "proxy_on_http_call_response");
    assert_eq!(callback.unwrap().args[1..], [0, 0, 0]);
    assert!(ex.upstream_request().is_some());
}

#[test]
fn a_root_context_resumes_a_stream_from_its_tick() {
    let tick = Step::Call("proxy_set_tick_period_milliseconds", vec![Arg::I32(100)]);
    let probe = Probe::new()
        .on("configure", [tick, pause()])
        .on("request_headers", [pause()])
        .on("tick", [http_call("export", ""), set_effective_context(2), continue_stream(0)]);
    let (vm, root) = probe.start(Options::envoy());
    assert_eq!(vm.tick_period_ms(root), 100);
    let ex = asked(&vm, root);
    assert_eq!(ex.context(), 2);
    assert!(ex.upstream_request().is_none());
    assert!(vm.tick(root));
    assert!(ex.upstream_request().is_some());
    assert!(ex.callouts().is_empty(), "the call is the root's");
    ex.response_headers(OK, true).finish(Finish::Complete);
    assert!(vm.answer_callout(vm.callouts()[0].id, OK, ""), "and outlives the stream");
}

// From Envoy's source (Context::continueStream).
#[test]
fn continuing_puts_the_request_headers_out_of_reach_at_once() {
    let read = || get_header(0, ":path");
    let probe = Probe::new()
        .on("request_headers", [http_call("a", ""), pause()])
        .on("http_call_response", [read(), continue_stream(0), read()]);
    let (vm, root) = probe.start(Options::envoy());
    let ex = asked(&vm, root);
    ex.answer_callout(ex.callouts()[0].id, OK, "");
    let expected = [Status::Ok, Status::BadArgument];
    assert_eq!(statuses(&vm, "proxy_get_header_map_value"), expected);
}

#[test]
fn calls_of_a_stream_are_cancelled_when_it_ends() {
    let probe = Probe::new().on("log", [http_call("store", "")]);
    let (vm, root) = probe.start(Options::envoy());
    asked(&vm, root).response_headers(OK, true).finish(Finish::Complete);
    assert_eq!(statuses(&vm, "proxy_http_call"), [Status::Ok]);
    assert!(vm.callouts().is_empty());
}

#[test]
fn vms_with_one_vm_id_and_store_share_their_data() {
    let set = |value: &str, cas| {
        Step::Call("proxy_set_shared_data", vec![bytes("k"), bytes(value), Arg::I32(cas)])
    };
    let get = Step::Call("proxy_get_shared_data", vec![bytes("k"), Arg::Out, Arg::Out, Arg::Out]);
    let probe = Probe::new().on("configure", [get, set("a", 0), set("b", 99), pause()]);
    let shared = SharedStore::new();
    let options = Options { shared: shared.clone(), vm_id: "v".into(), ..Options::envoy() };
    probe.start(options.clone());
    let (vm, _) = probe.start(options.clone());
    assert_eq!(vm.answers("proxy_get_shared_data"), [(Status::Ok, Some(b"a".to_vec()))]);
    assert_eq!(statuses(&vm, "proxy_set_shared_data"), [Status::Ok, Status::CasMismatch]);
    let (other, _) = probe.start(Options { vm_id: "w".into(), ..options });
    assert_eq!(statuses(&other, "proxy_get_shared_data"), [Status::NotFound]);
    assert_eq!(shared.data("v").len(), 1);
}

#[test]
fn queues_pass_items_between_contexts() {
    let enqueue =
        |token| Step::Call("proxy_enqueue_shared_queue", vec![Arg::I32(token), bytes("item")]);
    let dequeue =
        || Step::Call("proxy_dequeue_shared_queue", vec![Arg::Given(1), Arg::Out, Arg::Out]);
    let register = Step::Call("proxy_register_shared_queue", vec![bytes("q"), Arg::Out]);
    let probe = Probe::new()
        .on("configure", [register, enqueue(1), enqueue(7), pause()])
        .on("queue_ready", [dequeue(), dequeue()]);
    let (vm, root) = probe.start(Options::envoy());
    vm.queue_ready(root, 1);
    assert_eq!(statuses(&vm, "proxy_enqueue_shared_queue"), [Status::Ok, Status::NotFound]);
    let items = vm.answers("proxy_dequeue_shared_queue");
    assert_eq!(items, [(Status::Ok, Some(b"item".to_vec())), (Status::Empty, None)]);
}

#[test]
fn metrics_count_and_counters_only_grow() {
    let define = |kind, name: &str| {
        Step::Call("proxy_define_metric", vec![Arg::I32(kind), bytes(name), Arg::Out])
    };
    let add = |id, n| Step::Call("proxy_increment_metric", vec![Arg::I32(id), Arg::I64(n)]);
    let record = |id, n| Step::Call("proxy_record_metric", vec![Arg::I32(id), Arg::I64(n)]);
    let probe = Probe::new().on(
        "configure",
        [
            define(0, "c"),
            define(1, "g"),
            define(2, "h"),
            add(4, 5),
            add(4, 0),
            add(9, 7),
            add(9, -2),
            record(14, 30),
            add(14, 1),
            Step::Call("proxy_get_metric", vec![Arg::I32(4), Arg::Out]),
            record(77, 1),
            pause(),
        ],
    );
    let (vm, _) = probe.start(Options::envoy());
    let metrics = vm.metrics();
    let metric = |kind, value, samples| Metric { kind, value, samples };
    assert_eq!(metrics["c"], metric(MetricKind::Counter, 5, vec![]));
    assert_eq!(metrics["g"], metric(MetricKind::Gauge, 5, vec![]));
    assert_eq!(metrics["h"], metric(MetricKind::Histogram, 0, vec![30]));
    let adds = statuses(&vm, "proxy_increment_metric");
    let (ok, bad) = (Status::Ok, Status::BadArgument);
    assert_eq!(adds, [ok, bad, ok, ok, bad]);
    assert_eq!(statuses(&vm, "proxy_record_metric"), [Status::Ok, Status::NotFound]);
}

#[test]
#[should_panic(expected = "return Continue instead")]
fn continuing_a_stream_inside_its_own_callback_is_a_mistake() {
    let probe = Probe::new().on("request_headers", [continue_stream(0), pause()]);
    let (vm, root) = probe.start(Options::envoy());
    asked(&vm, root);
}

#[test]
#[should_panic(expected = "the request is held")]
fn an_upstream_cannot_answer_a_held_request() {
    let (vm, root) = Probe::new().on("request_headers", [pause()]).start(Options::envoy());
    asked(&vm, root).response_headers(OK, true);
}
