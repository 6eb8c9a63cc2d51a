"""What is wrong is told in OpenAI's form, with the field and what to do."""

import re

import openai
import pytest



def error(answer, status):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()["error"]


def test_malformed_json(gateway):
    assert "not valid JSON" in error(gateway.post('{"model": "gpt-4o",'), 400)["message"]
    assert "not valid JSON" in error(gateway.post(""), 400)["message"]
    assert "UTF-8" in error(gateway.post(b'{"model": "\xff"}'), 400)["message"]


def test_a_field_given_twice(gateway):
    body = '{"model":"gpt-4o","model":"fast","messages":[]}'
    assert "duplicate field `model`" in error(gateway.post(body), 400)["message"]
    assert gateway.received("openai") == gateway.received("anthropic") == []


def test_missing_fields_are_named(gateway):
    assert error(gateway.post({"messages": []}), 400)["param"] == "model"
    assert error(gateway.post({"model": "fast"}), 400)["param"] == "messages"
    assert error(gateway.post({"model": "fast", "messages": []}), 400)["param"] == "messages"


def test_a_wrong_type_is_named_with_its_place(gateway):
    body = {"model": "fast", "messages": [{"role": "user", "content": "secret-prompt"},
                                          {"role": "user", "content": 7}]}
    found = error(gateway.post(body), 400)
    assert found["param"] == "messages[1].content"
    assert found["message"] == "messages[1].content: expected a string or an array, found a number"


def test_the_wrong_content_type(gateway, ask):
    answer = gateway.post(ask("fast"), headers={"content-type": "text/plain"})
    assert "content-type: application/json" in error(answer, 415)["message"]


def test_an_encoded_body(gateway, ask):
    answer = gateway.post(ask("fast"), headers={"content-encoding": "gzip"})
    assert "content-encoding" in error(answer, 415)["message"]


def test_an_unknown_model(gateway, ask):
    with pytest.raises(openai.NotFoundError) as caught:
        gateway.client().chat.completions.create(**ask("llama"))
    assert caught.value.code == "model_not_found"
    assert "best, fast" in str(caught.value)


def test_an_unknown_path_and_method(gateway, ask):
    assert error(gateway.post(ask("fast"), path="/nothing"), 404)["code"] == "unknown_path"
    assert error(gateway.http.get("/chat/completions"), 405)["message"] == "only POST is allowed here"


def test_a_body_over_the_limit(gateway):
    answer = gateway.post(b'{"model": "' + b"x" * (51 << 20) + b'"}')
    error(answer, 413)


def test_an_answer_that_makes_no_sense(gateway, ask):
    for script in ({"garbage": True}, {"truncate_json": True}, {"raw_body": "[]"},
                   {"raw_body": "<html>", "content_type": "text/html"}):
        answer = gateway.post(ask("fast"), script)
        assert "sent no readable answer" in error(answer, 502)["message"]


def test_a_connection_that_breaks_before_the_answer(gateway, ask):
    answer = gateway.post(ask("fast"), {"drop_connection": True})
    assert "no provider could be reached" in error(answer, 503)["message"]


def test_a_client_cannot_choose_the_cluster(gateway, ask):
    answer = gateway.post(ask("gpt-4o"), headers={"x-ai-cluster": "anthropic", "x-ai-facts": "{}"})
    assert answer.headers["x-ai-provider"] == "openai"
    # What the gateway answers by itself or not at all goes nowhere either.
    for path, status in (("/models", 200), ("/nothing/here", 404)):
        answer = gateway.http.get(path, headers={"x-ai-cluster": "anthropic"})
        assert answer.status_code == status, answer.text
    assert gateway.received("anthropic") == []


def test_a_provider_that_is_down(configured, ask):
    # Nobody listens on this port.
    gateway = configured(lambda text: re.sub(r"(name: anthropic\n[\s\S]*?port_value:) \d+", r"\1 1", text))
    answer = gateway.post(ask("fast"))
    assert "no provider could be reached" in error(answer, 503)["message"]
