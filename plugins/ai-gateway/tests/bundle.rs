//! The bundle's configuration: one section per plugin, mistakes named from the top.

use ai_gateway::configure;
use shared::plugin::Setup;

fn refused(config: &str, vm_config: &str) -> String {
    let setup = Setup { config: config.as_bytes(), vm_config: vm_config.as_bytes() };
    configure(setup).err().map(|error| error.to_string()).unwrap_or_default()
}

const GOOD: &str = r#"{"ai-proxy": {
    "providers": [{"name": "a", "protocol": "openai"}],
    "models": [{"name": "*", "targets": [{"provider": "a"}]}]}}"#;

#[test]
fn a_section_is_what_the_plugin_takes_by_itself() {
    assert_eq!(refused(GOOD, ""), "");
    let setup = Setup { config: GOOD.as_bytes(), vm_config: b"" };
    assert_eq!(configure(setup).unwrap().filters().len(), 1);
}

#[test]
fn a_mistake_is_named_from_the_top() {
    let wrong = GOOD.replace("\"openai\"", "\"open\"");
    assert!(refused(&wrong, "").starts_with("ai-proxy.providers[0].protocol: unknown variant"));
    let wrong = GOOD.replace("\"provider\": \"a\"", "\"provider\": \"b\"");
    assert!(refused(&wrong, "").starts_with("ai-proxy.models[0].targets[0].provider: no provider"));
    assert!(refused(r#"{"ai-prxy": {}}"#, "").contains("unknown field `ai-prxy`"));
    assert!(refused("{}", "").contains("missing field `ai-proxy`"));
}

#[test]
fn a_mistake_in_the_vms_configuration_is_named_as_such() {
    assert!(refused(GOOD, "both").contains("vm_config.configuration: expected route"));
}
