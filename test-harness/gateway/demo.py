"""The demonstration: an OpenAI client, real Envoy, a provider of another protocol."""

import json
import os
import urllib.request

from .stack import CLIENT_KEY, Stack


def show(title, text):
    """Prints one side of an exchange."""
    print(f"\n  {title}")
    for line in text.splitlines():
        print(f"    {line}")


def pretty(data):
    """JSON as people read it."""
    return json.dumps(data, indent=2, ensure_ascii=False)


def ask(stack, body, script=None):
    """Sends a chat completion and prints what comes, a stream as it comes."""
    show("POST /v1/chat/completions", pretty(body))
    headers = {"content-type": "application/json", "authorization": f"Bearer {CLIENT_KEY}",
               # Nothing comes from the cache: providers are what is shown.
               "cache-control": "no-store"}
    if script:
        headers["x-mock-llm"] = json.dumps(script)
    request = urllib.request.Request(f"{stack.base_url}/chat/completions",
                                     json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        names = ("x-ai-provider", "x-ai-model")
        head = [f"{name}: {response.headers[name]}" for name in names]
        show(f"HTTP {response.status}", "\n".join(head))
        if not body.get("stream"):
            show("", pretty(json.load(response)))
            return
        print()
        for line in response:
            if line.strip():
                print("    " + line.decode().rstrip())


def received(stack, provider):
    """Prints the last request that a provider got."""
    with urllib.request.urlopen(f"{stack.mock_url(provider)}/_mock/requests?listener={provider}",
                                timeout=10) as response:
        last = json.load(response)[-1]
    headers = dict(last["headers"])
    key = next(name for name in ("x-api-key", "authorization") if name in headers)
    show(f"what provider `{provider}` got: POST {last['path']} ({key}: {headers[key]})",
         pretty(last["body"]))


def demo():
    """Three requests, each with what it shows."""
    messages = [{"role": "system", "content": "Answer in one sentence."},
                {"role": "user", "content": "What does a gateway do?"}]
    modules = os.environ.get("DIST") or "dist"
    with Stack("full-chain.yaml", cache=True,
               edit=lambda text: text.replace("dist/", f"{modules}/")) as stack:
        print("1. An OpenAI client asks for a model that Anthropic has (alias `fast`).")
        ask(stack, {"model": "fast", "messages": messages})
        received(stack, "anthropic")

        print("\n2. The same, streamed: events are translated one by one.")
        ask(stack, {"model": "fast", "messages": messages, "stream": True,
                    "stream_options": {"include_usage": True}})

        print("\n3. Model `best` is OpenAI's first, but OpenAI is down: Envoy's retry goes to"
              "\n   Anthropic, in Anthropic's own format.")
        ask(stack, {"model": "best", "messages": messages},
            {"on": {"openai": {"status": 503}}})
        received(stack, "openai")
        received(stack, "anthropic")
    print(f"\nAll three went through real Envoy and the plugins in {modules}/.")
