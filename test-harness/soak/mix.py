"""What is asked: kinds of requests, how often each comes, and what may come of it."""

import json
import random
from dataclasses import dataclass, field

from gateway.stack import CLIENT_KEY

CHAT = "/v1/chat/completions"
WORDS = "the gateway reads a request and counts what it costs before it goes on to a model".split()


@dataclass
class Request:
    """One request. `statuses` are those that are right; `leave` drops the connection in the midst."""

    kind: str
    body: dict
    path: str = CHAT
    script: dict = field(default_factory=dict)
    key: str = CLIENT_KEY
    statuses: tuple = (200,)
    leave: bool = False

    def headers(self):
        """Its headers."""
        return {"content-type": "application/json", "authorization": f"Bearer {self.key}",
                **({"x-mock-llm": json.dumps(self.script)} if self.script else {})}

    @property
    def streams(self):
        """Whether events are asked for."""
        return bool(self.body.get("stream"))


def text(number, words=60):
    """A question that was not asked before."""
    return f"{number}: " + " ".join(random.choices(WORDS, k=words))


def chat(kind, model, content, **more):
    """A chat of one message."""
    body = {"model": model, "messages": [{"role": "user", "content": content}], **more.pop("body", {})}
    return Request(kind, body, **more)


def down(provider, **how):
    """A provider that fails."""
    return {"on": {provider: how}}


# How often in a hundred, and what is made of the number of the request.
KINDS = [
    (20, lambda n: chat("plain", "gpt-5", text(n))),
    (12, lambda n: chat("translated", "fast", text(n))),
    (10, lambda n: chat("asked before", "gpt-5", f"asked before: {n % 50}")),
    (14, lambda n: chat("stream", "gpt-5", text(n), body={"stream": True})),
    (10, lambda n: chat("translated stream", "fast", text(n), body={"stream": True})),
    (8, lambda n: chat("failover", "best", text(n), script=down("openai", status=503))),
    (5, lambda n: chat("masked", "gpt-5", f"write to ada.{n}@example.org about {text(n, 10)}")),
    (4, lambda n: chat("large", "gpt-5", text(n, 12_000))),
    (4, lambda n: chat("left", "fast", text(n), body={"stream": True}, leave=True)),
    (4, lambda n: chat("a provider's refusal", "gpt-5", text(n), script={"status": 400}, statuses=(400,))),
    # Both attempts fail: what the stand-in caused comes through.
    (3, lambda n: chat("a provider's failure", "gpt-5", text(n), script={"status": 500},
                       statuses=(500, 502, 503))),
    (2, lambda n: chat("a stranger", "gpt-5", text(n), key=f"sk-aigw-nobody-{n}", statuses=(401,))),
    (2, lambda n: Request("broken", {"model": "gpt-5", "messages": n}, statuses=(400,))),
    (2, lambda n: Request("vectors", {"model": "text-embedding-3-small", "input": text(n)},
                          path="/v1/embeddings")),
]


def requests(seed, first, step):
    """Requests without end; of processes that count from different numbers none asks what another does."""
    random.seed(seed)
    kinds = random.choices([make for _, make in KINDS], [share for share, _ in KINDS], k=10_000)
    number = first
    while True:
        yield kinds[number % len(kinds)](number)
        number += step
