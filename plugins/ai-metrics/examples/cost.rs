//! What ai-metrics adds to a request and to an event of a stream on this machine, in nanoseconds:
//! `make metrics-cost`. Fails beyond 15 microseconds for a request and 1 for an event.
//!
//! Compared are an exchange with the plugin and one with a filter that reads the same bodies and does
//! nothing, on the scripted host, so that framing, buffering and the host itself are not counted twice.
//! The quickest of several rounds counts: what disturbs only ever adds.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::cast_precision_loss)]

use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;

use shared::exchange::Settings;
use shared::filter::{Cx, Filter, Flow, Interest, ResponseHead};
use shared::host::Host;
use shared::host::script::ScriptHost;
use shared::plugin::Plugin;
use shared::testing::{answer, chat_host, exchange_of, plugin, send, stream};

const MOST_OF_A_REQUEST: f64 = 15_000.0;
const MOST_OF_AN_EVENT: f64 = 1_000.0;

const ROUNDS: usize = 200;
const REQUESTS: usize = 500;
const EVENTS: usize = 500;

const ANSWER: &str = r#"{"id":"c1","object":"chat.completion","model":"gpt-4o","choices":[{"index":0,
    "finish_reason":"stop","message":{"role":"assistant","content":"Lyon lies where two rivers meet,
    and so it has been a town of merchants since the Romans."}}],"usage":{"prompt_tokens":240,
    "completion_tokens":20,"prompt_tokens_details":{"cached_tokens":128}}}"#;
const EVENT: &str = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\
    \"model\":\"gpt-4o\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"logprobs\":null,\
    \"finish_reason\":null}]}\n\n";

/// Reads what ai-metrics reads.
struct Nothing;

impl Filter for Nothing {
    fn request_head(&mut self, cx: &mut Cx<'_>) -> Flow {
        cx.read_body();
        Flow::Continue
    }

    fn response_head(&mut self, _: &mut Cx<'_>, _: &mut ResponseHead<'_>) -> Interest {
        Interest::Observe
    }
}

struct Idle;

impl Plugin for Idle {
    fn settings(&self) -> Settings {
        Settings::default()
    }

    fn filters(self: Rc<Self>) -> Vec<Box<dyn Filter>> {
        vec![Box::new(Nothing)]
    }
}

fn main() -> ExitCode {
    let config = r#"{"report": {"admin_key": "adm"}, "access_log": {"property": true},
        "otlp": {"upstream": "otel", "traces": 0.1}}"#;
    let metrics = plugin(ai_metrics::configure, config);
    let idle: Rc<dyn Plugin> = Rc::new(Idle);
    println!("{:<34} {:>9} {:>9} {:>9}", "nanoseconds", "with", "without", "added");
    let small = request("What is the capital of France?");
    let large = request(&"The quick brown fox jumps over the lazy dog again. ".repeat(80));
    let mut good = true;
    for (name, body) in
        [("request and answer, small", &small), ("request and answer, 4 KB", &large)]
    {
        let added = compare(name, &metrics, &idle, |plugin| whole(plugin, body));
        good &= added <= MOST_OF_A_REQUEST;
    }
    let events = compare("an event of a stream", &metrics, &idle, |plugin| events(plugin, &small));
    good &= events <= MOST_OF_AN_EVENT;
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints both, and returns what the first takes more, in nanoseconds. They take turns.
fn compare(
    name: &str,
    with: &Rc<dyn Plugin>,
    without: &Rc<dyn Plugin>,
    work: impl Fn(&Rc<dyn Plugin>) -> f64,
) -> f64 {
    let (mut a, mut b) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..ROUNDS {
        a = a.min(work(with));
        b = b.min(work(without));
    }
    println!("{name:<34} {a:>9.0} {b:>9.0} {:>9.0}", a - b);
    a - b
}

fn request(text: &str) -> String {
    format!(
        r#"{{"model":"gpt-4o","messages":[{{"role":"system","content":"Be brief."}},
        {{"role":"user","content":"{text}"}}],"temperature":0.2}}"#
    )
}

fn host() -> ScriptHost {
    let host = chat_host();
    for (name, value) in [
        ("ai.provider", "openai"),
        ("ai.model", "gpt-4o"),
        ("ai.requested_model", "gpt-4o"),
        ("ai.consumer", "alice"),
        ("ai.tags", r#"{"team":"search"}"#),
        ("ai.attempts", "openai"),
        ("ai.route", "chat"),
        ("ai.guard", "pass"),
    ] {
        host.set_property(&[name], value.as_bytes()).unwrap();
    }
    host
}

/// Nanoseconds of a request with its answer.
fn whole(plugin: &Rc<dyn Plugin>, body: &str) -> f64 {
    let host = host();
    let mut nanos = 0;
    for number in 0..REQUESTS + 20 {
        let start = Instant::now();
        let mut exchange = exchange_of(plugin);
        assert!(send(&mut exchange, &host, body));
        answer(&mut exchange, &host, 200, "application/json", ANSWER);
        exchange.done(&host);
        // The first ones make the series.
        if number >= 20 {
            nanos += start.elapsed().as_nanos();
        }
    }
    nanos as f64 / REQUESTS as f64
}

/// Nanoseconds of one event of a stream.
fn events(plugin: &Rc<dyn Plugin>, body: &str) -> f64 {
    let host = host();
    let pieces: Vec<&[u8]> = std::iter::repeat_n(EVENT.as_bytes(), EVENTS).collect();
    let mut exchange = exchange_of(plugin);
    assert!(send(&mut exchange, &host, body));
    let start = Instant::now();
    stream(&mut exchange, &host, &pieces);
    let nanos = start.elapsed().as_nanos();
    exchange.done(&host);
    nanos as f64 / EVENTS as f64
}
