"""The cache in Envoy with real parts: Chroma, Redis behind Webdis, and all-MiniLM-L6-v2 as embedder.

One Envoy, whose listeners stand for gateways: each has a cache of its own, apart from the others' memory.
"""

import concurrent.futures
import json
import time

import anthropic
import httpx
import openai
import pytest
import yaml
from google import genai

from gateway import config
from gateway.chroma import Chroma
from gateway.embeddings import Server
from gateway.redis import Redis
from gateway.stack import KEYS, Stack

ADMIN = {"authorization": f"Bearer {KEYS['AI_ADMIN_KEY']}"}
TYPE = "type.googleapis.com/envoy.extensions.filters."
TIMEOUT_MS = 2000


def service(name, timeout_ms=TIMEOUT_MS):
    return {"upstream": name, "timeout_ms": timeout_ms}


EMBEDDER = {"kind": "openai", "model": "all-MiniLM-L6-v2", "service": service("embedder", 5000)}
COMMON = {"scope": "shared", "admin_key": "$env://AI_ADMIN_KEY"}
# As slow a store as is put up with, to see what comes of time-outs.
REDIS = {**COMMON, "redis": {"service": service("webdis", 300)}, "local": {"front_ttl": 1}}
GATEWAYS = {
    "memory": {**COMMON, "semantic": {"embedder": EMBEDDER}},
    "chroma": {**COMMON, "semantic": {"embedder": EMBEDDER,
                                      "store": {"kind": "chroma", "service": service("chroma")}}},
    "one": REDIS,
    "two": REDIS,
    "tools": {**COMMON, "cache": {"tools": True}},
    "stale": {**COMMON, "ttl": 1, "jitter": 0, "stale_if_error": 600},
    "mute": {**COMMON, "semantic": {"embedder": {**EMBEDDER, "service": service("nobody", 300)}}},
}


def listener(name, port):
    """A listener whose only plugin is the cache."""
    wasm = {
        "name": name, "allow_on_headers_stop_iteration": True,
        "vm_config": {"vm_id": name, "runtime": "envoy.wasm.runtime.v8",
                      "code": {"local": {"filename": "dist/semantic-cache-client.wasm"}},
                      "environment_variables": {"host_env_keys": ["AI_ADMIN_KEY"]}},
        "configuration": {"@type": "type.googleapis.com/google.protobuf.StringValue",
                          "value": json.dumps(GATEWAYS[name])}}
    router = {"@type": f"{TYPE}http.router.v3.Router"}
    providers = {"/v1/messages": "anthropic", "/v1beta/": "gemini", "/": "openai"}
    routes = [{"match": {"prefix": prefix}, "route": {"cluster": provider, "timeout": "60s"}}
              for prefix, provider in providers.items()]
    manager = {
        "@type": f"{TYPE}network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [
            {"name": "cache", "typed_config": {"@type": f"{TYPE}http.wasm.v3.Wasm", "config": wasm}},
            {"name": "router", "typed_config": router}]}
    return {"name": name, "address": address(port), "filter_chains": [
        {"filters": [{"name": "http", "typed_config": manager}]}]}


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def cluster(name, port):
    return {"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": {
        "cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(port)}}]}]}}


class Gateways:
    """The listeners, each by its name, and what is behind them."""

    def __init__(self, stack, ports, **parts):
        self.stack, self.ports, self.parts = stack, ports, parts
        # Making a client takes longer than a request.
        self.http = httpx.Client(timeout=60)

    def __getattr__(self, name):
        return self.parts[name]

    def ask(self, gateway, text, answer=None, stream=False, fails=None, headers=None, **fields):
        """Asks a question; the stand-in answers as told."""
        script = fails or {"text": answer or f"About: {text}"}
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], "stream": stream, **fields}
        headers = {"authorization": f"Bearer {KEYS['OPENAI_API_KEY']}",
                   "x-mock-llm": json.dumps(script), **(headers or {})}
        url = f"http://127.0.0.1:{self.ports[gateway]}/v1/chat/completions"
        return self.http.post(url, json=body, headers=headers)

    def purge(self, gateway, query):
        url = f"http://127.0.0.1:{self.ports[gateway]}/_ai/cache/purge?{query}"
        answer = self.http.post(url, headers=ADMIN)
        assert answer.status_code == 200, answer.text
        return answer.json()["removed"]


def verdict(answer):
    assert answer.status_code == 200, answer.text
    return answer.headers["x-ai-cache"]


def text(answer):
    return answer.json()["choices"][0]["message"]["content"]


def until(ready, seconds=15):
    """Waits for what happens after a request."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if ready():
                return True
        # Each of Webdis' connections finds its own way back to a Redis that was away.
        except OSError:
            pass
        time.sleep(0.05)
    return False


@pytest.fixture(scope="module")
def gateways(tmp_path_factory):
    ports = dict(zip(GATEWAYS, config.free_ports(len(GATEWAYS))))
    embedder = Server()
    with Chroma(tmp_path_factory.mktemp("chroma")) as chroma, \
            Redis(tmp_path_factory.mktemp("redis")) as redis:
        redis.wait()

        def edit(document):
            admin = yaml.safe_load(document)["admin"]
            stand_ins = {name: stack.ports[config.PROVIDERS[name]]
                         for name in ("openai", "anthropic", "gemini")}
            clusters = {**stand_ins, "embedder": embedder.port, "chroma": chroma.port,
                        "webdis": redis.http_port, "nobody": config.free_ports(1)[0]}
            return yaml.safe_dump({"admin": admin, "static_resources": {
                "listeners": [listener(*each) for each in ports.items()],
                "clusters": [cluster(*each) for each in clusters.items()]}})

        stack = Stack("full-chain.yaml", directory=tmp_path_factory.mktemp("stores"), edit=edit)
        with stack:
            yield Gateways(stack, ports, redis=redis, chroma=chroma, embedder=embedder)
            assert "panicked" not in stack.log and "quarterly" not in stack.log
    embedder.stop()


@pytest.mark.parametrize("name", ["memory", "chroma"])
def test_a_question_that_means_the_same_is_answered_from_the_cache(gateways, name):
    first = gateways.ask(name, "How do I write a quarterly report?")
    assert verdict(first) == "miss"
    if name == "chroma":
        assert until(lambda: len(gateways.chroma.points()) == 1)
    same = gateways.ask(name, "How can I write a quarterly report?", "a provider was asked")
    assert verdict(same) == "hit-semantic" and same.json() == first.json()
    assert 0.92 <= float(same.headers["x-ai-cache-similarity"]) <= 1.0
    streamed = gateways.ask(name, "How can I write a quarterly report?", stream=True)
    assert verdict(streamed) == "hit-semantic" and streamed.text.rstrip().endswith("data: [DONE]")

    other = [{"role": "system", "content": "Answer in French."},
             {"role": "user", "content": "How can I write a quarterly report?"}]
    for different in (
            lambda: gateways.ask(name, "How do I not write a quarterly report?"),
            lambda: gateways.ask(name, "Where do I write a quarterly report?"),
            lambda: gateways.ask(name, "", messages=other),
            lambda: gateways.ask(name, "How can I write a quarterly report?", temperature=0.5),
            lambda: gateways.ask(name, "How can I write a quarterly report?", model="gpt-4o-mini")):
        assert verdict(different()) == "miss"


def test_what_is_purged_leaves_chroma_too(gateways):
    def known():
        return len(gateways.chroma.points())

    gateways.purge("chroma", "all=true")
    assert until(lambda: known() == 0)
    for user in ("anna", "bert"):
        gateways.ask("chroma", "What does a kettle do?", user=user)
    assert until(lambda: known() == 2)
    gateways.purge("chroma", "user=anna")
    assert until(lambda: known() == 1)
    assert verdict(gateways.ask("chroma", "What would a kettle do?", user="bert")) == "hit-semantic"
    assert verdict(gateways.ask("chroma", "What would a kettle do?", user="anna")) == "miss"
    assert until(lambda: known() == 2)
    gateways.purge("chroma", "all=true")
    assert until(lambda: known() == 0)


@pytest.mark.parametrize("fails", [{"status": 500}, {"drop_connection": True}])
def test_an_old_answer_serves_while_the_provider_fails(gateways, fails):
    question = f"What helps against {fails}?"
    first = gateways.ask("stale", question)
    assert verdict(first) == "miss"
    assert gateways.ask("stale", "Another question?", fails=fails).status_code >= 500
    # A second later it is over, and of use only if there is nothing better.
    assert until(lambda: gateways.ask("stale", question, fails=fails).headers["x-ai-cache"] == "stale")
    old = gateways.ask("stale", question, fails=fails)
    assert verdict(old) == "stale" and old.json() == first.json() and int(old.headers["age"]) >= 1
    streamed = gateways.ask("stale", question, fails=fails, stream=True)
    assert verdict(streamed) == "stale" and streamed.headers["content-type"] == "text/event-stream"
    pieces = [json.loads(line[6:]) for line in streamed.text.splitlines() if line.startswith("data: {")]
    said = "".join(piece["choices"][0]["delta"].get("content", "") for piece in pieces if piece["choices"])
    assert said == text(first)
    fresh = gateways.ask("stale", question, "better")
    assert verdict(fresh) == "miss" and text(fresh) == "better"


TEXT = "Ein Gruß, 你好，\u2028\"so\"\\n\n" + "and on and on " * 60
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"],
          "additionalProperties": False}
SCRIPTS = {"text": {"text": TEXT},
           "tool": {"tool_calls": [{"name": "look", "arguments": {"a": "x \n\"y\" 你"}, "id": "call_1"}]}}


def chat(client, question, tools, stream):
    function = {"name": "look", "parameters": SCHEMA, "strict": True}
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": question}],
            **({"tools": [{"type": "function", "function": function}]} if tools else {})}
    if stream:
        with client.chat.completions.stream(**body) as events:
            for _ in events:
                pass
            choice = events.get_final_completion().choices[0]
    else:
        choice = client.chat.completions.create(**body).choices[0]
    said = choice.message
    calls = [(call.id, call.function.name, call.function.arguments) for call in said.tool_calls or []]
    return [choice.finish_reason, said.role, said.content, said.refusal, calls]


def responses(client, question, tools, stream):
    function = {"type": "function", "name": "look", "parameters": SCHEMA, "strict": True}
    body = {"model": "gpt-4o", "input": question, **({"tools": [function]} if tools else {})}
    if not stream:
        return [item.to_dict() for item in client.responses.create(**body).output]
    with client.responses.stream(**body) as events:
        for _ in events:
            pass
        items = [item.to_dict() for item in events.get_final_response().output]
    for item in items:
        item.pop("parsed_arguments", None)
        [part.pop("parsed", None) for part in item.get("content") or []]
    return items


def messages(client, question, tools, stream):
    body = {"model": "claude-haiku-4-5", "max_tokens": 4000,
            "messages": [{"role": "user", "content": question}],
            **({"tools": [{"name": "look", "input_schema": SCHEMA}]} if tools else {})}
    if not stream:
        message = client.messages.create(**body)
    else:
        with client.messages.stream(**body) as events:
            for _ in events:
                pass
            message = events.get_final_message()
    blocks = [block.to_dict() for block in message.content]
    for block in blocks:
        block.pop("parsed_output", None)
    return [blocks, message.stop_reason, message.usage.output_tokens]


def gemini(client, question, tools, stream):
    options = {"tools": [{"function_declarations": [
        {"name": "look", "parameters_json_schema": SCHEMA}]}],
        "automatic_function_calling": {"disable": True}} if tools else None
    asked = {"model": "gemini-2.5-flash", "contents": question, "config": options}
    answers = client.models.generate_content_stream(**asked) if stream else \
        [client.models.generate_content(**asked)]
    parts = [part for answer in answers for part in answer.candidates[0].content.parts or []]
    said = "".join(part.text or "" for part in parts)
    calls = [(part.function_call.name, part.function_call.args) for part in parts if part.function_call]
    return [said, calls]


def strings(value):
    """All texts in something."""
    if isinstance(value, str):
        return [value]
    children = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else []
    return [text for child in children for text in strings(child)]


@pytest.mark.parametrize("kept", ["whole", "streamed"])
@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("api", [chat, responses, messages, gemini], ids=lambda api: api.__name__)
def test_official_clients_get_the_same_whichever_way_it_was_kept(gateways, api, script, kept):
    root = f"http://127.0.0.1:{gateways.ports['tools']}"
    headers = {"x-mock-llm": json.dumps(SCRIPTS[script])}
    if api is messages:
        client = anthropic.Anthropic(base_url=root, api_key=KEYS["ANTHROPIC_API_KEY"], max_retries=0,
                                     default_headers=headers)
    elif api is gemini:
        client = genai.Client(api_key=KEYS["GEMINI_API_KEY"], http_options={"base_url": root, "headers": headers})
    else:
        client = openai.OpenAI(base_url=f"{root}/v1", api_key=KEYS["OPENAI_API_KEY"], max_retries=0,
                               default_headers=headers)
    mock = f"http://127.0.0.1:{gateways.stack.ports[config.PROVIDERS['openai']]}/_mock/requests"
    gateways.http.delete(mock)
    # Of each API its own: what one was answered serves the others.
    question = f"Which way was it {kept}, {api.__name__}?"
    orders = [False, True] if kept == "whole" else [True, False]
    whole, streamed = (api(client, question, script == "tool", stream) for stream in orders)
    assert whole == streamed
    assert any(("look" if script == "tool" else TEXT.strip()) in text for text in strings(whole))
    assert len(gateways.http.get(mock).json()) == 1


def test_clients_say_what_they_want(gateways):
    def asked(control, **fields):
        return gateways.ask("memory", "What do clients want?", headers={"cache-control": control}, **fields)

    assert asked("only-if-cached").status_code == 504
    assert verdict(asked("no-store")) == "bypass"
    assert asked("only-if-cached").status_code == 504
    assert verdict(asked("max-age=60")) == "miss" and verdict(asked("max-age=60")) == "hit-exact"
    assert verdict(asked("only-if-cached")) == "hit-exact"
    assert verdict(asked("no-cache", answer="anew")) == "miss" and text(asked("")) == "anew"
    wrong = gateways.ask("memory", "Hm?", headers={"x-ai-cache-ttl": "soon"})
    assert wrong.status_code == 400 and "x-ai-cache-ttl" in wrong.json()["error"]["message"]


def test_without_an_embedder_requests_go_on(gateways):
    for number in range(8):
        assert verdict(gateways.ask("mute", f"What is {number} for?")) == "miss"
    assert verdict(gateways.ask("mute", "What is 3 for?")) == "hit-exact"


def test_gateways_share_answers_in_redis(gateways):
    question = "What do two gateways share?"
    first = gateways.ask("one", question)
    assert until(lambda: len(gateways.redis.command("KEYS", "ai-cache:a:*")) == 1)
    second = gateways.ask("two", question, "a provider was asked")
    assert verdict(second) == "hit-exact" and second.json() == first.json()
    # What one removes, the other has for a second more at most.
    gateways.purge("one", "all=true")
    assert until(lambda: gateways.redis.command("KEYS", "ai-cache:*") == [])
    assert until(lambda: verdict(gateways.ask("two", question)) == "miss", 5)


def test_an_end_users_erasure_reaches_redis(gateways):
    names = [f"ai-cache:a:{gateways.ask('one', 'Who am I?', user=user).headers['x-ai-cache-id']}"
             for user in ("anna", "bert")]

    def there():
        return [gateways.redis.command("EXISTS", name) for name in names]

    assert until(lambda: there() == [1, 1])
    gateways.purge("one", "user=anna")
    assert until(lambda: there() == [0, 1])
    assert verdict(gateways.ask("two", "Who am I?", user="bert")) == "hit-exact"
    assert verdict(gateways.ask("two", "Who am I?", user="anna")) == "miss"


def test_no_one_gets_anothers_answer_when_redis_is_slow(gateways):
    """Webdis 0.1.9 can give the answer of a client that has given up to the next one."""
    questions = [f"What is thing {number}?" for number in range(40)]

    def all_at_once(name):
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            answers = pool.map(lambda question: gateways.ask(name, question), questions)
            assert [text(answer) for answer in answers] == [f"About: {each}" for each in questions]

    all_at_once("one")
    assert until(lambda: len(gateways.redis.command("KEYS", "ai-cache:a:*")) >= 40)
    for name in ("two", "one"):
        gateways.redis.freeze()
        try:
            all_at_once(name)
        finally:
            gateways.redis.freeze(False)
        for _ in range(3):
            all_at_once(name)
    gateways.redis.wait()


def test_a_stopped_redis_costs_no_answer(gateways):
    gateways.redis.stop_redis()
    try:
        for number in range(10):
            assert text(gateways.ask("one", f"What is lost {number}?")) == f"About: What is lost {number}?"
        # A purge waits for it.
        gateways.purge("one", "all=true")
    finally:
        gateways.redis.start_redis()
        gateways.redis.wait()
    assert until(lambda: gateways.redis.command("KEYS", "ai-cache:*") == [], 30)
