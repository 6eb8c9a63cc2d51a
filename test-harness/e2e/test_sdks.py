"""Every SDK with every provider: what a program sees does not depend on who answers."""

import json

import anthropic
import openai
import pytest

from sdks import PICTURE, SDKS, Anthropic, Weather

MODELS = {
    "gpt-4o": "openai",
    "o4-mini": "openai",
    "claude-haiku-4-5": "anthropic",
    "gemini-2.5-flash": "gemini",
    "amazon.nova-pro-v1:0": "bedrock",
    "command-a-03-2025": "cohere",
}
CALLS = [{"name": "weather", "arguments": {"city": "Köln"}, "id": "call_1"},
         {"name": "clock", "arguments": {"city": "北京", "unit": "c"}, "id": "call_2"}]
every_sdk = pytest.mark.parametrize("sdk", SDKS, ids=lambda sdk: sdk.name)
every_model = pytest.mark.parametrize("model", MODELS)


@every_sdk
@every_model
def test_a_plain_answer(gateway, sdk, model):
    answer = sdk(gateway, {"text": 'It is "7°" 😀\n'}).ask(model, "secret-prompt: hello")
    assert answer.text == 'It is "7°" 😀\n' and answer.calls == []
    assert answer.prompt_tokens > 0 and answer.completion_tokens > 0
    sent = gateway.received(MODELS[model])[-1]
    assert "Be brief." in sent["body_text"] and "secret-prompt: hello" in sent["body_text"]


@every_sdk
@every_model
def test_a_streamed_answer(gateway, sdk, model):
    script = {"text": 'one "two" drei 😀', "split": {"every": 11}}
    answer = sdk(gateway, script).stream(model, "hello")
    assert answer.text == 'one "two" drei 😀'
    assert answer.prompt_tokens > 0 and answer.completion_tokens > 0


@every_sdk
@every_model
@pytest.mark.parametrize("way", ["ask", "stream"])
def test_parallel_calls_and_their_results(gateway, sdk, model, way):
    client = sdk(gateway, {"text": "Let me see.", "tool_calls": CALLS})
    first = getattr(client, way)(model, "What is it like?", tools=True)
    assert [(call.name, call.arguments) for call in first.calls] == [
        (call["name"], call["arguments"]) for call in CALLS]

    client = sdk(gateway, {"text": "It rains at noon."})
    second = getattr(client, way)(model, "What is it like?", tools=True,
                                  history=[(first, ["rain", "noon"])])
    assert second.text == "It rains at noon."
    sent = json.dumps(gateway.received(MODELS[model])[-1]["body"], ensure_ascii=False)
    assert "rain" in sent and "noon" in sent
    # Arguments stand in a string in some protocols, escaped as the client liked.
    assert "北京" in sent.replace(r"\\u5317\\u4eac", "北京")


@every_sdk
@every_model
def test_a_structured_answer(gateway, sdk, model):
    client = sdk(gateway, {"text": '{"city": "Köln", "degrees": 7}'})
    assert client.parse(model, "The weather?") == Weather(city="Köln", degrees=7)
    assert "degrees" in gateway.received(MODELS[model])[-1]["body_text"]


@every_sdk
@every_model
def test_a_picture(gateway, sdk, model):
    answer = sdk(gateway, {"text": "A cat."}).ask(model, "What is this?", picture=True)
    assert answer.text == "A cat."
    assert PICTURE in gateway.received(MODELS[model])[-1]["body_text"]


@every_sdk
@every_model
@pytest.mark.parametrize("status", [400, 429, 500])
def test_an_error_is_of_the_class_that_programs_catch(gateway, sdk, model, status):
    script = {"status": status, "error_message": "no such luck"}
    with pytest.raises(sdk.errors[status]) as raised:
        sdk(gateway, script).ask(model, "hello")
    assert "no such luck" in str(raised.value)


@every_sdk
@every_model
@pytest.mark.parametrize("how", [{"end_after_events": 4},
                                 {"error_after_events": 4, "error_message": "Overloaded"}])
def test_a_stream_that_fails_does_not_look_complete(gateway, sdk, model, how):
    script = {"text": "one two three four five six", **how}
    with pytest.raises(Exception) as raised:
        sdk(gateway, script).stream(model, "hello")
    assert not isinstance(raised.value, AssertionError)


# How each provider says that a prompt is too long.
TOO_LONG = {
    "gpt-4o": "This model's maximum context length is 128000 tokens.",
    "o4-mini": "Your input exceeds the context window of this model.",
    "claude-haiku-4-5": "prompt is too long: 210000 tokens > 200000 maximum",
    "gemini-2.5-flash": "The input token count (9) exceeds the maximum number of tokens allowed (8).",
    "amazon.nova-pro-v1:0": "Input is too long for requested model.",
    "command-a-03-2025": "too many tokens: size limit exceeded by 9 tokens",
}
# Whose own words pass as they are.
OWN = {"openai-chat": ["gpt-4o"], "openai-responses": ["gpt-4o", "o4-mini"],
       "anthropic": ["claude-haiku-4-5"], "google-genai": ["gemini-2.5-flash"]}


@pytest.mark.parametrize("sdk", [sdk for sdk in SDKS if sdk.name in OWN], ids=lambda sdk: sdk.name)
@every_model
@pytest.mark.parametrize("way", ["ask", "stream"])
def test_a_prompt_that_is_too_long_is_known_as_such(gateway, sdk, model, way):
    """Agents and frameworks shorten the conversation upon it, and know it by the vendor's code or words."""
    script = {"status": 400, "error_message": TOO_LONG[model]}
    with pytest.raises(sdk.errors[400]) as raised:
        getattr(sdk(gateway, script), way)(model, "hello")
    error = raised.value
    assert TOO_LONG[model] in str(error)
    if model in OWN[sdk.name]:
        return
    if isinstance(error, openai.APIError):
        assert error.code == "context_length_exceeded"
    elif isinstance(error, anthropic.APIError):
        assert error.body["error"]["message"].startswith("prompt is too long: ")
    else:
        assert "exceeds the maximum number of tokens allowed" in error.message


@every_model
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_anthropics_tool_runner(gateway, model, stream):
    """It has Anthropic keep the conversation, and sends all of it where that is not kept."""
    provider = MODELS[model]
    for script in ({"tool_calls": [{"name": "weather", "arguments": {"city": "Köln"}, "id": "toolu_1"}]},
                   {"tool_calls": [{"name": "weather", "arguments": {"city": "Ulm"}, "id": "toolu_2"}]},
                   {"text": "It rains in both."}):
        gateway.control.post(f"{gateway.stack.mock_url(provider)}/_mock/script",
                             json={"listener": provider, "script": script}).raise_for_status()
    asked = []

    @anthropic.beta_tool
    def weather(city: str) -> str:
        """The weather of a city."""
        asked.append(city)
        return f"rain in {city}"

    runner = Anthropic(gateway).client.beta.messages.tool_runner(
        model=model, max_tokens=1000, tools=[weather], stream=stream,
        messages=[{"role": "user", "content": "Köln and Ulm?"}])
    if stream:
        for each in runner:
            last = each.get_final_message()
    else:
        last = runner.until_done()
    assert [block.text for block in last.content if block.type == "text"] == ["It rains in both."]
    assert asked == ["Köln", "Ulm"]
    got = gateway.received(provider)
    assert [each["status"] for each in got] == [200, 200, 200]
    if got[2]["body"].get("thread", {}).get("type") == "continue":
        # Where nothing is masked Anthropic has the rest.
        assert provider == "anthropic" and "rain in K" not in got[2]["body_text"]
    else:
        texts = ("ln and Ulm?", "rain in K", "rain in Ulm")
        assert all(text in got[2]["body_text"] for text in texts)
