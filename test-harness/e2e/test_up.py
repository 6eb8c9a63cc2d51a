"""`make up` and `make down`: what they refuse, and whom they stop."""

import json
import socket
import subprocess
import sys

import pytest
import yaml

from conftest import Gateway
from gateway import certificates, config, up
from gateway.stack import Stack, alive

URL = "https://llm.example.com/v1"
EXAMPLES = [str(path.relative_to(config.EXAMPLES)) for path in
            (*sorted(config.EXAMPLES.glob("*/envoy.yaml")), config.EXAMPLES / "routing.yaml")]


@pytest.fixture(autouse=True)
def nothing_is_up(tmp_path, monkeypatch):
    """Whatever this machine really runs."""
    monkeypatch.setattr(up, "STATE", tmp_path / "up.json")
    monkeypatch.setattr(up, "RUN", tmp_path)
    for name in ("EXAMPLE", "UPSTREAM", "KEY", "PROTOCOL"):
        monkeypatch.delenv(name, raising=False)


def test_an_example_that_is_not_there_is_told_with_those_that_are(monkeypatch):
    for name in ("nope", "policy", "kubernetes/envoy.yaml"):
        monkeypatch.setenv("EXAMPLE", name)
        with pytest.raises(SystemExit, match="EXAMPLE: there is no .*minimal"):
            up.up()


def test_another_envoy_is_not_taken_for_this_one(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setattr(config, "LISTENER", 1)
        monkeypatch.setattr(config, "ADMIN", port)
        with pytest.raises(SystemExit, match=f"port {port} is in use"):
            up.up()


def test_only_processes_that_it_has_started_are_stopped():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        # As after a restart of the machine, when numbers are given anew.
        up.STATE.write_text(json.dumps({"envoy": [stranger.pid, "since another time"]}))
        up.down()
        assert alive(stranger.pid) and stranger.poll() is None and not up.STATE.exists()
        up.STATE.write_text(json.dumps({"envoy": [stranger.pid, up.since(stranger.pid)]}))
        up.down()
        assert stranger.wait(timeout=10) != 0


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="openssl is missing: install it"):
        certificates.make(tmp_path / "tls", ["a.example.com"])


def test_an_upstream_that_is_no_url_is_refused():
    for url in ("api.openai.com", "ftp://x", "https://x:abc/v1", "https:///v1"):
        with pytest.raises(SystemExit, match="UPSTREAM must be"):
            config.with_upstream("{}", url, None)


@pytest.mark.parametrize("example", EXAMPLES)
def test_one_upstream_in_the_place_of_an_examples_providers(example):
    text = config.with_ports(example, {})
    if example in ("edge/envoy.yaml", "xds/envoy.yaml"):
        with pytest.raises(SystemExit, match="take another EXAMPLE"):
            config.with_upstream(text, URL, None)
        return
    made = yaml.safe_load(config.with_upstream(text, URL, None))
    names = [each["name"] for each in made["static_resources"]["clusters"]]
    assert {route["cluster"] for route in config.routes(made)} == {"upstream"} and "upstream" in names
    # Counts are still where they were.
    assert ("webdis" in names) == ("name: webdis" in text)


def test_the_smallest_example_with_an_upstream(tmp_path, ask):
    def edit(text):
        return config.with_upstream(text, stack.mock_url("openai"), "openai")

    stack = Stack("minimal/envoy.yaml", directory=tmp_path, env={"UPSTREAM_KEY": "sk-real"}, edit=edit, workers=1)
    with stack:
        gateway = Gateway(stack)
        assert gateway.post(ask("any-model")).headers["x-ai-provider"] == "upstream"
        assert dict(gateway.received("openai")[0]["headers"])["authorization"] == "Bearer sk-real"
