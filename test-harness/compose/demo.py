"""One script for every gateway; it needs nothing but Python."""

import json
import urllib.error
import urllib.request

# The consumer `demo` of the examples.
KEY = "sk-aigw-demo-1dd2346586293333043183b40f80b27aa1d4cd64bf55439e564d08f493bfbdf4c897dccb"
QUESTION = [{"role": "user", "content": "What does a gateway do?"}]
ADDRESS = [{"role": "user", "content": "Write to ada.lovelace@example.org"}]
# What is asked: a title, the body, what the stand-ins are told, the key.
REQUESTS = [
    ("an OpenAI client asks for a model that Anthropic has", {"model": "fast", "messages": QUESTION},
     {}, KEY),
    ("the same, streamed", {"model": "fast", "messages": QUESTION, "stream": True}, {}, KEY),
    ("the first provider fails, the second answers", {"model": "best", "messages": QUESTION},
     {"on": {"openai": {"status": 503}}}, KEY),
    ("an address is masked for the provider and restored for the client",
     {"model": "gpt-5", "messages": ADDRESS}, {}, KEY),
    ("a key that nobody has", {"model": "fast", "messages": QUESTION}, {}, "sk-aigw-nobody-1"),
]


def ask(base_url, body, script, key):
    """What a gateway answers, without what differs each time."""
    headers = {"content-type": "application/json", "authorization": f"Bearer {key}",
               # Each gateway asks the provider; nothing comes from a cache.
               "cache-control": "no-store", "x-mock-llm": json.dumps(script)}
    request = urllib.request.Request(f"{base_url}/chat/completions", json.dumps(body).encode(), headers)
    try:
        response = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        response = error
    with response:
        text = response.read().decode()
        said = {"status": response.status, "provider": response.headers["x-ai-provider"],
                "model": response.headers["x-ai-model"]}
    if body.get("stream") and said["status"] == 200:
        events = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
        deltas = [json.loads(event)["choices"][0]["delta"] for event in events[:-1]]
        return {**said, "answer": "".join(delta.get("content") or "" for delta in deltas),
                "end": events[-1]}
    answer = json.loads(text)
    if said["status"] != 200:
        return {**said, "error": answer["error"]["code"]}
    return {**said, "answer": answer["choices"][0]["message"]["content"],
            "tokens": answer["usage"]["total_tokens"]}


def run(hosts):
    """Asks all of these gateways the same; 1 if one answers otherwise than the first."""
    different = 0
    for title, body, script, key in REQUESTS:
        print(f"\n{title}")
        answers = {name: ask(url, body, script, key) for name, url in hosts.items()}
        first = next(iter(answers.values()))
        for name, answer in answers.items():
            same = "" if answer == first else "   <- differs"
            different += answer != first
            print(f"  {name:8} {json.dumps(answer, ensure_ascii=False)}{same}")
    print(f"\n{'All gateways answer the same.' if not different else f'{different} answers differ.'}")
    return 1 if different else 0
