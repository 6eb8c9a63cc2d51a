"""Requests of given sizes: a chat of a person and an assistant, in prose."""

import itertools
import json
import random
import re

from gateway.config import ROOT

# 1.9 KB, as a chat with a system prompt and a few turns is.
BASE = ROOT / "test-harness" / "bench" / "src" / "bodies" / "chat.request.json"

# What people ask and are answered. Words in any order would look like nothing that anybody writes.
TEXTS = [message["content"] for message in json.loads(BASE.read_text())["messages"]]
SENTENCES = [part for text in TEXTS for part in re.split(r"(?<=[.?:])\s+", text)]


def prose(size, seed):
    """Sentences of at least so many bytes, always the same."""
    chance = random.Random(seed)
    out, length = [], 0
    while length < size:
        out.append(chance.choice(SENTENCES))
        length += len(out[-1]) + 1
    return " ".join(out)


def request(size, stream=False, known=False):
    """A request of about so many bytes, as text; of `BASE`'s size it is `BASE`. `known`: all but its last message
    came before, as in a conversation that goes on; otherwise every message is new."""
    body = json.loads(BASE.read_text())
    if size is not None:
        body["messages"] = messages(size)
    # The clients put another number here each time, or a cache would answer.
    last = next(message for message in reversed(body["messages"]) if message["role"] == "user")
    old = known or size is None
    for message in [last] if old else body["messages"]:
        message["content"] += " This is question 00000000."
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
