//! What a module may import. One import that a host lacks, or has with another signature, and the
//! plugin does not load there at all; on APISIX it is silently absent.

use super::{Module, Profile};

/// A function that at least one of the hosts offers.
struct Import {
    module: &'static str,
    name: &'static str,
    /// Parameter types, one letter each (`i` for i32, `l` for i64); all but `proc_exit` return i32.
    params: &'static str,
    hosts: Hosts,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Hosts {
    Both,
    /// Missing on APISIX, or there with another signature.
    EnvoyOnly,
    /// Both hosts have it, but a plugin has no business with it.
    Tolerated,
}

use Hosts::{Both, EnvoyOnly, Tolerated};

const fn env(name: &'static str, params: &'static str, hosts: Hosts) -> Import {
    Import { module: "env", name, params, hosts }
}

const fn wasi(name: &'static str, params: &'static str, hosts: Hosts) -> Import {
    Import { module: "wasi_snapshot_preview1", name, params, hosts }
}

const IMPORTS: &[Import] = &[
    env("proxy_log", "iii", Both),
    env("proxy_get_log_level", "i", EnvoyOnly),
    env("proxy_get_current_time_nanoseconds", "i", Both),
    env("proxy_set_tick_period_milliseconds", "i", Both),
    env("proxy_get_buffer_bytes", "iiiii", Both),
    env("proxy_set_buffer_bytes", "iiiii", Both),
    env("proxy_get_header_map_pairs", "iii", Both),
    env("proxy_set_header_map_pairs", "iii", Both),
    env("proxy_get_header_map_value", "iiiii", Both),
    env("proxy_remove_header_map_value", "iii", Both),
    env("proxy_replace_header_map_value", "iiiii", Both),
    env("proxy_add_header_map_value", "iiiii", Both),
    env("proxy_get_property", "iiii", Both),
    env("proxy_set_property", "iiii", Both),
    env("proxy_get_shared_data", "iiiii", Both),
    env("proxy_set_shared_data", "iiiii", Both),
    env("proxy_register_shared_queue", "iii", Both),
    env("proxy_resolve_shared_queue", "iiiii", Both),
    env("proxy_dequeue_shared_queue", "iii", Both),
    env("proxy_enqueue_shared_queue", "iii", Both),
    env("proxy_continue_stream", "i", Both),
    env("proxy_close_stream", "i", Both),
    env("proxy_send_local_response", "iiiiiiii", Both),
    env("proxy_http_call", "iiiiiiiiii", Both),
    env("proxy_grpc_call", "iiiiiiiiiiii", Both),
    env("proxy_grpc_stream", "iiiiiiiii", Both),
    env("proxy_grpc_send", "iiii", Both),
    env("proxy_grpc_cancel", "i", Both),
    env("proxy_grpc_close", "i", Both),
    env("proxy_get_status", "iii", Both),
    env("proxy_set_effective_context", "i", Both),
    env("proxy_call_foreign_function", "iiiiii", Both),
    env("proxy_done", "", Both),
    env("proxy_define_metric", "iiii", Both),
    env("proxy_record_metric", "il", Both),
    env("proxy_increment_metric", "il", Both),
    // (i32, i64) on APISIX.
    env("proxy_get_metric", "ii", EnvoyOnly),
    wasi("clock_time_get", "ili", Both),
    wasi("random_get", "ii", Both),
    wasi("environ_get", "ii", Both),
    wasi("environ_sizes_get", "ii", Both),
    wasi("fd_write", "iiii", Both),
    wasi("proc_exit", "i", Both),
    wasi("args_get", "ii", Tolerated),
    wasi("args_sizes_get", "ii", Tolerated),
];

/// Compares every import of the module with what **both** hosts offer and a plugin should use.
///
/// # Errors
/// One line for each import that would keep the module from loading on one of the hosts, or that
/// goes beyond clock, randomness, environment, `fd_write` and `proc_exit` of WASI.
pub fn check(module: &Module) -> Result<(), Vec<String>> {
    wrong(module, |hosts| hosts == Both, "one of the two hosts")
}

/// As [`check`], for one host.
pub(crate) fn check_for(module: &Module, profile: Profile) -> Result<(), Vec<String>> {
    let offered = move |hosts| hosts != EnvoyOnly || profile == Profile::Envoy;
    wrong(module, offered, &format!("{profile:?}"))
}

fn wrong(module: &Module, offered: impl Fn(Hosts) -> bool, host: &str) -> Result<(), Vec<String>> {
    let mut wrong = Vec::new();
    for (from, name, signature) in module.imports() {
        let known = IMPORTS.iter().find(|i| i.module == from && i.name == name);
        match known {
            None => wrong.push(format!("{from}.{name} {signature}: missing on {host}")),
            Some(i) if !offered(i.hosts) => {
                wrong.push(format!("{from}.{name}: missing or of another signature on {host}"));
            }
            Some(i) if i.signature() != signature => {
                let right = i.signature();
                wrong.push(format!("{from}.{name} {signature}: wrong signature, is {right}"));
            }
            Some(_) => {}
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// The parameters of a function of module `env`, one letter each.
pub(crate) fn params(name: &str) -> Option<&'static str> {
    IMPORTS.iter().find(|i| i.module == "env" && i.name == name).map(|i| i.params)
}

impl Import {
    fn signature(&self) -> String {
        let result = if self.name == "proc_exit" { "" } else { "i" };
        format!("({})->({result})", self.params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn importing(import: &str) -> Module {
        Module::from_wat(&format!("(module {import})")).unwrap()
    }

    #[test]
    fn imports_that_both_hosts_offer_pass() {
        let log = r#"(import "env" "proxy_log" (func (param i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))"#;
        assert_eq!(check(&importing(log)), Ok(()));
    }

    #[test]
    fn get_metric_and_get_log_level_do_not_load_on_apisix() {
        for (name, params) in [("proxy_get_metric", "i32 i32"), ("proxy_get_log_level", "i32")] {
            let import = format!(r#"(import "env" "{name}" (func (param {params}) (result i32)))"#);
            let module = importing(&import);
            assert!(check(&module).unwrap_err()[0].contains(name));
            assert!(check_for(&module, Profile::Apisix).is_err());
            assert_eq!(check_for(&module, Profile::Envoy), Ok(()));
        }
    }

    #[test]
    fn a_wrong_signature_is_named_with_the_right_one() {
        let import = r#"(import "env" "proxy_done" (func (param i32) (result i32)))"#;
        let wrong = check(&importing(import)).unwrap_err();
        assert_eq!(wrong, ["env.proxy_done (i)->(i): wrong signature, is ()->(i)"]);
    }

    #[test]
    fn files_sockets_and_unknown_functions_are_refused() {
        for (from, name) in [("wasi_snapshot_preview1", "path_open"), ("env", "proxy_new")] {
            let import = format!(r#"(import "{from}" "{name}" (func))"#);
            assert!(check(&importing(&import)).unwrap_err()[0].contains("missing"));
        }
    }

    #[test]
    fn an_imported_memory_is_refused() {
        let wrong = check(&importing(r#"(import "env" "memory" (memory 1))"#)).unwrap_err();
        assert!(wrong[0].contains("env.memory"), "{wrong:?}");
    }
}
