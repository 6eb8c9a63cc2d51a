//! The JSON Schemas in docs/schema are those of the code. `make schema` writes them anew.
#![cfg(feature = "schema")]
#![allow(clippy::unwrap_used)]

use std::path::Path;

use schemars::{JsonSchema, schema_for};

fn check<T: JsonSchema>(plugin: &str) {
    let text = serde_json::to_string_pretty(&schema_for!(T)).unwrap() + "\n";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema");
    let path = folder.join(format!("{plugin}.json"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == text, "docs/schema/{plugin}.json is out of date; run `make schema`");
}

#[test]
fn the_schemas_that_are_checked_in_are_current() {
    check::<ai_auth::config::Config>("ai-auth");
    check::<ai_metrics::config::Config>("ai-metrics");
    check::<ai_proxy::config::Config>("ai-proxy");
    check::<prompt_guard::config::Config>("prompt-guard");
    check::<semantic_cache_client::config::Config>("semantic-cache-client");
    check::<token_ratelimit::config::Config>("token-ratelimit");
    check::<ai_gateway::Config>("ai-gateway");
}
