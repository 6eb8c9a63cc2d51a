"""Chat completions with OpenAI's own client, to a provider of its protocol and to one of another."""

import base64
import json

import pytest

from gateway.stack import CLIENT_KEY

MODELS = ["gpt-4o", "claude-haiku-4-5"]
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


@pytest.mark.parametrize("model", MODELS)
def test_a_plain_answer(gateway, ask, model):
    answer = gateway.client({"text": "It is \"7°\" 😀\n"}).chat.completions.create(**ask(model))
    choice = answer.choices[0]
    assert choice.message.content == "It is \"7°\" 😀\n"
    assert (choice.finish_reason, choice.message.role) == ("stop", "assistant")
    assert answer.object == "chat.completion" and answer.model == model
    usage = answer.usage
    assert usage.prompt_tokens > 0 and usage.completion_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


@pytest.mark.parametrize("model", MODELS)
def test_a_streamed_answer(gateway, ask, model):
    script = {"text": "one two three \"four\" 😀", "crlf": True, "comments": True}
    stream = gateway.client(script).chat.completions.create(
        **ask(model), stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "one two three \"four\" 😀"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens > 0
    assert all(c.usage is None for c in chunks[:-1])


def test_usage_is_sent_only_to_who_asks(gateway, ask):
    chunks = list(gateway.client().chat.completions.create(**ask("fast"), stream=True))
    assert all(c.usage is None and c.choices for c in chunks)


@pytest.mark.parametrize("model", MODELS)
def test_tools_and_their_results(gateway, ask, model):
    calls = [{"name": "weather", "arguments": {"city": "Köln"}, "id": "toolu_1"},
             {"name": "weather", "arguments": {}, "id": "toolu_2"}]
    client = gateway.client({"tool_calls": calls})
    body = ask(model, tools=[TOOL], tool_choice="required")
    message = client.chat.completions.create(**body).choices[0].message
    assert [json.loads(c.function.arguments) for c in message.tool_calls] == [{"city": "Köln"}, {}]
    assert [c.id for c in message.tool_calls] == ["toolu_1", "toolu_2"]

    body["messages"] += [message.model_dump(exclude_none=True, exclude={"annotations"})] + [
        {"role": "tool", "tool_call_id": c.id, "content": "rain"} for c in message.tool_calls]
    del body["tool_choice"]
    answer = gateway.client({"text": "It rains."}).chat.completions.create(**body)
    assert answer.choices[0].message.content == "It rains."


@pytest.mark.parametrize("model", MODELS)
def test_streamed_tools(gateway, ask, model):
    calls = [{"name": "weather", "arguments": {"city": "Köln"}, "id": "toolu_1"},
             {"name": "clock", "arguments": {}, "id": "toolu_2"}]
    stream = gateway.client({"text": "Let me see.", "tool_calls": calls}).chat.completions.create(
        **ask(model), tools=[TOOL], stream=True)
    found = {}
    reason = None
    for chunk in stream:
        choice = chunk.choices[0]
        reason = choice.finish_reason or reason
        for call in choice.delta.tool_calls or []:
            entry = found.setdefault(call.index, {"id": "", "name": "", "arguments": ""})
            entry["id"] += call.id or ""
            entry["name"] += call.function.name or ""
            entry["arguments"] += call.function.arguments or ""
    assert reason == "tool_calls"
    assert [(c["id"], c["name"], json.loads(c["arguments"])) for c in found.values()] == [
        ("toolu_1", "weather", {"city": "Köln"}), ("toolu_2", "clock", {})]


def test_the_whole_request_in_anthropics_form(gateway):
    picture = base64.b64encode(b"\x89PNG not really").decode()
    gateway.client().chat.completions.create(
        model="fast", max_completion_tokens=99, temperature=0.25, stop=["END", "\n"], user="u-1",
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
            {"role": "user", "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}])
    request = gateway.received("anthropic")[0]
    assert request["path"] == "/v1/messages"
    assert request["body"] == {
        "model": "claude-haiku-4-5",
        "max_tokens": 99,
        "temperature": 0.25,
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u-1"},
        "system": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}],
        "messages": [{"role": "user", "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image", "source": {
                "type": "base64", "media_type": "image/png", "data": picture}},
            {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}]}],
    }


def test_thinking_comes_back_and_goes_out_again(gateway, ask):
    client = gateway.client({"thinking": "Hm, \"hello\".", "text": "Hello!"})
    message = client.chat.completions.create(**ask("fast", reasoning_effort="low")).choices[0].message
    assert message.model_extra["reasoning_content"] == "Hm, \"hello\"."
    blocks = message.model_extra["thinking_blocks"]
    body = ask("fast")
    body["messages"] += [{"role": "assistant", "content": "Hello!", "thinking_blocks": blocks},
                         {"role": "user", "content": "And?"}]
    gateway.post(body).raise_for_status()
    sent = gateway.received("anthropic")[-1]["body"]["messages"][1]["content"]
    assert sent == [*blocks, {"type": "text", "text": "Hello!"}]


def test_a_model_that_is_passed_through_keeps_every_byte_of_its_body(gateway):
    text = '{"x_unknown" : [1.0,  2e3], "messages":[{"role":"user","content":"\\u00e9\\/"}],"model":"gpt-4o"}'
    gateway.post(text, {"lenient": True}).raise_for_status()
    request = gateway.received("openai")[0]
    assert request["body_text"] == text
    best = text.replace("gpt-4o", "best")
    gateway.post(best, {"lenient": True}).raise_for_status()
    assert gateway.received("openai")[1]["body_text"] == text.replace("gpt-4o", "gpt-5")


@pytest.mark.parametrize(("model", "provider", "header", "key"), [
    ("gpt-4o", "openai", "authorization", "Bearer sk-openai-test"),
    ("fast", "anthropic", "x-api-key", "sk-ant-test"),
])
def test_the_providers_key_is_sent_and_the_clients_is_not(
        gateway, ask, model, provider, header, key):
    own = {"x-api-key": "mine", "api-key": "mine", "cookie": "mine", "openai-organization": "mine"}
    gateway.post(ask(model), headers=own).raise_for_status()
    headers = dict(gateway.received(provider)[0]["headers"])
    assert headers[header] == key
    assert not any("mine" in value or CLIENT_KEY in value for value in headers.values())
    assert headers["host"] == gateway.stack.host_of(provider)


def test_dropped_fields_are_named(gateway, ask):
    answer = gateway.post(ask("fast", seed=7, logit_bias={"1": 2}, presence_penalty=None))
    assert answer.headers["x-ai-dropped"] == "logit_bias,seed"


def test_a_picture_of_20_megabytes(gateway):
    data = base64.b64encode(bytes(15_000_000)).decode()
    for model, provider in (("gpt-4o", "openai"), ("fast", "anthropic")):
        content = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}]
        body = {"model": model, "messages": [{"role": "user", "content": content}]}
        assert gateway.post(body).status_code == 200
        assert gateway.received(provider)[0]["body_bytes"] > 20_000_000
