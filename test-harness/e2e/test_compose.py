"""The docker-compose harness: its files, and its demonstration against Envoy and the emulated APISIX."""

import json
import shutil
import subprocess

import pytest
import yaml

from compose import demo
from gateway import config
from gateway.stack import KEYS, Stack

FOLDER = config.ROOT / "test-harness" / "compose"
FILE = FOLDER / "docker-compose.yml"
SERVICES = yaml.safe_load(FILE.read_text())["services"]


def test_the_demonstration_gets_the_same_from_both(running, tmp_path, capsys):
    if running.stack.example != "bundle.yaml":
        pytest.skip("the demonstration is for the bundle")
    with Stack("apisix/bundle.yaml", directory=tmp_path) as apisix:
        hosts = {"Envoy": running.stack.base_url, "APISIX": apisix.base_url}
        assert demo.run(hosts) == 0, capsys.readouterr().out
        # A gateway that is not there, or answers otherwise, does not go unseen.
        assert demo.ask(apisix.base_url, *demo.REQUESTS[4][1:])["status"] == 401
    shown = capsys.readouterr().out
    assert shown.count('"status": 200') == 8 and shown.count('"status": 401') == 2, shown
    assert shown.count('"provider": "anthropic"') == 6 and "ada.lovelace@example.org" in shown


def test_services_use_the_files_of_the_tests():
    assert set(SERVICES) == {"envoy", "apisix", "mock-llm", "redis", "webdis", "chroma", "prometheus",
                             "grafana"}
    for name, service in SERVICES.items():
        image = service.get("image", "")
        assert service.get("build") or ":" in image and not image.endswith(":latest"), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                path = (FOLDER / source).resolve()
                assert path.exists() or path.name == "dist", f"{name}: {source}"
    assert SERVICES["envoy"]["environment"] == KEYS
    listen = {f"--listen={name}=127.0.0.1:{port}" for name, port in config.PROVIDERS.items()}
    assert set(SERVICES["mock-llm"]["command"]) == listen
    webdis = json.loads((FOLDER / "webdis.json").read_text())
    assert webdis["http_port"] == config.WEBDIS
    # Dashboards find their data under the name that Grafana has for it.
    [source] = yaml.safe_load((FOLDER / "grafana" / "datasources.yaml").read_text())["datasources"]
    text = "".join(path.read_text() for path in
                   (config.EXAMPLES / "observability" / "dashboards").glob("*.json"))
    assert source["uid"] in text or "${datasource}" in text


def composes():
    """Whether docker and its plugin are here."""
    return shutil.which("docker") and subprocess.run(
        ["docker", "compose", "version"], capture_output=True).returncode == 0


@pytest.mark.skipif(not composes(), reason="docker compose is not installed")
def test_docker_takes_the_file():
    command = ["docker", "compose", "-f", FILE, "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
