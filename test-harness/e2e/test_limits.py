"""token-ratelimit with its counts in real Redis, shared by two Envoys; thresholds; streams that are ended."""

import concurrent.futures
import http.server
import json
import threading
import time

import httpx
import pytest
import yaml

from gateway import config
from gateway.redis import Redis
from gateway.stack import CLIENT_KEY, KEYS, Stack

ADMIN = {"authorization": f"Bearer {KEYS['AI_ADMIN_KEY']}"}
TIMEOUT_MS = 1000


def rule(name, **more):
    """A rule for requests with the header `x-rule: NAME`."""
    return {"name": name, "key": ["header:x-case"], "unit": "completion_tokens", "limit": 1000,
            "window": "1h", "algorithm": "fixed_window", "when": {"headers": {"x-rule": name}}, **more}


RULES = [rule("few"), rule("warned", soft=[0.5, 0.9]), rule("cut", unit="total_tokens", limit=150, cut=True),
         rule("slots", unit="concurrent", limit=3, window=None, algorithm="sliding_window")]


def cluster(name, port):
    endpoint = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}
    return {"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": {
        "cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]}}


def edited(store, **clusters):
    """The bundle's example with these rules and this store."""

    def edit(text):
        document = yaml.safe_load(text)
        for name, port in clusters.items():
            document["static_resources"]["clusters"].append(cluster(name, port))
        for wasm in config.wasm_configs(document):
            sections = json.loads(wasm["configuration"]["value"])
            sections["token-ratelimit"] = {
                "admin_key": "$env://AI_ADMIN_KEY", "rules": RULES, "usual_completion": 20, "store": store,
                "webhook": {"upstream": "hook", "path": "/budgets"}}
            wasm["configuration"]["value"] = json.dumps(sections)
        return yaml.safe_dump(document, sort_keys=False)

    return edit


class Hook(http.server.BaseHTTPRequestHandler):
    """Takes what the webhook is told."""

    told: list = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.told.append((self.path, json.loads(body)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def hook():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    with Redis(tmp_path_factory.mktemp("redis")) as running:
        running.wait()
        yield running


@pytest.fixture(scope="module")
def two(tmp_path_factory, redis, hook):
    """Two Envoys that share one Redis and the stand-ins."""
    store = {"redis": {"upstream": "webdis", "timeout_ms": TIMEOUT_MS, "fail": "local",
                       "local_share": 0.5, "flush_ms": 50}}
    edit = edited(store, webdis=redis.http_port, hook=hook)
    with Stack("bundle.yaml", directory=tmp_path_factory.mktemp("one"), edit=edit) as one:
        mocks = {port: one.ports[port] for port in config.PROVIDERS.values()}
        ports = {**mocks, **dict(zip((config.LISTENER, config.ADMIN), config.free_ports(2)))}
        with Stack("bundle.yaml", directory=tmp_path_factory.mktemp("two"), ports=ports, edit=edit,
                   mock=False) as other:
            yield one, other


@pytest.fixture(scope="module")
def local(tmp_path_factory, hook):
    """One Envoy with its own counts."""
    edit = edited("local", hook=hook)
    with Stack("bundle.yaml", directory=tmp_path_factory.mktemp("local"), edit=edit) as stack:
        yield stack


def ask(stack, name, case, script, leave=False, **fields):
    """One streamed request: its status, its bytes and how long it took."""
    headers = {"authorization": f"Bearer {CLIENT_KEY}", "x-rule": name, "x-case": case,
               "x-mock-llm": json.dumps(script)}
    body = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "hello"}], **fields}
    begun, got = time.monotonic(), b""
    try:
        with httpx.stream("POST", stack.base_url + "/chat/completions", json=body, headers=headers,
                          timeout=60) as answer:
            first = time.monotonic() - begun
            for piece in answer.iter_bytes():
                got += piece
                if leave:
                    break
            return answer.status_code, got, first
    except httpx.RemoteProtocolError:
        return 0, got, time.monotonic() - begun


def state(stack, name, case):
    url = f"{stack.base_url.removesuffix('/v1')}/_ai/limits?rule={name}&key={case}"
    return httpx.get(url, headers=ADMIN).json()


def until(seconds, check):
    """Waits until it holds."""
    deadline = time.monotonic() + seconds
    while not check() and time.monotonic() < deadline:
        time.sleep(0.05)
    return check()


def idle(stack):
    """Whether no stand-in is answering any more."""
    records = httpx.get(f"{stack.mock_url('openai')}/_mock/requests").json()
    return all(record["finished"] or record["disconnected"] or record["status"] is None
               or "cut" in json.dumps(dict(record["headers"]).get("x-mock-llm", "")) for record in records)


def metric(stack, name):
    text = httpx.get(f"{stack.admin_url}/stats?filter={name}").text
    return sum(int(line.rsplit(" ", 1)[1]) for line in text.splitlines())


def at_once(stacks, case, number=200):
    """Many at the same time: three of ten leave, and of one of ten the provider breaks off."""

    def one(turn):
        script = {"tokens": 20, "tokens_per_second": 100}
        if turn % 10 == 9:
            script["cut_after_events"] = 5
        stack = stacks[turn % len(stacks)]
        return ask(stack, "few", case, script, leave=turn % 10 < 3, max_completion_tokens=20)

    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        return list(pool.map(one, range(number)))


@pytest.mark.parametrize("where", ["local", "two"])
def test_many_at_once_get_no_more_than_there_is_and_leave_nothing_reserved(request, where):
    found = request.getfixturevalue(where)
    stacks = [found] if where == "local" else list(found)
    results = at_once(stacks, "many")
    whole = sum(status == 200 and turn % 10 in range(3, 9) for turn, (status, _, _) in enumerate(results))
    assert any(status == 429 for status, _, _ in results)
    assert 0 < whole <= 50
    # What was really used is counted, and what was only reserved came back: the rest can be had.
    settled = range(whole * 20, 1001)
    assert until(10, lambda: idle(stacks[0]) and state(stacks[0], "few", "many")["used"] in settled)
    assert until(5, lambda: len({state(stack, "few", "many")["used"] for stack in stacks}) == 1)
    time.sleep(0.3)
    left = state(stacks[0], "few", "many")["remaining"] // 20
    more = [ask(stacks[0], "few", "many", {"tokens": 20}, max_completion_tokens=20)[0] for _ in range(left + 1)]
    assert more == [200] * left + [429]


def test_no_lease_is_left_in_redis(two, redis):
    # A check that was given up leaves the word that it is over, so that it reserves nothing should it come.
    held = lambda: [key for key in redis.command("KEYS", "ai:1:lease:*")
                    if redis.command("GET", key) not in (None, "over")]
    assert until(10, lambda: held() == [])
    for stack in two:
        assert until(5, lambda stack=stack: metric(stack, "ai_limit_settlements_waiting") == 0)


def test_places_are_given_back(two):
    slow = {"tokens": 10, "tokens_per_second": 5}
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        turns = pool.map(lambda turn: ask(two[turn % 2], "slots", "p", slow, max_completion_tokens=10)[0], range(6))
    assert sorted(turns) == [200] * 3 + [429] * 3
    assert until(5, lambda: state(two[0], "slots", "p")["used"] == 0)


@pytest.mark.parametrize("where", ["local", "two"])
def test_each_threshold_is_told_once(request, where):
    found = request.getfixturevalue(where)
    stacks = [found] if where == "local" else list(found)
    case = f"told-{where}"
    for turn in range(12):
        ask(stacks[turn % len(stacks)], "warned", case, {"tokens": 90}, max_completion_tokens=90)

    def told():
        return [(body["share"], body["unit"], body["limit"]) for path, body in Hook.told
                if path == "/budgets" and body["key"] == case and body["rule"] == "warned"]

    wanted = [(0.5, "completion_tokens", 1000), (0.9, "completion_tokens", 1000)]
    assert until(5, lambda: sorted(told()) == wanted), told()


@pytest.mark.parametrize("where", ["local", "two"])
def test_a_stream_that_passes_its_limit_is_ended_properly(request, where):
    found = request.getfixturevalue(where)
    stack = found if where == "local" else found[0]
    status, got, _ = ask(stack, "cut", "c", {"tokens": 400, "tokens_per_second": 2000})
    events = [line[6:] for line in got.decode().splitlines() if line.startswith("data: ")]
    assert status == 200 and events[-1] == "[DONE]"
    last = json.loads(events[-2])
    assert last["choices"][0]["finish_reason"] == "length" and last["id"] == json.loads(events[0])["id"]
    assert 100 < len(events) < 200
    assert ask(stack, "cut", "c", {"tokens": 5})[0] == 429


def test_redis_stopped_under_load_loses_nothing_and_nobody_waits(two, redis):
    stop = threading.Event()
    results = []

    def load(turn):
        while not stop.is_set():
            script = {"tokens": 5, "tokens_per_second": 200}
            results.append(ask(two[turn % 2], "few", f"outage-{turn}", script, max_completion_tokens=5))

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        running = [pool.submit(load, turn) for turn in range(6)]
        try:
            time.sleep(0.7)
            redis.stop_redis()
            time.sleep(0.7)
            redis.start_redis()
            redis.wait()
            time.sleep(0.3)
            # One that hangs is worse than one that is gone.
            redis.freeze()
            time.sleep(1.5)
            redis.freeze(False)
            redis.wait()
            time.sleep(0.3)
        finally:
            stop.set()
    for future in running:
        future.result()
    assert {status for status, _, _ in results} <= {200, 429}
    assert max(first for _, _, first in results) < TIMEOUT_MS / 1000 + 3
    assert sum(metric(stack, "ai_limit_store_errors_total") for stack in two) > 0
    assert sum(metric(stack, "ai_limit_settlements_dropped_total") for stack in two) == 0
    # Each that was answered has used 5 tokens, whenever it was.
    answered = 5 * sum(status == 200 for status, _, _ in results)

    def counted():
        return sum(state(two[0], "few", f"outage-{turn}")["used"] for turn in range(6))

    assert until(15, lambda: counted() == answered), (counted(), answered)
