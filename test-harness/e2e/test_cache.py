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


def test_official_clients_take_what_is_replayed(gateway):
    root = gateway.stack.base_url.removesuffix("/v1")
    claude = anthropic.Anthropic(base_url=root, api_key=CLIENT_KEY, max_retries=0)
    message = {"model": "claude-haiku-4-5", "max_tokens": 50,
               "messages": [{"role": "user", "content": "secret-prompt: hello"}]}
    whole = claude.messages.create(**message).content[0].text
    with claude.messages.stream(**message) as stream:
        assert stream.get_final_message().content[0].text == whole
    assert len(gateway.received("anthropic")) == 1

    openai = gateway.client()
    question = {"model": "gpt-4o", "input": "secret-prompt: hello"}
    whole = openai.responses.create(**question).output_text
    with openai.responses.stream(**question) as stream:
        for _ in stream:
            pass
        assert stream.get_final_response().output_text == whole
    assert len(gateway.received("openai")) == 1

    old = {"model": "gpt-4o", "prompt": "secret-prompt: hello"}
    whole = openai.completions.create(**old).choices[0].text
    chunks = list(openai.completions.create(**old, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == whole != ""
    assert len(gateway.received("openai")) == 2

    google = genai.Client(api_key=CLIENT_KEY, http_options={"base_url": root})
    question = {"model": "gemini-2.5-flash", "contents": "secret-prompt: hello"}
    whole = google.models.generate_content(**question).text
    pieces = [piece.text or "" for piece in google.models.generate_content_stream(**question)]
    assert "".join(pieces) == whole
    assert len(gateway.received("gemini")) == 1


def test_official_clients_take_what_came_through_another_api(gateway):
    root = gateway.stack.base_url.removesuffix("/v1")
    chat = gateway.client()
    claude = anthropic.Anthropic(base_url=root, api_key=CLIENT_KEY, max_retries=0)
    google = genai.Client(api_key=CLIENT_KEY, http_options={"base_url": root})
    usual = {"model": "gpt-4o"}

    def by_chat(text, stream):
        asked = {**usual, "max_tokens": 50, "messages": [{"role": "system", "content": "Be brief."},
                                                         {"role": "user", "content": text}]}
        if not stream:
            return chat.chat.completions.create(**asked).choices[0].message.content
        with chat.chat.completions.stream(**asked) as events:
            return events.get_final_completion().choices[0].message.content

    def by_responses(text, stream):
        asked = {**usual, "max_output_tokens": 50, "instructions": "Be brief.", "input": text}
        if not stream:
            return chat.responses.create(**asked).output_text
        with chat.responses.stream(**asked) as events:
            return "".join(event.delta for event in events
                           if event.type == "response.output_text.delta")

    def by_messages(text, stream):
        asked = {**usual, "max_tokens": 50, "system": "Be brief.",
                 "messages": [{"role": "user", "content": text}]}
        if not stream:
            return claude.messages.create(**asked).content[0].text
        with claude.messages.stream(**asked) as events:
            return events.get_final_message().content[0].text

    def by_gemini(text, stream):
        asked = {"model": "gpt-4o", "contents": text,
                 "config": {"max_output_tokens": 50, "system_instruction": "Be brief."}}
        if not stream:
            return google.models.generate_content(**asked).text
        return "".join(piece.text or "" for piece in google.models.generate_content_stream(**asked))

    apis = [by_chat, by_responses, by_messages, by_gemini]
    for number, first in enumerate(apis):
        text = f"secret-prompt: question {number}"
        answer = first(text, stream=number % 2 == 0)
        assert answer
        for api in apis:
            assert [api(text, stream) for stream in (False, True)] == [answer, answer]
    # Whoever asked first, the provider was asked once.
    assert len(gateway.received()) == len(apis)


def test_official_clients_take_whole_what_came_as_a_stream(gateway):
    root = gateway.stack.base_url.removesuffix("/v1")
    claude = anthropic.Anthropic(base_url=root, api_key=CLIENT_KEY, max_retries=0)
    message = {"model": "claude-haiku-4-5", "max_tokens": 50,
               "messages": [{"role": "user", "content": "secret-prompt: streamed"}]}
    with claude.messages.stream(**message) as stream:
        first = stream.get_final_message()
    again = claude.messages.create(**message)
    assert again.content[0].text == first.content[0].text != ""
    assert (again.stop_reason, again.usage.output_tokens) == ("end_turn", first.usage.output_tokens)
    assert len(gateway.received("anthropic")) == 1

    openai = gateway.client()
    question = {"model": "gpt-4o", "input": "secret-prompt: streamed"}
    with openai.responses.stream(**question) as stream:
        for _ in stream:
            pass
        first = stream.get_final_response()
    again = openai.responses.create(**question)
    assert again.output_text == first.output_text != "" and again.status == "completed"
    assert len(gateway.received("openai")) == 1

    old = {"model": "gpt-4o", "prompt": "secret-prompt: streamed"}
    chunks = list(openai.completions.create(**old, stream=True))
    text = "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)
    assert openai.completions.create(**old).choices[0].text == text != ""
    assert len(gateway.received("openai")) == 2

    google = genai.Client(api_key=CLIENT_KEY, http_options={"base_url": root})
    question = {"model": "gemini-2.5-flash", "contents": "secret-prompt: streamed"}
    pieces = [piece.text or "" for piece in google.models.generate_content_stream(**question)]
    assert google.models.generate_content(**question).text == "".join(pieces) != ""
    assert len(gateway.received("gemini")) == 1


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
