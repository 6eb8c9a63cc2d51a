"""token-ratelimit with its counts in real Redis, shared by two Envoys, and in rate limit services; thresholds;
streams that are ended."""

import concurrent.futures
import copy
import http.server
import json
import ssl
import struct
import threading
import time
import urllib.parse
import zoneinfo
from datetime import datetime, timezone

import httpx
import pytest
import yaml

from gateway import config
from gateway.redis import Redis
from gateway.stack import CLIENT_KEY, KEYS, Stack, start, stop, wait_for

ADMIN = {"authorization": f"Bearer {KEYS['AI_ADMIN_KEY']}"}
TIMEOUT_MS = 1000
# One for all: making it takes longer than a request.
TLS = ssl.create_default_context()


def rule(name, **more):
    """A rule for requests with the header `x-rule: NAME`."""
    return {"name": name, "key": ["header:x-case"], "unit": "completion_tokens", "limit": 1000,
            "window": "1h", "algorithm": "fixed_window", "when": {"headers": {"x-rule": name}}, **more}


RULES = [rule("few"), rule("warned", soft=[0.5, 0.9]), rule("cut", unit="total_tokens", limit=150, cut=True),
         rule("slots", unit="concurrent", limit=3, window=None, algorithm="sliding_window"),
         rule("foretold", limit=1_000_000, window="month", forecast={}),
         rule("quota", key=["target_model"], limit=5, providers=["openai=gpt-5", "openai=gpt-4o"]),
         rule("berlin", window="month", time_zone="Europe/Berlin"),
         rule("own", window="day", time_zone="<-03>3<-02>,M3.5.0/-2,M10.5.0/-1")]
PLUGIN = config.ROOT / "plugins" / "token-ratelimit"
# Rules that a rate limit service can count.
SIMPLE = [rule("few"), rule("requests", unit="requests", limit=3)]


def cluster(name, port):
    endpoint = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}
    return {"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": {
        "cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]}}


def http2(name, port):
    """A cluster that speaks gRPC."""
    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    return {**cluster(name, port), "typed_extension_protocol_options": {options: {
        "@type": f"type.googleapis.com/{options}", "explicit_http_config": {"http2_protocol_options": {}}}}}


def counting(document, store):
    """The gateway counts there."""
    for wasm in config.wasm_configs(document):
        sections = json.loads(wasm["configuration"]["value"])
        sections["token-ratelimit"] = {
            "admin_key": "$env://AI_ADMIN_KEY", "rules": SIMPLE if "rls" in store else RULES,
            "usual_completion": 20, "store": store, "webhook": {"upstream": "hook", "path": "/budgets"}}
        wasm["configuration"]["value"] = json.dumps(sections)


def edited(stores, ports, clusters):
    """The bundle's example with these rules, and a listener for each of these stores at these ports."""

    def edit(text):
        document = yaml.safe_load(text)
        resources = document["static_resources"]
        resources["clusters"] += clusters
        given = resources.pop("listeners")[0]
        counting(resources["clusters"], stores["redis"])
        resources["listeners"] = []
        for name, store in stores.items():
            listener = copy.deepcopy(given)
            counting(listener, store)
            listener["name"] = name
            listener["address"]["socket_address"]["port_value"] = ports[name]
            resources["listeners"].append(listener)
        return yaml.safe_dump(document, sort_keys=False)

    return edit


class At:
    """One listener of a gateway as a test asks it."""

    def __init__(self, stack, port):
        self.stack = stack
        self.base_url = f"http://127.0.0.1:{port}/v1"
        self.admin_url, self.mock_url = stack.admin_url, stack.mock_url


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


class Service:
    """A rate limit service: Limitador's engine, or one that can give back."""

    def __init__(self, directory, *options):
        self.port, = config.free_ports(1)
        self.directory, self.options, self.starts = directory, options, 0

    def start(self):
        self.starts += 1
        self.log = self.directory / f"{self.starts}.log"
        program = config.ROOT / "target" / "debug" / "rls"
        self.process = start([str(program), f"127.0.0.1:{self.port}", *self.options, "few=1000/3600", "requests=3/3600"],
                             self.log)
        wait_for(lambda: b"listening" in self.log.read_bytes(), self.process, self.log, "the rate limit service")

    def stop(self):
        stop(self.process.pid, self.process)

    def counted(self, name, case):
        """What it has counted since it was started."""
        calls = [json.loads(line) for line in self.log.read_text().splitlines()[1:]]
        # Limitador does not count what it refuses.
        calls = [call for call in calls if self.options or not call["over"]]
        return sum(-one["hits"] if one["back"] else one["hits"] for call in calls for one in call["descriptors"]
                   if one["entries"] == [[name, case]])


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    """Limitador's, and one with refunds."""
    both = {"limitador": Service(tmp_path_factory.mktemp("limitador")),
            "refunds": Service(tmp_path_factory.mktemp("refunds"), "--refunds")}
    try:
        for service in both.values():
            service.start()
        yield both
    finally:
        for service in both.values():
            service.stop()


@pytest.fixture(scope="module")
def envoys(tmp_path_factory, redis, hook, services):
    """Two Envoys that share one Redis and the stand-ins; the first has other stores as well. The ports of its
    listeners, by store."""
    rls = {name: {"rls": {"upstream": name, "timeout_ms": TIMEOUT_MS, "flush_ms": 50, "refunds": name == "refunds",
                          "one_descriptor": name == "limitador"}} for name in services}
    shared = {"redis": {"upstream": "webdis", "timeout_ms": TIMEOUT_MS, "fail": "local", "local_share": 0.5,
                        "flush_ms": 50}}
    stores = {"redis": shared, "local": "local", **rls}
    clusters = [cluster("webdis", redis.http_port), cluster("hook", hook),
                *(http2(name, service.port) for name, service in services.items())]
    ports = dict(zip(config.PORTS, config.free_ports(len(config.PORTS))))
    listeners = {"redis": ports[config.LISTENER], **dict(zip(["local", *rls], config.free_ports(3)))}
    with Stack("bundle.yaml", directory=tmp_path_factory.mktemp("one"), ports=ports,
               edit=edited(stores, listeners, clusters)) as one:
        again = {**ports, **dict(zip((config.LISTENER, config.ADMIN), config.free_ports(2)))}
        with Stack("bundle.yaml", directory=tmp_path_factory.mktemp("two"), ports=again, mock=False,
                   edit=edited({"redis": shared}, {"redis": again[config.LISTENER]}, clusters)) as other:
            yield one, other, listeners


@pytest.fixture(scope="module")
def two(envoys):
    """Both, with their counts in Redis."""
    return [At(stack, stack.ports[config.LISTENER]) for stack in envoys[:2]]


@pytest.fixture(scope="module")
def local(envoys):
    """One of them, with its own counts."""
    return At(envoys[0], envoys[2]["local"])


def ask(stack, name, case, script, leave=False, **fields):
    """One streamed request: its status, its bytes and how long it took."""
    headers = {"authorization": f"Bearer {CLIENT_KEY}", "x-rule": name, "x-case": case,
               "x-mock-llm": json.dumps(script)}
    body = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "hello"}], **fields}
    begun, got = time.monotonic(), b""
    try:
        with httpx.stream("POST", stack.base_url + "/chat/completions", json=body, headers=headers,
                          timeout=60, verify=TLS) as answer:
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
    return httpx.get(url, headers=ADMIN, verify=TLS).json()


def until(seconds, check):
    """Waits until it holds; whether it did. It may not hold any more a moment later."""
    deadline = time.monotonic() + seconds
    while not (held := check()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return held


def idle(stack):
    """Whether no stand-in is answering any more."""
    records = httpx.get(f"{stack.mock_url('openai')}/_mock/requests", verify=TLS).json()
    return all(record["finished"] or record["disconnected"] or record["status"] is None
               or "cut" in json.dumps(dict(record["headers"]).get("x-mock-llm", "")) for record in records)


def metric(stack, name):
    text = httpx.get(f"{stack.admin_url}/stats?filter={name}", verify=TLS).text
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
    # In Redis it is what was reserved until the provider has ended.
    assert until(20, lambda: state(stack, "cut", "c")["used"] >= 150)
    assert ask(stack, "cut", "c", {"tokens": 5})[0] == 429


def test_a_model_of_a_provider_that_is_used_up_is_left_out_where_targets_are_chosen(local):
    def asked(provider):
        url = f"{local.mock_url(provider)}/_mock/requests"
        return len(httpx.get(url, params={"listener": provider}, verify=TLS).json())

    for model, target, after in [("best", "gpt-5", 200), ("gpt-4o", "gpt-4o", 429)]:
        before = asked("openai"), asked("anthropic")
        assert ask(local, "quota", "q", {"tokens": 10}, model=model)[0] == 200
        assert until(20, lambda target=target: state(local, "quota", target)["used"] == 10)
        # Another target, or none.
        assert ask(local, "quota", "q", {"tokens": 10}, model=model)[0] == after
        assert (asked("openai"), asked("anthropic")) == (before[0] + 1, before[1] + (after == 200))


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


def test_a_rate_limit_service_with_refunds_holds_under_concurrency_and_nothing_stays_reserved(envoys, services):
    stack, service = At(envoys[0], envoys[2]["refunds"]), services["refunds"]
    results = at_once([stack], "many")
    whole = sum(status == 200 and turn % 10 in range(3, 9) for turn, (status, _, _) in enumerate(results))
    assert any(status == 429 for status, _, _ in results) and 0 < whole <= 50
    settled = range(whole * 20, 1001)
    assert until(20, lambda: idle(stack) and service.counted("few", "many") in settled
                 and metric(stack, "ai_limit_settlements_waiting") == 0)
    left = (1000 - service.counted("few", "many")) // 20
    more = [ask(stack, "few", "many", {"tokens": 20}, max_completion_tokens=20)[0] for _ in range(left + 1)]
    assert more == [200] * left + [429]


def test_limitador_is_asked_before_and_charged_afterwards(envoys, services):
    stack, service = At(envoys[0], envoys[2]["limitador"]), services["limitador"]
    statuses = []
    while len(statuses) < 30 and 429 not in statuses:
        statuses.append(ask(stack, "few", "lim", {"tokens": 90}, max_completion_tokens=90)[0])
        assert until(20, lambda: service.counted("few", "lim") >= min(90 * statuses.count(200), 990))
        assert until(20, lambda: metric(stack, "ai_limit_settlements_waiting") == 0)
    # 11 of 90 and part of the 12th. Each that asks while that one is being charged takes one token of the
    # ten that were left.
    assert statuses[-1] == 429 and 12 <= statuses.count(200) <= 21, statuses
    assert 999 <= service.counted("few", "lim") <= 1000
    assert [ask(stack, "requests", "lim", {"tokens": 1})[0] for _ in range(5)] == [200] * 3 + [429] * 2


@pytest.mark.parametrize("which", ["limitador", "refunds"])
def test_what_was_used_while_a_rate_limit_service_was_away_is_told_when_it_is_back(envoys, services, which):
    stack, service = At(envoys[0], envoys[2][which]), services[which]
    service.stop()
    answers = [ask(stack, "few", "away", {"tokens": 7}, max_completion_tokens=10) for _ in range(4)]
    assert {status for status, _, _ in answers} == {200}
    assert max(first for _, _, first in answers) < TIMEOUT_MS / 1000 + 3
    service.start()
    assert until(30, lambda: service.counted("few", "away") == 4 * 7)
    assert metric(stack, "ai_limit_settlements_dropped_total") == 0


def test_what_was_used_and_foretold_outlives_redis_and_the_proxy(two, redis):
    gateway = two[1]
    # A week of 10 tokens an hour, as a proxy has left it two hours ago: what is known, then the hours.
    known = [168.0, 10.0, 0.0, 0.0] + [0.0] * (24 + 168)
    numbers = [int(time.time()) // 3600 - 2, 0, 0] + [struct.unpack("<I", struct.pack("<f", x))[0] for x in known]
    key = "ai:1:forecast.1:f:foretold:kept"
    redis.command("SET", key, ",".join(map(str, numbers)))

    rests = []

    def settled(seconds):
        """Waits until each answer of 5 tokens has been counted."""
        return until(seconds, lambda: state(gateway, "foretold", "kept").get("used") == 5 * len(rests))

    def rest():
        """What is foretold beside what was used, with one answer under way."""
        assert settled(10)
        headers = {"authorization": f"Bearer {CLIENT_KEY}", "x-rule": "foretold", "x-case": "kept",
                   "x-mock-llm": json.dumps({"tokens": 5})}
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
        answer = httpx.post(gateway.base_url + "/chat/completions", json=body, headers=headers, timeout=60,
                            verify=TLS)
        assert answer.status_code == 200, answer.text
        # It says nothing while Webdis has no connection to Redis yet.
        told = dict(part.split("=") for part in answer.headers.get("x-ai-forecast", "").split(";")[1:])
        rests.append(float(told.get("mean", "nan")) - 5 * len(rests))
        return rests[-1]

    def hour():
        return int(redis.command("GET", key).split(",")[0])

    # It moves on to this hour, and the next check of that worker brings it.
    before = rest()
    assert until(20, lambda: rest() and hour() >= numbers[0] + 2) and settled(10)
    stop(gateway.stack.processes["envoy"].pid, gateway.stack.processes["envoy"])
    redis.stop_redis()
    redis.start_redis()
    redis.wait()
    gateway.stack.start_gateway()
    assert settled(20)
    # The first answer foretells it; of a month that ends in less than an hour little is left.
    assert before > 0
    assert until(20, lambda: abs(rest() - before) <= 0.1 * before + 10)


@pytest.mark.parametrize("name", ["berlin", "own"])
def test_windows_of_a_time_zone_end_at_the_same_time_in_redis_and_in_the_proxy(two, local, name):
    ends = [time.time() + state(at, name, "z")["reset_seconds"] for at in (two[0], local)]
    assert abs(ends[0] - ends[1]) < 5 and ends[0] > time.time()
    if name == "berlin":
        berlin = zoneinfo.ZoneInfo("Europe/Berlin")
        end = datetime.fromtimestamp(ends[0] + 5, berlin)
        assert (end.day, end.hour, end.minute) == (1, 0, 0)


def test_days_begin_in_redis_where_the_time_zone_database_says(redis):
    def offsets(zone, second):
        """As the plugin tells the script: the first, then each second of three years at which another begins."""
        offset = lambda at: int(datetime.fromtimestamp(at, timezone.utc).astimezone(zone).utcoffset().total_seconds())
        begin = int(datetime(datetime.fromtimestamp(second, timezone.utc).year - 1, 1, 1, tzinfo=timezone.utc).timestamp())
        found = [offset(begin)]
        for moment in range(begin, begin + 3 * 366 * 86_400, 86_400):
            low, high = moment, moment + 86_400
            if offset(low) != offset(high):
                while high - low > 1:
                    middle = (low + high) // 2
                    low, high = (middle, high) if offset(middle) == offset(low) else (low, middle)
                found += [high, offset(high)]
        return found if len(found) > 1 else found[0]

    given = (PLUGIN / "src/store/limits.lua").read_text()
    script = given[given.index("local floor"):given.index("local function before")] + """
        local out = {}
        for _, r in ipairs(cjson.decode(ARGV[1])) do
          for _, length in ipairs({86400, -2}) do
            local from, to = window(r[1], length, r[2])
            out[#out + 1], out[#out + 2] = from, to
          end
        end
        return out"""
    rows = [row.split("\t") for row in (PLUGIN / "tests/zones.tsv").read_text().splitlines()]
    rows = [row for row in rows if row[0] in ("Europe/Berlin", "Africa/Cairo", "America/Santiago", "Asia/Kathmandu")]
    asked = [[second, offsets(zoneinfo.ZoneInfo(name), second)]
             for name, _, begin, end, _ in rows for second in (int(begin), int(end) - 1)]
    quoted = [urllib.parse.quote(part, safe="").replace(".", "%2E") for part in (script, json.dumps(asked))]
    body = f"EVAL/{quoted[0]}/0/{quoted[1]}"
    said = httpx.post(redis.url, content=body, verify=TLS).json()["EVAL"]
    found = [said[at:at + 4] for at in range(0, len(said), 4)]
    wanted = [(int(begin), int(end), int(month)) for _, _, begin, end, month in rows for _ in range(2)]
    assert len(wanted) > 40 and [(day, next_day, month) for day, next_day, month, _ in found] == wanted
