"""The cache in Envoy: the examples as they are shipped."""

import concurrent.futures
import json

import anthropic
import httpx
import pytest
from google import genai

from gateway.stack import CLIENT_KEY, KEYS

ADMIN = {"authorization": f"Bearer {KEYS['AI_ADMIN_KEY']}"}


@pytest.fixture(scope="module")
def cached(configured):
    """A gateway whose cache is on, as shipped."""
    return configured(cache=True)


@pytest.fixture
def gateway(cached):
    cached.reset()
    assert purge(cached, "all=true").status_code == 200
    return cached


def purge(gateway, query, headers=ADMIN):
    """Asks the cache to forget."""
    url = gateway.stack.base_url.removesuffix("/v1") + f"/_ai/cache/purge?{query}"
    return httpx.post(url, headers=headers, timeout=60)


def verdict(answer):
    return answer.headers["x-ai-cache"]


def test_an_equal_request_is_answered_without_the_provider(gateway, ask):
    first = gateway.post(ask("gpt-4o"))
    second = gateway.post(ask("gpt-4o"))
    assert (verdict(first), verdict(second)) == ("miss", "hit-exact")
    assert second.json() == first.json() and int(second.headers["age"]) >= 0
    assert len(gateway.received("openai")) == 1
    assert verdict(gateway.post(ask("gpt-4o", "secret-prompt: something else"))) == "miss"
    assert verdict(gateway.post(ask("gpt-4o", temperature=0.3))) == "miss"


def test_who_asks_for_a_stream_gets_one_whichever_way_it_came(gateway, ask):
    client = gateway.client()
    whole = client.chat.completions.create(**ask("gpt-4o")).choices[0].message.content
    with client.chat.completions.stream(**ask("gpt-4o")) as stream:
        assert stream.get_final_completion().choices[0].message.content == whole
    with client.chat.completions.stream(**ask("gpt-4o", "secret-prompt: again")) as stream:
        streamed = stream.get_final_completion().choices[0].message.content
    again = client.chat.completions.create(**ask("gpt-4o", "secret-prompt: again"))
    assert again.choices[0].message.content == streamed
    assert len(gateway.received("openai")) == 2


class Apis:
    """The same question by each official client: what it is told, whole or as a stream."""

    def __init__(self, gateway):
        root = gateway.stack.base_url.removesuffix("/v1")
        self.openai = gateway.client()
        self.claude = anthropic.Anthropic(base_url=root, api_key=CLIENT_KEY, max_retries=0)
        self.google = genai.Client(api_key=CLIENT_KEY, http_options={"base_url": root})

    def chat(self, model, text, stream):
        asked = {"model": model, "max_tokens": 50, "messages": [{"role": "system", "content": "Be brief."},
                                                                {"role": "user", "content": text}]}
        if not stream:
            return self.openai.chat.completions.create(**asked).choices[0].message.content
        with self.openai.chat.completions.stream(**asked) as events:
            return events.get_final_completion().choices[0].message.content

    def completions(self, model, text, stream):
        asked = {"model": model, "prompt": text}
        if not stream:
            return self.openai.completions.create(**asked).choices[0].text
        chunks = self.openai.completions.create(**asked, stream=True)
        return "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)

    def responses(self, model, text, stream):
        asked = {"model": model, "max_output_tokens": 50, "instructions": "Be brief.", "input": text}
        if not stream:
            answer = self.openai.responses.create(**asked)
        else:
            with self.openai.responses.stream(**asked) as events:
                said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
                answer = events.get_final_response()
            assert answer.output_text == said
        assert answer.status == "completed"
        return answer.output_text

    def messages(self, model, text, stream):
        asked = {"model": model, "max_tokens": 50, "system": "Be brief.",
                 "messages": [{"role": "user", "content": text}]}
        if not stream:
            answer = self.claude.messages.create(**asked)
        else:
            with self.claude.messages.stream(**asked) as events:
                answer = events.get_final_message()
        assert answer.stop_reason == "end_turn" and answer.usage.output_tokens > 0
        return answer.content[0].text

    def gemini(self, model, text, stream):
        asked = {"model": model, "contents": text,
                 "config": {"max_output_tokens": 50, "system_instruction": "Be brief."}}
        if not stream:
            return self.google.models.generate_content(**asked).text
        return "".join(piece.text or "" for piece in self.google.models.generate_content_stream(**asked))


# Each with a model of a provider that speaks it, or that it is translated for.
OWN = {"chat": "gpt-4o", "completions": "gpt-4o", "responses": "gpt-4o", "messages": "claude-haiku-4-5",
       "gemini": "gemini-2.5-flash"}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("api", OWN)
def test_official_clients_take_what_is_replayed(gateway, api, streamed):
    """Whichever way it came first."""
    ask = getattr(Apis(gateway), api)
    first = ask(OWN[api], "secret-prompt: hello", stream=streamed)
    assert first
    assert [ask(OWN[api], "secret-prompt: hello", stream=stream) for stream in (False, True)] == [first, first]
    assert len(gateway.received()) == 1


# As many came first whole as as a stream.
@pytest.mark.parametrize(("first", "streamed"), [
    ("chat", True), ("responses", False), ("messages", True), ("gemini", False)],
    ids=["chat-stream", "responses-whole", "messages-stream", "gemini-whole"])
def test_official_clients_take_what_came_through_another_api(gateway, first, streamed):
    apis = Apis(gateway)
    text = f"secret-prompt: question of {first}"
    answer = getattr(apis, first)("gpt-4o", text, stream=streamed)
    assert answer
    for api in ("chat", "responses", "messages", "gemini"):
        told = [getattr(apis, api)("gpt-4o", text, stream=stream) for stream in (False, True)]
        assert told == [answer, answer], api
    # Whoever asked first, the provider was asked once.
    assert len(gateway.received()) == 1


def test_a_hundred_equal_requests_are_one_for_the_provider(gateway, ask):
    # That the same was asked, kept and purged just before changes nothing.
    gateway.post(ask("gpt-4o"))
    purge(gateway, "all=true")
    gateway.reset()
    script = {"text": "once", "latency_ms": 500}
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda _: gateway.post(ask("gpt-4o"), script), range(100)))
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["choices"][0]["message"]["content"] for answer in answers} == {"once"}
    assert len(gateway.received("openai")) == 1


def test_what_may_not_be_kept_is_not(gateway, ask):
    for script in ({"text": "cut", "finish_reason": "length"}, {"status": 500}):
        gateway.post(ask("gpt-4o"), script)
        assert verdict(gateway.post(ask("gpt-4o"), {"text": "cut", "finish_reason": "length"})) != "hit-exact"


def test_masked_requests_share_nothing_personal(gateway, ask):
    answer = gateway.post(ask("gpt-4o", "Write to anna.k@example.com"), {"text": "Dear [EMAIL_1]"})
    assert "anna.k@example.com" in answer.text
    other = gateway.post(ask("gpt-4o", "Write to bert@example.com"), {"text": "Dear [EMAIL_1]"})
    assert "anna" not in other.text and "bert@example.com" in other.text


def test_purges_need_the_admin_key(gateway, ask):
    gateway.post(ask("gpt-4o"))
    assert purge(gateway, "all=true", headers={}).status_code == 401
    assert verdict(gateway.post(ask("gpt-4o"))) == "hit-exact"
    assert purge(gateway, "consumer=demo").json() == {"removed": 1}
    assert verdict(gateway.post(ask("gpt-4o"))) == "miss"


def test_savings_are_counted(gateway, ask):
    for _ in range(2):
        gateway.post(ask("gpt-4o"))
    stats = gateway.control.get(f"{gateway.stack.admin_url}/stats").text
    assert "ai_cache_saved_tokens_total" in stats and "ai_cache_lookup_us" in stats
