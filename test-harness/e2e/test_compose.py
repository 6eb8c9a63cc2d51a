"""The docker-compose harness: its files, and its demonstration against Envoy and the emulated APISIX."""

import json
import re
import shutil
import subprocess
from importlib.metadata import distribution

import jsonschema
import pytest
import yaml

from compose import demo, providers
from gateway import config, doors
from gateway.stack import KEYS, Stack, find_envoy

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
    assert set(SERVICES) == {"envoy", "providers", "apisix", "mock-llm", "redis", "webdis", "chroma", "prometheus",
                             "grafana"}
    for name, service in SERVICES.items():
        image = service.get("image", "")
        assert service.get("build") or ":" in image and not image.endswith(":latest"), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                path = (FOLDER / source).resolve()
                made = path.name == "dist" or config.TLS_FOLDER in (path, path.parent)
                assert path.exists() or made, f"{name}: {source}"
    assert SERVICES["envoy"]["environment"] == KEYS
    # Names that the examples ask for lead to what takes TLS for the stand-ins. EDS has no names.
    assert SERVICES["envoy"]["extra_hosts"] == [f"{host}=127.0.0.1" for host in config.HOSTS if host != "models.internal"]
    listen = {f"--listen={name}=127.0.0.1:{port}" for name, port in config.PROVIDERS.items()}
    assert set(SERVICES["mock-llm"]["command"]) == listen
    webdis = json.loads((FOLDER / "webdis.json").read_text())
    assert webdis["http_port"] == config.WEBDIS
    # Dashboards find their data under the name that Grafana has for it.
    [source] = yaml.safe_load((FOLDER / "grafana" / "datasources.yaml").read_text())["datasources"]
    text = "".join(path.read_text() for path in
                   (config.EXAMPLES / "observability" / "dashboards").glob("*.json"))
    assert source["uid"] in text or "${datasource}" in text


def test_the_service_that_takes_tls_has_the_file_of_the_tests(tmp_path):
    providers.write(tmp_path)
    written = (tmp_path / "providers.json").read_text()
    ports = {port: port for port in config.PORTS}
    assert written == doors.bootstrap(ports, "/tls").replace(str(config.TLS), str(providers.PORT))
    path = tmp_path / "native.json"
    path.write_text(written.replace('"/tls/', f'"{tmp_path}/'))
    done = subprocess.run([find_envoy(), "--mode", "validate", "-c", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_file_follows_the_specification_and_mistakes_would_be_found():
    path = distribution("docker-compose").locate_file("compose/config/compose_spec.json")
    checker = jsonschema.Draft7Validator(json.loads(path.read_text()))
    whole = yaml.safe_load(FILE.read_text())
    # Newer than this edition of the schema.
    assert re.fullmatch("[a-z0-9][a-z0-9_-]*", whole.pop("name"))
    assert [error.message for error in checker.iter_errors(whole)] == []
    for name, service in whole["services"].items():
        assert set(service.get("depends_on", [])) <= set(whole["services"]), name
        named = {volume.split(":")[0] for volume in service.get("volumes", [])} - {""}
        assert {each for each in named if not each.startswith(".")} <= set(whole["volumes"]), name
    for change in ({"imagge": "x"}, {"command": 7}, {"volumes": "here"}, {"depends_on": {"redis": "first"}}):
        service = {**whole["services"]["envoy"], **change}
        assert not checker.is_valid({**whole, "services": {"envoy": service}}), change


def composes():
    """Whether docker and its plugin are here."""
    return shutil.which("docker") and subprocess.run(
        ["docker", "compose", "version"], capture_output=True).returncode == 0


@pytest.mark.skipif(not composes(), reason="docker compose is not installed")
def test_docker_takes_the_file():
    command = ["docker", "compose", "-f", FILE, "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
