"""Every shipped example is one that the proxies and the plugins take."""

import json
import os
import subprocess

import jsonschema
import pytest
import yaml

from gateway.config import EXAMPLES, ROOT, wasm_configs
from gateway.stack import KEYS, find_envoy

ENVOY = sorted(path.name for path in EXAMPLES.glob("*.yaml"))
# Those with a folder are started by test_folders.py.
FOLDERS = sorted(str(path.relative_to(EXAMPLES)) for path in EXAMPLES.glob("*/*.yaml"))
APISIX = sorted(path.name for path in (ROOT / "apisix-examples").glob("*.yaml")
                if path.name != "config.yaml")


@pytest.mark.parametrize("example", ENVOY)
def test_envoy_takes_it(example):
    done = subprocess.run([find_envoy(), "--mode", "validate", "-c", EXAMPLES / example], cwd=ROOT,
                          env={**os.environ, **KEYS}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("example", ENVOY + FOLDERS)
def test_every_plugin_in_it_is_set_up_as_it_must_be(example):
    text = (EXAMPLES / example).read_text()
    plugins = list(wasm_configs(yaml.safe_load(text)))
    assert plugins or example in FOLDERS
    assert text.count("per_connection_buffer_limit_bytes") >= text.count("filter_chains:")
    for plugin in plugins:
        assert plugin["allow_on_headers_stop_iteration"] is True
        assert plugin["failure_policy"] == "FAIL_RELOAD"


@pytest.mark.parametrize("example", APISIX)
def test_the_plugin_takes_its_configuration_on_apisix(example):
    schema = json.loads((ROOT / "docs/schema/ai-gateway.json").read_text())
    text = (ROOT / "apisix-examples" / example).read_text()
    assert text.rstrip().endswith("#END"), "APISIX ignores a file without its end mark"
    for route in yaml.safe_load(text)["routes"]:
        jsonschema.validate(route["plugins"]["wasm-ai-gateway"]["conf"], schema)
