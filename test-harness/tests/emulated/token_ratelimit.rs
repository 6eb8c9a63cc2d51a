//! The built token-ratelimit: what a host cannot do is refused when it is configured.

use crate::support::*;
use test_harness::emulator::Options;

#[test]
fn a_rate_limit_service_is_refused_where_no_calls_of_grpc_are_made() {
    let plugin = Plugin { module: module("token-ratelimit") };
    let config = r#"{"store": {"rls": {"upstream": "limiter"}}, "rules": [
        {"name": "a", "unit": "requests", "limit": 5, "window": "minute"}]}"#;
    assert!(plugin.configure(Options::envoy(), config).is_ok());
    let refused = plugin.configure(Options::apisix(), config).err().unwrap();
    let expected = "configuration refused: store.rls: this proxy makes no calls of gRPC";
    assert!(refused.logs.iter().any(|line| line.starts_with(expected)), "{refused}");
}
