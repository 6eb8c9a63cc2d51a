//! Which model is whose, and which configurations are refused.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use ai_proxy::gateway::Gateway;
use ai_proxy::routing::ask::Ask;
use ai_proxy::{asked, configure};
use serde_json::{Value, json};
use shared::config::parse;
use shared::facts::Facts;
use shared::filter::Cx;
use shared::host::script::ScriptHost;
use shared::plugin::Setup;
use shared::request::RequestBody;

fn gateway(config: &Value) -> Gateway {
    Gateway::new(parse(config.to_string().as_bytes()).unwrap(), b"").unwrap()
}

/// What the route role decides: the provider's name of the model, and the cluster.
fn chosen(gateway: &Gateway, model: &str) -> Option<(String, String)> {
    let host = ScriptHost::post("/v1/chat/completions");
    let mut facts = Facts::default();
    let mut cx = Cx::new(&host, &mut facts, None);
    let body = json!({"model": model, "messages": []}).to_string();
    let asked = asked::read(&cx, "/v1/chat/completions", &RequestBody::new(body.into()).unwrap());
    let asked = asked.unwrap();
    let mut ask = Ask::new(&mut cx, "/v1/chat/completions", "", model, false);
    let choice = gateway.choose(&asked, None, &mut ask, &host).ok()?;
    Some((choice.targets[0].1.clone(), choice.cluster.unwrap_or_default().to_owned()))
}

fn refused(config: &Value) -> String {
    let text = config.to_string();
    let setup = Setup { config: text.as_bytes(), vm_config: b"" };
    configure(setup).err().map(|error| error.to_string()).unwrap_or_default()
}

fn good() -> Value {
    json!({
        "providers": [{"name": "a", "protocol": "openai"}, {"name": "b", "protocol": "anthropic"}],
        "models": [{"name": "*", "targets": [{"provider": "a"}]}],
    })
}

#[test]
fn an_exact_name_goes_before_an_alias_and_that_before_the_longest_prefix() {
    let gateway = gateway(&json!({
        "providers": [{"name": "a", "protocol": "openai", "cluster": "ca"}],
        "models": [
            {"name": "*", "targets": [{"provider": "a", "model": "any"}]},
            {"name": "gpt-*", "targets": [{"provider": "a", "model": "prefix"}]},
            {"name": "gpt-4*", "targets": [{"provider": "a", "model": "longer"}]},
            {"name": "gpt-4o", "targets": [{"provider": "a"}], "cluster": "own"},
        ],
        "aliases": {"gpt-fast": "gpt-4o", "other": "gpt-9"},
    }));
    for (asked, model, cluster) in [
        ("gpt-4o", "gpt-4o", "own"),
        ("gpt-fast", "gpt-4o", "own"),
        ("gpt-4o-mini", "longer", "ca"),
        ("gpt-4", "longer", "ca"),
        ("gpt-3", "prefix", "ca"),
        ("other", "prefix", "ca"),
        ("gpt", "any", "ca"),
    ] {
        let (found, reached) = chosen(&gateway, asked).unwrap();
        assert_eq!(found, model, "{asked}");
        assert_eq!(reached, cluster, "{asked}");
    }
}

#[test]
fn a_model_nobody_has_is_none() {
    let mut config = good();
    config["models"][0]["name"] = "gpt-4".into();
    assert!(chosen(&gateway(&config), "gpt-4o").is_none());
}

#[test]
fn every_mistake_is_named_with_its_place() {
    let set = |path: &str, value: Value| {
        let mut config = good();
        let (parent, key) = path.rsplit_once('/').unwrap();
        config.pointer_mut(parent).unwrap()[key] = value;
        refused(&config)
    };
    for (path, value, mistake) in [
        ("/providers", json!([]), "providers: give at least one provider"),
        ("/providers", json!({}), "providers: give at least one provider"),
        ("/models", json!([]), "models: give at least one model"),
        (
            "/providers",
            json!([{"name": "a", "protocol": "openai"}, {"name": "a", "protocol": "openai"}]),
            "providers[1].name: `a` is there already",
        ),
        (
            "/mode",
            json!("on"),
            "mode: unknown variant `on`, expected one of `off`, `dry_run`, `enforce`",
        ),
        ("/max_request_bytes", json!(-1), "max_request_bytes: invalid value"),
        ("/aliases", json!({"x": 1}), "aliases.x: invalid type: a number, expected a string"),
    ] {
        let found = set(path, value);
        assert!(found.starts_with(mistake), "{found}");
    }
    let provider = |key: &str, value: Value| {
        let mut config = good();
        config["providers"][1][key] = value;
        refused(&config)
    };
    for (key, value, mistake) in [
        ("name", json!("a b"), "providers[1].name: may have letters"),
        ("name", json!(""), "providers[1].name: may have letters"),
        ("protocol", json!("x"), "providers[1].protocol: unknown variant `x`"),
        ("base_url", json!("x"), "providers[1].base_url: must begin with https://"),
        ("api_key", json!(""), "providers[1].api_key: a secret must not be empty"),
        ("api_key", json!(["k", "a b"]), "providers[1].api_key[1]: a secret may have visible"),
        (
            "headers",
            json!({"Host": "x"}),
            "providers[1].headers.Host: is set by the gateway itself",
        ),
        ("headers", json!({"x-ai-y": "x"}), "providers[1].headers.x-ai-y: is set by the gateway"),
        ("headers", json!({"a b": "x"}), "providers[1].headers.a b: is not the name of a header"),
        ("headers", json!({"x": "a\nb"}), "providers[1].headers.x: may have visible ASCII"),
        ("default_max_tokens", json!(0), "providers[1].default_max_tokens: must be 1 or more"),
        ("api_kye", json!("x"), "providers[1].api_kye: unknown field `api_kye`"),
    ] {
        let found = provider(key, value);
        assert!(found.starts_with(mistake), "{found}");
    }
    let models = |models: Value, aliases: Value| {
        let mut config = good();
        config["models"] = models;
        config["aliases"] = aliases;
        refused(&config)
    };
    let target = json!([{"provider": "a"}]);
    for (list, aliases, mistake) in [
        (
            json!([{"name": "x", "targets": []}]),
            json!({}),
            "models[0].targets: give 1 to 256 targets",
        ),
        (
            json!([{"name": "x", "targets": [{"provider": "c"}]}]),
            json!({}),
            "models[0].targets[0].provider: no provider `c`; there are a, b",
        ),
        (json!([{"name": "", "targets": target}]), json!({}), "models[0].name: must be a model's"),
        (
            json!([{"name": "a*b", "targets": target}]),
            json!({}),
            "models[0].name: must be a model's",
        ),
        (
            json!([{"name": "x", "targets": target}, {"name": "x", "targets": target}]),
            json!({}),
            "models[1].name: is there already",
        ),
        (
            json!([{"name": "x*", "targets": target}, {"name": "x*", "targets": target}]),
            json!({}),
            "models[1].name: is there already",
        ),
        (json!([{"name": "x", "targets": target}]), json!({"x": "x"}), "aliases.x: is the name of"),
        (json!([{"name": "x", "targets": target}]), json!({"y": "z"}), "aliases.y: no entry of"),
    ] {
        let found = models(list, aliases);
        assert!(found.starts_with(mistake), "{found}");
    }
}

#[test]
fn a_secret_is_never_part_of_a_message() {
    let mut config = good();
    config["providers"][0] = json!("sk-very-secret");
    assert!(!refused(&config).contains("secret"), "{}", refused(&config));
    config["providers"][0] =
        json!({"name": "a", "protocol": "openai", "api_key": "sk very-secret"});
    assert!(!refused(&config).contains("very"), "{}", refused(&config));
}
