//! What each host reads.

mod apisix;
mod envoy;
mod envoy_gateway;
mod higress;
mod istio;
mod kubernetes;
mod plain;

use crate::check::Checked;
use crate::yaml::{Map, Yaml};

/// A host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// Envoy with a file.
    Envoy,
    /// Apache APISIX, standalone or with the same routes through its Admin API.
    Apisix,
    /// Istio's ingress gateway.
    Istio,
    /// Envoy Gateway.
    EnvoyGateway,
    /// Higress.
    Higress,
    /// Envoy in a plain Deployment on Kubernetes.
    Kubernetes,
}

impl Host {
    /// All of them.
    pub const ALL: [Host; 6] = [
        Host::Envoy,
        Host::Apisix,
        Host::Istio,
        Host::EnvoyGateway,
        Host::Higress,
        Host::Kubernetes,
    ];

    /// As it is given on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Host::Envoy => "envoy",
            Host::Apisix => "apisix",
            Host::Istio => "istio",
            Host::EnvoyGateway => "envoy-gateway",
            Host::Higress => "higress",
            Host::Kubernetes => "kubernetes",
        }
    }

    /// The host of this name.
    pub fn named(name: &str) -> Result<Host, String> {
        Host::ALL.into_iter().find(|host| host.name() == name).ok_or_else(|| {
            let names: Vec<_> = Host::ALL.iter().map(|host| host.name()).collect();
            format!("there is no host `{name}`; there are {}", names.join(", "))
        })
    }
}

/// A file that a host reads.
#[derive(Clone, Debug)]
pub struct File {
    /// Where it belongs.
    pub name: &'static str,
    /// What it is for, in a line or two.
    pub about: String,
    /// Its documents.
    pub documents: Vec<Yaml>,
    /// A last line that the host needs.
    pub end: &'static str,
}

impl File {
    fn new(name: &'static str, about: impl Into<String>, documents: Vec<Yaml>) -> File {
        File { name, about: about.into(), documents, end: "" }
    }

    /// As it is written.
    pub fn text(&self) -> String {
        let about: String = self.about.lines().map(|line| format!("# {line}\n")).collect();
        let documents: Vec<_> =
            self.documents.iter().map(|document| format!("{document}\n")).collect();
        format!("{about}{}{}", documents.join("---\n"), self.end)
    }
}

/// What APISIX's route has as the plugin's configuration.
pub fn apisix_bundle(checked: &Checked) -> Map {
    apisix::bundle(checked)
}

/// The policy as the host reads it: everything, or (`patch`) only what is to be merged into what is there.
pub fn render(host: Host, checked: &Checked, patch: bool) -> Vec<File> {
    match host {
        Host::Envoy => envoy::render(checked, patch),
        Host::Apisix => apisix::render(checked, patch),
        Host::Istio => istio::render(checked, patch),
        Host::EnvoyGateway => envoy_gateway::render(checked, patch),
        Host::Higress => higress::render(checked, patch),
        Host::Kubernetes => plain::render(checked, patch),
    }
}
