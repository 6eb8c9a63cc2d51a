//! The doctor: what is shipped is well, and each thing that would hurt is found.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::PathBuf;

use aigw::check::check;
use aigw::doctor;
use aigw::hosts::{Host, render};
use aigw::yaml::Yaml;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

fn rendered(host: Host) -> String {
    let policy = check(&read("envoy-examples/policy/policy.yaml")).unwrap();
    render(host, &policy, false).last().unwrap().text()
}

fn yaml(text: &str) -> Yaml {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn nothing_would_hurt_in_what_is_shipped() {
    for example in [
        "full-chain/envoy.yaml",
        "bundle/envoy.yaml",
        "failover/envoy.yaml",
        "canary-ab/envoy.yaml",
        "hybrid/envoy.yaml",
        "multi-tenant-budgets/envoy.yaml",
    ] {
        let found = doctor::envoy(&yaml(&read(&format!("envoy-examples/{example}"))));
        assert_eq!(found, Vec::<String>::new(), "{example}");
    }
    for example in ["bundle.yaml", "bridge.yaml", "callout.yaml"] {
        let found = doctor::apisix(&yaml(&read(&format!("apisix-examples/{example}"))));
        assert_eq!(found, Vec::<String>::new(), "{example}");
    }
}

#[test]
fn each_thing_that_would_hurt_on_envoy_is_found() {
    let well = rendered(Host::Envoy);
    for (old, new, said) in [
        (
            "allow_on_headers_stop_iteration: true",
            "fail_open: true",
            "lacks `allow_on_headers_stop_iteration: true`",
        ),
        (
            "failure_policy: FAIL_RELOAD",
            "failure_policy: FAIL_OPEN",
            "`failure_policy: FAIL_RELOAD`",
        ),
        (
            "per_connection_buffer_limit_bytes: 52428800",
            "per_connection_buffer_limit_bytes: 32768",
            "per_connection_buffer_limit_bytes is 32768: prompts with pictures get 413",
        ),
        ("address: 127.0.0.1", "address: 0.0.0.0", "admin: listens beyond loopback"),
        ("value: translate", "value: route", "the same vm_id and vm_config.configuration in both"),
        ("timeout: 600s", "priority: DEFAULT", "a route has no timeout"),
        (
            "refresh_cluster_on_retry: true",
            "host_selection_retry_max_attempts: 2",
            "retries stay with the provider",
        ),
        ("sni: api.openai.com", "allow_renegotiation: false", "TLS without `sni`"),
        ("trusted_ca:", "crl:", "the provider's certificate is not checked"),
        (
            "match_typed_subject_alt_names:",
            "verify_certificate_spki:",
            "any certificate of a trusted",
        ),
        ("max_retries: 1000", "max_connection_pools: 1000", "has no max_retries, which is 3"),
        ("stats_tags:", "other_tags:", "stats_config: has no stats_tags"),
    ] {
        assert!(well.contains(old), "{old}");
        // Everywhere where the roles must differ, at one place else.
        let broken =
            if new == "value: route" { well.replace(old, new) } else { well.replacen(old, new, 1) };
        let found = doctor::envoy(&yaml(&broken));
        assert!(found.iter().any(|line| line.contains(said)), "{said}\n{found:?}");
    }
    assert_eq!(
        doctor::envoy(&yaml("static_resources: {}")),
        ["there is no Wasm plugin anywhere in it"]
    );
}

#[test]
fn tls_that_goes_by_each_endpoints_name_must_check_it_too() {
    let well = read("envoy-examples/failover/envoy.yaml");
    for (old, said) in [
        ("auto_host_sni: true", "TLS without `sni`"),
        ("auto_sni_san_validation: true", "any certificate of a trusted"),
    ] {
        assert!(well.contains(old), "{old}");
        let found = doctor::envoy(&yaml(&well.replace(old, "allow_renegotiation: false")));
        assert!(found.iter().any(|line| line.contains(said)), "{said}\n{found:?}");
    }
}

#[test]
fn the_order_of_separate_plugins_matters() {
    let chain = read("envoy-examples/full-chain/envoy.yaml");
    let swapped = chain
        .replace("name: ai-auth\n", "name: ai-was-auth\n")
        .replace("name: prompt-guard\n", "name: ai-auth\n")
        .replace("name: ai-was-auth\n", "name: prompt-guard\n");
    let found = doctor::envoy(&yaml(&swapped));
    assert!(
        found.iter().any(|line| line.ends_with("`ai-auth` must stand before `prompt-guard`")),
        "{found:?}"
    );
}

#[test]
fn each_thing_that_would_hurt_on_apisix_is_found() {
    let bridge = read("apisix-examples/bridge.yaml");
    let callout = rendered(Host::Apisix);
    for (well, old, new, said) in [
        (&bridge, "pass_host: pass", "pass_host: node", "upstream.pass_host must be `pass`"),
        (&bridge, "serverless-pre-function:", "serverless-other:", "without the bridge"),
        (&bridge, "bridge: true", "bridge: false", "`bridge: true`"),
        (&callout, "inline: call", "inline: rewrite", "`inline: rewrite` with 2 providers"),
        (&callout, "plugins:", "plugins:\n      proxy-buffering: {}", "proxy-buffering drops"),
        (
            &callout,
            "plugins:",
            "plugins:\n      ai-proxy: {}",
            "APISIX's own ai-proxy runs as well",
        ),
        (&callout, "wasm-ai-gateway:", "wasm-other:", "no route has wasm-ai-gateway"),
    ] {
        assert!(well.contains(old), "{old}");
        let found = doctor::apisix(&yaml(&well.replacen(old, new, 1)));
        assert!(found.iter().any(|line| line.contains(said)), "{said}\n{found:?}");
    }
}
