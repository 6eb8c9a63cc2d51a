"""What is compared: Envoy by itself, with a filter that does nothing, with each plugin alone, with the
plugins one after another, with the bundle."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from gateway import config
from gateway.stack import CLIENT_KEY

from . import envoy

DIST = config.ROOT / "dist"
NOOP = config.ROOT / "target" / "wasm32-wasip1" / "release" / "noop.wasm"
# How the answers of the two formats are told apart.
OPENAI, ANTHROPIC = '"chat.completion', '"type":"message'

# What the plugins are told; the emulator's counts of instructions are taken with the same.
POLICIES = json.loads((Path(__file__).parent / "policies.json").read_text())
CACHE = POLICIES["semantic-cache-client"]
# An answer of the length of the provider's.
ANSWER = {"id": "chatcmpl-1", "object": "chat.completion", "choices": [{"index": 0, "message": {
    "role": "assistant", "content": "x" * 450}, "finish_reason": "stop"}]}


@dataclass
class Variant:
    """One way to run Envoy. `expect` is what every answer must hold. With `repeats` all requests are the
    same, so that all but the first are answered from the cache. One that `answers` asks no provider."""

    name: str
    filters: list = field(default_factory=list)
    upstream: list = field(default_factory=list)
    expect: str = OPENAI
    repeats: bool = False
    answers: bool = False

    @property
    def modules(self):
        """How many filters an exchange goes through."""
        return len(self.filters) + len(self.upstream)


def plugin(name, section, role=None):
    """A plugin of the suite."""
    return envoy.filter_of(name, DIST / f"{name}.wasm", section, role)


def variants():
    """All of them, plain Envoy first."""
    translate, passthrough = POLICIES["ai-proxy translate"], POLICIES["ai-proxy passthrough"]
    sections = {name: POLICIES[name]
                for name in ("ai-metrics", "ai-auth", "prompt-guard", "token-ratelimit")}
    bundle = {**sections, "semantic-cache-client": CACHE, "ai-proxy": translate}
    cheap = {**bundle, "prompt-guard": POLICIES["prompt-guard without detectors"]}
    chain = [plugin(name, section) for name, section in sections.items()]
    return [
        Variant("plain"),
        Variant("noop", [envoy.filter_of("noop", NOOP)]),
        Variant("noop_that_answers", [envoy.filter_of("noop", NOOP, ANSWER)], answers=True),
        Variant("cache_hit", [plugin("semantic-cache-client", CACHE)], repeats=True, answers=True),
        *(Variant(name.replace("-", "_"), [plugin(name, section)])
          for name, section in sections.items()),
        Variant("ai_proxy_passthrough", [plugin("ai-proxy", passthrough, "inline")]),
        Variant("ai_proxy_translate", [plugin("ai-proxy", translate, "inline")]),
        Variant("ai_proxy_translate_upstream", [plugin("ai-proxy", translate, "route")],
                [plugin("ai-proxy", translate, "translate")]),
        Variant("chain", [*chain, plugin("ai-proxy", translate, "route")],
                [plugin("ai-proxy", translate, "translate")]),
        Variant("chain_of_noops",
                [envoy.filter_of(f"noop-{n}", NOOP) for n in range(len(chain) + 1)],
                [envoy.filter_of("noop-upstream", NOOP)]),
        Variant("bundle", [plugin("ai-gateway", bundle, "inline")]),
        Variant("bundle_without_guard", [plugin("ai-gateway", cheap, "inline")]),
        Variant("bundle_upstream", [plugin("ai-gateway", bundle, "route")],
                [plugin("ai-gateway", bundle, "translate")]),
    ]


# Sent with every request; what no plugin takes goes on to the provider.
HEADERS = {"authorization": f"Bearer {CLIENT_KEY}"}
