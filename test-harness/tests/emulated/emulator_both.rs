//! What holds on both hosts: determinism, WASI, the allow-list, whole exchanges in one call.

use test_harness::emulator::probe::*;
use test_harness::emulator::{
    CalloutReply, Finish, Headers, Module, Options, Profile, Request, Response, Status, Vm,
    imports, no_callouts, run,
};

const PROFILES: [Profile; 2] = [Profile::Envoy, Profile::Apisix];

/// Asks one service about the body, then lets the request go on.
fn asking() -> Probe {
    Probe::new()
        .on("request_headers", [set_property(&["wasm_process_req_body"], "1"), Step::Return(0)])
        .on("request_body", [pause_until_end([http_call("guard:80", "ask"), pause()])])
        .on("http_call_response", [continue_stream(0)])
}

#[test]
fn one_scenario_runs_on_both_hosts() {
    for profile in PROFILES {
        let (vm, root) = asking().start(Options::of(profile));
        let request = Request::post("/v1", "0123456789").in_chunks_of(3).header("x-a", "1");
        let answer = Response::event_stream(["data: 1\n\n", "data: 2\n\n"]);
        let done = run(
            &vm,
            root,
            request,
            |sent| {
                assert_eq!(
                    (sent.text(), sent.headers.get("x-a")),
                    ("0123456789".into(), Some("1"))
                );
                answer.clone()
            },
            |call| {
                assert_eq!(call.upstream, "guard:80");
                CalloutReply::json(200, "{}")
            },
        );
        assert_eq!(done.client.text(), "data: 1\n\ndata: 2\n\n", "{profile:?}");
        assert_eq!(done.callouts.len(), 1);
        assert!(done.upstream.unwrap().complete && done.fuel > 0);
    }
}

#[test]
fn a_service_may_fail_and_an_upstream_break() {
    for profile in PROFILES {
        let (vm, root) = asking().start(Options::of(profile));
        let broken = Response::event_stream(["data: 1\n\n"]).finish(Finish::UpstreamReset);
        let upstream = |_: &_| broken.clone();
        let done = run(&vm, root, Request::post("/", "x"), upstream, |_| CalloutReply::Fail);
        assert!(done.client.reset && !done.client.complete, "{profile:?}");
        assert_eq!(done.client.text(), "data: 1\n\n");
    }
}

#[test]
fn a_local_reply_ends_an_exchange_on_both_hosts() {
    for profile in PROFILES {
        let probe = Probe::new().on("request_headers", [local_reply(401, &[], "no"), pause()]);
        let (vm, root) = probe.start(Options::of(profile));
        let upstream = |_: &_| panic!("not to be reached");
        let done = run(&vm, root, Request::post("/", "x"), upstream, no_callouts);
        assert_eq!((done.client.status(), done.upstream), (401, None));
    }
}

#[test]
#[should_panic(expected = "holds the request for good")]
fn a_request_held_for_good_is_reported() {
    let (vm, root) = Probe::new().on("request_headers", [pause()]).start(Options::envoy());
    run(&vm, root, Request::get("/"), |_| Response::json(200, ""), no_callouts);
}

#[test]
#[should_panic(expected = "holds the response for good")]
fn a_response_held_for_good_is_reported() {
    let (vm, root) = Probe::new().on("response_body", [pause()]).start(Options::envoy());
    run(&vm, root, Request::get("/"), |_| Response::json(200, "{}"), no_callouts);
}

#[test]
fn fuel_is_the_same_in_every_run_and_counts_each_exchange_alone() {
    for profile in PROFILES {
        let fuel = || {
            let (vm, root) = asking().start(Options::of(profile));
            let one = |body: &str| {
                let answer = |_: &_| Response::json(200, "{}").in_chunks_of(1);
                let service = |_: &_| CalloutReply::Fail;
                run(&vm, root, Request::post("/", body).in_chunks_of(2), answer, service).fuel
            };
            let all = [one("abcdef"), one("abcdef"), one("a")];
            assert!(vm.fuel() >= all.iter().sum());
            all
        };
        let first = fuel();
        assert_eq!(first, fuel(), "{profile:?}");
        assert_eq!(first[0], first[1]);
    }
}

#[test]
fn several_exchanges_run_at_a_time() {
    for profile in PROFILES {
        let (vm, root) = asking().start(Options::of(profile));
        let headers = [(":method", "POST"), (":path", "/"), (":authority", "h")];
        let (a, b) = (vm.exchange(root), vm.exchange(root));
        for (ex, body) in [(&a, "a"), (&b, "b")] {
            ex.request_headers(headers, false).request_body(body, true);
        }
        b.answer_callout(b.callouts()[0].id, [(":status", "200")], "");
        assert!(a.request_is_held());
        assert_eq!(b.upstream_request().unwrap().text(), "b");
        a.finish(Finish::ClientDisconnect);
        assert!(vm.callouts().is_empty(), "the call of a stream that is gone is cancelled");
    }
}

#[test]
fn memory_and_its_growth_are_seen() {
    let read = get_buffer(0, 0, Arg::Given(1));
    let (vm, root) = Probe::new().on("request_body", [read]).start(Options::envoy());
    let before = vm.memory_bytes();
    let body = vec![b'x'; 1 << 20];
    run(&vm, root, Request::post("/", body), |_| Response::json(200, ""), no_callouts);
    assert!(vm.memory_bytes() >= before + (1 << 20));
}

#[test]
fn the_probe_imports_only_what_both_hosts_offer() {
    assert_eq!(imports::check(&asking().module()), Ok(()));
    let module = Module::from_wat(r#"(module (import "env" "abort" (func)))"#).unwrap();
    for profile in PROFILES {
        assert!(Vm::start(&module, Options::of(profile)).is_err());
    }
}

/// Calls each WASI function and logs the 64 bytes the answers are in.
const WASI: &str = r#"(module
    (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get"
        (func $clock (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get"
        (func $sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write"
        (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 256) "\08\01\00\00\06\00\00\00hello\n")
    (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (drop (call $clock (i32.const 0) (i64.const 1) (i32.const 0)))
        (drop (call $clock (i32.const 1) (i64.const 1) (i32.const 8)))
        (drop (call $random (i32.const 16) (i32.const 8)))
        (drop (call $sizes (i32.const 24) (i32.const 28)))
        (drop (call $environ (i32.const 32) (i32.const 40)))
        (drop (call $log (i32.const 2) (i32.const 0) (i32.const 64)))
        (drop (call $write (i32.const 2) (i32.const 256) (i32.const 1) (i32.const 512)))
        (i32.const 1))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $exit (i32.const 7)) (i32.const 0)))"#;

#[test]
fn clock_randomness_and_environment_are_those_of_the_options() {
    let module = Module::from_wat(WASI).unwrap();
    assert_eq!(imports::check(&module), Ok(()));
    let words = |seed, advance| {
        let env = vec![("K".to_string(), "v".to_string())];
        let options = Options { seed, env, clock_ns: 7, ..Options::apisix() };
        let vm = Vm::start(&module, options).unwrap();
        vm.advance(advance);
        vm.configure_now("{}").unwrap();
        // The log is text; the trace has the bytes only as text too, so numbers stay below 128.
        let line = vm.logs()[0].text.clone();
        assert!(vm.logged("hello"), "standard error is logged");
        line
    };
    let line = words(1, 5);
    let bytes: Vec<char> = line.chars().collect();
    assert_eq!((bytes[0], bytes[8]), ('\u{c}', '\u{5}'), "wall clock and monotonic clock");
    assert!(line.contains("K=v\0"));
    assert_eq!(line, words(1, 5));
    assert_ne!(line, words(2, 5), "another seed");
}

#[test]
#[should_panic(expected = "proc_exit(7)")]
fn proc_exit_is_a_trap() {
    let vm = Vm::start(&Module::from_wat(WASI).unwrap(), Options::envoy()).unwrap();
    let root = vm.configure("{}").unwrap();
    vm.exchange(root).request_headers(Headers::new(), true);
}

#[test]
fn a_pointer_outside_the_memory_is_answered_with_6() {
    let log = Step::Call("proxy_log", vec![Arg::I32(2), Arg::I32(u32::MAX), Arg::I32(2)]);
    let (vm, _) = Probe::new().on("configure", [log, pause()]).start(Options::envoy());
    assert_eq!(vm.answers("proxy_log"), [(Status::InvalidMemoryAccess, None)]);
}

#[test]
fn a_module_that_is_none_says_so() {
    assert!(Module::from_bytes(b"no").is_err());
    let error = Module::from_file("/nonexistent.wasm").err().unwrap();
    assert!(error.to_string().contains("nonexistent"));
    let tail = "(module (func $f (return_call $f)))";
    assert!(Module::from_wat(tail).is_err(), "tail calls are too new for APISIX's wasmtime");
}
