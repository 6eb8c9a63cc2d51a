//! Translation, with the driver around it: any request is refused or becomes valid JSON, and any
//! answer, streamed or not, in any pieces, is survived.
//!
//! The input is the request and the answer, with a zero byte between them. The first byte chooses
//! the size of the answer's pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use serde_json::value::RawValue;
use shared::exchange::Exchange;
use shared::host::script::ScriptHost;
use shared::host::{Body, Map};
use shared::plugin::Setup;

const CONFIG: &[u8] = br#"{"ai-proxy":{
    "providers":[{"name":"a","protocol":"anthropic","api_key":"k"}],
    "models":[{"name":"*","targets":[{"provider":"a"}]}]}}"#;

const REQUEST: &str = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}"#;

fuzz_target!(|input: &[u8]| {
    let Some((size, rest)) = input.split_first() else { return };
    let cut = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
    let (request, answer) = rest.split_at(cut);
    if let Some(body) = sent(request) {
        let text = std::str::from_utf8(&body).expect("UTF-8");
        // By its grammar: half a surrogate pair, which is passed on as it came, is no Rust string.
        serde_json::from_str::<&RawValue>(text).expect("valid JSON");
    }
    for content_type in ["text/event-stream", "application/json"] {
        receive(answer, content_type, usize::from(*size).max(1));
    }
});

fn begin(host: &ScriptHost, body: &[u8]) -> Exchange {
    let setup = Setup { config: CONFIG, vm_config: b"translate" };
    let plugin = ai_gateway::configure(setup).expect("a good configuration");
    let mut exchange = Exchange::new(plugin.clone().filters(), plugin.settings());
    host.put(Map::Request, "content-type", "application/json");
    host.put_body(Body::Request, body);
    exchange.request_headers(host, false);
    exchange.request_body(host, body.len(), true);
    exchange
}

/// What the provider gets, unless the request is refused.
fn sent(request: &[u8]) -> Option<Vec<u8>> {
    let host = ScriptHost::post("/v1/chat/completions");
    begin(&host, request);
    if let Some((status, _, body)) = host.sent.borrow().as_ref() {
        assert_eq!(*status, 400);
        serde_json::from_slice::<Value>(body).expect("an error in JSON");
        return None;
    }
    Some(host.body_text(Body::Request).into_bytes())
}

fn receive(answer: &[u8], content_type: &str, size: usize) {
    let host = ScriptHost::post("/v1/chat/completions");
    let mut exchange = begin(&host, REQUEST.as_bytes());
    host.put(Map::Response, ":status", "200");
    host.put(Map::Response, "content-type", content_type);
    exchange.response_headers(&host, false);
    if content_type == "application/json" {
        // The host holds it until it is whole.
        host.put_body(Body::Response, answer);
        exchange.response_body(&host, answer.len(), true);
    } else {
        let mut out = String::new();
        for piece in answer.chunks(size) {
            host.put_body(Body::Response, piece);
            exchange.response_body(&host, piece.len(), false);
            out.push_str(&host.body_text(Body::Response));
        }
        host.put_body(Body::Response, b"");
        exchange.response_body(&host, 0, true);
        out.push_str(&host.body_text(Body::Response));
        // What fails before the first word is an error as a whole, which has another status.
        let status = host.text(Map::Response, ":status").unwrap_or_default();
        assert!(status != "200" || out.contains("data: [DONE]"), "{out}");
    }
    exchange.done(&host);
}
