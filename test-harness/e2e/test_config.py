"""Configurations: the smallest one runs, a wrong one is refused with the place of the mistake."""

import os
import subprocess
import time

import httpx
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


@pytest.mark.parametrize("example", ["full-chain.yaml", "bundle.yaml"])
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
    ("value: translate", "value: transalte",
     "vm_config.configuration: expected route, prepare, translate or inline"),
])
def test_a_mistake_is_refused_with_its_place(tmp_path, example, old, new, mistake):
    with pytest.raises(DidNotStart) as caught:
        Stack(example, directory=tmp_path, mock=False,
              edit=lambda text: text.replace(old, new)).start()
    in_section = example == "bundle.yaml" and not mistake.startswith("vm_config")
    section = "ai-proxy." if in_section else ""
    assert f"configuration refused: {section}{mistake}" in str(caught.value)


def with_listeners_from(path):
    """Moves an example's listeners to a file that Envoy watches."""

    def edit(text):
        whole = yaml.safe_load(text)
        listeners = whole["static_resources"].pop("listeners")
        kind = "type.googleapis.com/envoy.config.listener.v3.Listener"
        path.write_text(yaml.safe_dump({"resources": [{"@type": kind, **one} for one in listeners]}))
        whole["dynamic_resources"] = {"lds_config": {"path_config_source": {"path": str(path)}}}
        whole["node"] = {"id": "test", "cluster": "test"}
        return yaml.safe_dump(whole)

    return edit


def test_a_refused_update_leaves_the_old_configuration_in_force(tmp_path, ask):
    path = tmp_path / "lds.yaml"
    edit = with_listeners_from(path)
    with Stack("full-chain.yaml", directory=tmp_path, edit=edit) as stack:

        def update(old, new):
            changed = tmp_path / "next.yaml"
            changed.write_text(path.read_text().replace(old, new))
            changed.rename(path)

        def counter(name):
            stats = httpx.get(f"{stack.admin_url}/stats?filter={name}").text
            return int(stats.split(":")[1])

        def until(name, value):
            for _ in range(100):
                if counter(name) >= value:
                    return
                time.sleep(0.1)
            pytest.fail(f"{name} is {counter(name)}")

        def status(model):
            url = f"{stack.base_url}/chat/completions"
            return httpx.post(url, json=ask(model), timeout=30).status_code

        assert status("fast") == 200
        update('\\"fast\\":', '\\"fats\\": 7, \\"fast\\":')
        until("listener_manager.lds.update_rejected", 1)
        assert "configuration refused: aliases.fats: invalid type: a number" in stack.log
        assert status("fast") == 200

        updated = counter("listener_manager.lds.update_success")
        update('\\"fats\\": 7, \\"fast\\":', '\\"quick\\":')
        until("listener_manager.lds.update_success", updated + 1)
        for _ in range(100):
            if (status("quick"), status("fast")) == (200, 404):
                return
            time.sleep(0.1)
        pytest.fail("the new configuration is not in force")


def test_one_upstream_given_by_its_url(tmp_path, ask):
    ports = dict(zip(config.PORTS, config.free_ports(len(config.PORTS))))
    url = f"http://127.0.0.1:{ports[config.PROVIDERS['anthropic']]}"
    with Stack("full-chain.yaml", directory=tmp_path, ports=ports, env={"UPSTREAM_KEY": "sk-real"},
               edit=lambda text: config.with_upstream(text, url, "anthropic")) as stack:
        answer = httpx.post(f"{stack.base_url}/chat/completions", json=ask("any-model"), timeout=30)
        assert answer.json()["model"] == "any-model"
        requests = httpx.get(f"{stack.mock_url('anthropic')}/_mock/requests").json()
        assert dict(requests[0]["headers"])["x-api-key"] == "sk-real"


def test_one_upstream_over_tls_is_a_valid_configuration(tmp_path):
    text = config.with_ports("full-chain.yaml", {})
    path = tmp_path / "envoy.yaml"
    path.write_text(config.with_upstream(text, "https://api.openai.com/v1", None))
    done = subprocess.run([find_envoy(), "--mode", "validate", "-c", path], cwd=config.ROOT,
                          env={**os.environ, **KEYS, "UPSTREAM_KEY": "sk-real"}, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
