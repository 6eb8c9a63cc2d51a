"""Streams, however they are cut and wherever they end."""

import json
import threading
import time

import httpx
import openai
import pytest

MODELS = ["gpt-4o", "claude-haiku-4-5"]


def content(chunks):
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("every", [1, 2, 7, 61])
def test_events_cut_at_any_byte(gateway, ask, model, every):
    script = {"text": "Grüße 😀 an \"alle\"", "split": {"every": every}, "split_ms": 1,
              "crlf": every % 2 == 1, "comments": True}
    chunks = gateway.client(script).chat.completions.create(**ask(model), stream=True)
    assert content(chunks) == "Grüße 😀 an \"alle\""


@pytest.mark.parametrize("model", MODELS)
def test_an_event_is_passed_on_before_the_next_one_comes(gateway, ask, model):
    # The provider stops after a few events, for longer than the client waits.
    script = {"text": "one two three four", "stall_after_events": 4, "stall_ms": 60_000}
    body = ask(model, stream=True)
    headers = {"x-mock-llm": json.dumps(script), "content-type": "application/json"}
    seen = ""
    with gateway.http.stream("POST", "/chat/completions", json=body, headers=headers,
                             timeout=httpx.Timeout(30, read=3)) as answer:
        with pytest.raises(httpx.ReadTimeout):
            for text in answer.iter_text():
                seen += text
    assert "one" in seen and "[DONE]" not in seen


@pytest.mark.parametrize("model", MODELS)
def test_a_client_that_leaves_ends_the_providers_stream(gateway, ask, model):
    script = {"tokens": 5000, "tokens_per_second": 50}
    headers = {"x-mock-llm": json.dumps(script), "content-type": "application/json"}
    with gateway.http.stream("POST", "/chat/completions", json=ask(model, stream=True),
                             headers=headers) as answer:
        next(answer.iter_text())
    provider = "openai" if model == "gpt-4o" else "anthropic"
    for _ in range(100):
        if gateway.received(provider)[0]["disconnected"]:
            return
        time.sleep(0.1)
    pytest.fail("the provider was never told")


def test_a_stream_that_ends_too_early_is_an_error(gateway, ask):
    client = gateway.client({"text": "one two three", "end_after_events": 5})
    stream = client.chat.completions.create(**ask("fast"), stream=True)
    with pytest.raises(openai.APIError, match="broke off"):
        list(stream)


def test_an_error_in_a_stream_is_told_in_the_clients_form(gateway, ask):
    script = {"text": "one two three", "error_after_events": 5, "error_type": "overloaded_error",
              "error_message": "Overloaded"}
    stream = gateway.client(script).chat.completions.create(**ask("fast"), stream=True)
    with pytest.raises(openai.APIError, match="Overloaded"):
        list(stream)


@pytest.mark.parametrize("model", MODELS)
def test_a_connection_that_breaks_in_a_stream_does_not_look_complete(gateway, ask, model):
    script = {"text": "one two three", "cut_after_events": 4}
    with pytest.raises((openai.APIError, httpx.RemoteProtocolError)):
        list(gateway.client(script).chat.completions.create(**ask(model), stream=True))
    # The gateway is none the worse.
    assert gateway.post(ask(model)).status_code == 200


def test_an_unreadable_event_ends_the_stream_with_an_error(gateway, ask):
    script = {"text": "one two three", "garbage": True}
    # It is the second one; nothing has been said by then, so that the answer is an error as a whole.
    with pytest.raises(openai.APIError):
        list(gateway.client(script).chat.completions.create(**ask("fast"), stream=True))


def test_streams_side_by_side_do_not_mix(gateway, ask):
    failures = []

    def one(number):
        text = f"number {number} " * 20
        model = MODELS[number % 2]
        script = {"text": text, "split": {"every": 40}}
        chunks = gateway.client(script).chat.completions.create(**ask(model), stream=True)
        if content(chunks) != text:
            failures.append(number)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
