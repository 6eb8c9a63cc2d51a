"""Sessions of coding agents, as they put them on the wire, with every provider behind the gateway.

The first requests are those of the golden files (`plugins/ai-proxy/tests/golden`); what follows is made as
the agents make it: of the streamed answer, item by item, and the results of its tools.
"""

import json
from pathlib import Path

import pytest

from gateway.stack import CLIENT_KEY

GOLDEN = Path(__file__).parents[2] / "plugins/ai-proxy/tests/golden/requests"
PROVIDERS = {
    "gpt-4o": "openai",
    "o4-mini": "openai",
    "claude-sonnet-4-5": "anthropic",
    "gemini-2.5-flash": "gemini",
    "amazon.nova-pro-v1:0": "bedrock",
    "command-a-03-2025": "cohere",
}
# What a tool has said, which no translation may change.
RESULTS = ['     1→# "Projct" \\n\n', "fatal: not a git repository"]
every_model = pytest.mark.parametrize("model", PROVIDERS)


def golden(case):
    return json.loads((GOLDEN / case / "request.json").read_text())


def script(**fields):
    return {"x-mock-llm": json.dumps({"split": {"every": 23}, **fields})}


def events(answer):
    """The events of a stream, read as an agent reads them."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    data = (line[5:].strip() for line in answer.text.splitlines() if line.startswith("data:"))
    return [json.loads(text) for text in data if text != "[DONE]"]


def post(gateway, path, body, headers):
    root = gateway.stack.base_url.removesuffix("/v1")
    # The agent's own headers alone: not those of the tests' client.
    return gateway.control.post(root + path, json=body, headers=headers)


def last(gateway, model):
    """What the provider got: its headers and its body, both as sent and parsed."""
    got = gateway.received(PROVIDERS[model])[-1]
    assert got["status"] == 200
    headers = dict(got["headers"])
    assert CLIENT_KEY not in json.dumps(headers)
    return headers, got["body"]


def strings(value):
    """Every string of a body; JSON in a string is looked into."""
    if isinstance(value, dict):
        return [text for member in value.values() for text in strings(member)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    if not isinstance(value, str):
        return []
    try:
        inner = json.loads(value)
    except ValueError:
        return [value]
    return [value, *strings(inner)]


# Claude Code: Anthropic's Messages, with its beta headers.

CLAUDE_CODE = {
    "authorization": f"Bearer {CLIENT_KEY}",
    "anthropic-version": "2023-06-01",
    "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14",
    "anthropic-dangerous-direct-browser-access": "true",
    "user-agent": "claude-cli/2.0.14 (external, cli)",
    "x-app": "cli",
    "x-stainless-lang": "js",
    "x-stainless-retry-count": "0",
}


def message(stream):
    """The assistant's message that a stream of Messages makes."""
    blocks, partial, reason = [], {}, None
    for event in stream:
        match event["type"]:
            case "content_block_start":
                assert event["index"] == len(blocks)
                blocks.append(event["content_block"])
            case "content_block_delta":
                block, delta = blocks[event["index"]], event["delta"]
                match delta["type"]:
                    case "text_delta":
                        block["text"] += delta["text"]
                    case "thinking_delta":
                        block["thinking"] += delta["thinking"]
                    case "signature_delta":
                        block["signature"] = delta["signature"]
                    case "input_json_delta":
                        at = event["index"]
                        partial[at] = partial.get(at, "") + delta["partial_json"]
            case "message_delta":
                reason = event["delta"]["stop_reason"]
    for at, text in partial.items():
        blocks[at]["input"] = json.loads(text or "{}")
    assert stream[0]["type"] == "message_start" and stream[-1]["type"] == "message_stop"
    return blocks, reason


@every_model
def test_claude_code(gateway, model):
    body = {**golden("anthropic/claude_code"), "model": model}
    body["messages"] = body["messages"][:1]
    tools = [{"name": "Read", "arguments": {"file_path": "/repo/README.md"}, "id": "toolu_01A"},
             {"name": "Bash", "arguments": {"command": 'echo "a\\n" && git status', "timeout": 1000},
              "id": "toolu_01B"}]

    count = {name: body[name] for name in ("model", "messages", "system", "tools")}
    counted = post(gateway, "/v1/messages/count_tokens?beta=true", count, CLAUDE_CODE)
    assert counted.status_code == 200 and counted.json()["input_tokens"] > 50

    answer = post(gateway, "/v1/messages?beta=true", body, CLAUDE_CODE | script(
        thinking="I should read the file.", text="I'll read it.", tool_calls=tools))
    blocks, reason = message(events(answer))
    assert reason == "tool_use"
    calls = [block for block in blocks if block["type"] == "tool_use"]
    assert [(call["name"], call["input"]) for call in calls] == [
        (call["name"], call["arguments"]) for call in tools]

    body["messages"] += [
        {"role": "assistant", "content": blocks},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": calls[0]["id"], "content": RESULTS[0]},
            {"type": "tool_result", "tool_use_id": calls[1]["id"], "content": RESULTS[1],
             "is_error": True, "cache_control": {"type": "ephemeral"}}]}]
    answer = post(gateway, "/v1/messages?beta=true", body, CLAUDE_CODE | script(text="Done."))
    blocks, reason = message(events(answer))
    assert (blocks[-1]["text"], reason) == ("Done.", "end_turn")

    headers, sent = last(gateway, model)
    if model.startswith("claude"):
        assert sent == body
        assert headers["anthropic-beta"] == CLAUDE_CODE["anthropic-beta"]
        assert "x-ai-dropped" not in answer.headers
    else:
        assert any(RESULTS[0] in text for text in strings(sent))
        assert any(RESULTS[1] in text for text in strings(sent))
        assert 'echo "a\\n" && git status' in strings(sent)


# Codex: OpenAI's Responses, nothing stored, thoughts encrypted.

CODEX = {
    "authorization": f"Bearer {CLIENT_KEY}",
    "accept": "text/event-stream",
    "originator": "codex_cli_rs",
    "session_id": "0199e3a1-7c1f-7d3a-9a53-0b1c2d3e4f50",
    "user-agent": "codex_cli_rs/0.50.0 (Ubuntu 24.4.0; x86_64) xterm",
}


def items(stream):
    """The items of a streamed response as Codex keeps them: as they are done, without ids."""
    assert stream[-1]["type"] == "response.completed", stream[-1]
    assert stream[-1]["response"]["usage"]["total_tokens"] > 0
    done = [event["item"] for event in stream if event["type"] == "response.output_item.done"]
    return [{name: value for name, value in item.items() if name not in ("id", "status")}
            for item in done]


@every_model
def test_codex(gateway, model):
    body = {**golden("openai_responses/codex"), "model": model}
    body["input"] = body["input"][:3]
    if model == "gpt-4o":
        # Codex asks models for thoughts that have them.
        del body["reasoning"]
        body["include"] = []
    patch = '*** Begin Patch\n*** Update File: README.md\n@@\n-Helo "world"\n+Hello\n*** End Patch'
    tools = [{"name": "shell_command", "arguments": {"command": "cat README.md"}, "id": "call_1"},
             # A custom tool, which only OpenAI has.
             {"name": "apply_patch", "id": "call_2",
              "arguments": patch if PROVIDERS[model] == "openai" else {"input": patch}}]
    thoughts = {} if model == "gpt-4o" else {"thinking": "I need to read it first."}
    answer = post(gateway, "/v1/responses", body, CODEX | script(
        text="I will look at the file.", tool_calls=tools, **thoughts))
    kept = items(events(answer))
    shell, edit = (item for item in kept if item["type"].endswith("_call"))
    assert (shell["type"], shell["name"]) == ("function_call", "shell_command")
    assert json.loads(shell["arguments"]) == {"command": "cat README.md"}
    assert (edit["type"], edit["name"], edit["input"]) == ("custom_tool_call", "apply_patch", patch)

    body["input"] += [
        *kept,
        {"type": "function_call_output", "call_id": shell["call_id"], "output": RESULTS[0]},
        {"type": "custom_tool_call_output", "call_id": edit["call_id"], "output": RESULTS[1]}]
    answer = post(gateway, "/v1/responses", body, CODEX | script(text="Done."))
    kept = items(events(answer))
    assert kept[-1]["content"][0]["text"] == "Done."

    _, sent = last(gateway, model)
    if model == "o4-mini":
        assert sent == body
    else:
        assert any(RESULTS[0] in text for text in strings(sent))
        assert any(RESULTS[1] in text for text in strings(sent))
        assert patch in strings(sent)


# Gemini CLI: generateContent, with thoughts.

GEMINI_CLI = {
    "x-goog-api-key": CLIENT_KEY,
    "user-agent": "GeminiCLI/0.9.0/gemini-2.5-pro (linux; x64)",
    "x-goog-api-client": "google-genai-sdk/1.16.0 gl-node/v22.19.0",
}


@every_model
def test_gemini_cli(gateway, model):
    body = golden("gemini/gemini_cli")
    body["contents"] = body["contents"][:3]
    tools = [{"name": "list_directory", "arguments": {"dir_path": "."}, "id": "call_1"},
             {"name": "read_file", "arguments": {"file_path": 'a "b"\\c.md', "limit": 3},
              "id": "call_2"}]
    path = f"/v1beta/models/{model}"
    counted = post(gateway, path + ":countTokens", {"contents": body["contents"]}, GEMINI_CLI)
    assert counted.status_code == 200 and counted.json()["totalTokens"] > 5

    def turn(**fields):
        answer = post(gateway, path + ":streamGenerateContent?alt=sse", body,
                      GEMINI_CLI | script(**fields))
        stream = events(answer)
        assert stream[-1]["candidates"][0]["finishReason"] == "STOP"
        assert stream[-1]["usageMetadata"]["totalTokenCount"] > 0
        return [part for event in stream for candidate in event["candidates"]
                for part in candidate.get("content", {}).get("parts", [])]

    parts = turn(thinking="I will list it.", text="Let me see.", tool_calls=tools)
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    assert [(call["name"], call["args"]) for call in calls] == [
        (call["name"], call["arguments"]) for call in tools]

    outputs = [{"output": RESULTS[0]}, {"error": RESULTS[1]}]
    body["contents"] += [
        {"role": "model", "parts": parts},
        {"role": "user", "parts": [
            {"functionResponse": {"name": call["name"], "response": output,
                                  **({"id": call["id"]} if "id" in call else {})}}
            for call, output in zip(calls, outputs)]}]
    assert "".join(part.get("text", "") for part in turn(text="Done.")) == "Done."

    _, sent = last(gateway, model)
    if model.startswith("gemini"):
        assert sent == body
    else:
        assert any(RESULTS[0] in text for text in strings(sent))
        assert any(RESULTS[1] in text for text in strings(sent))
        assert 'a "b"\\c.md' in strings(sent)
