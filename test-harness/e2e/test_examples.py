"""Every shipped example is one that the proxies and the plugins take."""

import os
import subprocess

import pytest
import yaml

from gateway.config import EXAMPLES, ROOT, wasm_configs
from gateway.stack import KEYS, find_envoy

ENVOY = sorted(path.name for path in EXAMPLES.glob("*.yaml"))
# All tests but a few start one of these two.
STARTED = {"full-chain.yaml", "bundle.yaml"}
# Those with a folder are started by test_folders.py.
FOLDERS = sorted(str(path.relative_to(EXAMPLES)) for path in EXAMPLES.glob("*/*.yaml"))


@pytest.mark.parametrize("example", sorted(set(ENVOY) - STARTED))
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
