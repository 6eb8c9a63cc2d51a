//! Policies: what is taken, what is refused and where, what each host gets of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::PathBuf;

use ai_gateway::AiGateway;
use aigw::check::{Checked, check};
use aigw::hosts::{File, Host, render};
use aigw::yaml::Yaml;
use aigw::{diff, live};

fn examples() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../envoy-examples")
}

fn example() -> String {
    std::fs::read_to_string(examples().join("policy/policy.yaml")).unwrap()
}

/// The example with one thing changed.
fn changed(old: &str, new: &str) -> String {
    let text = example();
    assert!(text.contains(old), "{old}");
    text.replacen(old, new, 1)
}

fn checked(text: &str) -> Checked {
    check(text).unwrap_or_else(|error| panic!("{error}"))
}

fn yaml(text: &str) -> Yaml {
    serde_saphyr::from_str(text).unwrap()
}

/// What a host gets, as it reads it: written and read again.
fn documents(host: Host, checked: &Checked) -> Vec<Yaml> {
    let files = render(host, checked, false);
    let read = |file: &File| serde_saphyr::from_multiple::<Yaml>(&file.text()).unwrap();
    files.iter().flat_map(read).collect()
}

/// All texts and members of this name.
fn all<'a>(value: &'a Yaml, member: &str) -> Vec<&'a Yaml> {
    let mut found = Vec::new();
    value.walk(&mut |value| found.extend(value.get(member)));
    found
}

fn of_kind<'a>(documents: &'a [Yaml], kind: &str) -> Vec<&'a Yaml> {
    documents.iter().filter(|one| one.get("kind").and_then(Yaml::text) == Some(kind)).collect()
}

fn takes(config: &Yaml, role: &[u8]) {
    // Secrets are the host's.
    let mut config = config.clone();
    config.change_texts(&|text| {
        if text.starts_with("$env://") {
            *text = "a-secret-of-0123456789abcdef0123456789abcdef".into();
        }
    });
    let config = shared::config::parse(config.json().as_bytes()).unwrap();
    AiGateway::new(config, role).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn the_example_is_taken_and_secrets_that_are_not_here_are_told() {
    let checked = checked(&example());
    let names: Vec<_> =
        checked.providers.iter().map(|one| (&*one.host, one.port, one.tls)).collect();
    assert_eq!(names, [("api.openai.com", 443, true), ("api.anthropic.com", 443, true)]);
    if std::env::var_os("ANTHROPIC_API_KEY").is_none() {
        assert!(checked.notes.iter().any(|note| note.starts_with("ANTHROPIC_API_KEY is not set")));
    }
}

#[test]
fn each_mistake_is_told_with_its_place_in_the_policy() {
    for (old, new, said) in [
        ("preset: anthropic", "preset: antropic", "providers[1].preset: "),
        ("unit: total_tokens", "unit: tokens", "limits[0].unit: "),
        ("    limit: 100000", "    limit: -1", "limits[0].limit: "),
        ("        hash: sha256:2143", "        hash: sha256:xx", "consumers[0].keys[0].hash: "),
        ("EMAIL: mask", "EMAIL: hide", "guard.pii.entities.EMAIL: "),
        ("  ttl: 3600", "  ttl: soon", "cache.ttl: "),
        ("{ provider: openai }", "{ provider: nobody }", "models[0].targets[0].provider: "),
        ("  fast: claude", "  claude-1: claude", ""),
        ("metrics: {}", "metrics: { otpl: {} }", "metrics.otpl: unknown field"),
        (
            "metrics: {}",
            "metrics: { otlp: { upstream: collector } }\nservices: { other: http://c:1 }",
            "metrics.otlp.upstream: no service `collector` in `services`; there are: other",
        ),
        ("metrics: {}", "services: { webdis: 'ftp://x' }", "services.webdis: "),
        (
            "metrics: {}",
            "services: { openai: 'http://x:1' }",
            "services.openai: provider `openai` is",
        ),
        (
            "preset: anthropic\n",
            "preset: anthropic\n    cluster: openai\n",
            "providers[1].cluster: provider `openai` is reached by `openai`; each needs one of its own",
        ),
        (
            "[{ provider: openai }]",
            "[{ provider: openai }]\n    cluster: opnai",
            "models[0].cluster: no provider and no service is reached by cluster `opnai`; there are: \
             openai, anthropic",
        ),
    ] {
        let text = changed(old, new);
        match check(&text) {
            Err(error) if !said.is_empty() => assert!(error.starts_with(said), "{error}\n{said}"),
            Err(error) => panic!("{new}: {error}"),
            Ok(_) => assert!(said.is_empty(), "{new} is taken, though {said}"),
        }
    }
    // A misspelt section is found by who reads the file, with its line.
    let error = check(&changed("limits:", "limit:")).unwrap_err();
    assert!(error.contains("limit") && error.contains("line"), "{error}");
    // A secret whose form matters is not taken for wrong where it is not known.
    let google = "preset: vertex\n    params: { project: p, region: r }\n    \
                  google: { service_account: $env://NOT_SET_SERVICE_ACCOUNT }";
    let text = changed("preset: openai\n    api_key: $env://OPENAI_API_KEY", google);
    if let Err(error) = check(&text) {
        assert!(error.contains("set NOT_SET_SERVICE_ACCOUNT here as well"), "{error}");
    }
}

#[test]
fn envoy_runs_the_same_configuration_in_both_roles_and_a_cluster_for_each_provider() {
    let checked = checked(&example());
    let [file] = documents(Host::Envoy, &checked).try_into().unwrap();
    let configs = all(&file, "config");
    assert_eq!(configs.len(), 3);
    for config in &configs {
        assert_eq!(config.get("allow_on_headers_stop_iteration"), Some(&Yaml::Bool(true)));
        let role =
            config.at(&["vm_config", "configuration", "value"]).and_then(Yaml::text).unwrap();
        let text = config.at(&["configuration", "value"]).and_then(Yaml::text).unwrap();
        takes(&yaml(text), role.as_bytes());
    }
    let clusters = file.at(&["static_resources", "clusters"]).unwrap().items();
    let names: Vec<_> =
        clusters.iter().map(|one| one.get("name").unwrap().text().unwrap()).collect();
    assert_eq!(names, ["openai", "anthropic"]);
    assert_eq!(aigw::doctor::envoy(&file), Vec::<String>::new());
}

#[test]
fn what_plugins_call_has_a_cluster_without_filters_or_an_address() {
    let text = changed(
        "metrics: {}",
        "metrics: { otlp: { upstream: collector } }\nservices: { collector: 'http://10.0.0.7:4318' }",
    );
    let checked = checked(&text);
    let [file] = documents(Host::Envoy, &checked).try_into().unwrap();
    let clusters = file.at(&["static_resources", "clusters"]).unwrap().items();
    let cluster = clusters.iter().find(|one| one.get("name") == Some(&"collector".into())).unwrap();
    assert!(cluster.get("typed_extension_protocol_options").is_none());
    assert_eq!(all(cluster, "address")[1].text(), Some("10.0.0.7"));

    let documents = documents(Host::Apisix, &checked);
    let otlp = documents[1].get("routes").unwrap().items()[0]
        .at(&["plugins", "wasm-ai-gateway", "conf", "ai-metrics", "otlp"])
        .unwrap();
    assert_eq!(otlp.get("upstream").and_then(Yaml::text), Some("10.0.0.7:4318"));
    assert_eq!(otlp.get("scheme").and_then(Yaml::text), Some("http"));

    let manifests = self::documents(Host::Higress, &checked);
    let plugin = of_kind(&manifests, "WasmPlugin")[0];
    let upstream = plugin.at(&["spec", "defaultConfig", "ai-metrics", "otlp", "upstream"]).unwrap();
    assert_eq!(upstream.text(), Some("outbound|80||collector.static"));
}

#[test]
fn apisix_gets_the_bridge_for_one_provider_and_calls_for_several() {
    let several = checked(&example());
    let read = documents(Host::Apisix, &several);
    let route = |read: &[Yaml]| read[1].get("routes").unwrap().items()[0].clone();
    let proxy = |route: &Yaml| {
        let conf = route.at(&["plugins", "wasm-ai-gateway", "conf"]).unwrap().clone();
        takes(&conf, b"");
        conf.get("ai-proxy").unwrap().clone()
    };
    let found = route(&read);
    assert_eq!(proxy(&found).get("inline").and_then(Yaml::text), Some("call"));
    assert!(found.at(&["plugins", "serverless-pre-function"]).is_none());
    assert!(all(&found, "cluster").is_empty());
    assert_eq!(aigw::doctor::apisix(&read[1]), Vec::<String>::new());

    let one = checked(ONE);
    let read = documents(Host::Apisix, &one);
    let found = route(&read);
    assert_eq!(proxy(&found).get("bridge"), Some(&Yaml::Bool(true)));
    assert!(found.at(&["plugins", "serverless-pre-function"]).is_some());
    let node = found.at(&["upstream", "nodes", "api.anthropic.com:443"]).unwrap();
    assert_eq!(node.int(), Some(1));
    assert_eq!(aigw::doctor::apisix(&read[1]), Vec::<String>::new());
    assert!(
        read[0].at(&["nginx_config", "envs"]).unwrap().items()[0] == "ANTHROPIC_API_KEY".into()
    );
}

const ONE: &str = "providers: [{ name: anthropic, preset: anthropic, api_key: $env://ANTHROPIC_API_KEY }]\n\
                   models: [{ name: 'claude-*', targets: [{ provider: anthropic }] }]\n";

#[test]
fn istio_gets_a_cluster_of_its_own_for_providers_of_one_address() {
    let text = changed(
        "preset: anthropic\n    api_key: $env://ANTHROPIC_API_KEY",
        "preset: openai-responses\n    api_key: $env://OPENAI_API_KEY",
    );
    let manifests = documents(Host::Istio, &checked(&text));
    let hosts: Vec<_> = of_kind(&manifests, "ServiceEntry")
        .iter()
        .map(|entry| entry.at(&["spec", "hosts"]).unwrap().items()[0].text().unwrap())
        .collect();
    assert_eq!(hosts, ["openai.ai-gateway.internal", "anthropic.ai-gateway.internal"]);
    let filter = of_kind(&manifests, "EnvoyFilter")[0];
    for host in hosts {
        let name = format!("outbound|443||{host}");
        let patches = filter.at(&["spec", "configPatches"]).unwrap().items();
        let named = |patch: &&Yaml| {
            patch.at(&["match", "cluster", "name"]) == Some(&Yaml::from(name.as_str()))
        };
        assert_eq!(patches.iter().filter(named).count(), 1, "{name}");
        // The plugin chooses by the names that Istio gives.
        let mut chosen = false;
        filter.walk(&mut |value| {
            chosen |=
                value.text().is_some_and(|text| text.contains(&format!("\"cluster\": \"{name}\"")));
        });
        assert!(chosen, "{name}");
    }
}

#[test]
fn the_manifests_for_kubernetes_are_current() {
    for host in [Host::Istio, Host::EnvoyGateway, Host::Higress, Host::Kubernetes] {
        let [file] = render(host, &checked(&example()), false).try_into().unwrap();
        let path = examples().join("kubernetes").join(file.name);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, file.text()).unwrap();
        }
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(there == file.text(), "{} is old: run `make manifests`", path.display());
    }
}

#[test]
fn a_pod_that_leaves_outlives_its_answers() {
    let documents = documents(Host::Kubernetes, &checked(&example()));
    let pod = of_kind(&documents, "Deployment")[0].at(&["spec", "template", "spec"]).unwrap();
    let grace = pod.get("terminationGracePeriodSeconds").and_then(Yaml::int).unwrap();
    // Envoy does not drain when it is told to end.
    let told = all(pod, "sleep")[0].get("seconds").and_then(Yaml::int).unwrap();
    assert!(told >= 600 && grace > told, "{told} {grace}");
}

#[test]
fn another_configuration_makes_other_pods() {
    // Envoy reads its file at the start only.
    let hash = |text: &str| {
        let documents = documents(Host::Kubernetes, &checked(text));
        let annotations = all(of_kind(&documents, "Deployment")[0], "annotations");
        annotations[0].get("ai-gateway/config").and_then(Yaml::text).unwrap().to_owned()
    };
    assert_eq!(hash(&example()), hash(&example()));
    assert_ne!(hash(&example()), hash(&changed("limit: 100000", "limit: 100001")));
}

#[test]
fn higress_finds_its_resources_in_its_own_namespace() {
    let places = |text: &str| {
        let documents = documents(Host::Higress, &checked(text));
        let place = |one: &Yaml| {
            one.at(&["metadata", "namespace"]).and_then(Yaml::text).unwrap().to_owned()
        };
        documents.iter().map(place).collect::<Vec<_>>()
    };
    assert_eq!(places(&example()), ["higress-system"; 3]);
    assert_eq!(places(&changed("  name: ai\n", "  name: ai\n  namespace: edge\n")), ["edge"; 3]);
}

#[test]
fn the_hash_of_an_image_is_held_against_every_copy_of_it() {
    let hash = "0123456789abcdef".repeat(4);
    let text = changed("  name: ai\n", &format!("  name: ai\n  sha256: {hash}\n"));
    let policy = checked(&text);
    let pinned = format!("registry.example.com/wasm-ai-gateway:0.1.0@sha256:{hash}");
    for host in [Host::Kubernetes, Host::EnvoyGateway] {
        let documents = documents(host, &policy);
        let references: Vec<_> = documents.iter().flat_map(|one| all(one, "reference")).collect();
        assert_eq!(references, [&Yaml::from(pinned.as_str())], "{}", host.name());
    }
    for host in [Host::Higress, Host::EnvoyGateway] {
        let documents = documents(host, &policy);
        let hashes: Vec<_> = documents.iter().flat_map(|one| all(one, "sha256")).collect();
        assert_eq!(hashes, [&Yaml::from(hash.as_str())], "{}", host.name());
    }
    // Files are nobody's to check.
    for host in [Host::Envoy, Host::Apisix, Host::Istio] {
        assert!(policy.limits(host).join("\n").contains("gateway.sha256: "), "{}", host.name());
    }
    let error = check(&text.replace(&hash, "sha256:0123")).unwrap_err();
    assert!(error.starts_with("gateway.sha256: "), "{error}");
}

#[test]
fn a_patch_has_only_what_is_to_be_merged() {
    let policy = checked(&example());
    for host in Host::ALL {
        let texts: String = render(host, &policy, true).iter().map(File::text).collect();
        assert!(texts.contains("ai-proxy"), "{}", host.name());
        // Envoy's own file has but one piece.
        if host == Host::Kubernetes {
            continue;
        }
        for whole in [
            "static_resources",
            "deployment:",
            "\nkind: Gateway\n",
            "\nkind: VirtualService",
            "\nkind: Ingress",
            "\nkind: Deployment",
        ] {
            assert!(!texts.contains(whole), "{}: {whole}", host.name());
        }
    }
}

#[test]
fn a_host_is_said_to_lack_what_it_lacks() {
    let policy = checked(&changed(
        "metrics: {}",
        "metrics: { otlp: { upstream: c } }\nservices: { c: 'http://c' }",
    ));
    let said = |host| policy.limits(host).join("\n");
    assert!(said(Host::Istio).contains("allow_on_headers_stop_iteration"));
    assert!(said(Host::EnvoyGateway).contains("EnvoyPatchPolicy"));
    assert!(said(Host::Higress).contains("answers come whole"));
    assert_eq!(said(Host::Envoy), "");
}

#[test]
fn what_makes_a_host_refuse_the_policy_is_told_with_its_place() {
    assert_eq!(checked(&example()).refused(Host::Apisix), Vec::<String>::new());
    let services = "services: { c: 'http://c' }";
    for (old, new, place) in [
        ("metrics: {}", "metrics: { otlp: { upstream: c } }", "metrics.otlp: "),
        ("  ttl: 3600", "  ttl: 3600\n  stale_if_error: 60", "cache.stale_if_error: "),
        ("  ttl: 3600", "  redis: { service: { upstream: c } }", "cache.redis: "),
        (
            "guard:\n",
            "guard:\n  moderation: { service: openai, upstream: c, answers: true }\n",
            "guard.moderation.answers: ",
        ),
        ("guard:\n", "proxy: { inline: rewrite }\nguard:\n", "proxy.inline: "),
    ] {
        let policy = checked(&format!("{}\n{services}\n", changed(old, new)));
        let refused = policy.refused(Host::Apisix);
        assert!(refused.len() == 1 && refused[0].starts_with(place), "{new}: {refused:?}");
        assert!(policy.refused(Host::Envoy).is_empty());
    }
    let limits = changed("limits:\n  - name", "limits:\n  rules:\n  - name").replace(
        "    window: minute",
        "    window: minute\n  store: { rls: { upstream: c, domain: d } }",
    );
    let refused = checked(&format!("{limits}\n{services}\n")).refused(Host::Apisix);
    assert!(refused.len() == 1 && refused[0].starts_with("limits.store.rls: "), "{refused:?}");
}

#[test]
fn a_rate_limit_service_is_reached_over_http2() {
    let limits = changed("limits:\n  - name", "limits:\n  rules:\n  - name").replace(
        "    window: minute",
        "    window: minute\n  store: { rls: { upstream: c, domain: d } }",
    );
    let policy = checked(&format!("{limits}\nservices: {{ c: 'http://c:81', d: 'http://d' }}\n"));
    let [file] = documents(Host::Envoy, &policy).try_into().unwrap();
    let clusters = file.at(&["static_resources", "clusters"]).unwrap().items();
    let spoken = |name: &str| {
        let cluster = clusters.iter().find(|one| one.get("name") == Some(&name.into())).unwrap();
        !all(cluster, "http2_protocol_options").is_empty()
    };
    assert!(spoken("c") && !spoken("d") && !spoken("openai"));
    let entries = documents(Host::Istio, &policy);
    let protocols: Vec<_> = of_kind(&entries, "ServiceEntry")
        .iter()
        .map(|one| all(one, "protocol")[0].text())
        .collect();
    assert_eq!(protocols, ["HTTP", "HTTP", "GRPC", "HTTP"].map(Some));
    let manifests = documents(Host::EnvoyGateway, &policy);
    let h2c: Vec<_> = of_kind(&manifests, "Backend")
        .iter()
        .map(|one| one.at(&["spec", "appProtocols"]).is_some())
        .collect();
    assert_eq!(h2c, [false, false, true, false]);
    let bridge = documents(Host::Higress, &policy);
    let protocols: Vec<_> = all(of_kind(&bridge, "McpBridge")[0], "protocol");
    assert_eq!(protocols[2].text(), Some("grpc"));
}

#[test]
fn services_are_sent_their_own_host_name() {
    let text = changed(
        "metrics: {}",
        "metrics: { otlp: { upstream: collector } }\nservices: { collector: 'http://otel.example:4318', \
         idp: 'https://idp.example' }\nauth:\n  jwt:\n  - issuer: i\n    audiences: [a]\n    algorithms: [RS256]\n    \
         jwks_url: { upstream: idp, path: /keys }\n    consumer_claim: sub",
    );
    let policy = checked(&text);
    for host in Host::ALL {
        let texts: String = render(host, &policy, false).iter().map(File::text).collect();
        let sent = |name: &str| {
            texts.contains(&format!("authority: {name}\n"))
                || texts.contains(&format!("\"authority\": \"{name}\""))
        };
        assert!(sent("otel.example:4318") && sent("idp.example"), "{}: {texts}", host.name());
    }
}

#[test]
fn what_fetches_googles_tokens_has_the_hosts_name_for_its_cluster() {
    let mut policy = aigw::policy::Policy::read(
        "providers: [{ name: v, google: { token_cluster: tokens } }]\nservices: {}",
    )
    .unwrap();
    policy.rename_clusters(&|name| (name == "tokens").then(|| "outbound|443||tokens".to_owned()));
    let providers = policy.bundle().get("ai-proxy").unwrap().get("providers").unwrap().clone();
    assert_eq!(all(&providers, "token_cluster")[0].text(), Some("outbound|443||tokens"));
}

#[test]
fn googles_tokens_have_a_cluster_though_the_policy_names_none() {
    let mut policy = aigw::policy::Policy::read(
        "providers: [{ name: u }, { name: v, google: {} }, { name: w, google: { token_cluster: t } }]",
    )
    .unwrap();
    assert!(policy.name_token_clusters("google-tokens"));
    assert!(!policy.name_token_clusters("google-tokens"), "all have one");
    let providers = policy.bundle().get("ai-proxy").unwrap().get("providers").unwrap().clone();
    let named: Vec<_> =
        all(&providers, "token_cluster").iter().map(|one| one.text().unwrap()).collect();
    assert_eq!(named, ["google-tokens", "t"]);
}

#[test]
fn apisix_gets_every_path_as_the_other_hosts_do() {
    let text = changed(
        "guard:\n",
        "proxy:\n  services: [{ name: ocr, paths: [/ocr/pages], targets: [{ provider: openai }] }]\nguard:\n",
    );
    let read = documents(Host::Apisix, &checked(&text));
    let route = &read[1].get("routes").unwrap().items()[0];
    assert_eq!(route.get("uri").and_then(Yaml::text), Some("/*"));
}

/// The members of the plugins' configurations that are secrets.
#[test]
fn no_secret_is_shown_by_a_comparison() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema");
    let mut names = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let schema = yaml(&std::fs::read_to_string(file.unwrap().path()).unwrap());
        schema.walk(&mut |value| {
            let Some(Yaml::Map(members)) = value.get("properties") else { return };
            for (name, member) in members.iter() {
                // Those of a mapping, as headers, are told by its name.
                let text = member.json();
                if text.contains("$defs/Secret") && member.get("additionalProperties").is_none() {
                    names.push(name.to_owned());
                }
            }
        });
    }
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        let of = |value: &str| yaml(&format!("plugin: {{ {name}: {value} }}"));
        let lines = diff::diff(&of("one-secret"), &of("two-secret"));
        assert_eq!(lines, [format!("~ plugin.{name}: *** -> ***")]);
    }
}

#[test]
fn what_changes_is_told_value_by_value() {
    let before = documents(Host::Envoy, &checked(&example())).remove(0);
    let after = documents(Host::Envoy, &checked(&changed("limit: 100000", "limit: 5"))).remove(0);
    let lines = diff::diff(&before, &after);
    // In the listener, and in the clusters that have the same configuration.
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines.iter().all(|line| line.ends_with("rules[tokens-per-minute].limit: 100000 -> 5")));
    assert!(diff::diff(&before, &before).is_empty());
}

#[test]
fn a_dump_is_read_as_the_file_it_came_from() {
    let dump = yaml(
        r#"{"configs": [
        {"@type": "x.BootstrapConfigDump", "bootstrap": {"node": {"id": "ai"}, "admin": {}}},
        {"@type": "x.ListenersConfigDump", "static_listeners": [{"listener": {"name": "l"}}],
         "dynamic_listeners": [{"name": "d", "active_state": {"listener": {"name": "d"}}}]},
        {"@type": "x.ClustersConfigDump", "static_clusters": [{"cluster": {"name": "c"}}]},
        {"@type": "x.EcdsConfigDump", "ecds_filters": [{"ecds_filter": {"name": "e"}}]}]}"#,
    );
    let read = live::from_dump(&dump).unwrap();
    let names: Vec<_> =
        all(&read, "name").iter().map(|name| name.text().unwrap().to_owned()).collect();
    assert_eq!(names, ["l", "d", "c", "e"]);
    assert!(live::from_dump(&yaml("{}")).is_err());
}
