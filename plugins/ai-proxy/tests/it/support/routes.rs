//! Rules of three providers: `a` speaks OpenAI's protocol, `b` Anthropic's, `c` Gemini's.

use std::rc::Rc;

use serde_json::{Value, json};
use shared::host::Map;
use shared::host::script::ScriptHost;
use shared::plugin::Plugin;

use super::{answer, ask, chat_host, exchange_of, head, plugin, send, sent};

pub(crate) const SECOND: u64 = 1_000_000_000;

/// Three providers of the same models; `routes` as given.
pub(crate) fn routes(routes: Value) -> Value {
    let provider = |name: &str, protocol: &str| {
        json!({"name": name, "protocol": protocol, "api_key": format!("sk-{name}"),
               "cluster": format!("c{name}")})
    };
    json!({"providers": [provider("a", "openai"), provider("b", "anthropic"),
                         provider("c", "gemini")], "routes": routes})
}

pub(crate) fn gateway(list: Value) -> Rc<dyn Plugin> {
    plugin(&routes(list).to_string(), "route")
}

pub(crate) fn refused(list: Value) -> String {
    let config = routes(list).to_string();
    let setup = shared::plugin::Setup { config: config.as_bytes(), vm_config: b"route" };
    ai_proxy::configure(setup).err().map(|error| error.to_string()).unwrap_or_default()
}

pub(crate) fn fact(host: &ScriptHost, name: &str, value: &str) {
    host.properties.borrow_mut().insert(format!("ai.{name}"), value.into());
}

pub(crate) fn property(host: &ScriptHost, name: &str) -> String {
    let value = host.properties.borrow().get(name).cloned().unwrap_or_default();
    String::from_utf8(value).unwrap()
}

/// The cluster that a request is sent to, or the status and code of the refusal.
pub(crate) fn routed(gateway: &Rc<dyn Plugin>, host: &ScriptHost, body: &str) -> String {
    if send(&mut exchange_of(gateway), host, body) {
        return property(host, "ai.cluster");
    }
    let (status, body) = sent(host);
    let body: Value = serde_json::from_str(&body).unwrap();
    format!("{status} {}", body["error"]["code"].as_str().unwrap_or_default())
}

pub(crate) fn to(provider: &str) -> Value {
    json!({"provider": provider, "model": format!("m-{provider}")})
}

/// Sends a request through both roles; the first attempt is answered with `status`, the second, if
/// there is one, with 200.
pub(crate) fn exchange(
    route: &Rc<dyn Plugin>,
    translate: &Rc<dyn Plugin>,
    host: &ScriptHost,
    status: u16,
) {
    let mut outer = exchange_of(route);
    assert!(send(&mut outer, host, &ask("m", "")));
    let mut next = status;
    let last = loop {
        let cluster = property(host, "ai.cluster");
        let metadata = "xds.upstream_host_metadata.filter_metadata.ai-gateway.provider";
        host.properties
            .borrow_mut()
            .insert(metadata.into(), cluster.strip_prefix('c').unwrap().into());
        let mut inner = exchange_of(translate);
        assert!(send(&mut inner, host, &ask("m", "")));
        let body = if next == 200 { "{}" } else { r#"{"error":{"message":"no"}}"# };
        answer(&mut inner, host, next, "application/json", body);
        inner.done(host);
        if next < 429 {
            break next;
        }
        next = 200;
    };
    head(&mut outer, host, last, "application/json");
    outer.done(host);
}

/// One attempt of both roles; `pieces` is the provider's stream. Gives the status and the body that go
/// on to Envoy.
pub(crate) fn attempt(
    translate: &Rc<dyn Plugin>,
    host: &ScriptHost,
    more: &str,
    pieces: &[&[u8]],
) -> (String, String) {
    let provider = property(host, "ai.cluster").replacen('c', "", 1);
    let metadata = "xds.upstream_host_metadata.filter_metadata.ai-gateway.provider";
    host.properties.borrow_mut().insert(metadata.into(), provider.into());
    let mut inner = exchange_of(translate);
    assert!(send(&mut inner, host, &ask("m", more)));
    let out = crate::support::stream(&mut inner, host, pieces).concat();
    (host.text(Map::Response, ":status").unwrap(), out)
}

pub(crate) const STREAM: &str = r#","stream":true"#;

pub(crate) fn two(list: Value) -> (Rc<dyn Plugin>, Rc<dyn Plugin>) {
    let config = routes(list).to_string();
    (plugin(&config, "route"), plugin(&config, "translate"))
}
