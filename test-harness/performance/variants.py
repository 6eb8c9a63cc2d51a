"""What is compared: Envoy by itself, with a filter that does nothing, with each plugin alone, with the
plugins one after another, with the bundle."""

from dataclasses import dataclass, field

from gateway import config
from gateway.stack import CLIENT_KEY

from . import envoy

DIST = config.ROOT / "dist"
NOOP = config.ROOT / "target" / "wasm32-wasip1" / "release" / "noop.wasm"
# How the answers of the two formats are told apart.
OPENAI, ANTHROPIC = '"chat.completion', '"type":"message'

AUTH = {"consumers": [{
    "name": "demo", "tags": {"team": "search"},
    "keys": [{"id": "demo",
              "hash": "sha256:214384a00f05bde84110227f4ca11a371130f9325036b40aa27eb93259534a83"}]}]}
METRICS = {"site": {"cloud": "local", "region": "desk", "cluster": "bench"}}
# All that the guard can look for.
GUARD = {"injection": {"profile": "balanced"}, "pii": {"preset": "gdpr", "entities": {"SECRET": "block"}}}
# The same without a look at what the texts say.
GUARD_WITHOUT_DETECTORS = {"injection": {"action": "allow", "roles": []}, "limits": {"max_turns": 100}}
# Equal requests of whoever asks.
CACHE = {"scope": "shared"}
# An answer of the length of the provider's.
ANSWER = {"id": "chatcmpl-1", "object": "chat.completion", "choices": [{"index": 0, "message": {
    "role": "assistant", "content": "x" * 450}, "finish_reason": "stop"}]}
LIMITS = {"rules": [
    {"name": "per-minute", "key": ["consumer"], "unit": "total_tokens", "limit": 10**15,
     "window": "minute"}]}


def proxy(protocol):
    """ai-proxy with one provider of this protocol, a rule for its models and a key of its own."""
    provider = {"name": "provider", "protocol": protocol, "api_key": "sk-provider",
                "base_url": "http://provider.example" + ("/v1" if protocol == "openai" else "")}
    return {"providers": [provider],
            "models": [{"name": "claude-*", "targets": [{"provider": "provider"}]}]}


@dataclass
class Variant:
    """One way to run Envoy. `expect` is what every answer must hold."""

    name: str
    filters: list = field(default_factory=list)
    upstream: list = field(default_factory=list)
    expect: str = OPENAI

    @property
    def modules(self):
        """How many filters an exchange goes through."""
        return len(self.filters) + len(self.upstream)


def plugin(name, section, role=None):
    """A plugin of the suite."""
    return envoy.filter_of(name, DIST / f"{name}.wasm", section, role)


def variants():
    """All of them, plain Envoy first."""
    translate, passthrough = proxy("anthropic"), proxy("openai")
    sections = {"ai-metrics": METRICS, "ai-auth": AUTH, "prompt-guard": GUARD,
                "token-ratelimit": LIMITS}
    sections = {name: section for name, section in sections.items()
                if (DIST / f"{name}.wasm").exists()}
    bundle = {**sections, "ai-proxy": translate}
    cheap = {**bundle, "prompt-guard": GUARD_WITHOUT_DETECTORS}
    chain = [plugin(name, section) for name, section in sections.items()]
    return [
        Variant("plain"),
        Variant("noop", [envoy.filter_of("noop", NOOP)]),
        Variant("noop_that_answers", [envoy.filter_of("noop", NOOP, ANSWER)]),
        Variant("cache_hit", [plugin("semantic-cache-client", CACHE)]),
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
