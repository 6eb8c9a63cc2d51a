"""Configurations: the smallest one runs, a wrong one is refused with the place of the mistake."""

import os
import re
import subprocess
import time

import openai
import pytest
import yaml

from gateway import config
from gateway.stack import KEYS, DidNotStart, Stack, find_envoy


def test_the_minimal_example(tmp_path, ask):
    with Stack("minimal/envoy.yaml", directory=tmp_path) as stack:
        client = openai.OpenAI(base_url=stack.base_url, api_key="x", max_retries=0)
        answer = client.chat.completions.create(**ask("claude-haiku-4-5"))
        assert answer.choices[0].message.content.startswith("Hello from anthropic")
        chunks = list(client.chat.completions.create(**ask("claude-haiku-4-5"), stream=True))
        assert chunks[-1].choices[0].finish_reason == "stop"


def inline(text):
    """An example whose listener does all the work: no filter in a cluster, one upstream for its routes."""
    whole = yaml.safe_load(text)
    resources = whole["static_resources"]
    for cluster in resources["clusters"]:
        cluster.pop("typed_extension_protocol_options", None)
    for route in config.routes(whole):
        del route["inline_cluster_specifier_plugin"]
        route["cluster"] = "anthropic"
    for wasm in config.wasm_configs(resources):
        if wasm["vm_config"].get("configuration", {}).get("value") == "route":
            wasm["vm_config"]["configuration"]["value"] = "inline"
    return yaml.safe_dump(whole, sort_keys=False)


def test_one_copy_in_the_listener_does_it_all(configured, ask):
    gateway = configured(inline)
    question = ask("fast", "write to ada.lovelace@example.org")
    answer = gateway.post(question)
    assert (answer.status_code, answer.headers["x-ai-provider"]) == (200, "anthropic"), answer.text
    assert "ada.lovelace@example.org" in answer.json()["choices"][0]["message"]["content"]
    streamed = gateway.post({**question, "stream": True}).text
    assert "chat.completion.chunk" in streamed and "[DONE]" in streamed
    seen = gateway.received("anthropic")
    assert [each["path"] for each in seen] == ["/v1/messages"] * 2
    assert not any("ada.lovelace" in each["body_text"] for each in seen)
    # Told to, the plugin asks targets itself, one after the other: they may speak other protocols.
    # Nobody listens at the first.
    gateway = configured(lambda text: inline(re.sub(
        r"(cluster_name: openai\n[\s\S]*?port_value:) \d+", r"\1 1",
        text.replace('"object_secret":', '"inline": "call", "object_secret":'))))
    answer = gateway.post(ask("best"))
    assert (answer.status_code, answer.headers["x-ai-provider"]) == (200, "anthropic"), answer.text


@pytest.mark.parametrize(("old", "new", "mistake"), [
    ('"preset": "anthropic"', '"protocol": "antropic"',
     "providers[1].protocol: unknown variant `antropic`, expected one of"),
    ('"preset": "anthropic"', '"preset": "antropic"',
     "providers[1].preset: there is no `antropic`; there are "),
    ('"api_key": "$env://ANTHROPIC_API_KEY"', '"api_kye": "x"',
     "providers[1].api_kye: unknown field `api_kye`"),
    ('"$env://OPENAI_API_KEY"', '"$env://NOT_THERE"',
     "providers[0].api_key: environment variable NOT_THERE is not set"),
    ('"targets": [{ "provider": "openai" }]', '"targets": [{ "provider": "opnai" }]',
     "models[0].targets[0].provider: no provider `opnai`; there are openai, anthropic, openai-responses"),
    ('"preset": "openai"', '"preset": "openai", "base_url": "api.openai.com"',
     "providers[0].base_url: must begin with https:// or http://"),
    ('"aliases": {', '"aliases": { "fats": 7,', "aliases.fats: invalid type: a number"),
    ("value: translate", "value: transalte",
     "vm_config.configuration: expected route, prepare, translate or inline"),
])
def test_a_mistake_is_refused_with_its_place_and_the_old_configuration_stays(
        configured, example, ask, old, new, mistake):
    gateway = configured()
    with pytest.raises(DidNotStart) as caught:
        configured(lambda text: text.replace(old, new), in_place=True)
    in_section = example == "bundle.yaml" and not mistake.startswith("vm_config")
    section = "ai-proxy." if in_section else ""
    assert f"configuration refused: {section}{mistake}" in str(caught.value)
    assert gateway.post(ask("fast")).status_code == 200


def test_a_mistake_at_the_start_keeps_envoy_from_starting(tmp_path):
    with pytest.raises(DidNotStart) as caught:
        Stack("minimal/envoy.yaml", directory=tmp_path, mock=False,
              edit=lambda text: text.replace('"api_key":', '"api_kye":', 1)).start()
    assert "configuration refused: providers[0].api_kye: unknown field" in str(caught.value)


def test_an_update_takes_the_place_of_the_old_configuration(configured, ask):
    def status(gateway, model):
        # A connection of before keeps what was before.
        return gateway.post(ask(model), headers={"connection": "close"}).status_code

    gateway = configured()
    assert (status(gateway, "fast"), status(gateway, "quick")) == (200, 404)
    gateway = configured(lambda text: text.replace('"fast":', '"quick":'), in_place=True)
    for _ in range(100):
        if (status(gateway, "fast"), status(gateway, "quick")) == (404, 200):
            return
        time.sleep(0.1)
    pytest.fail("the new configuration is not in force")


def test_one_upstream_given_by_its_url(configured, ask):
    # What `configured` has started stays.
    url = configured().stack.mock_url("anthropic")
    gateway = configured(lambda text: config.with_upstream(text, url, "anthropic"))
    answer = gateway.post(ask("any-model"))
    assert answer.json()["model"] == "any-model"
    assert dict(gateway.received("anthropic")[0]["headers"])["x-api-key"] == "sk-real"


def test_one_upstream_over_tls_is_a_valid_configuration(tmp_path):
    text = config.with_ports("bundle.yaml", {})
    path = tmp_path / "envoy.yaml"
    path.write_text(config.with_upstream(text, "https://api.openai.com/v1", None))
    done = subprocess.run([find_envoy(), "--mode", "validate", "-c", path], cwd=config.ROOT,
                          env={**os.environ, **KEYS, "UPSTREAM_KEY": "sk-real"}, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
