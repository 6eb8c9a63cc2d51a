"""Every strategy of envoy-examples/routing.yaml in real Envoy with two workers; one Envoy for all."""

import collections
import concurrent.futures
import http.server
import json
import re
import threading
import time
import urllib.parse

import httpx
import pytest

from conftest import Gateway
from gateway import config
from gateway.stack import KEYS, Stack, stop

ADMIN = {"authorization": f"Bearer {KEYS['AI_ADMIN_KEY']}"}


class StandIns:
    """The servers that are no providers: one of vLLM's and one of SGLang's, a carbon service, a mirror."""

    def __init__(self):
        self.busy = {"vllm-0": (0, 0.0), "vllm-1": (0, 0.0)}
        self.chats = collections.Counter()
        self.intensity = 350
        self.mirrored = []
        self.servers = {}
        for name in ("vllm-0", "vllm-1", "grid", "mirror"):
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler(name))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.servers[name] = server

    def port(self, name):
        return self.servers[name].server_address[1]

    def answer(self, name, method, path, body):
        if name == "grid":
            assert path == "/carbon-intensity?zone=DE"
            return {"data": [{"intensity": self.intensity}]}
        if name == "mirror":
            self.mirrored.append((path, body))
            return {}
        if path == "/metrics":
            waiting, cache = self.busy[name]
            if name == "vllm-1":
                return (f"sglang:num_queue_reqs{{model_name=\"llama\"}} {waiting}\n"
                        f"sglang:token_usage{{model_name=\"llama\"}} {cache}\n")
            return (f"vllm:num_requests_waiting{{engine=\"0\"}} {waiting}\n"
                    f"vllm:kv_cache_usage_perc{{engine=\"0\"}} {cache}\n")
        self.chats[name] += 1
        return {"object": "chat.completion", "choices": [{"index": 0, "finish_reason": "stop",
                "message": {"role": "assistant", "content": name}}]}

    def handler(self, name):
        stand_ins = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def serve(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                answer = stand_ins.answer(name, self.command, self.path, body)
                text = isinstance(answer, str)
                data = (answer if text else json.dumps(answer)).encode()
                self.send_response(200)
                self.send_header("content-type", "text/plain" if text else "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = serve

            def log_message(self, *_):
                pass

        return Handler

    def stop(self):
        for server in self.servers.values():
            server.shutdown()


@pytest.fixture(scope="module")
def stand_ins():
    servers = StandIns()
    yield servers
    servers.stop()


@pytest.fixture(scope="module")
def started(stand_ins, tmp_path_factory):
    ports = dict(zip(config.PORTS, config.free_ports(len(config.PORTS))))
    # Redis and Webdis are real, see `Stack.start_redis`.
    more = {9011: "vllm-0", 9012: "vllm-1", 9021: "grid", 9031: "mirror"}
    ports |= {port: stand_ins.port(name) for port, name in more.items()}

    def edit(text):
        for port in (9011, 9012):
            text = text.replace(f'"127.0.0.1:{port}"', f'"127.0.0.1:{ports[port]}"')
        for usual, short in (("per_try_idle_timeout: 300s", "per_try_idle_timeout: 2s"),
                             (" idle_timeout: 600s", " idle_timeout: 6s")):
            assert usual in text
            text = text.replace(usual, short)
        return text

    with Stack("routing.yaml", directory=tmp_path_factory.mktemp("routing"), ports=ports,
               edit=edit) as stack:
        yield Gateway(stack)
        log = stack.log
    assert "panicked" not in log and "secret-prompt" not in log


@pytest.fixture
def gateway(started):
    started.reset()
    return started


def provider(answer):
    assert answer.status_code == 200, answer.text
    return answer.headers["x-ai-provider"]


def many(gateway, body, count, headers=None, script=None, threads=8):
    """The answers to so many requests over several connections, so that both workers get some."""
    headers = {**(headers or {}), **({"x-mock-llm": json.dumps(script)} if script else {})}

    def some(share):
        with httpx.Client(base_url=gateway.stack.base_url, timeout=60) as client:
            return [client.post("/chat/completions", json=body, headers=headers)
                    for _ in range(share)]

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return [answer for answers in pool.map(some, [count // threads] * threads)
                for answer in answers]


def until(met, seconds=30):
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_weights_are_kept_within_a_point(gateway, ask):
    counts = collections.Counter(map(provider, many(gateway, ask("shared"), 5000)))
    for name, share in (("openai", 60), ("anthropic", 30), ("gemini", 10)):
        assert abs(counts[name] / 50 - share) < 1, counts


def test_a_session_never_changes_its_target(gateway, ask):
    seen = set()
    for session in range(8):
        answers = many(gateway, ask("sticky"), 16, {"x-session": f"s{session}"})
        names = set(map(provider, answers))
        assert len(names) == 1
        seen |= names
    assert len(seen) == 2


FAILURES = {
    "503": {"status": 503},
    "429": {"status": 429, "retry_after": 1},
    "dropped": {"drop_connection": True},
    "stalls before its headers": {"latency_ms": 5000},
    "stalls before its first token": {"ttft_ms": 5000},
    "an error event": {"error_after_events": 0, "error_type": "overloaded_error"},
    "an end without a word": {"end_after_events": 0},
}


def heal(gateway, ask):
    """Lets what has failed before answer well, in both workers, so that it does not rest."""
    for name in ("anthropic", "gemini"):
        many(gateway, ask("in-order"), 16, {"x-ai-pin": name}, threads=16)
    until(lambda: {provider(a) for a in many(gateway, ask("in-order"), 8)} == {"gemini"})
    gateway.reset()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("failure", FAILURES)
def test_the_next_provider_answers_in_its_own_protocol(gateway, ask, failure, stream):
    if not stream and ("event" in failure or "word" in failure):
        pytest.skip("only streams have events")
    heal(gateway, ask)
    script = {"text": "here", "on": {"gemini": FAILURES[failure], "anthropic": FAILURES[failure]}}
    answer = gateway.post(ask("in-order", stream=stream), script)
    assert provider(answer) == "openai"
    assert "here" in answer.text and "error" not in answer.text
    if failure == "stalls before its headers":
        # The stand-in writes down what it answers, and this it never does.
        return
    asked = [gateway.received(name)[-1] for name in ("gemini", "anthropic", "openai")]
    assert asked[0]["path"].startswith("/v1beta/models/gemini-2.5-pro:")
    assert [attempt["path"] for attempt in asked[1:]] == ["/v1/messages", "/v1/chat/completions"]
    keys = [{name for name, _ in attempt["headers"]} &
            {"authorization", "x-api-key", "x-goog-api-key"} for attempt in asked]
    assert keys == [{"x-goog-api-key"}, {"x-api-key"}, {"authorization"}]
    assert "anthropic-version" not in {name for name, _ in asked[2]["headers"]}


def test_a_prompt_that_is_too_long_goes_to_the_model_that_is_there_for_it(gateway, ask):
    heal(gateway, ask)
    too_long = {"status": 400, "error_message": "The input token count exceeds the maximum number "
                                                "of tokens allowed"}
    answer = gateway.post(ask("in-order"), {"on": {"gemini": too_long}})
    assert provider(answer) == "openai"
    assert answer.headers["x-ai-model"] == "gpt-4.1-long"
    assert gateway.received("anthropic") == []
    answer = gateway.post(ask("in-order"), {"status": 400, "error_message": "bad temperature"})
    assert answer.status_code == 400
    assert gateway.received("anthropic") == []


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_answer_that_is_kept_back_goes_to_the_model_that_is_there_for_it(gateway, ask, stream):
    heal(gateway, ask)
    stopped = {"text": "", "finish_reason": "SAFETY"}
    answer = gateway.post(ask("in-order", stream=stream), {"text": "here", "on": {"gemini": stopped}})
    assert provider(answer) == "anthropic" and "here" in answer.text
    assert answer.headers["x-ai-model"] == "claude-haiku-4-5"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_all_attempts_together_have_a_limit(gateway, ask, stream):
    slow = {"on": {"openai": {"status": 503}, "anthropic": {"latency_ms": 60_000}}}
    answer = gateway.post(ask("limited", stream=stream), slow)
    assert answer.status_code == 504
    assert "took too long" in answer.json()["error"]["message"]


# Where a rule limits the time to the first token, the route's idle time is what ends it.
@pytest.mark.parametrize("rule, first", [("quota", "openai"), ("in-order", "gemini")])
def test_a_stream_that_falls_silent_is_ended_and_not_as_if_complete(gateway, ask, rule, first):
    if first == "gemini":
        heal(gateway, ask)
    script = {"text": "one two three four five", "on": {first: {"stall_after_events": 2}}}
    with pytest.raises(httpx.RemoteProtocolError):
        gateway.post(ask(rule, stream=True), script)


def test_traffic_goes_elsewhere_before_a_limit_is_reached(gateway, ask):
    told = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "5m"}
    script = {"on": {"openai": {"headers": told}}}
    until(lambda: {provider(a) for a in many(gateway, ask("quota"), 8, None, script)} == {"anthropic"})


def test_the_one_that_is_liked_is_asked(gateway, ask):
    for _ in range(3):
        answer = gateway.post(ask("liked"), headers={"x-ai-pin": "openai"})
        assert provider(answer) == "openai"
        vote = {"token": answer.headers["x-ai-feedback"], "score": 0}
        assert gateway.post(vote, path="/feedback").status_code == 202
    until(lambda: {provider(a) for a in many(gateway, ask("liked"), 8)} == {"anthropic"})


def test_a_mix_weighs_cost_and_carbon(gateway, ask):
    assert provider(gateway.post(ask("mixed"))) == "gemini"


def test_a_circuit_opens_in_both_workers_and_one_probe_closes_it(gateway, ask):
    broken = {"on": {"openai": {"status": 500}}}
    # Each failure is one of a worker's own, so that it takes some in both.
    many(gateway, ask("circuit"), 24, None, broken)
    gateway.reset()
    many(gateway, ask("circuit"), 24, None, broken)
    # A probe now and then, no more.
    assert len(gateway.received("openai")) <= 6
    until(lambda: all(provider(answer) == "openai" for answer in many(gateway, ask("circuit"), 8)),
          40)


def test_the_faster_one_is_found(gateway, ask):
    script = {"on": {"openai": {"latency_ms": 120}, "anthropic": {"latency_ms": 5}}}
    many(gateway, ask("fastest"), 16, None, script)
    answers = many(gateway, ask("fastest"), 40, None, script, threads=4)
    assert collections.Counter(map(provider, answers))["anthropic"] >= 32


def test_the_cheapest_is_found_by_the_table_of_models(gateway, ask):
    answer = gateway.post(ask("cheapest"), headers={"x-ai-debug": "1"})
    assert provider(answer) == "anthropic"
    decision = answer.headers["x-ai-decision"]
    assert "strategy=cheapest" in decision and "order=anthropic/claude-haiku" in decision
    pinned = gateway.post(ask("cheapest"), headers={"x-ai-pin": "gemini"})
    assert provider(pinned) == "gemini"


def test_the_cleanest_is_as_the_service_says(gateway, stand_ins, ask):
    assert provider(gateway.post(ask("cleanest"))) == "gemini"
    stand_ins.intensity = 3
    until(lambda: {provider(answer) for answer in many(gateway, ask("cleanest"), 8)} == {"anthropic"})


def test_the_local_model_answers_when_the_cloud_is_down(gateway, stand_ins, ask):
    answer = gateway.post(ask("offline"), {"on": {"openai": {"drop_connection": True}}})
    assert provider(answer) == "local"
    assert stand_ins.chats.total() >= 1


AUTO = {
    "What is the capital of France?": ("openai", "small"),
    "Fix this:\n```rust\nfn main() {}\n```": ("gemini", "large"),
    "word " * 600: ("anthropic", "medium"),
}


@pytest.mark.parametrize("text", AUTO, ids=["small", "code", "medium"])
def test_auto_takes_the_cheapest_that_is_good_enough(gateway, ask, text):
    name, tier = AUTO[text]
    answer = gateway.post(ask("auto", text), headers={"x-ai-debug": "1"})
    assert provider(answer) == name
    assert f"tier={tier}" in answer.headers["x-ai-decision"]


def test_the_less_busy_server_is_asked(gateway, stand_ins, ask):
    for busy in ("vllm-0", "vllm-1"):
        idle = "vllm-1" if busy == "vllm-0" else "vllm-0"
        stand_ins.busy = {busy: (50, 0.9), idle: (0, 0.1)}
        time.sleep(0.5)
        stand_ins.chats.clear()
        for answer in many(gateway, ask("busy"), 16):
            assert provider(answer) == "local"
        assert stand_ins.chats == {idle: 16}


def canaries(gateway, action="", method="GET"):
    root = gateway.stack.base_url.removesuffix("/v1")
    answer = httpx.request(method, f"{root}/_ai/canaries{action}", headers=ADMIN)
    assert answer.status_code == 200, answer.text
    return answer.json()


def canary(gateway):
    return canaries(gateway)["canaries"][0]


CANARY_KEY = "ai-proxy%3Acanary%3Anew"


def kept(gateway):
    """What Redis has of the canary."""
    url = f"http://127.0.0.1:{gateway.stack.ports[config.WEBDIS]}/GET/{CANARY_KEY}"
    return json.loads(httpx.get(url).json()["GET"] or "{}")


def keep(gateway, account):
    """As another gateway does it."""
    value = urllib.parse.quote(json.dumps(account), safe="").replace(".", "%2E")
    url = f"http://127.0.0.1:{gateway.stack.ports[config.WEBDIS]}/"
    assert httpx.post(url, content=f"SET/{CANARY_KEY}/{value}").json() == {"SET": [True, "OK"]}


def audit(gateway):
    """The lines on the canary: status, step and reason, with the approval in each."""
    text = (line.partition('{"')[1] + line.partition('{"')[2] for line in
            gateway.stack.log.splitlines() if '"event":"canary"' in line)
    lines = [json.JSONDecoder().raw_decode(line)[0] for line in text]
    for line in lines:
        assert line["approved_by"] == "jo@example.com", line
        assert line["evidence"] == "https://eval.example.com/42", line
    return [(line["status"], line["step"], line["reason"]) for line in lines]


def test_a_canary_is_rolled_back_and_the_store_remembers(gateway, ask):
    root = gateway.stack.base_url.removesuffix("/v1")
    assert httpx.get(f"{root}/_ai/canaries").status_code == 401
    script = {"on": {"anthropic": {"status": 500}}}
    answers = []
    for session in range(40):
        answers.append(gateway.post(ask("new"), script, headers={"x-session": f"c{session}"}))
    assert all(answer.status_code == 200 for answer in answers)
    # Some were sent to it, and others have answered.
    assert {answer.headers["x-ai-variant"] for answer in answers} == {"new=stable"}
    assert canary(gateway)["status"] == "aborted"
    assert 1 <= len(gateway.received("anthropic")) <= 6
    assert audit(gateway) == [("aborted", 0, "it fails more often")]
    until(lambda: kept(gateway).get("status") == "aborted")
    # Another gateway has promoted it.
    account = kept(gateway)
    keep(gateway, account | {"status": "promoted", "since": account["since"] + 1})
    until(lambda: canary(gateway)["status"] == "promoted")
    assert provider(gateway.post(ask("new"))) == "anthropic"
    assert canaries(gateway, "/abort?route=new", "POST")["percent"] == 0
    assert provider(gateway.post(ask("new"))) == "openai"
    assert canaries(gateway, "/promote?route=new", "POST")["percent"] == 100
    assert provider(gateway.post(ask("new"))) == "anthropic"
    assert canaries(gateway, "/abort?route=new", "POST")["percent"] == 0
    assert audit(gateway)[1:] == [("promoted", 0, "taken over from the store"), ("aborted", 0, "by hand"),
                                  ("promoted", 0, "by hand"), ("aborted", 0, "by hand")]


def test_copies_go_to_a_target_that_lacks_an_approval_and_are_compared(gateway, ask):
    script = {"tool_calls": [{"name": "get_weather", "arguments": {"city": "Paris"}}]}
    tools = [{"type": "function", "function": {"name": "get_weather",
              "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]
    for stream in (False, True):
        answer = gateway.post(ask("tried", stream=stream, tools=tools), script)
        assert provider(answer) == "openai"
    until(lambda: len(gateway.received("anthropic")) == 2)
    copy = gateway.received("anthropic")[0]
    assert copy["path"] == "/v1/messages"
    assert copy["body"]["tools"][0]["name"] == "get_weather"

    def stat(name):
        text = httpx.get(f"{gateway.stack.admin_url}/stats/prometheus").text
        found = {}
        for line in text.splitlines():
            if line.startswith(name + "{"):
                labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
                assert labels["route"] == "tried"
                found[labels["what"], labels.get("kind") or labels["result"]] = int(line.split()[-1])
        return found

    until(lambda: stat("ai_shadow_compared_total").get(("success", "same")) == 2)
    # The copy does not carry the script's header, so that the stand-in answers in words.
    compared = stat("ai_shadow_compared_total")
    assert compared["finish", "different"] == 2 and compared["tools", "different"] == 2
    assert compared["refusal", "same"] == 2
    total = stat("ai_shadow_total")
    assert total["answers", "primary"] == 2 and total["answers", "shadow"] == 2
    assert total["tool_calls", "primary"] == 2 and ("tool_calls", "shadow") not in total
    assert total["nano_usd", "primary"] > 0 and total["nano_usd", "shadow"] > 0


def test_envoys_mirror_gets_the_body_as_it_was_sent(gateway, stand_ins, ask):
    root = gateway.stack.base_url.removesuffix("/v1")
    body = ask("shared")
    answer = httpx.post(f"{root}/mirrored/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    until(lambda: stand_ins.mirrored)
    assert json.loads(stand_ins.mirrored[-1][1]) == body


def test_a_variant_is_kept_told_and_voted_on_once(gateway, ask):
    seen = collections.defaultdict(set)
    for session in range(12):
        for _ in range(3):
            answer = gateway.post(ask("tone"), headers={"x-session": f"t{session}"})
            seen[session].add(answer.headers["x-ai-variant"])
    assert all(len(variants) == 1 for variants in seen.values())
    assert set.union(*seen.values()) == {"tone=warm", "tone=cool"}
    vote = {"token": answer.headers["x-ai-feedback"], "score": 1}
    assert gateway.post(vote, path="/feedback").status_code == 202
    again = gateway.post(vote, path="/feedback")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "already_voted")


def test_messages_are_added_and_templates_filled(gateway, ask):
    assert provider(gateway.post(ask("kind"))) == "openai"
    sent = gateway.received("openai")[-1]["body"]
    assert sent["messages"][0] == {"role": "system", "content": "Be kind."}
    answer = gateway.post(ask("kind", template={"name": "translate",
                                                "variables": {"language": "Latin"}}))
    assert provider(answer) == "openai"
    sent = gateway.received("openai")[-1]["body"]
    assert [message["content"] for message in sent["messages"]] == [
        "Be kind.", "Translate what follows to Latin.", "secret-prompt: hello"]
    assert "template" not in sent


def test_where_a_request_may_not_go_is_told(gateway, ask):
    answer = gateway.post(ask("in-the-eu"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "region_not_allowed")


def restart(gateway):
    """Ends Envoy and starts it anew, with nothing but what is kept elsewhere."""
    process = gateway.stack.processes.pop("envoy")
    stop(process.pid, process)
    log = gateway.stack.log
    assert "panicked" not in log and "secret-prompt" not in log
    gateway.stack.start_envoy(gateway.stack.example, "gateway", config.ADMIN)


# The last one, as it costs an Envoy.
def test_a_canary_goes_step_by_step_and_a_restart_does_not_lose_the_step(gateway, ask):
    assert canaries(gateway, "/resume?route=new", "POST")["percent"] == 50
    told = len(audit(gateway))
    variants = collections.defaultdict(list)

    def some():
        for session in range(24):
            # Far enough apart that a busy machine does not take the new one for the slower one.
            script = {"on": {"openai": {"latency_ms": 60}, "anthropic": {"latency_ms": 5}}}
            answer = gateway.post(ask("new"), script, headers={"x-session": f"d{session}",
                                                               "connection": "close"})
            variants[session].append(answer.headers["x-ai-variant"])
        return canary(gateway)

    some()
    assert {v for seen in variants.values() for v in seen} == {"new=canary", "new=stable"}
    until(lambda: some()["step"] >= 1, 60)
    paused = canaries(gateway, "/pause?route=new", "POST")
    assert paused["status"] == "paused" and paused["percent"] == 100
    # Who was sent there once has stayed, while the share grew.
    assert all(seen == sorted(seen, reverse=True) for seen in variants.values()), variants
    lines = audit(gateway)[told:]
    assert lines[0] == ("running", 1, "it is no worse than the others")
    assert lines[-1] == ("paused", paused["step"], "by hand") and len(lines) <= 3
    until(lambda: kept(gateway).get("status") == "paused")

    restart(gateway)
    until(lambda: canary(gateway)["status"] == "paused", 60)
    assert (canary(gateway)["step"], canary(gateway)["percent"]) == (paused["step"], 100)
    until(lambda: {provider(a) for a in many(gateway, ask("new"), 8)} == {"anthropic"}, 60)
    assert audit(gateway) == [("paused", paused["step"], "taken over from the store")]
    canaries(gateway, "/resume?route=new", "POST")
    until(lambda: some()["status"] == "promoted", 60)
    assert [line[0] for line in audit(gateway)][1:] == ["running", "promoted"]
    until(lambda: kept(gateway).get("status") == "promoted")
