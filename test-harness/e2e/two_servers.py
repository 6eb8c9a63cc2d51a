"""Two servers of a service that is no client API, and the example that asks the second when the first
fails."""

import copy
import http.server
import json
import threading

import yaml

from gateway import config

PROVIDERS = [{"name": name, "preset": "generic", "base_url": f"http://{name}.internal/v2", "cluster": name,
              "api_key": f"key-of-{name}"} for name in ("first", "second")]
SERVICE = {"name": "sight", "paths": ["/sight/*"], "strip_prefix": "/sight", "usage": {"images": "/seen/images"},
           "targets": [{"provider": provider["name"]} for provider in PROVIDERS]}
LIMIT = {"name": "pictures", "key": ["header:x-meter"], "unit": "images", "limit": 4, "window": "day",
         "algorithm": "fixed_window"}


class Server(http.server.ThreadingHTTPServer):
    """Answers with what it is told to, and keeps what it was asked."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.answer, self.asked = 200, {"seen": {"images": 2}}, []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.asked.append((self.path, self.headers["authorization"], body))
        data = json.dumps(self.server.answer).encode()
        self.send_response(self.server.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def reaching(text, servers):
    """The example `full-chain.yaml` with the service at these two."""
    whole = yaml.safe_load(text)
    resources = whole["static_resources"]
    # Listener and clusters share theirs.
    every = config.wasm_configs(resources)
    for wasm in {id(wasm["configuration"]): wasm for wasm in every}.values():
        sections = json.loads(wasm["configuration"]["value"])
        if wasm["name"] == "ai-proxy":
            sections["providers"] += copy.deepcopy(PROVIDERS)
            sections["services"] = [*sections.get("services", []), SERVICE]
        elif wasm["name"] == "token-ratelimit":
            sections["services"] = [*sections.get("services", []), *SERVICE["paths"]]
            sections["rules"].insert(0, LIMIT)
        wasm["configuration"]["value"] = json.dumps(sections)
    model = next(cluster for cluster in resources["clusters"] if cluster["name"] == "openai")
    for provider, server in zip(PROVIDERS, servers):
        resources["clusters"].append(named(model, provider["name"], server.server_address[1]))
    for route in config.routes(whole):
        for choices in mapping(route):
            for provider in PROVIDERS:
                text = json.dumps(choices["openai"]).replace('"openai"', f'"{provider["name"]}"')
                choices[provider["name"]] = json.loads(text)
    return yaml.safe_dump(whole, sort_keys=False)


def named(model, name, port):
    # The filters stay shared, so that they are of one VM.
    cluster = {**{name: value for name, value in model.items() if name != "transport_socket"},
               "load_assignment": copy.deepcopy(model["load_assignment"])}
    cluster["name"] = cluster["load_assignment"]["cluster_name"] = name
    cluster["metadata"] = {"filter_metadata": {"ai-gateway": {"provider": name}}}
    (endpoints,) = cluster["load_assignment"]["endpoints"]
    (host,) = endpoints["lb_endpoints"]
    host["endpoint"]["address"]["socket_address"]["port_value"] = port
    return cluster


def mapping(value):
    """The tables by which Envoy finds the cluster of an attempt."""
    if isinstance(value, dict):
        if "exact_match_map" in value:
            yield value["exact_match_map"]["map"]
        else:
            for member in value.values():
                yield from mapping(member)
