//! Envoy in a plain Deployment: its file in a ConfigMap, the module's image as a volume.

use sha2::{Digest, Sha256};

use super::File;
use super::kubernetes::{MOUNTED, mount, resource, variables, volume};
use crate::check::Checked;
use crate::policy::Policy;
use crate::yaml::{Map, Yaml};

/// The version that the examples are tested with.
const IMAGE: &str = "envoyproxy/envoy:distroless-v1.40.0";
const PORT: i64 = 10_000;
/// After the last answer may have ended, in seconds.
const SPARE: i64 = 15;

pub(super) fn render(checked: &Checked, patch: bool) -> Vec<File> {
    let about = "Written by `aigw render --host kubernetes`: kubectl apply -f kubernetes.yaml\n\
                 Needs Kubernetes 1.35 or newer (volumes of kind `image`; 1.33 and 1.34 have them switched off) and the Secret `ai-gateway-keys`.";
    let config: Yaml = config(checked).into();
    let hash =
        Sha256::digest(config.to_string()).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut documents = vec![config];
    if !patch {
        documents.push(deployment(checked, hash).into());
        documents.push(service(checked).into());
    }
    vec![File::new("kubernetes.yaml", about, documents)]
}

/// Envoy's file: it listens for the pod's address, and the admin interface stays on loopback.
fn config(checked: &Checked) -> Map {
    let mut gateway = checked.policy.gateway.clone();
    gateway.listen = format!("0.0.0.0:{PORT}");
    gateway.module = MOUNTED.into();
    let here = Checked {
        policy: Policy { gateway, ..checked.policy.clone() },
        providers: checked.providers.clone(),
        services: checked.services.clone(),
        notes: Vec::new(),
    };
    let text: String = super::envoy::render(&here, false).iter().map(File::text).collect();
    let mut made = named(checked, "v1", "ConfigMap", Map::new());
    made.remove("spec");
    made.with("data", Map::new().with("envoy.yaml", text))
}

fn named(checked: &Checked, version: &str, kind: &str, spec: Map) -> Map {
    resource(checked, version, kind, &checked.policy.gateway.name, spec)
}

fn labels(checked: &Checked) -> Map {
    Map::new().with("app.kubernetes.io/name", checked.policy.gateway.name.as_str())
}

fn deployment(checked: &Checked, config: String) -> Map {
    let answer = checked.policy.gateway.timeout_seconds;
    let leave = Map::new().with("sleep", Map::new().with("seconds", answer));
    let security = Map::new()
        .with("allowPrivilegeEscalation", false)
        .with("readOnlyRootFilesystem", true)
        .with("runAsNonRoot", true)
        .with("runAsUser", 65_532)
        .with("capabilities", Map::new().with("drop", vec!["ALL"]));
    let file = Map::new().with("name", "config").with("mountPath", "/etc/envoy");
    let container = Map::new()
        .with("name", "envoy")
        .with("image", IMAGE)
        .with("args", vec!["-c", "/etc/envoy/envoy.yaml", "--concurrency", "2"])
        .with("ports", vec![Map::new().with("name", "http").with("containerPort", PORT)])
        .with("env", variables(checked))
        .with(
            "readinessProbe",
            Map::new().with("tcpSocket", Map::new().with("port", "http")).with("periodSeconds", 5),
        )
        .why(
            "Envoy ends at once when it is told to, and with it every answer: a pod that leaves is not told\n\
             before the longest may have ended.",
            "lifecycle",
            Map::new().with("preStop", leave),
        )
        .with(
            "resources",
            Map::new()
                .with("requests", Map::new().with("cpu", "500m").with("memory", "512Mi"))
                .with("limits", Map::new().with("memory", "2Gi")),
        )
        .with("securityContext", security)
        .with("volumeMounts", vec![file, mount()]);
    let source = Map::new().with("name", checked.policy.gateway.name.as_str());
    let pod = Map::new()
        .with("automountServiceAccountToken", false)
        .with("terminationGracePeriodSeconds", checked.policy.gateway.timeout_seconds + SPARE)
        .with("containers", vec![container])
        .with(
            "volumes",
            vec![Map::new().with("name", "config").with("configMap", source), volume(checked)],
        );
    let metadata = Map::new().with("labels", labels(checked)).why(
        "Envoy reads its file at the start only: another one makes other pods.",
        "annotations",
        Map::new().with("ai-gateway/config", config),
    );
    let template = Map::new().with("metadata", metadata).with("spec", pod);
    let spec = Map::new()
        .with("replicas", 2)
        .with("selector", Map::new().with("matchLabels", labels(checked)))
        .with("template", template);
    named(checked, "apps/v1", "Deployment", spec)
}

fn service(checked: &Checked) -> Map {
    let port = Map::new().with("name", "http").with("port", 80).with("targetPort", "http");
    let spec = Map::new().with("selector", labels(checked)).with("ports", vec![port]);
    named(checked, "v1", "Service", spec)
}
