//! Services that are no client API: routed, authenticated and counted, their bodies left alone.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use crate::support::{answer, exchange, send, sent};
use ai_proxy::configure;
use serde_json::{Value, json};
use shared::host::script::ScriptHost;
use shared::host::{Body, Host, Map};
use shared::plugin::Setup;

const CONFIG: &str = r#"{
    "providers": [
        {"name": "triton", "preset": "generic", "base_url": "https://triton.example/base", "api_key": "k1"},
        {"name": "ocr", "preset": "generic", "base_url": "https://ocr.example", "auth": "host",
         "cluster": "ocr-cluster"}
    ],
    "services": [
        {"name": "vision", "paths": ["/v2/models/*"], "targets": [{"provider": "triton"}],
         "usage": {"images": "/outputs"}},
        {"name": "ocr", "paths": ["/ocr/pages"], "strip_prefix": "/ocr", "model": "/model",
         "targets": [{"provider": "ocr"}], "usage": {"pages": "/usage/pages", "seconds": "/usage/s"}}
    ]
}"#;

fn post(path: &str) -> ScriptHost {
    let host = ScriptHost::post(path);
    host.put(Map::Request, "content-type", "application/json");
    host.put(Map::Request, "authorization", "Bearer client");
    host
}

fn usage(host: &ScriptHost) -> Value {
    let stated = host.property(&["ai", "usage"]).or_else(|| host.property(&["ai.usage"])).unwrap();
    serde_json::from_slice(&stated).unwrap()
}

#[test]
fn a_body_passes_byte_for_byte_and_the_providers_key_is_sent() {
    let host = post("/v2/models/resnet/infer?x=y");
    let mut gateway = exchange(CONFIG, "inline");
    let body = r#"{ "inputs" : [1.50, "ü"] }"#;
    assert!(send(&mut gateway, &host, body));
    assert_eq!(host.text(Map::Request, ":path").unwrap(), "/base/v2/models/resnet/infer?x=y");
    assert_eq!(host.text(Map::Request, "authorization").unwrap(), "Bearer k1");
    assert_eq!(host.body_text(Body::Request), body);
    let reply = r#"{"outputs":[{},{}]}"#;
    assert_eq!(answer(&mut gateway, &host, 200, "application/json", reply), reply);
    assert_eq!(usage(&host)["images"], 2);
    assert_eq!(host.text(Map::Response, "x-ai-provider").unwrap(), "triton");
    assert_eq!(host.text(Map::Response, "x-ai-route").unwrap(), "vision");
}

#[test]
fn the_model_may_stand_in_the_body() {
    let host = post("/ocr/pages");
    let mut gateway = exchange(CONFIG, "route");
    assert!(send(&mut gateway, &host, r#"{"model":"doc-2","url":"x"}"#));
    assert_eq!(host.text(Map::Request, "x-ai-cluster").unwrap(), "ocr-cluster");

    let host = post("/ocr/pages");
    let mut gateway = exchange(CONFIG, "inline");
    assert!(send(&mut gateway, &host, r#"{"model":"doc-2","url":"x"}"#));
    assert_eq!(host.text(Map::Request, ":path").unwrap(), "/pages");
    assert_eq!(host.text(Map::Request, "authorization"), None, "the proxy brings the credentials");
    answer(&mut gateway, &host, 200, "application/json", r#"{"usage":{"pages":3,"s":0.2}}"#);
    assert_eq!(usage(&host), json!({"seconds": 1, "pages": 3}));

    let host = post("/ocr/pages");
    let mut gateway = exchange(CONFIG, "inline");
    assert!(!send(&mut gateway, &host, r#"{"url":"x"}"#));
    let (status, text) = sent(&host);
    assert_eq!(status, 400);
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["error"]["param"], "/model");
}

#[test]
fn what_is_no_json_passes_too() {
    let host = ScriptHost::post("/v2/models/resnet/infer");
    host.put(Map::Request, "content-type", "application/octet-stream");
    let mut gateway = exchange(CONFIG, "inline");
    assert!(send(&mut gateway, &host, "\u{0}\u{1}"));
    let reply = answer(&mut gateway, &host, 200, "application/octet-stream", "\u{2}");
    assert_eq!(reply, "\u{2}");
}

#[test]
fn other_paths_are_not_served_and_generic_servers_have_no_chat() {
    for (path, body) in
        [("/v3/models/x", "{}"), ("/v1/chat/completions", r#"{"model":"vision","messages":[]}"#)]
    {
        let host = post(path);
        let mut gateway = exchange(CONFIG, "inline");
        assert!(!send(&mut gateway, &host, body));
        assert_eq!(sent(&host).0, 404, "{path}");
    }
}

#[test]
fn mistakes_are_refused_with_their_places() {
    for (old, new, path) in [
        (r#""paths": ["/ocr/pages"]"#, r#""paths": []"#, "services[1].paths"),
        (r#""paths": ["/ocr/pages"]"#, r#""paths": ["~("]"#, "services[1].paths[0]"),
        (r#"[{"provider": "ocr"}]"#, r#"[{"provider": "x"}]"#, "services[1].targets[0].provider"),
        (r#""pages": "/usage/pages""#, r#""page": "/usage/pages""#, "services[1].usage.page"),
    ] {
        let config = CONFIG.replace(old, new);
        let setup = Setup { config: config.as_bytes(), vm_config: b"inline" };
        let error = configure(setup).map(|_| ()).unwrap_err();
        assert_eq!(error.path, path, "{error:?}");
    }
}
