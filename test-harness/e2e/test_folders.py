"""The examples that have a folder, each as it is shipped but for its ports."""

import hashlib
import itertools
import json
import re
import shutil
import subprocess
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
import yaml

from conftest import Gateway
from gateway.config import ADMIN, COLLECTOR, EXAMPLES, LISTENER, MODULES, ROOT, SECOND, free_ports
from gateway.stack import CLIENT_KEY, INTERN_KEY, KEYS, Stack
from gateway.up import first_request


@pytest.fixture
def run(tmp_path_factory):
    """Starts an example; everything is stopped at the end."""
    stacks = []

    def start(example, **options):
        # One worker, so that fewer machines are compiled.
        options = {"workers": 1, **options}
        stack = Stack(example, directory=tmp_path_factory.mktemp("example"), **options)
        stacks.append(stack)
        return Gateway(stack.start())

    yield start
    for stack in stacks:
        stack.stop()
        log = stack.log
        for secret in (CLIENT_KEY, *KEYS.values(), "secret-prompt"):
            assert secret not in log, "a secret or a prompt is in Envoy's log"
        assert "panicked" not in log


def replace(path, change):
    """Replaces a file as Envoy wants it: a new one renamed over it."""
    new = path.with_suffix(".new")
    new.write_text(change(path.read_text()))
    new.rename(path)


def until(true, seconds=60, what="it"):
    """Waits for something that happens in Envoy a moment later."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"{what} has not happened"
        time.sleep(0.1)


def first_answer(gateway):
    """The status that one gets with the command that `make up` prints."""
    command = first_request(gateway.stack.base_url, "claude-haiku-4-5")
    done = subprocess.run(f"{command} -s -o /dev/null -w '%{{http_code}}'", shell=True, capture_output=True, text=True,
                          check=False)
    return done.stdout


class Load:
    """Requests in a loop from some clients, until it is stopped; every status is counted."""

    def __init__(self, ask_once, clients=4):
        self.statuses = Counter()
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.loop, args=(ask_once,)) for _ in range(clients)]

    def loop(self, ask_once):
        while not self.over.is_set():
            try:
                status = ask_once()
            except httpx.HTTPError as error:
                status = type(error).__name__
            self.statuses[status] += 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()


def test_failover(run, ask):
    gateway = run("failover/envoy.yaml")
    for model in ("best", "good"):
        answer = gateway.post(ask(model))
        assert (answer.status_code, answer.headers["x-ai-provider"]) == (200, "openai"), answer.text
        for failure in ({"status": 503}, {"status": 429}, {"drop_connection": True}):
            gateway.reset()
            answer = gateway.post(ask(model), {"on": {"openai": failure}})
            assert (answer.status_code, answer.headers["x-ai-provider"]) == (200, "anthropic")
            assert [each["path"] for each in gateway.received("anthropic")] == ["/v1/messages"]
        answer = gateway.post(ask(model, stream=True), {"on": {"openai": {"status": 500}}})
        assert "chat.completion.chunk" in answer.text and "[DONE]" in answer.text
        # One that works again is asked again: it has not failed five times in a row.
        answer = gateway.post(ask(model))
        assert answer.headers["x-ai-provider"] == "openai"


def test_canary_and_experiment(run, ask):
    gateway = run("canary-ab/envoy.yaml")
    # Its models have names of its own.
    assert first_answer(gateway) == "200"

    def provider(model, script=None, **headers):
        answer = gateway.post(ask(model), script, headers=headers)
        return answer.headers.get("x-ai-provider"), answer

    # A tenth of all requests.
    seen = Counter(provider("assistant")[0] for _ in range(200))
    assert 5 <= seen["anthropic"] <= 40, seen
    # The new model fails: Envoy's retry hides it from clients, and it goes back to none.
    bad = {"on": {"anthropic": {"status": 500}}}
    assert {provider("assistant", bad)[1].status_code for _ in range(400)} == {200}
    seen = Counter(provider("assistant")[0] for _ in range(100))
    assert seen == {"openai": 100}, seen

    # Each user stays with one of the two; both have users.
    users = {user: {provider("writer", **{"x-user": f"u{user}"})[0] for _ in range(3)}
             for user in range(40)}
    assert all(len(found) == 1 for found in users.values())
    assert {next(iter(found)) for found in users.values()} == {"openai", "anthropic"}
    _, answer = provider("writer", **{"x-user": "u1"})
    assert answer.headers["x-ai-variant"] in ("tone=a", "tone=b")


def test_hybrid(run, ask):
    gateway = run("hybrid/envoy.yaml")
    answer = gateway.post(ask("assistant"))
    # The cloud's stand-in is the one behind TLS.
    assert (answer.status_code, answer.headers["x-ai-provider"]) == (200, "cloud"), answer.text
    assert dict(gateway.received("openai")[0]["headers"])["host"] == "models.example.com"

    gateway.reset()
    answer = gateway.post(ask("assistant", "write to ada.lovelace@example.org"))
    assert answer.headers["x-ai-provider"] == "onprem"
    assert gateway.received("openai") == []
    # Also when the cloud is up and the premises fail: rather no answer than one from elsewhere.
    answer = gateway.post(ask("assistant", "write to ada.lovelace@example.org"),
                          {"on": {"onprem": {"status": 503}}})
    assert answer.status_code == 503 and gateway.received("openai") == []

    cloud = gateway.stack.processes["tls"]
    cloud.terminate()
    cloud.wait()
    answer = gateway.post(ask("assistant"))
    assert (answer.status_code, answer.headers["x-ai-provider"]) == (200, "onprem"), answer.text


def test_multi_cluster(run, ask):
    gateway = run("multi-cluster/east.yaml", second="multi-cluster/west.yaml")
    stack = gateway.stack
    west = f"http://127.0.0.1:{stack.ports[10001]}/v1/chat/completions"

    def answered(url=None):
        gateway.reset()
        answer = (gateway.post(ask("m")) if url is None else
                  httpx.post(url, json=ask("m"), timeout=60))
        assert answer.status_code == 200, answer.text
        return [name for name in ("openai", "onprem") if gateway.received(name)]

    # Each has its own first.
    assert answered() == ["openai"] and answered(west) == ["onprem"]
    # Those of one fail: the other's answer.
    answer = gateway.post(ask("m"), {"on": {"openai": {"status": 503}}})
    assert answer.status_code == 200
    # The controller takes east's away: the file changes, and no Envoy is restarted.
    replace(stack.directory / "east-models.yaml",
            lambda text: text.replace(f"port_value: {stack.ports[9443]}",
                                      f"port_value: {stack.ports[9444]}"))
    until(lambda: answered() == ["onprem"], what="east asks west's models")


def test_xds_reload_under_load(run, ask):
    gateway = run("xds/envoy.yaml", workers=2)
    stack, folder = gateway.stack, gateway.stack.directory
    client = gateway.http

    def status(model):
        # Answers from the cache are not counted, and thousands would drive out the one that is to stay.
        return client.post("/chat/completions", json=ask(model),
                           headers={"cache-control": "no-store"}).status_code

    def remembered():
        answer = client.post("/chat/completions", json=ask("fast", "secret-prompt: keep this"))
        return answer.headers["x-ai-cache"]

    def used():
        answer = httpx.get(f"{stack.base_url[:-3]}/_ai/limits?rule=per-day&key=demo",
                           headers={"authorization": f"Bearer {KEYS['AI_ADMIN_KEY']}"})
        return answer.json()["used"]

    def stat(name):
        # Envoy compiles a module on the thread that answers this.
        lines = httpx.get(f"{stack.admin_url}/stats?filter={name}", timeout=60).text.splitlines()
        return sum(int(line.split(":")[1]) for line in lines)

    def change(old, new):
        for use in ("translate", "route"):
            replace(folder / f"ai-gateway-{use}.yaml", lambda text: text.replace(old, new))

    assert (status("fast"), status("quick")) == (200, 404)
    assert (remembered(), remembered()) == ("miss", "hit-exact")
    before = used()
    with Load(lambda: status("fast")) as load:
        # The configuration of both uses of the plugin.
        change('"fast": "claude-haiku-4-5"', '"fast": "claude-haiku-4-5", "quick": "gpt-4o-mini"')
        until(lambda: status("quick") == 200, what="the alias")
        assert remembered() == "hit-exact"
        # Another version of the module: a file of another name.
        module = folder / "ai-gateway-next.wasm"
        shutil.copy(ROOT / "dist" / "ai-gateway.wasm", module)
        with open(module, "ab") as out:
            # A custom section of one byte: another module to Envoy, the same to us.
            out.write(b"\x00\x02\x01n")
        reloads = stat("config_reload$")
        change("dist/ai-gateway.wasm", str(module))
        until(lambda: stat("config_reload$") >= reloads + 2, what="the module")
        assert remembered() == "hit-exact"
        # The listener itself.
        updated = stat("lds.update_success")
        replace(folder / "listeners.yaml",
                lambda text: text.replace("idle_timeout: 600s", "idle_timeout: 610s"))
        until(lambda: stat("lds.update_success") > updated, what="the listener")
        assert remembered() == "hit-exact"
        # A mistake is refused, and what was there stays.
        rejected = stat("config_fail")
        change('"aliases"', '"aliasses"')
        until(lambda: stat("config_fail") > rejected, what="the refusal")
        assert remembered() == "hit-exact"
        time.sleep(0.5)
    assert "configuration refused: ai-proxy.aliasses: unknown field" in stack.log
    assert set(load.statuses) == {200}, load.statuses
    assert load.statuses[200] > 50
    # Nobody got anything back by a reload, nor by the new module: every request was counted.
    assert used() - before >= load.statuses[200]
    # What was refused.
    change('"aliasses"', '"aliases"')
    side_by_side(gateway, ask, used)


def side_by_side(gateway, ask, used):
    """The next version in a listener of its own, beside the one that is there, and back."""
    stack, folder = gateway.stack, gateway.stack.directory
    # Another module and another configuration, with the same `vm_id`.
    module = folder / "ai-gateway-after.wasm"
    module.write_bytes((ROOT / "dist" / "ai-gateway.wasm").read_bytes() + b"\x00\x02\x01m")
    old = (folder / "ai-gateway-route.yaml").read_text()
    new = old.replace("name: ai-gateway-route", "name: ai-gateway-after").replace('"fast":', '"newest": "gpt-4o-mini", "fast":')
    (folder / "ai-gateway-after.yaml").write_text(re.sub(r"filename: \S+", f"filename: {module}", new))
    listeners = (folder / "listeners.yaml").read_text()
    whole = yaml.safe_load(listeners)
    text = json.dumps(whole["resources"][0])
    for name, other in (("ai-gateway-route", "ai-gateway-after"), (f": {stack.ports[LISTENER]}", f": {stack.ports[SECOND]}"),
                        ('"name": "ai"', '"name": "ai-after"')):
        assert name in text
        text = text.replace(name, other)
    whole["resources"].append(json.loads(text))
    replace(folder / "listeners.yaml", lambda _: yaml.safe_dump(whole))
    after = httpx.Client(base_url=f"http://127.0.0.1:{stack.ports[SECOND]}/v1", headers=gateway.http.headers, timeout=60)

    def status(client, model):
        try:
            return client.post("/chat/completions", json=ask(model), headers={"cache-control": "no-store"}).status_code
        except httpx.ConnectError:
            return None

    def cached(client, text):
        return client.post("/chat/completions", json=ask("fast", text)).headers["x-ai-cache"]

    until(lambda: status(after, "newest") == 200, what="the next version")
    # Each goes by its own configuration.
    assert [status(client, model) for client in (gateway.http, after) for model in ("fast", "newest")] \
        == [200, 404, 200, 200]
    # One has what the other has counted and kept.
    for one, other in ((gateway.http, after), (after, gateway.http)):
        before = used()
        assert [status(client, "fast") for client in (one, other, one)] == [200] * 3
        assert used() == before + 3
        question = f"secret-prompt: of {one.base_url}"
        assert (cached(one, question), cached(other, question)) == ("miss", "hit-exact")
    # And back: what the next version has counted and kept is still there.
    before = used()
    replace(folder / "listeners.yaml", lambda _: listeners)
    until(lambda: httpx.get(f"{stack.admin_url}/listeners", timeout=60).text.count("ai-after") == 0, what="going back")
    assert cached(gateway.http, f"secret-prompt: of {after.base_url}") == "hit-exact"
    assert status(gateway.http, "fast") == 200 and used() > before
    after.close()


def test_multi_tenant_budgets(run, ask):
    example = "multi-tenant-budgets/envoy.yaml"
    first = run(example)
    # A second Envoy, with the first one's Redis and stand-ins.
    own = dict(zip((LISTENER, ADMIN), free_ports(2)))
    second = run(example, ports={**first.stack.ports, **own}, mock=False)
    dear = {"usage": {"prompt_tokens": 100, "completion_tokens": 1500, "total_tokens": 1600}}

    def spend(gateway, key):
        headers = {"authorization": f"Bearer {key}"}
        return gateway.post(ask("gpt-5", max_tokens=1500), dear, headers=headers)

    def standing(gateway, tenant):
        answer = httpx.get(f"{gateway.stack.base_url[:-3]}/_ai/limits?rule=tenant-month&key={tenant}",
                           headers={"authorization": f"Bearer {KEYS['AI_ADMIN_KEY']}"}, timeout=60)
        return answer.json()

    # Half of them through each: the tenant has one budget all the same.
    answers = [spend((first, second)[turn % 2], INTERN_KEY) for turn in range(8)]
    assert [answer.status_code for answer in answers] == [200] * 6 + [429] * 2, answers[-1].text
    assert "tenant-month" in answers[-1].text and int(answers[-1].headers["retry-after"]) > 0
    # Another tenant has its own.
    assert spend(second, CLIENT_KEY).status_code == 200
    until(lambda: abs(standing(second, "globex")["used"] - 6 * 0.015125) < 1e-6, what="settling")
    one, other = standing(first, "globex"), standing(second, "globex")
    # They are asked one after the other, and a second may pass between.
    assert one.pop("reset_seconds") - other.pop("reset_seconds") in range(60)
    assert one == other
    assert standing(first, "acme")["limit"] == 100


class Server:
    """A small HTTP server of this test: a collector, or where modules come from."""

    def __init__(self, port, files=None):
        self.port, self.files, self.posted = port, files or {}, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            """Serves files, keeps what is posted."""

            def do_GET(self):
                body = outer.files.get(self.path.split("?")[0])
                self.reply(200 if body is not None else 404, body or b"")

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.posted.append((self.path, json.loads(body)))
                self.reply(200, b"{}")

            def reply(self, status, body):
                """Writes an answer."""
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                """Is quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def spans(self):
        """Spans that came."""
        return [span for path, body in self.posted if path.endswith("/traces")
                for resource in body["resourceSpans"] for scope in resource["scopeSpans"]
                for span in scope["spans"]]

    def close(self):
        """Ends it."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def test_edge(run, ask):
    gateway = run("edge/envoy.yaml")
    stack, folder = gateway.stack, gateway.stack.directory

    def provider(script=None):
        answer = gateway.post(ask("assistant"), script)
        return answer.status_code, answer.headers.get("x-ai-provider")

    # Local first; the cloud when that fails.
    assert provider() == (200, "local")
    # It demands a key.
    assert first_answer(gateway) == "200"
    assert provider({"on": {"onprem": {"status": 503}}}) == (200, "cloud")

    def spend(tokens):
        answer = gateway.post(ask("assistant"), {"usage": {
            "prompt_tokens": tokens - 10, "completion_tokens": 10, "total_tokens": tokens}})
        return answer.status_code, "tokens-a-day" in answer.text

    def used():
        answer = httpx.get(f"{stack.base_url[:-3]}/_ai/limits?rule=tokens-a-day&key=demo",
                           headers={"authorization": f"Bearer {KEYS['AI_ADMIN_KEY']}"}, timeout=60)
        # The other requests have used some hundred.
        return round(answer.json().get("used", 0), -4)

    assert spend(600_000) == (200, False)
    until(lambda: used() == 600_000, what="the settling")
    # What Redis says with the next answer is what is last known.
    assert spend(100_000) == (200, False)

    # Offline: no cloud, no counts, no collector. Keys and budgets hold all the same: what was used before stays so.
    away = stack.processes["tls"]
    away.terminate()
    away.wait()
    stranger = gateway.post(ask("assistant"), headers={"authorization": "Bearer sk-aigw-no-1"})
    assert stranger.status_code == 401
    assert [spend(200_000) for _ in range(3)] == [(200, False), (200, False), (429, True)]

    # Back online: what has waited arrives, nothing twice.
    stack.start_tls()
    until(lambda: used() == 1_100_000, what="the replay of settlements")
    assert spend(1) == (429, True)
    collector = Server(stack.ports[COLLECTOR])
    try:
        served = 6
        until(lambda: len(collector.spans()) >= served, what="the replay of spans")
        ids = [span["spanId"] for span in collector.spans()]
        assert len(set(ids)) == len(ids)
    finally:
        collector.close()

    # Updates of the module: one with another hash, one that is none, and then the right one.
    shipped = (ROOT / "dist" / "ai-gateway.wasm").read_bytes()
    # A custom section of one byte: another module to Envoy, the same to us.
    good, bad = shipped + b"\x00\x02\x01n", shipped[:8] + b"no module"
    modules = Server(stack.ports[MODULES], {"/good.wasm": good, "/bad.wasm": bad})
    files = [folder / f"ai-gateway-{use}.yaml" for use in ("translate", "route")]

    def aigw(*arguments):
        return subprocess.run([ROOT / "target" / "debug" / "aigw", *map(str, arguments)], cwd=ROOT,
                              text=True, capture_output=True, check=False, timeout=120)

    def update(name, sha256, wait):
        return aigw("update", f"http://127.0.0.1:{modules.port}/{name}.wasm", "--sha256", sha256,
                    "--folder", folder, "--live", stack.admin_url, "--wait", wait, *files)

    def running():
        return aigw("version", "--live", stack.admin_url).stdout

    def served():
        # The limit of 20 in a minute may be used up.
        return gateway.post(ask("assistant")).status_code in (200, 429)

    def is_as_before():
        return (running().count(": dist/ai-gateway.wasm (sha256 ") == 2
                and all("filename: dist/ai-gateway.wasm" in file.read_text() for file in files)
                and served())

    try:
        refused = update("good", "0" * 64, 1)
        right = hashlib.sha256(good).hexdigest()
        assert refused.returncode == 2 and f"its sha256 is {right}" in refused.stderr
        assert is_as_before()
        refused = update("bad", hashlib.sha256(bad).hexdigest(), 1)
        assert refused.returncode == 2 and "no WebAssembly module" in refused.stderr, refused.stderr
        assert is_as_before()
        done = update("good", right, 60)
        assert done.returncode == 0, done.stderr
        assert running().count(f"ai-gateway-{right[:12]}.wasm (sha256 {right})") == 2, running()
        assert served()
        fetched_by_envoy(gateway, ask, modules, files)
    finally:
        modules.close()


def fetched_by_envoy(gateway, ask, modules, files):
    """Envoy fetches the module itself, as the README says; where the budget is used up, so that each answer is one of the
    module in the listener."""
    stack = gateway.stack
    snippet = re.search(r"```yaml\n(code:[\s\S]*?)```", (EXAMPLES / "edge" / "README.md").read_text())[1]
    # Another code in its answers tells the new one from the old.
    new = (ROOT / "dist" / "ai-gateway.wasm").read_bytes().replace(b"rate_limit_exceeded", b"rate_limit_surpassd")
    modules.files["/new.wasm"] = new
    tries = itertools.count()

    def put(name, sha256):
        """Puts the files in place; how many were taken of the two."""
        text = snippet.replace("HEX", f'"{sha256}"').replace("ai-gateway.wasm", name)
        wanted = yaml.safe_load(text.replace("try=1", f"try={next(tries)}"))
        before = counted("update_success"), counted("update_rejected")
        for file in files:
            whole = yaml.safe_load(file.read_text())
            whole["resources"][0]["typed_config"]["config"]["vm_config"].update(wanted)
            replace(file, lambda _, whole=whole: yaml.safe_dump(whole))
        until(lambda: counted("update_success") + counted("update_rejected") == sum(before) + 2, what="the files")
        return counted("update_success") - before[0]

    def counted(name):
        lines = httpx.get(f"{stack.admin_url}/stats?filter=extension_config_discovery.*{name}$", timeout=60).text
        return sum(int(line.split(":")[1]) for line in lines.splitlines())

    def code():
        return gateway.post(ask("assistant")).json()["error"]["code"]

    right = hashlib.sha256(new).hexdigest()
    # Another hash; a file that is not there.
    for name, sha256 in (("new.wasm", "0" * 64), ("gone.wasm", "1" * 64)):
        assert put(name, sha256) == 0
        assert code() == "rate_limit_exceeded"
    with Load(code, clients=2) as load:
        until(lambda: load.statuses, what="answers of the old module")
        # What is good is refused at first too; Envoy may have fetched it when it comes to the second file.
        assert put("new.wasm", right) < 2
        until(lambda: put("new.wasm", right) == 2, what="the module")
        until(lambda: code() == "rate_limit_surpassd", what="the new module")
        version = subprocess.run([ROOT / "target" / "debug" / "aigw", "version", "--live", stack.admin_url],
                                 text=True, capture_output=True, check=True, timeout=60).stdout
        assert len(re.findall(rf"/new\.wasm\?try=\d+ \(sha256 {right}\)", version)) == 2, version
        # Nobody is there any more.
        del modules.files["/new.wasm"]
        assert put("next.wasm", "2" * 64) == 0
        assert code() == "rate_limit_surpassd"
    assert set(load.statuses) == {"rate_limit_exceeded", "rate_limit_surpassd"}, load.statuses
