"""The files of apisix-examples: each is of the schema, and has everywhere what it says."""

import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import jsonschema
import pytest
import yaml

from gateway.apisix import EXAMPLES, FILES
from gateway.config import ROOT
from not_on_apisix import REASONS, table

AUTH_PLUGINS = {"key-auth", "basic-auth", "jwt-auth", "hmac-auth", "ldap-auth", "openid-connect",
                "jwe-decrypt", "wolf-rbac", "authz-casdoor", "multi-auth"}


def routes(name):
    """The routes of a file, each with its plugins."""
    return yaml.safe_load((EXAMPLES / name).read_text())["routes"]


def configurations():
    """Every plugin's conf in the files."""
    for name in FILES:
        for route in routes(name):
            for plugin, settings in route["plugins"].items():
                if plugin.startswith("wasm-"):
                    yield pytest.param(plugin.removeprefix("wasm-"), settings["conf"], route,
                                       id=f"{name}-{plugin}")


@pytest.mark.parametrize(("plugin", "conf", "route"), list(configurations()))
def test_its_conf_is_of_the_schema(plugin, conf, route):
    conf = json.loads(conf) if isinstance(conf, str) else conf
    schema = json.loads((ROOT / f"docs/schema/{plugin}.json").read_text())
    jsonschema.validate(conf, schema)
    # Who is trusted to name the consumer must be there.
    if "apisix_consumer" in json.dumps(conf):
        assert AUTH_PLUGINS & set(route["plugins"])
    # And a bridge that one of its plugins declares has its functions.
    declared = '"bridge": true' in " ".join(
        settings["conf"] if isinstance(settings["conf"], str) else json.dumps(settings["conf"])
        for name, settings in route["plugins"].items() if name.startswith("wasm-"))
    bridges = {"serverless-pre-function", "serverless-post-function"} <= set(route["plugins"])
    assert declared == (bridges or "ai-body-bridge" in route["plugins"])


def test_each_plugin_has_an_example():
    registered = {plugin["name"] for plugin in
                  yaml.safe_load((EXAMPLES / "config.yaml").read_text())["wasm"]["plugins"]}
    used = {plugin for name in FILES for route in routes(name) for plugin in route["plugins"]}
    assert registered <= used
    for plugin in registered:
        assert f"{plugin.removeprefix('wasm-')}" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("name", FILES)
def test_the_admin_api_gets_what_the_file_has(name):
    got = {}

    class Api(http.server.BaseHTTPRequestHandler):
        def do_PUT(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            assert self.headers["x-api-key"] == "admin"
            got.setdefault(self.path.split("/")[3], []).append(body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Api) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        subprocess.run([EXAMPLES / "admin-api.sh", name, f"http://127.0.0.1:{server.server_port}"],
                       env={**os.environ, "ADMIN_KEY": "admin", "PATH": path}, check=True)
        server.shutdown()
    whole = yaml.safe_load((EXAMPLES / name).read_text())
    for items in whole.values():
        for item in items:
            item.pop("id", None)
    assert got == whole


def test_the_manifests_have_the_same_as_the_file():
    plugins, route = yaml.safe_load_all((EXAMPLES / "kubernetes.yaml").read_text())
    assert route["spec"]["http"][0]["plugin_config_name"] == plugins["metadata"]["name"]
    found = {plugin["name"]: plugin["config"] for plugin in plugins["spec"]["plugins"]}
    conf = found.pop("wasm-ai-gateway")["conf"]
    schema = json.loads((ROOT / "docs/schema/ai-gateway.json").read_text())
    jsonschema.validate(conf, schema)
    bridge = routes("bridge.yaml")[0]["plugins"]
    assert found == {name: bridge[name] for name in found} and len(found) == 2


def test_the_page_has_what_cannot_be_run():
    page = ROOT / "docs/apisix.md"
    text = page.read_text()
    begin, end = "<!-- reasons -->\n", "\n<!-- end of reasons -->"
    before, rest = text.split(begin)
    whole = before + begin + table() + end + rest.split(end.strip())[1]
    if os.environ.get("UPDATE"):
        page.write_text(whole)
    assert page.read_text() == whole, "run this test with UPDATE=1"


def test_what_cannot_be_run_is_a_test_of_the_suite():
    folder = ROOT / "test-harness/e2e"
    for reasons in REASONS.values():
        for name in reasons:
            file, test = name.split("::")
            assert f"def {test.split('[')[0]}(" in (folder / file).read_text()
