"""One policy: checked, rendered, run in real Envoy and in the emulated APISIX, compared with what runs."""

import json
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from conftest import Gateway
from gateway.config import ADMIN, EXAMPLES, LISTENER, PORTS, PROVIDERS, ROOT, free_ports
from gateway.stack import CLIENT_KEY, KEYS, Stack

AIGW = ROOT / "target" / "debug" / "aigw"
POLICY = EXAMPLES / "policy" / "policy.yaml"


def aigw(*arguments, status=0):
    """What the command says; its exit status must be this one."""
    assert AIGW.exists(), "aigw is not built: run `make aigw`"
    done = subprocess.run([AIGW, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def ports():
    return dict(zip(PORTS, free_ports(len(PORTS))))


@pytest.fixture(scope="module")
def policy(tmp_path_factory, ports):
    """The example's policy with the stand-ins for providers."""
    text = POLICY.read_text().replace("127.0.0.1:10000", f"127.0.0.1:{ports[LISTENER]}")
    text = text.replace("127.0.0.1:9901", f"127.0.0.1:{ports[ADMIN]}")
    for name, path in (("openai", "/v1"), ("anthropic", "")):
        text = text.replace(f"preset: {name}\n", f"preset: {name}\n    base_url: "
                            f"http://127.0.0.1:{ports[PROVIDERS[name]]}{path}\n")
    path = tmp_path_factory.mktemp("policy") / "policy.yaml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module", params=["envoy", "apisix"])
def running(request, policy, ports, tmp_path_factory):
    """The policy in force."""
    folder = tmp_path_factory.mktemp("rendered")
    aigw("render", "--host", request.param, "--out", folder, policy)
    example = {"envoy": f"{folder}/envoy.yaml", "apisix": f"apisix/{folder}/apisix.yaml"}
    stack = Stack(example[request.param], directory=tmp_path_factory.mktemp("run"), ports=ports,
                  workers=1, cache=True)
    with stack:
        yield request.param, Gateway(stack)
        log = stack.log
    for secret in (CLIENT_KEY, *KEYS.values(), "secret-prompt"):
        assert secret not in log


def test_the_same_policy_does_the_same_on_both(running, ask):
    host, gateway = running
    gateway.reset()
    answer = gateway.post(ask("gpt-5", "secret-prompt: ask ada.lovelace@example.org"))
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-ai-provider"] == "openai"
    # What the provider got: our key, not the client's, and no address.
    [got] = gateway.received("openai")
    headers = dict(got["headers"])
    assert headers["authorization"] == f"Bearer {KEYS['OPENAI_API_KEY']}"
    assert "ada.lovelace" not in str(got["body"])
    assert got["path"] == "/v1/chat/completions"

    # Another provider's protocol, by an alias.
    answer = gateway.post(ask("fast", "secret-prompt: one"))
    assert (answer.status_code, answer.headers["x-ai-provider"]) == (200, "anthropic")
    assert answer.json()["object"] == "chat.completion"
    # The first fails: the second is asked.
    answer = gateway.post(ask("best", "secret-prompt: two"), {"on": {"openai": {"status": 503}}})
    assert (answer.status_code, answer.headers["x-ai-provider"]) == (200, "anthropic"), answer.text
    # The limit and the key.
    assert answer.headers["x-ratelimit-limit-tokens"] == "100000"
    stranger = gateway.post(ask("gpt-5"), headers={"authorization": "Bearer sk-aigw-no-1"})
    assert stranger.status_code == 401
    token = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7cF0hJ3kLm"
    secret = gateway.post(ask("gpt-5", f"what is wrong with {token}?"))
    assert secret.status_code == 400 and token not in secret.text, secret.text
    # Asked before: answered from memory.
    gateway.reset()
    again = ask("gpt-5", "secret-prompt: the same, twice")
    assert [gateway.post(again).status_code for _ in range(2)] == [200, 200]
    asked = len(gateway.received("openai"))
    # Of APISIX's two workers each has its own memory.
    assert asked == 1 or host == "apisix" and asked == 2


def test_what_runs_is_compared_with_the_policy(running, policy, tmp_path):
    host, gateway = running
    if host == "apisix":
        pytest.skip("the emulated APISIX has no Admin API; that has a test of its own")
    live = ("--live", gateway.stack.admin_url)
    assert aigw("diff", "--host", host, policy, *live) == "no difference\n"
    assert aigw("doctor", "--host", host, *live) == "nothing found\n"
    modules = aigw("version", *live).splitlines()
    assert len(modules) == 3
    assert all(re.search(r"ai-gateway\.wasm \(sha256 [0-9a-f]{64}\)$", line) for line in modules)

    changed = tmp_path / "policy.yaml"
    changed.write_text(policy.read_text().replace("limit: 100000", "limit: 5"))
    said = aigw("diff", "--host", host, changed, *live, status=1).splitlines()
    assert len(said) == 3 and all(line.endswith(".limit: 100000 -> 5") for line in said), said


def test_a_policy_with_a_mistake_is_refused_with_its_place(policy, tmp_path):
    wrong = tmp_path / "policy.yaml"
    wrong.write_text(policy.read_text().replace("preset: anthropic", "preset: antropic"))
    said = aigw("check", wrong, status=1)
    assert f"{wrong}: providers[1].preset: " in said
    assert "providers[1].preset" in aigw("render", "--host", "envoy", wrong, status=2)
    assert "there is no host `nginx`" in aigw("render", "--host", "nginx", policy, status=2)
    said = aigw("check", "--host", "apisix", policy)
    assert "the plugins take it" in said and "workers share nothing" in said


def test_the_routes_of_an_apisix_are_asked_of_its_admin_api(policy, tmp_path):
    aigw("render", "--host", "apisix", "--out", tmp_path, policy)
    route = yaml.safe_load((tmp_path / "apisix.yaml").read_text())["routes"][0]
    # As the Admin API tells it: with times, and with the defaults of its schema.
    value = {**route, "create_time": 1, "update_time": 2, "status": 1, "priority": 0,
             "upstream": {**route["upstream"], "hash_on": "vars", "scheme": "http", "pass_host": "pass"}}

    class AdminApi(BaseHTTPRequestHandler):
        """APISIX's, as far as it is asked."""

        def do_GET(self):
            known = (self.path, self.headers["x-api-key"]) == ("/apisix/admin/routes", "admin-key")
            body = json.dumps({"total": 1, "list": [{"key": "/apisix/routes/ai", "value": value}]})
            self.send_response(200 if known else 401)
            self.end_headers()
            self.wfile.write(body.encode() if known else b"{}")

        def log_message(self, *_):
            """Is quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), AdminApi)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    live = ("--live", f"http://127.0.0.1:{server.server_port}", "--key", "admin-key")
    try:
        assert aigw("diff", "--host", "apisix", policy, *live) == "no difference\n"
        assert aigw("doctor", "--host", "apisix", *live) == "nothing found\n"
        value["plugins"]["wasm-ai-gateway"]["conf"]["token-ratelimit"]["rules"][0]["limit"] = 5
        said = aigw("diff", "--host", "apisix", policy, *live, status=1)
        assert said.endswith("rules[tokens-per-minute].limit: 5 -> 100000\n"), said
        assert "401" in aigw("diff", "--host", "apisix", policy, *live[:2], status=2)
    finally:
        server.shutdown()
        server.server_close()


# Where each page's plugin stands in a policy.
SECTIONS = {"ai-auth": "auth", "prompt-guard": "guard", "semantic-cache-client": "cache", "token-ratelimit": "limits",
            "ai-metrics": "metrics"}


def snippets():
    """The configurations that pages show, but those that leave something out."""
    for path in sorted((ROOT / "docs").glob("*.md")):
        for text in re.findall(r"^```json\n(.*?)^```", path.read_text(), re.S | re.M):
            # A hash that is cut short; what a key is looked up to; a price; a cluster that is made by hand.
            if not any(part in text for part in ('..."', '"consumer": {', '"long_context"', "openai-then-")):
                yield pytest.param(path.stem, text, id=f"{path.stem}-{len(text)}")


@pytest.mark.parametrize(("page", "text"), snippets())
def test_what_a_page_shows_is_taken(tmp_path, page, text):
    shown = json.loads(text if text.startswith("{") else f"{{{text}}}")
    whole = {"providers": [{"name": "openai", "preset": "openai"}], "models": []}
    if page in SECTIONS:
        if "store" in shown:
            shown["rules"] = [{"name": "a", "unit": "requests", "limit": 1, "window": "minute"}]
        whole[SECTIONS[page]] = shown
    else:
        shown = shown if shown.keys() & {"providers", "object_secret"} else {"providers": [shown]}
        whole.update((key, value) for key, value in shown.items() if key in ("providers", "models", "aliases"))
        whole["proxy"] = {key: value for key, value in shown.items() if key not in whole}
    if not whole["models"] and not whole.get("proxy", {}).get("services"):
        whole["models"] = [{"name": "a", "targets": [{"provider": whole["providers"][0]["name"]}]}]
    whole["services"] = {name: f"http://{name}" for name in re.findall(r'"upstream": "([a-z]+)"', text)}
    path = tmp_path / "policy.yaml"
    path.write_text(json.dumps(whole))
    done = subprocess.run([AIGW, "check", "--host", "envoy", path], capture_output=True, text=True, check=False)
    # A key in PEM is to be checked where it is.
    said = done.stdout + done.stderr
    assert done.returncode == 0 or "set GOOGLE_SERVICE_ACCOUNT here as well" in said, said
