"""Model `best` is OpenAI's first; when that fails, Envoy's retry goes to Anthropic in its own form."""

import re

import pytest

FAILURES = {
    "overloaded": {"status": 503},
    "out of quota": {"status": 429, "retry_after": 30},
    "the gateway's key is refused": {"status": 401},
    "no answer": {"drop_connection": True},
    "an html page": {"status": 502, "raw_body": "<html>", "content_type": "text/html"},
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_the_next_provider_answers(fresh, ask, failure):
    answer = fresh.post(ask("best"), {"on": {"openai": failure}})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-ai-provider"] == "anthropic"
    assert answer.headers["x-ai-model"] == "claude-sonnet-4-5"
    assert answer.json()["object"] == "chat.completion"
    first, second = fresh.received("openai")[0], fresh.received("anthropic")[0]
    assert (first["path"], second["path"]) == ("/v1/chat/completions", "/v1/messages")
    # What the first attempt has set is gone.
    assert "authorization" not in dict(second["headers"])


def test_what_anthropics_clients_choose_in_headers_reaches_anthropic_alone(fresh):
    body = {"model": "best", "max_tokens": 99, "messages": [{"role": "user", "content": "hello"}]}
    chosen = {"anthropic-version": "2023-06-01", "anthropic-beta": "context-1m-2025-08-07"}
    answer = fresh.post(body, {"on": {"openai": {"status": 503}}}, path="/messages", headers=chosen)
    assert answer.status_code == 200 and answer.json()["type"] == "message", answer.text
    first, second = (dict(fresh.received(name)[0]["headers"]) for name in ("openai", "anthropic"))
    assert not chosen.keys() & first.keys()
    assert chosen.items() <= second.items()


def test_a_conversation_of_openais_goes_on_with_mistral(configured):
    def edit(text):
        # At the address that OpenAI's stand-in has.
        text = re.sub(r'"preset": "openai",(?!\s+"base_url")', '"preset": "openai", "base_url": "https://api.openai.com/v1",', text)
        return text.replace('"preset": "openai"', '"preset": "mistral"')

    gateway = configured(edit)
    call = {"id": "call_Cw3cTGpDVsJtlrvfrqsVAJcJ", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    messages = [
        {"role": "developer", "content": "Be short."},
        {"role": "user", "content": "secret-prompt: what time is it?"},
        # As OpenAI's SDK writes an answer down for the next request.
        {"role": "assistant", "content": None, "refusal": None, "annotations": [], "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call["id"], "content": "noon"},
    ]
    answer = gateway.client().chat.completions.with_raw_response.create(
        model="best", messages=messages, max_completion_tokens=50, user="u")
    assert answer.headers["x-ai-dropped"] == "user"
    assert answer.parse().choices[0].message.content
    body = gateway.received("openai")[0]["body"]
    sent = body.pop("messages")
    assert body.keys() == {"model", "max_tokens"} and body["max_tokens"] == 50
    assert [each["role"] for each in sent] == ["system", "user", "assistant", "tool"]
    assert sent[2].keys() == {"role", "content", "tool_calls"}
    name = sent[3]["tool_call_id"]
    assert sent[2]["tool_calls"][0]["id"] == name and len(name) == 9 and name.isalnum()


def test_a_streamed_request_fails_over_too(fresh, ask):
    client = fresh.client({"text": "here", "on": {"openai": {"status": 500}}})
    chunks = list(client.chat.completions.create(**ask("best"), stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "here"


def test_a_mistake_of_the_client_is_not_tried_again(fresh, ask):
    answer = fresh.post(ask("best", messages=[{"role": "nobody", "content": "hello"}]), {})
    assert answer.status_code == 400
    assert fresh.received("anthropic") == []


def test_when_all_fail_the_last_failure_is_told_in_the_clients_form(fresh, ask):
    answer = fresh.post(ask("best"), {"status": 529, "error_message": "Overloaded"})
    assert answer.status_code == 529
    assert "Overloaded" in answer.json()["error"]["message"]
    # Each target once: the rule has two, and says so to Envoy.
    assert len(fresh.received("openai")) == 1 and len(fresh.received("anthropic")) == 1


def test_a_providers_failure_is_told_in_the_clients_form(gateway, ask):
    script = {"status": 529, "error_message": "Overloaded", "retry_after": 7}
    answer = gateway.post(ask("fast"), script)
    assert (answer.status_code, answer.headers["retry-after"]) == (529, "7")
    error = answer.json()["error"]
    assert error["type"] == "service_unavailable_error"
    assert error["message"] == "provider `anthropic`: Overloaded"


def test_a_key_that_no_provider_takes_is_not_the_clients_fault(gateway, ask):
    answer = gateway.post(ask("fast"), {"status": 401, "error_message": "invalid x-api-key sk-ant"})
    assert answer.status_code == 502
    assert "refused the gateway's key" in answer.json()["error"]["message"]
    assert "sk-ant" not in answer.text


def test_nor_is_it_where_the_next_provider_cannot_be_reached(fresh, ask):
    script = {"on": {"openai": {"status": 401}, "anthropic": {"drop_connection": True}}}
    answer = fresh.post(ask("best"), script)
    assert answer.status_code == 503, answer.text
    assert "401" not in answer.json()["error"]["message"]
