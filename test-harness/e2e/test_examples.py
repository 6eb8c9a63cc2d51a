"""Every shipped example is one that the proxies and the plugins take."""

import os
import re
import subprocess

import pytest
import yaml

from gateway.config import EXAMPLES, ROOT, wasm_configs
from gateway.stack import KEYS, find_envoy

ENVOY = sorted(path.name for path in EXAMPLES.glob("*.yaml"))
# Those with a folder are started by test_folders.py; all other tests but a few start `full-chain` and `bundle`.
FOLDERS = sorted(str(path.relative_to(EXAMPLES)) for path in EXAMPLES.glob("*/*.yaml"))


@pytest.mark.parametrize("example", ENVOY)
def test_envoy_takes_it(example):
    done = subprocess.run([find_envoy(), "--mode", "validate", "-c", EXAMPLES / example], cwd=ROOT,
                          env={**os.environ, **KEYS}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("example", ENVOY + FOLDERS)
def test_every_plugin_in_it_is_set_up_as_it_must_be(example):
    text = (EXAMPLES / example).read_text()
    # Manifests for Kubernetes are several documents.
    plugins = list(wasm_configs(list(yaml.safe_load_all(text))))
    assert plugins or example in FOLDERS
    assert text.count("per_connection_buffer_limit_bytes") >= text.count("filter_chains:")
    for plugin in plugins:
        assert plugin["allow_on_headers_stop_iteration"] is True
        assert plugin["failure_policy"] == "FAIL_RELOAD"


def parts(node):
    """All mappings in a configuration."""
    if isinstance(node, dict):
        yield node
        node = node.values()
    elif not isinstance(node, list):
        return
    for child in node:
        yield from parts(child)


def addresses(node):
    """The hosts that it names."""
    return {each["socket_address"]["address"] for each in parts(node) if "socket_address" in each}


def envoys(text):
    """The configurations of Envoy in a file: itself, or the files that a manifest has in ConfigMaps."""
    for document in yaml.safe_load_all(text):
        if document and document.get("kind") == "ConfigMap":
            yield from (yaml.safe_load(each) for each in document["data"].values())
        elif document and "kind" not in document:
            yield document


HERE = {"127.0.0.1"}


def lacks(config):
    """What an example's configuration must have and does not."""
    admin = addresses(config.get("admin"))
    if not admin <= HERE:
        yield f"the admin interface is at {admin}"
    for part in parts(config):
        kind = str(part.get("@type", "")).rsplit(".", 1)[-1]
        if kind == "Listener" or "filter_chains" in part:
            if "per_connection_buffer_limit_bytes" not in part:
                yield f"listener {part.get('name')}: no buffer limit"
        route = part.get("route")
        # What is a name or a path elsewhere is no route.
        if "match" in part and isinstance(route, dict) and "timeout" not in route:
            yield f"route {part['match']}: no timeout"
        if "connect_timeout" in part or "load_assignment" in part or kind == "Cluster":
            name = part.get("name")
            for needed in ("connect_timeout", "per_connection_buffer_limit_bytes"):
                if needed not in part:
                    yield f"cluster {name}: no {needed}"
            yield from (f"cluster {name}: {each}" for each in unverified(part))


def contexts(cluster):
    """Its settings of TLS."""
    return [part for part in parts(cluster) if str(part.get("@type", "")).endswith("tls.v3.UpstreamTlsContext")]


def unverified(cluster):
    """What TLS to hosts that are not this machine lacks. The name is one that is written down, or each endpoint's."""
    away = addresses(cluster.get("load_assignment")) - HERE
    found = contexts(cluster)
    for context in found:
        validation = context.get("common_tls_context", {}).get("validation_context", {})
        names = {each["matcher"].get("exact") for each in validation.get("match_typed_subject_alt_names", [])}
        checked = context.get("auto_sni_san_validation") if context.get("auto_host_sni") else names == {context.get("sni")}
        if not validation.get("trusted_ca") or not checked:
            yield "TLS that does not check who answers"
    if any(context.get("auto_host_sni") for context in found):
        return
    missing = {host for host in away if "." in host} - {context.get("sni") for context in found}
    if missing:
        yield f"no TLS with the names of {missing}"


def plain(config):
    """Its clusters without TLS that have endpoints of their own: all of them must be on this machine."""
    return {part["name"] for part in parts(config)
            if ("load_assignment" in part or "eds_cluster_config" in part) and not contexts(part)}


def said_to_be_plain(example):
    """Those that the README of an example, or the head of the file, says are spoken to without TLS."""
    path = EXAMPLES / example
    said = path.with_name("README.md") if path.parent != EXAMPLES else path
    text = re.sub(r"\s+#? *", " ", said.read_text())
    found = re.search(r"Without TLS, on this machine only: ((?:`[a-z0-9-]+`(?:, )?)+)\.", text)
    return set(re.findall(r"`([^`]+)`", found[1])) if found else set()


# Manifests for Kubernetes are rendered, and name services of the cluster; the others are no configuration of Envoy.
OTHERS = {"kubernetes", "policy", "observability"}


@pytest.mark.parametrize("folder", sorted({str(path.relative_to(EXAMPLES)) for path in EXAMPLES.glob("*.yaml")}
                                          | {path.parent.name for path in EXAMPLES.glob("*/*.yaml")} - OTHERS))
def test_only_what_is_on_this_machine_and_said_to_be_is_asked_without_tls(folder):
    files = sorted((EXAMPLES / folder).glob("*.yaml")) or [EXAMPLES / folder]
    without = {name for path in files for config in envoys(path.read_text()) for name in plain(config)}
    assert without == said_to_be_plain(files[0].relative_to(EXAMPLES))


def test_a_provider_that_is_asked_without_tls_is_found():
    text = (EXAMPLES / "failover/envoy.yaml").read_text()
    assert [plain(config) for config in envoys(text)] == [set()]
    text = text.replace("      transport_socket: *tls\n", "")
    assert [plain(config) for config in envoys(text)] == [{"openai", "anthropic"}]


@pytest.mark.parametrize("example", ENVOY + FOLDERS)
def test_it_has_limits_timeouts_and_tls_that_checks(example):
    text = (EXAMPLES / example).read_text()
    assert [each for config in envoys(text) for each in lacks(config)] == []


@pytest.mark.parametrize("old, new, said", [
    ("127.0.0.1, port_value: 9901", "0.0.0.0, port_value: 9901", "admin interface"),
    ("                            timeout: 600s\n", "", "no timeout"),
    ("      connect_timeout: 5s\n", "", "no connect_timeout"),
    ("      per_connection_buffer_limit_bytes: 52428800\n      filter_chains", "      filter_chains", "no buffer limit"),
    ("          auto_sni_san_validation: true\n", "", "does not check who answers"),
    ("          auto_host_sni: true\n", "", "does not check who answers"),
    ("          auto_host_sni: true\n          auto_sni", "          sni: api.openai.com\n          auto_sni",
     "does not check who answers"),
    ("              trusted_ca: { filename: /etc/ssl/certs/ca-certificates.crt }\n",
     "              trusted_ca: {}\n", "does not check who answers"),
    ("      transport_socket: *tls\n", "", "no TLS with the names of {'api.openai.com'}"),
])
def test_what_an_example_lacks_is_found(old, new, said):
    text = (EXAMPLES / "failover/envoy.yaml").read_text()
    assert old in text
    found = [each for config in envoys(text.replace(old, new)) for each in lacks(config)]
    assert any(said in each for each in found), found
