"""Requests of given sizes: a chat of a person and an assistant, in prose."""

import itertools
import json
import random

from gateway.config import ROOT

# 1.9 KB, as a chat with a system prompt and a few turns is.
BASE = ROOT / "test-harness" / "bench" / "src" / "bodies" / "chat.request.json"

WORDS = """the sensor reading battery corridor cellar roof temperature hour minute value table average
spring winter building door window engineer report line measured shows falls rises between during after
before every second third list of and in on with without for to a an each few many some no more less
quickly slowly often rarely water light glass steel paper figure number note letter question answer""".split()


def prose(size, seed):
    """Sentences of at least so many bytes, always the same."""
    chance = random.Random(seed)
    out, length = [], 0
    while length < size:
        sentence = " ".join(chance.choice(WORDS) for _ in range(chance.randint(6, 16))).capitalize()
        out.append(sentence + ".")
        length += len(out[-1]) + 1
    return " ".join(out)


def request(size, stream=False):
    """A request of about so many bytes, as text; of `BASE`'s size it is `BASE`."""
    body = json.loads(BASE.read_text())
    if size is not None:
        body["messages"] = messages(size)
    # The clients put another number here each time, or a cache would answer.
    last = next(message for message in reversed(body["messages"]) if message["role"] == "user")
    last["content"] += " This is question 00000000."
    if stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    else:
        body.pop("stream", None)
        body.pop("stream_options", None)
    return json.dumps(body, separators=(",", ":"))


def messages(size):
    """A system prompt, and turns of at most 8 KB."""
    out = [{"role": "system", "content": "Answer in plain words."}]
    left = size - 200
    for turn, role in zip(itertools.count(), itertools.cycle(["user", "assistant"])):
        content = prose(min(left, 8000), turn)
        out.append({"role": role, "content": content})
        left -= len(content) + 40
        if left < 100 and role == "user":
            return out
