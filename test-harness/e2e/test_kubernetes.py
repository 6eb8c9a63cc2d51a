"""The manifests for Kubernetes, against the published schemas."""

import copy
import json
import subprocess

import pytest
import yaml

from gateway.config import EXAMPLES, ROOT

MANIFESTS = sorted((EXAMPLES / "kubernetes").glob("*.yaml"))
FOLDER = ROOT / "target" / "kubernetes"


def mistakes(*resources):
    """What is wrong with them, line by line."""
    assert (FOLDER / "node_modules").exists(), "the schemas are missing: run `make setup`"
    command = ["node", ROOT / "test-harness" / "kubernetes" / "validate.mjs", FOLDER]
    given = json.dumps([{"file": file, "document": document} for file, document in resources])
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=120)
    assert done.stderr == "", done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def shipped():
    return [(path.name, document) for path in MANIFESTS
            for document in yaml.safe_load_all(path.read_text())]


def test_the_manifests_follow_the_published_schemas_and_mistakes_would_be_found(shipped):
    assert {path.name for path in MANIFESTS} == {"envoy-gateway.yaml", "higress.yaml", "istio.yaml",
                                                 "kubernetes.yaml"}
    wrong = []
    for kind, change in {
        "EnvoyExtensionPolicy": lambda spec: spec["wasm"][0].update(failOpn=True),
        "ClientTrafficPolicy": lambda spec: spec["connection"].update(bufferLimit="many"),
        "HTTPRoute": lambda spec: spec["rules"][0]["matches"][0]["path"].update(type="Prefix"),
        "EnvoyFilter": lambda spec: spec["configPatches"][0].update(applyTo="HTTP_FILTERS"),
        "DestinationRule": lambda spec: spec["trafficPolicy"]["tls"].update(subjectAltName="x"),
        "WasmPlugin": lambda spec: spec.update(phase="AUTH"),
        "Deployment": lambda spec: spec["template"]["spec"]["containers"][0].update(arg=[]),
    }.items():
        document = copy.deepcopy(next(each for _, each in shipped if each["kind"] == kind))
        change(document["spec"])
        wrong.append((f"wrong-{kind}", document))
    # Compiling takes longer than looking, so all at once.
    said = mistakes(*shipped, *wrong)
    assert [line for line in said if not line.startswith("wrong-")] == []
    assert {line.split(":")[0] for line in said} == {file for file, _ in wrong}, said


def test_the_plain_deployment_has_the_same_file_as_envoy_elsewhere(shipped, tmp_path):
    config = next(each for _, each in shipped if each["kind"] == "ConfigMap")["data"]["envoy.yaml"]
    policy = tmp_path / "policy.yaml"
    text = (EXAMPLES / "policy" / "policy.yaml").read_text()
    policy.write_text(text.replace("listen: 127.0.0.1:10000", "listen: 0.0.0.0:10000")
                      .replace("dist/ai-gateway.wasm", "/opt/wasm-ai-gateway/ai-gateway.wasm"))
    command = [ROOT / "target" / "debug" / "aigw", "render", "--host", "envoy", policy]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == config
