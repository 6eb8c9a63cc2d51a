//! The driver on a scripted host.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::*;
use crate::answer::AnswerBody;
use crate::errors::{ApiError, ErrorKind};
use crate::filter::{Event, Flow, Out, Reply, ResponseHead};
use crate::host::script::ScriptHost;
use crate::host::{Call, Capability};

type Log = Rc<RefCell<Vec<String>>>;

/// Writes down what it is told, and does what its name says.
struct Probe {
    name: &'static str,
    log: Log,
    interest: Interest,
}

impl Probe {
    fn note(&self, what: &str) {
        self.log.borrow_mut().push(format!("{} {what}", self.name));
    }

    fn call() -> Flow {
        Flow::Call(Box::new(Call {
            upstream: "u".into(),
            scheme: "http".into(),
            authority: "u".into(),
            method: "POST".into(),
            path: "/".into(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout: Duration::from_secs(1),
        }))
    }
}

impl Filter for Probe {
    fn request_head(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.note("head");
        if !self.name.starts_with("headless") {
            cx.read_body();
        }
        if self.name.ends_with("call first") { Probe::call() } else { Flow::Continue }
    }

    fn request(&mut self, cx: &mut Cx<'_>, body: &mut RequestBody) -> Flow {
        self.note(&format!("request {}", body.text()));
        match self.name {
            "edit" => body.edit(&[(0..1, "[")]).map_or(Flow::Continue, |()| Flow::Continue),
            "refuse" => cx.refuse(&ApiError::new(ErrorKind::Permission, "no")),
            "call" => Probe::call(),
            _ => Flow::Continue,
        }
    }

    fn called(&mut self, cx: &mut Cx<'_>, reply: CallReply) -> Flow {
        self.note(&format!("called {:?}", reply.status));
        match reply.status {
            Some(200) => Flow::Continue,
            Some(_) => Probe::call(),
            None => cx.refuse(&ApiError::new(ErrorKind::Overloaded, "down")),
        }
    }

    fn response_head(&mut self, _: &mut Cx<'_>, head: &mut ResponseHead<'_>) -> Interest {
        self.note(&format!("response {}", head.status));
        self.interest
    }

    fn event(&mut self, cx: &mut Cx<'_>, event: &Event<'_>, out: &mut Out<'_>) {
        self.note(&format!("event {}", event.data));
        match self.name {
            "upper" => out.send(cx, &Event::data(&event.data.to_uppercase())),
            _ => out.send(cx, event),
        }
    }

    fn end(&mut self, cx: &mut Cx<'_>, complete: bool, out: &mut Out<'_>) {
        self.note(&format!("end {complete}"));
        if self.name == "upper" {
            out.send(cx, &Event::data("END"));
        }
    }

    fn answer(
        &mut self,
        _: &mut Cx<'_>,
        _: &mut ResponseHead<'_>,
        body: &AnswerBody<'_>,
    ) -> Option<Vec<u8>> {
        self.note(&format!("answer {}", String::from_utf8_lossy(body.bytes())));
        (self.name == "upper").then(|| body.bytes().to_ascii_uppercase())
    }

    fn done(&mut self, _: &mut Cx<'_>, outcome: Outcome) {
        self.note(&format!("done {outcome:?}"));
    }
}

fn exchange(filters: &[(&'static str, Interest)]) -> (Exchange, Log) {
    let log = Log::default();
    let probe = |(name, interest): &(&'static str, Interest)| -> Box<dyn Filter> {
        Box::new(Probe { name, log: Rc::clone(&log), interest: *interest })
    };
    let limits = Limits { request: 20, response: 40 };
    let settings = Settings { limits, ..Settings::default() };
    (Exchange::new(filters.iter().map(probe).collect(), settings), log)
}

fn seen(log: &Log) -> Vec<String> {
    std::mem::take(&mut log.borrow_mut())
}

fn request(exchange: &mut Exchange, host: &ScriptHost, body: &[u8]) -> Action {
    exchange.request_headers(host, false);
    host.put_body(Body::Request, body);
    exchange.request_body(host, body.len(), true)
}

fn respond_head(exchange: &mut Exchange, host: &ScriptHost, content_type: &str) -> Action {
    host.put(Map::Response, ":status", "200");
    host.put(Map::Response, "content-type", content_type);
    exchange.response_headers(host, false)
}

fn chunk(exchange: &mut Exchange, host: &ScriptHost, bytes: &[u8], end: bool) -> (Action, String) {
    host.put_body(Body::Response, bytes);
    let action = exchange.response_body(host, bytes.len(), end);
    (action, host.body_text(Body::Response))
}

/// A host that holds nothing back, as APISIX with the bridge.
fn unholding() -> ScriptHost {
    let mut host = ScriptHost::post("/v1/chat/completions");
    host.cannot = [
        Capability::HoldRequest,
        Capability::HoldResponse,
        Capability::ReplacePrefix,
        Capability::SetContentLength,
    ]
    .into();
    host
}

fn host() -> ScriptHost {
    ScriptHost::post("/v1/chat/completions")
}

const IGNORE: Interest = Interest::Ignore;
const OBSERVE: Interest = Interest::Observe;
const REWRITE: Interest = Interest::Rewrite;

#[test]
fn headers_are_held_until_the_body_is_whole() {
    let (mut exchange, log) = exchange(&[("a", IGNORE), ("b", IGNORE)]);
    let host = host();
    assert_eq!(exchange.request_headers(&host, false), Action::Pause);
    host.put_body(Body::Request, b"{\"x\"");
    assert_eq!(exchange.request_body(&host, 4, false), Action::Pause);
    host.put_body(Body::Request, b"{\"x\":1}");
    assert_eq!(exchange.request_body(&host, 7, true), Action::Continue);
    assert_eq!(seen(&log), ["a head", "b head", "a request {\"x\":1}", "b request {\"x\":1}"]);
}

#[test]
fn a_request_whose_body_nobody_wants_is_not_held() {
    let (mut exchange, _) = exchange(&[("headless", IGNORE)]);
    let host = host();
    assert_eq!(exchange.request_headers(&host, false), Action::Continue);
    assert_eq!(exchange.request_body(&host, 99, true), Action::Continue);
}

#[test]
fn a_request_that_ends_with_its_headers_or_with_trailers_is_seen_too() {
    let (mut ex, log) = exchange(&[("a", IGNORE)]);
    assert_eq!(ex.request_headers(&host(), true), Action::Continue);
    assert_eq!(seen(&log), ["a head", "a request "]);

    let (mut ex, log) = exchange(&[("a", IGNORE)]);
    let host = host();
    ex.request_headers(&host, false);
    host.put_body(Body::Request, b"{}");
    assert_eq!(ex.request_body(&host, 2, false), Action::Pause);
    assert_eq!(ex.request_trailers(&host), Action::Continue);
    assert_eq!(seen(&log), ["a head", "a request {}"]);
}

#[test]
fn a_body_over_the_limit_is_refused_as_soon_as_it_is() {
    let (mut exchange, log) = exchange(&[("a", IGNORE)]);
    let host = host();
    exchange.request_headers(&host, false);
    assert_eq!(exchange.request_body(&host, 20, false), Action::Pause);
    assert_eq!(exchange.request_body(&host, 21, false), Action::Pause);
    assert_eq!(host.sent.borrow().as_ref().unwrap().0, 413);
    assert_eq!(seen(&log), ["a head", "a response 413"]);
}

#[test]
fn a_body_that_is_not_utf8_is_refused() {
    let (mut exchange, _) = exchange(&[("a", IGNORE)]);
    let host = host();
    assert_eq!(request(&mut exchange, &host, b"\xff"), Action::Pause);
    assert_eq!(host.sent.borrow().as_ref().unwrap().0, 400);
}

#[test]
fn an_edit_is_made_as_the_host_can_make_it() {
    let (mut ex, _) = exchange(&[("edit", IGNORE), ("a", IGNORE)]);
    let holding = host();
    assert_eq!(request(&mut ex, &holding, b"{abc"), Action::Continue);
    assert_eq!(holding.body_text(Body::Request), "[abc");
    assert_eq!(holding.text(Map::Request, "content-length").unwrap(), "4");

    let (mut ex, _) = exchange(&[("edit", IGNORE)]);
    let unholding = unholding();
    assert_eq!(request(&mut ex, &unholding, b"{abc"), Action::Continue);
    assert_eq!(unholding.body_text(Body::Request), "[abc");
    assert_eq!(unholding.text(Map::Request, "content-length"), None);
}

#[test]
fn an_edit_that_no_host_function_can_make_is_an_error_and_not_lost() {
    let (mut exchange, _) = exchange(&[("edit", IGNORE)]);
    let mut host = unholding();
    host.cannot.insert(Capability::RewriteRequestBody);
    request(&mut exchange, &host, b"{abc");
    assert_eq!(host.sent.borrow().as_ref().unwrap().0, 500);
}

#[test]
fn a_refusal_passes_the_filters_outside_of_it_only() {
    let (mut exchange, log) = exchange(&[("upper", REWRITE), ("refuse", REWRITE), ("in", REWRITE)]);
    let host = host();
    assert_eq!(request(&mut exchange, &host, b"{}"), Action::Pause);
    let (status, _, body) = host.sent.borrow().clone().unwrap();
    assert_eq!(status, 403);
    assert!(body.starts_with(b"{\"ERROR\""));
    // It comes back as an answer, and is not seen again.
    host.put(Map::Response, ":status", "403");
    host.put(Map::Response, "content-length", &body.len().to_string());
    assert_eq!(exchange.response_headers(&host, false), Action::Continue);
    exchange.done(&host);
    let told = seen(&log);
    assert_eq!(told.iter().filter(|line| line.starts_with("in ")).count(), 2, "{told:?}");
    assert_eq!(told.iter().filter(|line| line.contains(" response ")).count(), 1, "{told:?}");
    assert!(told.ends_with(&["in done Complete".into()]));
}

#[test]
fn an_answer_of_the_proxy_that_overtakes_ours_is_seen() {
    let (mut exchange, log) = exchange(&[("a", IGNORE), ("refuse", IGNORE)]);
    let host = host();
    request(&mut exchange, &host, b"{}");
    seen(&log);
    host.put(Map::Response, ":status", "413");
    host.put(Map::Response, "content-length", "17");
    exchange.response_headers(&host, false);
    assert_eq!(seen(&log), ["refuse response 413", "a response 413"]);
}

#[test]
fn a_call_is_waited_for_and_can_be_followed_by_another() {
    let (mut exchange, log) = exchange(&[("call", IGNORE), ("b", IGNORE)]);
    let host = host();
    assert_eq!(request(&mut exchange, &host, b"{}"), Action::Pause);
    host.put(Map::CallReply, ":status", "500");
    exchange.call_response(&host, CallId(1), 1, 0);
    assert_eq!((host.calls.borrow().len(), host.resumed.get()), (2, 0));
    exchange.call_response(&host, CallId(99), 1, 0);
    host.put(Map::CallReply, ":status", "200");
    exchange.call_response(&host, CallId(2), 1, 0);
    assert_eq!(host.resumed.get(), 1);
    let told = seen(&log);
    assert_eq!(
        told[2..],
        ["call request {}", "call called Some(500)", "call called Some(200)", "b request {}"]
    );
}

#[test]
fn a_body_that_comes_while_a_filter_holds_the_headers_waits_with_them() {
    for (name, passes) in [("call first", true), ("headless call first", false)] {
        for trailers in [false, true] {
            let (mut exchange, log) = exchange(&[(name, IGNORE)]);
            let host = host();
            assert_eq!(exchange.request_headers(&host, false), Action::Pause);
            host.put_body(Body::Request, b"{}");
            assert_eq!(exchange.request_body(&host, 2, !trailers), Action::Pause);
            if trailers {
                assert_eq!(exchange.request_trailers(&host), Action::Pause);
            }
            assert_eq!((seen(&log).len(), host.resumed.get()), (1, 0), "{name}");
            host.put(Map::CallReply, ":status", "200");
            exchange.call_response(&host, CallId(1), 1, 0);
            assert_eq!(host.resumed.get(), 1, "{name}");
            let shown = seen(&log).iter().any(|line| line.ends_with(" request {}"));
            assert_eq!(shown, passes, "{name}");
        }
    }
}

#[test]
fn a_request_without_a_body_goes_on_once_what_held_its_headers_has_been_answered() {
    let (mut exchange, log) = exchange(&[("call first", IGNORE), ("b", IGNORE)]);
    let host = host();
    assert_eq!(exchange.request_headers(&host, true), Action::Pause);
    host.put(Map::CallReply, ":status", "200");
    exchange.call_response(&host, CallId(1), 1, 0);
    assert_eq!(host.resumed.get(), 1, "no body will come that it could wait for");
    assert!(seen(&log).ends_with(&["call first request ".into(), "b request ".into()]));
}

#[test]
fn a_body_too_large_that_comes_while_the_headers_are_held_is_refused() {
    let (mut exchange, _) = exchange(&[("call first", IGNORE)]);
    let host = host();
    exchange.request_headers(&host, false);
    host.put_body(Body::Request, &[b' '; 30]);
    assert_eq!(exchange.request_body(&host, 30, true), Action::Pause);
    host.put(Map::CallReply, ":status", "200");
    exchange.call_response(&host, CallId(1), 1, 0);
    assert_eq!(host.sent.borrow().as_ref().unwrap().0, 413);
    assert_eq!(host.resumed.get(), 0);
}

#[test]
fn a_call_that_fails_can_be_answered() {
    let (mut exchange, _) = exchange(&[("call", IGNORE)]);
    let host = host();
    request(&mut exchange, &host, b"{}");
    exchange.call_response(&host, CallId(1), 0, 0);
    assert_eq!(host.sent.borrow().as_ref().unwrap().0, 503);
    assert_eq!(host.resumed.get(), 0);
}

#[test]
fn a_stream_is_rewritten_event_by_event_at_every_split() {
    let input = b"data: a\n\n: ping\n\ndata: b\n\n";
    for cut in 0..=input.len() {
        let (mut exchange, _) = exchange(&[("a", OBSERVE), ("upper", REWRITE)]);
        let host = host();
        request(&mut exchange, &host, b"{}");
        host.put(Map::Response, "content-length", "26");
        assert_eq!(respond_head(&mut exchange, &host, "text/event-stream"), Action::Continue);
        assert_eq!(host.text(Map::Response, "content-length"), None);
        let (first, second) = input.split_at(cut);
        let mut out = chunk(&mut exchange, &host, first, false).1;
        out += &chunk(&mut exchange, &host, second, false).1;
        out += &chunk(&mut exchange, &host, b"", true).1;
        assert_eq!(out, "data: A\n\n: ping\n\ndata: B\n\ndata: END\n\n", "cut at {cut}");
    }
}

#[test]
fn an_event_leaves_with_its_last_byte() {
    let (mut exchange, _) = exchange(&[("upper", REWRITE)]);
    let host = host();
    request(&mut exchange, &host, b"{}");
    respond_head(&mut exchange, &host, "text/event-stream");
    assert_eq!(chunk(&mut exchange, &host, b"data: a\n", false).1, "");
    assert_eq!(chunk(&mut exchange, &host, b"\ndata", false).1, "data: A\n\n");
}

#[test]
fn an_observed_stream_passes_untouched_and_is_told_of_its_end() {
    let (mut exchange, log) = exchange(&[("a", OBSERVE)]);
    let host = host();
    request(&mut exchange, &host, b"{}");
    respond_head(&mut exchange, &host, "text/event-stream");
    assert_eq!(chunk(&mut exchange, &host, b"data: a\n\ndat", false).1, "data: a\n\ndat");
    assert_eq!(chunk(&mut exchange, &host, b"a: b", true).1, "a: b");
    exchange.done(&host);
    let told = seen(&log);
    assert_eq!(told[3..], ["a event a", "a event b", "a end false", "a done Complete"]);
}

#[test]
fn an_event_over_the_framers_limit_ends_a_stream_that_is_rewritten() {
    let long = vec![b'x'; crate::sse::MAX_EVENT + 1];
    let (mut ex, log) = exchange(&[("upper", REWRITE)]);
    let host = host();
    request(&mut ex, &host, b"{}");
    respond_head(&mut ex, &host, "text/event-stream");
    assert_eq!(chunk(&mut ex, &host, &long, false).1, "data: END\n\n");
    assert_eq!(chunk(&mut ex, &host, b"\n\ndata: a\n\n", true).1, "");
    assert!(seen(&log).contains(&"upper end false".into()));

    let (mut ex, _) = exchange(&[("a", OBSERVE)]);
    request(&mut ex, &host, b"{}");
    respond_head(&mut ex, &host, "text/event-stream");
    assert_eq!(chunk(&mut ex, &host, &long, false).1.len(), long.len());
}

#[test]
fn a_whole_answer_is_held_and_replaced() {
    let (mut exchange, log) = exchange(&[("a", OBSERVE), ("upper", REWRITE)]);
    let host = host();
    request(&mut exchange, &host, b"{}");
    assert_eq!(respond_head(&mut exchange, &host, "application/json"), Action::Pause);
    assert_eq!(chunk(&mut exchange, &host, b"{\"a\"", false).0, Action::Pause);
    // The host gives what is buffered, from its start.
    let (action, out) = chunk(&mut exchange, &host, b"{\"a\":1}", true);
    assert_eq!((action, out.as_str()), (Action::Continue, "{\"A\":1}"));
    assert_eq!(host.text(Map::Response, "content-length").unwrap(), "7");
    assert!(seen(&log).ends_with(&["upper answer {\"a\":1}".into(), "a answer {\"A\":1}".into()]));
}

#[test]
fn where_answers_cannot_be_held_they_are_withheld_and_sent_at_their_end() {
    let (mut exchange, _) = exchange(&[("upper", REWRITE)]);
    let host = unholding();
    request(&mut exchange, &host, b"{}");
    assert_eq!(respond_head(&mut exchange, &host, "application/json"), Action::Continue);
    assert_eq!(chunk(&mut exchange, &host, b"{\"a\"", false), (Action::Continue, String::new()));
    assert_eq!(chunk(&mut exchange, &host, b":1}", true).1, "{\"A\":1}");
}

#[test]
fn an_answer_that_cannot_be_changed_at_all_is_only_observed() {
    let (mut exchange, log) = exchange(&[("upper", REWRITE)]);
    let mut host = unholding();
    host.cannot.insert(Capability::RewriteResponseBody);
    request(&mut exchange, &host, b"{}");
    respond_head(&mut exchange, &host, "application/json");
    assert_eq!(chunk(&mut exchange, &host, b"{}", true).1, "{}");
    assert!(seen(&log).contains(&"upper answer {}".into()));
}

#[test]
fn an_answer_over_the_limit_becomes_a_502() {
    let (mut exchange, _) = exchange(&[("upper", REWRITE)]);
    let host = host();
    request(&mut exchange, &host, b"{}");
    respond_head(&mut exchange, &host, "application/json");
    assert_eq!(chunk(&mut exchange, &host, &[b'x'; 41], false).0, Action::Pause);
    assert_eq!(host.sent.borrow().as_ref().unwrap().0, 502);
}

#[test]
fn an_answer_without_a_body_can_be_given_one() {
    let (mut exchange, log) = exchange(&[("a", REWRITE)]);
    let host = host();
    request(&mut exchange, &host, b"{}");
    host.put(Map::Response, ":status", "503");
    assert_eq!(exchange.response_headers(&host, true), Action::Continue);
    assert!(seen(&log).ends_with(&["a answer ".into()]));
}

#[test]
fn the_end_is_told_once_and_truly() {
    let (mut ex, log) = exchange(&[("a", OBSERVE)]);
    let host = host();
    request(&mut ex, &host, b"{}");
    respond_head(&mut ex, &host, "text/event-stream");
    chunk(&mut ex, &host, b"data: a\n\n", false);
    ex.done(&host);
    ex.done(&host);
    let told = seen(&log);
    assert_eq!(told.iter().filter(|line| line.contains("done")).count(), 1);
    assert!(told.ends_with(&["a done Aborted".into()]));

    // A client that leaves before its request is whole.
    let (mut ex, log) = exchange(&[("a", OBSERVE)]);
    ex.request_headers(&host, false);
    ex.done(&host);
    assert_eq!(seen(&log), ["a head", "a done Aborted"]);

    // A stream that was never seen.
    let (mut ex, log) = exchange(&[("a", OBSERVE)]);
    ex.done(&host);
    assert!(seen(&log).is_empty());
}

#[test]
fn what_a_client_sends_to_impersonate_a_plugin_is_removed() {
    let (mut exchange, _) = exchange(&[("headless", IGNORE)]);
    let host = host();
    host.put(Map::Request, CLUSTER_HEADER, "spoofed");
    host.put(Map::Request, crate::facts::HEADER, "{\"provider\":\"spoofed\"}");
    exchange.request_headers(&host, true);
    assert_eq!(host.text(Map::Request, CLUSTER_HEADER), None);
    assert_eq!(host.text(Map::Request, crate::facts::HEADER), None);
}

/// Waits until the test says that it is over.
struct Waiter {
    log: Log,
    over: Rc<std::cell::Cell<bool>>,
    deadline: u64,
    after: fn() -> Flow,
}

impl Filter for Waiter {
    fn request_head(&mut self, cx: &mut Cx<'_>) -> Flow {
        cx.read_body();
        Flow::Continue
    }

    fn request(&mut self, _cx: &mut Cx<'_>, _body: &mut RequestBody) -> Flow {
        Flow::Wait(self.deadline)
    }

    fn waited(&mut self, _cx: &mut Cx<'_>, late: bool) -> Flow {
        self.log.borrow_mut().push(format!("waited {late}"));
        if self.over.get() { (self.after)() } else { Flow::Wait(self.deadline) }
    }

    fn called(&mut self, _cx: &mut Cx<'_>, reply: CallReply) -> Flow {
        self.log.borrow_mut().push(format!("called {:?}", reply.status));
        Flow::Continue
    }
}

fn waiter(after: fn() -> Flow) -> (Exchange, Log, Rc<std::cell::Cell<bool>>) {
    let (log, over) = (Log::default(), Rc::default());
    let waiter = Waiter { log: Rc::clone(&log), over: Rc::clone(&over), deadline: 100, after };
    let last = Probe { name: "last", log: Rc::clone(&log), interest: IGNORE };
    (Exchange::new(vec![Box::new(waiter), Box::new(last)], Settings::default()), log, over)
}

#[test]
fn a_request_waits_until_it_is_woken() {
    let (mut ex, log, over) = waiter(|| Flow::Continue);
    let host = host();
    request(&mut ex, &host, b"{}");
    assert!(ex.waits());
    ex.tick(&host);
    assert!(ex.waits() && host.resumed.get() == 0);
    over.set(true);
    ex.tick(&host);
    ex.tick(&host);
    assert!(!ex.waits());
    assert_eq!(host.resumed.get(), 1);
    assert_eq!(seen(&log), ["last head", "waited false", "waited false", "last request {}"]);
}

#[test]
fn a_wait_ends_at_its_deadline_whatever_the_filter_says() {
    let (mut ex, log, _) = waiter(|| Flow::Continue);
    let host = host();
    request(&mut ex, &host, b"{}");
    host.now_nanos.set(100);
    ex.tick(&host);
    assert!(!ex.waits());
    assert_eq!(host.resumed.get(), 1);
    assert_eq!(seen(&log), ["last head", "waited true", "last request {}"]);
}

#[test]
fn a_host_without_a_timer_does_not_wait() {
    let (mut ex, log, _) = waiter(|| Flow::Continue);
    let mut host = host();
    host.cannot.insert(Capability::Tick);
    request(&mut ex, &host, b"{}");
    assert!(!ex.waits());
    assert_eq!(seen(&log), ["last head", "waited true", "last request {}"]);
}

#[test]
fn who_was_woken_can_call_and_can_answer() {
    let (mut ex, log, over) = waiter(Probe::call);
    let host = host();
    request(&mut ex, &host, b"{}");
    over.set(true);
    ex.tick(&host);
    assert_eq!(ex.awaits(), Some(CallId(1)));
    assert_eq!(host.resumed.get(), 0);
    host.put(Map::CallReply, ":status", "200");
    ex.call_response(&host, CallId(1), 1, 0);
    assert_eq!(host.resumed.get(), 1);
    assert!(seen(&log).ends_with(&["called Some(200)".into(), "last request {}".into()]));

    let (mut ex, _, over) = waiter(|| {
        Flow::Respond(Box::new(Reply { status: 204, headers: Vec::new(), body: Vec::new() }))
    });
    request(&mut ex, &host, b"{}");
    over.set(true);
    ex.tick(&host);
    assert_eq!(host.sent.borrow().as_ref().unwrap().0, 204);
    assert!(!ex.waits());
}

#[test]
fn the_proxys_own_answer_ends_a_wait() {
    let (mut ex, log, _) = waiter(|| Flow::Continue);
    let host = host();
    request(&mut ex, &host, b"{}");
    host.put(Map::Response, ":status", "504");
    ex.response_headers(&host, true);
    assert!(!ex.waits());
    ex.tick(&host);
    assert!(!seen(&log).iter().any(|line| line.starts_with("waited")));
}
