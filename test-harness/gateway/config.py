"""Turns a shipped example into one that runs here: other ports, or a real provider."""

import functools
import itertools
import json
import os
import random
import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

import yaml

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "envoy-examples"

# The ports that the examples are written with.
LISTENER, ADMIN = 10000, 9901
PROVIDERS = {"openai": 9001, "anthropic": 9002, "gemini": 9003, "bedrock": 9004, "cohere": 9005,
             "onprem": 9006}
# The second Envoy of multi-cluster; providers over TLS, and those of the second site; a collector; where modules come
# from; Webdis.
SECOND, SECOND_ADMIN, TLS, SECOND_TLS, COLLECTOR, MODULES, WEBDIS = 10001, 9911, 9443, 9444, 4318, 9080, 7379
PORTS = (LISTENER, ADMIN, *PROVIDERS.values(), SECOND, SECOND_ADMIN, TLS, SECOND_TLS, COLLECTOR, MODULES, WEBDIS)
# Whose names the examples ask for, and the stand-in for each.
HOSTS = {"api.openai.com": "openai", "api.anthropic.com": "anthropic",
         "generativelanguage.googleapis.com": "gemini",
         "bedrock-runtime.us-east-1.amazonaws.com": "bedrock", "api.cohere.com": "cohere",
         "models.example.com": "openai", "models.internal": "openai",
         "counts.example.com": "webdis"}
# Who is trusted: in an example, and here.
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
TLS_FOLDER = ROOT / ".run" / "tls"


@functools.cache
def candidates():
    """The ports of this process, in an order of its own, over and over.

    They are below those that the system gives to connections, and each process of pytest-xdist has a
    range of its own, so that nobody else takes one between here and the server's start."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 4
    return itertools.cycle(random.sample(range(10_000 + worker * 5_000, 15_000 + worker * 5_000), 5_000))


def free_ports(count):
    """Ports that nobody listens on now and that this process has not given away lately: who asks for
    ports here may start its servers long after the next one has asked."""
    ports = []
    while len(ports) < count:
        with socket.socket() as each:
            try:
                each.bind(("127.0.0.1", next(candidates())))
            except OSError:
                continue
            ports.append(each.getsockname()[1])
    return ports


def source(example):
    """The file of an example. One that has its folder's name is that folder's `envoy.yaml`."""
    folder = EXAMPLES / Path(example).with_suffix("")
    return folder / "envoy.yaml" if folder.is_dir() else EXAMPLES / example


def with_ports(example, ports):
    """The text of an example with its ports replaced, providers' names leading to their stand-ins, whose authority is
    trusted, and nothing else changed."""
    text = source(example).read_text().replace(AUTHORITIES, str(TLS_FOLDER / "ca.pem"))
    text = re.sub(r"endpoint: { address: { socket_address: { address: ([a-z0-9.-]+), port_value: 443 }",
                  rf"endpoint: {{ hostname: \1, address: {{ socket_address: {{ address: 127.0.0.1, port_value: {TLS} }}", text)
    return re.sub(
        r"port_value: (\d+)",
        lambda match: f"port_value: {ports.get(int(match[1]), int(match[1]))}",
        text,
    )


def copied(example, ports, directory):
    """An example's text, and copies of the files of its folder that it names, all with other ports."""
    text = with_ports(example, ports)
    folder = Path(example).parent
    if folder != Path("."):
        for path in (EXAMPLES / folder).glob("*.yaml"):
            beside = place(with_ports(folder / path.name, ports), folder, directory)
            (directory / path.name).write_text(beside)
    return place(text, folder, directory)


def place(text, folder, directory):
    """The same where the files of its folder are in another one."""
    return text.replace(f"envoy-examples/{folder}/", f"{directory}/") if str(folder) != "." else text


def with_upstream(text, url, protocol):
    """An example whose models are all answered by one real provider. Its key is read from
    `UPSTREAM_KEY`."""
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        port = None
    if parts.scheme not in ("http", "https") or not parts.hostname or port is None:
        raise SystemExit(f"UPSTREAM must be https://host[:port][/path], not {url}")
    if protocol is None:
        protocol = "anthropic" if "anthropic" in parts.hostname else "openai"
    config = yaml.safe_load(text)
    resources = config.get("static_resources", {})
    clusters = resources.get("clusters", [])
    cluster = next((c for c in clusters if c["name"] == "openai"), clusters[0] if clusters else {})
    if not list(wasm_configs(resources)) or "load_assignment" not in cluster:
        raise SystemExit("UPSTREAM: this example reads its plugins or its providers' addresses from further files; "
                         "take another EXAMPLE, as full-chain, bundle or minimal")
    # The providers' others go; what plugins call stays.
    resources["clusters"] = [cluster] + [c for c in clusters if c is not cluster and not translates(c)]
    cluster["name"] = cluster["load_assignment"]["cluster_name"] = "upstream"
    cluster["metadata"] = {"filter_metadata": {"ai-gateway": {"provider": "upstream"}}}
    cluster["load_assignment"]["endpoints"] = [{"lb_endpoints": [{"endpoint": {"address": {
        "socket_address": {"address": parts.hostname, "port_value": port}}}}]}]
    cluster.pop("transport_socket", None)
    if parts.scheme == "https":
        cluster["transport_socket"] = tls(parts.hostname)
    for route in routes(config):
        for chosen in ("inline_cluster_specifier_plugin", "cluster_header", "request_mirror_policies"):
            route.pop(chosen, None)
        route["cluster"] = "upstream"
    provider = {"name": "upstream", "protocol": protocol, "base_url": url,
                "api_key": "$env://UPSTREAM_KEY", "cluster": "upstream"}
    plugin = {"providers": [provider],
              "models": [{"name": "*", "targets": [{"provider": "upstream"}]}]}
    for wasm in wasm_configs(config):
        if wasm["name"] == "ai-proxy":
            wasm["configuration"]["value"] = json.dumps(plugin)
        elif wasm["name"] == "ai-gateway":
            sections = json.loads(wasm["configuration"]["value"])
            wasm["configuration"]["value"] = json.dumps({**sections, "ai-proxy": plugin})
        else:
            continue
        keys = wasm["vm_config"]["environment_variables"]["host_env_keys"]
        admin = [key for key in keys if key == "AI_ADMIN_KEY"]
        wasm["vm_config"]["environment_variables"] = {"host_env_keys": ["UPSTREAM_KEY", *admin]}
    return yaml.safe_dump(config, sort_keys=False)


def translates(cluster):
    """Whether it is a provider's."""
    return "http_filters" in json.dumps(cluster.get("typed_extension_protocol_options", {}))


def tls(host):
    """TLS to a host, its certificate checked."""
    kind = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
    match = [{"san_type": "DNS", "matcher": {"exact": host}}]
    context = {"trusted_ca": {"filename": AUTHORITIES}, "match_typed_subject_alt_names": match}
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": f"type.googleapis.com/{kind}",
            "sni": host,
            "common_tls_context": {"validation_context": context},
        },
    }


def routes(config):
    """The actions of all routes of a configuration."""
    for listener in config["static_resources"]["listeners"]:
        for chain in listener["filter_chains"]:
            for network in chain["filters"]:
                hosts = network["typed_config"]["route_config"]["virtual_hosts"]
                yield from (route["route"] for host in hosts for route in host["routes"])


def wasm_configs(node):
    """Every plugin's `config` block in a configuration."""
    if isinstance(node, dict):
        if str(node.get("@type", "")).endswith("filters.http.wasm.v3.Wasm"):
            yield node["config"]
            return
        children = node.values()
    elif isinstance(node, list):
        children = node
    else:
        return
    for child in children:
        yield from wasm_configs(child)
