//! The request side of the Envoy profile: holding, buffering, local replies, contexts, failures.

use test_harness::emulator::probe::*;
use test_harness::emulator::{Exchange, Finish, Options, RootContext, Status, Traps, Vm};

const POST: [(&str, &str); 4] =
    [(":method", "POST"), (":path", "/v1?q=1"), (":authority", "host.example"), ("x-a", "1")];

fn statuses(vm: &Vm, function: &str) -> Vec<Status> {
    vm.answers(function).into_iter().map(|(status, _)| status).collect()
}

fn values(vm: &Vm, function: &str) -> Vec<String> {
    let text = |(_, v): (Status, Option<Vec<u8>>)| {
        String::from_utf8_lossy(&v.unwrap_or_default()).into_owned()
    };
    vm.answers(function).into_iter().map(text).collect()
}

fn posted(vm: &Vm, root: RootContext, chunks: &[&str]) -> Exchange {
    let ex = vm.exchange(root);
    ex.request_headers(POST, chunks.is_empty());
    for (n, chunk) in chunks.iter().enumerate() {
        ex.request_body(chunk, n + 1 == chunks.len());
    }
    ex
}

#[test]
fn a_plugin_that_does_nothing_lets_everything_through_chunk_by_chunk() {
    let (vm, root) = Probe::new().start(Options::envoy());
    let ex = posted(&vm, root, &["ab", "cd"]);
    let sent = ex.upstream_request().unwrap();
    assert_eq!(sent.chunks, [b"ab".to_vec(), b"cd".to_vec()]);
    assert!(sent.complete);
    ex.response_headers([(":status", "200")], false).response_body("x", false);
    assert_eq!(ex.client_response().text(), "x", "streams");
    assert!(!ex.client_response().complete);
    ex.response_body("y", true).finish(Finish::Complete);
    assert_eq!(ex.client_response().text(), "xy");
}

#[test]
fn a_pause_on_headers_holds_them_while_body_callbacks_go_on() {
    let probe = Probe::new().on("request_headers", [pause()]);
    let (vm, root) = probe.start(Options::envoy());
    let ex = vm.exchange(root);
    ex.request_headers(POST, false);
    assert!(ex.request_is_held());
    assert_eq!(ex.upstream_request(), None);
    ex.request_body("a", false);
    assert!(ex.upstream_request().is_some(), "a Continue of the body releases the headers");
}

#[test]
fn without_the_flag_a_pause_on_headers_stops_everything() {
    let probe = Probe::new().on("request_headers", [pause()]).on("request_body", []);
    let options = Options { allow_on_headers_stop_iteration: false, ..Options::envoy() };
    let (vm, root) = probe.start(options);
    let ex = posted(&vm, root, &["a", "b"]);
    assert_eq!(ex.upstream_request(), None, "it hangs");
    assert!(vm.callbacks().iter().all(|c| c.name != "proxy_on_request_body"));
}

#[test]
fn what_was_stopped_altogether_arrives_once_it_is_continued() {
    let probe = Probe::new()
        .on("request_headers", [http_call("c", ""), pause()])
        .on("request_body", [])
        .on("http_call_response", [continue_stream(0)]);
    let options = Options { allow_on_headers_stop_iteration: false, ..Options::envoy() };
    let (vm, root) = probe.start(options);
    let ex = posted(&vm, root, &["a", "b"]);
    ex.answer_callout(ex.callouts()[0].id, [(":status", "200")], "");
    assert_eq!(ex.upstream_request().unwrap().text(), "ab");
    assert_eq!(vm.callbacks().iter().filter(|c| c.name == "proxy_on_request_body").count(), 2);
}

#[test]
fn a_held_body_grows_and_callbacks_see_all_of_it() {
    let read = get_buffer(0, 0, Arg::I32(u32::MAX));
    let probe = Probe::new().on("request_body", [read, pause_until_end([go_on()])]);
    let (vm, root) = probe.start(Options::envoy());
    let ex = posted(&vm, root, &["ab", "cd", "e"]);
    assert_eq!(values(&vm, "proxy_get_buffer_bytes"), ["ab", "abcd", "abcde"]);
    let callbacks = vm.callbacks();
    let bodies = callbacks.iter().filter(|c| c.name == "proxy_on_request_body");
    assert_eq!(bodies.map(|c| c.args[0]).collect::<Vec<_>>(), [2, 4, 5]);
    assert_eq!(ex.upstream_request().unwrap().chunks, [b"abcde".to_vec()]);
}

#[test]
fn held_headers_can_still_be_changed_from_the_body_callback() {
    let probe = Probe::new()
        .on("request_headers", [pause()])
        .on("request_body", [pause_until_end([set_header(0, "x-ai-cluster", "b")])]);
    let (vm, root) = probe.start(Options::envoy());
    let ex = posted(&vm, root, &["a", "b"]);
    assert_eq!(ex.upstream_request().unwrap().headers.get("x-ai-cluster"), Some("b"));
}

// From Envoy's source (Common::Wasm::Context::decodeHeaders, getMap).
#[test]
fn headers_are_out_of_reach_once_the_header_callback_continued() {
    let steps = [get_header(0, "x-a"), set_header(0, "x-a", "2"), get_headers(0)];
    let (vm, root) = Probe::new().on("request_body", steps).start(Options::envoy());
    let ex = posted(&vm, root, &["a"]);
    assert_eq!(statuses(&vm, "proxy_get_header_map_value"), [Status::BadArgument]);
    assert_eq!(statuses(&vm, "proxy_replace_header_map_value"), [Status::BadArgument]);
    assert_eq!(statuses(&vm, "proxy_get_header_map_pairs"), [Status::Ok], "an empty map");
    assert_eq!(ex.upstream_request().unwrap().headers.get("x-a"), Some("1"));
}

#[test]
fn headers_have_one_case_and_host_is_the_authority() {
    let steps = [get_header(0, "Host"), add_header(0, "X-A", "2"), remove_header(0, ":AUTHORITY")];
    let (vm, root) = Probe::new().on("request_headers", steps).start(Options::envoy());
    let ex = vm.exchange(root);
    ex.request_headers([(":authority", "h"), ("X-a", "1")], true);
    assert_eq!(values(&vm, "proxy_get_header_map_value"), ["h"]);
    let headers = ex.upstream_request().unwrap().headers;
    assert_eq!(headers.all("x-a"), [b"1", b"2"]);
    assert!(!headers.contains(":authority"));
}

#[test]
fn a_whole_header_map_can_be_replaced() {
    let map = b"\x01\0\0\0\x01\0\0\0\x01\0\0\0a\0b\0";
    let set = |map: &[u8]| Step::Call("proxy_set_header_map_pairs", vec![Arg::I32(0), bytes(map)]);
    let steps = [set(map), set(b"\x09\0\0\0")];
    let (vm, root) = Probe::new().on("request_headers", steps).start(Options::envoy());
    let ex = posted(&vm, root, &[]);
    assert_eq!(ex.upstream_request().unwrap().headers, [("a", "b")].into());
    let expected = [Status::Ok, Status::BadArgument];
    assert_eq!(statuses(&vm, "proxy_set_header_map_pairs"), expected);
}

#[test]
fn set_buffer_bytes_replaces_a_prefix_or_all_and_appends_but_not_in_the_middle() {
    for (start, size, status, body) in [
        (0, 0, Status::Ok, "newabcd"),
        (0, 2, Status::Ok, "newcd"),
        (0, 4, Status::Ok, "new"),
        (0, u32::MAX, Status::Ok, "new"),
        (4, 0, Status::Ok, "abcdnew"),
        (9, 9, Status::Ok, "abcdnew"),
        (1, 2, Status::BadArgument, "abcd"),
    ] {
        let probe = Probe::new().on("request_body", [set_buffer(0, start, size, "new")]);
        let (vm, root) = probe.start(Options::envoy());
        let ex = posted(&vm, root, &["abcd"]);
        assert_eq!(statuses(&vm, "proxy_set_buffer_bytes"), [status], "{start}+{size}");
        assert_eq!(ex.upstream_request().unwrap().text(), body, "{start}+{size}");
    }
}

#[test]
fn a_read_beyond_the_body_is_cut_and_one_from_beyond_it_refused() {
    let steps = [
        get_buffer(0, 1, Arg::I32(u32::MAX)),
        get_buffer(0, 0, Arg::I32(0)),
        get_buffer(0, 3, Arg::I32(1)),
        get_buffer(0, 4, Arg::I32(1)),
    ];
    let (vm, root) = Probe::new().on("request_body", steps).start(Options::envoy());
    posted(&vm, root, &["abc"]);
    let expected = [
        (Status::Ok, Some(b"bc".to_vec())),
        (Status::Ok, None),
        (Status::Ok, None),
        (Status::BadArgument, None),
    ];
    assert_eq!(vm.answers("proxy_get_buffer_bytes"), expected);
}

#[test]
fn a_held_body_beyond_the_buffer_limit_is_answered_with_413() {
    let probe = Probe::new().on("request_body", [pause()]).on("response_headers", [log("seen")]);
    let small = || Options { buffer_limit: 10, ..Options::envoy() };
    for chunks in [vec!["0123456789a"], vec!["01234", "567", "89a"]] {
        let (vm, root) = probe.start(small());
        let client = posted(&vm, root, &chunks).client_response();
        assert_eq!((client.status(), client.text()), (413, "Payload Too Large".into()));
        assert_eq!(client.local_reply.as_deref(), Some("request_payload_too_large"));
        assert!(vm.logged("seen"), "the reply passes through the response callbacks");
    }
    let (vm, root) = probe.start(small());
    assert_eq!(posted(&vm, root, &["0123456789"]).client_response().status(), 0, "just fits");
    let (vm, root) = Probe::new().start(small());
    let ex = posted(&vm, root, &["0123456789abc"]);
    assert!(ex.upstream_request().unwrap().complete, "what streams has no limit");
}

#[test]
fn a_local_reply_passes_through_the_response_callbacks_of_its_sender() {
    let probe = Probe::new()
        .on("request_headers", [local_reply(401, &[("X-Why", "key")], "no"), pause()])
        .on("request_body", [])
        .on("response_headers", [get_header(2, ":status"), set_header(2, "x-seen", "1")])
        .on("response_body", [get_buffer(1, 0, Arg::Given(1))]);
    let (vm, root) = probe.start(Options::envoy());
    let ex = posted(&vm, root, &["ignored"]);
    let client = ex.client_response();
    assert_eq!((client.status(), client.text(), client.complete), (401, "no".into(), true));
    assert_eq!(client.local_reply.as_deref(), Some("probe"));
    for (name, value) in [("x-why", "key"), ("x-seen", "1"), ("content-type", "text/plain")] {
        assert_eq!(client.headers.get(name), Some(value));
    }
    assert_eq!(values(&vm, "proxy_get_header_map_value"), ["401"]);
    assert_eq!(values(&vm, "proxy_get_buffer_bytes"), ["no"]);
    assert_eq!(ex.upstream_request(), None);
    assert!(vm.callbacks().iter().all(|c| c.name != "proxy_on_request_body"));
}

#[test]
#[should_panic(expected = "content-length of the request says 4, but its body has 3 bytes")]
fn a_changed_body_needs_its_content_length_changed() {
    let probe = Probe::new().on("request_body", [set_buffer(0, 0, 9, "new")]);
    let (vm, root) = probe.start(Options::envoy());
    let ex = vm.exchange(root);
    ex.request_headers([("content-length", "4")], false).request_body("abcd", true);
}

// That several segments cannot be read back is from Envoy's source (Context::getProperty).
#[test]
fn properties_are_read_back_in_every_phase_but_by_one_segment_only() {
    let probe = Probe::new()
        .on("request_headers", [set_property(&["ai.model"], "m"), set_property(&["a", "b"], "c")])
        .on("response_headers", [get_property(&["ai.model"]), get_property(&["a", "b"])])
        .on("log", [get_property(&["ai.model"]), get_property(&["xds", "cluster_name"])]);
    let (vm, root) = probe.start(Options::envoy());
    let ex = vm.exchange(root);
    ex.set_property(&["xds", "cluster_name"], "openai").request_headers(POST, true);
    assert_eq!(ex.property(&["ai.model"]).unwrap(), b"m");
    ex.response_headers([(":status", "200")], true).finish(Finish::Complete);
    assert_eq!(values(&vm, "proxy_get_property"), ["m", "", "m", "openai"]);
    assert_eq!(statuses(&vm, "proxy_get_property")[1], Status::NotFound);
}

#[test]
fn a_root_context_has_no_request_to_set_properties_on() {
    let probe = Probe::new().on("configure", [set_property(&["x"], "1"), pause()]);
    let (vm, _) = probe.start(Options::envoy());
    assert_eq!(statuses(&vm, "proxy_set_property"), [Status::NotFound]);
}

#[test]
fn a_refused_configuration_says_what_was_logged() {
    let probe = Probe::new().on("configure", [log("no providers"), go_on()]);
    let vm = Vm::start(&probe.module(), Options::envoy()).unwrap();
    assert_eq!(vm.configure("{}").unwrap_err().logs, ["no providers"]);
    let probe = Probe::new().on("vm_start", [go_on()]);
    let vm = Vm::start(&probe.module(), Options::envoy()).unwrap();
    assert!(vm.configure("{}").is_err());
}

#[test]
fn the_plugin_configuration_is_read_at_configure_only() {
    let read = |kind| get_buffer(kind, 0, Arg::I32(u32::MAX));
    let probe = Probe::new()
        .on("vm_start", [read(6), pause()])
        .on("configure", [read(7), pause()])
        .on("request_headers", [read(7), read(6)]);
    let options = Options { vm_configuration: "upstream".into(), ..Options::envoy() };
    let vm = Vm::start(&probe.module(), options).unwrap();
    let root = vm.configure("plugin").unwrap();
    posted(&vm, root, &[]);
    assert_eq!(values(&vm, "proxy_get_buffer_bytes"), ["upstream", "plugin", "", "upstream"]);
    assert_eq!(statuses(&vm, "proxy_get_buffer_bytes")[2], Status::NotFound);
}

#[test]
fn context_ids_are_used_again() {
    let (vm, root) = Probe::new().start(Options::envoy());
    let ex = posted(&vm, root, &[]);
    let (first, other) = (ex.context(), vm.exchange(root));
    assert_ne!(other.context(), first);
    ex.response_headers([(":status", "204")], true).finish(Finish::Complete);
    assert_eq!(vm.exchange(root).context(), first);
}

#[test]
fn a_trap_fails_the_test_with_callback_and_logs() {
    let probe = Probe::new().on("request_headers", [log("about to"), Step::Trap]);
    let (vm, root) = probe.start(Options::envoy());
    let run = || posted(&vm, root, &[]).context();
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    for part in ["proxy_on_request_headers trapped", "unreachable", "about to"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(vm.is_dead());
    assert_eq!(posted(&vm, root, &[]).client_response().status(), 503, "and so it stays");
}

#[test]
fn after_a_trap_every_later_request_gets_503() {
    let probe = Probe::new().on("request_body", [Step::Trap]);
    let (vm, root) = probe.start(Options { traps: Traps::KillTheVm, ..Options::envoy() });
    for _ in 0..2 {
        let ex = posted(&vm, root, &["a"]);
        assert_eq!(ex.client_response().status(), 503);
        assert_eq!(ex.client_response().local_reply.as_deref(), Some("wasm_fail_stream"));
        ex.finish(Finish::Complete);
    }
    assert_eq!(vm.callbacks().iter().filter(|c| c.name == "proxy_on_request_body").count(), 1);
}

#[test]
fn fail_reload_gives_the_next_request_a_fresh_vm() {
    let probe = Probe::new().on("configure", [pause()]).on("request_body", [Step::Trap]);
    let (vm, root) = probe.start(Options { traps: Traps::Reload, ..Options::envoy() });
    posted(&vm, root, &["a"]).finish(Finish::Complete);
    assert!(vm.is_dead());
    let ex = posted(&vm, root, &[]);
    assert!(ex.upstream_request().is_some());
    assert_eq!(vm.callbacks().iter().filter(|c| c.name == "proxy_on_configure").count(), 2);
}

#[test]
#[should_panic(expected = "endless loop?")]
fn an_endless_loop_runs_out_of_fuel() {
    let probe = Probe::new().on("request_headers", [Step::Loop]);
    let (vm, root) = probe.start(Options { fuel_per_callback: 1_000_000, ..Options::envoy() });
    posted(&vm, root, &[]);
}

#[test]
fn trailers_end_a_request() {
    let probe = Probe::new().on("request_body", [pause()]);
    let (vm, root) = probe.start(Options::envoy());
    let ex = vm.exchange(root);
    ex.request_headers(POST, false).request_body("a", false);
    assert!(!ex.upstream_request().unwrap().complete);
    ex.request_trailers([("t", "1")]);
    let sent = ex.upstream_request().unwrap();
    assert_eq!((sent.text(), sent.complete), ("a".into(), true));
    assert_eq!(sent.trailers.unwrap().get("t"), Some("1"));
}
