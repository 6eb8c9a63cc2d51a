//! A model that changes, as an operator sees it: gauges, an event, the report, and the reset.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

use std::rc::Rc;

use ai_metrics::configure;
use shared::host::script::ScriptHost;
use shared::host::{Host, Map};
use shared::plugin::Plugin;
use shared::testing::{answer, chat_host, exchange_of, plugin, send, sent};

const BODY: &str = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hello there"}]}"#;
const ANSWER: &str = r#"{"choices":[{"index":0,"finish_reason":"stop",
    "message":{"role":"assistant","content":"Hi"}}],
    "usage":{"prompt_tokens":10,"completion_tokens":5}}"#;
const CONFIG: &str =
    r#"{"drift": {"warm_up": 50}, "report": {"admin_key": "adm", "min_samples": 1}}"#;

fn host() -> ScriptHost {
    let host = chat_host();
    for (name, value) in [("ai.provider", "openai"), ("ai.model", "gpt-4o"), ("ai.route", "chat")] {
        host.set_property(&[name], value.as_bytes()).unwrap();
    }
    host
}

fn requests(metrics: &Rc<dyn Plugin>, host: &ScriptHost, count: usize, millis: u64) {
    for number in 0..count {
        let mut exchange = exchange_of(metrics);
        assert!(send(&mut exchange, host, BODY));
        // A little scatter, as everything real has.
        let nanos = millis * 1_000_000 + u64::try_from(number % 10).unwrap() * millis * 10_000;
        host.now_nanos.set(host.now_nanos.get() + nanos);
        answer(&mut exchange, host, 200, "application/json", ANSWER);
        exchange.done(host);
    }
    metrics.tick(host);
}

fn admin(metrics: &Rc<dyn Plugin>, host: &ScriptHost, method: &str, path: &str) -> (u16, String) {
    let asks = ScriptHost::default();
    *asks.shared.borrow_mut() = host.shared.borrow().clone();
    asks.put(Map::Request, ":method", method);
    asks.put(Map::Request, ":path", path);
    asks.put(Map::Request, "authorization", "Bearer adm");
    exchange_of(metrics).request_headers(&asks, true);
    *host.shared.borrow_mut() = asks.shared.borrow().clone();
    sent(&asks)
}

const ACTIVE: &str = "ai_drift_active|subject=model:openai/gpt-4o|signal=duration";
const SCORE: &str = "ai_drift_score_milli|subject=model:openai/gpt-4o|signal=duration";

#[test]
fn a_slower_model_is_shown_until_it_is_reset() {
    let (metrics, host) = (plugin(configure, CONFIG), host());
    assert!(metrics.tick_period().is_some(), "gauges are set by the timer");
    requests(&metrics, &host, 300, 200);
    let declared = host.metrics.borrow().iter().any(|metric| metric.name == ACTIVE);
    assert!(declared, "{:?}", host.metrics.borrow());
    assert_eq!(host.metric_value(ACTIVE), 0);

    requests(&metrics, &host, 20, 400);
    let up = "ai_drift_events_total|subject=model:openai/gpt-4o|signal=duration|direction=up";
    assert_eq!((host.metric_value(ACTIVE), host.metric_value(up)), (1, 1));
    let (status, body) = admin(&metrics, &host, "GET", "/_ai/report?format=json");
    let report: serde_json::Value = serde_json::from_str(&body).unwrap();
    let drift = report.pointer("/drift").unwrap().as_array().unwrap();
    let found = drift.iter().find(|s| s["signal"] == "duration").unwrap();
    assert_eq!((status, &found["active"]), (200, &true.into()));

    let path = "/_ai/drift/reset?subject=model%3Aopenai%2Fgpt-4o";
    assert_eq!(admin(&metrics, &host, "POST", path), (200, r#"{"reset":1}"#.into()));
    host.now_nanos.set(host.now_nanos.get() + 10_000_000_000);
    metrics.tick(&host);
    assert_eq!((host.metric_value(ACTIVE), host.metric_value(SCORE)), (0, 0));
}
