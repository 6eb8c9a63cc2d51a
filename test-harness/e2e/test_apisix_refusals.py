"""What a plugin cannot do on the emulated APISIX is refused when it is configured, and said."""

import pytest
import yaml

from conftest import Gateway
from gateway.stack import Stack

NO_TIMER = "this proxy has no timer"
NO_BODIES = "this proxy cannot change bodies, so nothing can be masked here; write `block` or `flag`"
WEBDIS = {"upstream": "webdis:7379", "scheme": "http"}
TOKENS = {"name": "tokens", "unit": "total_tokens", "limit": 100, "window": "minute"}
MODEL = {"provider": "anthropic", "model": "claude-haiku-4-5"}

# Of an example's plugin, what is configured besides, and what is said of it.
REFUSED = {
    ("ai-metrics.yaml", "wasm-ai-metrics"): [
        ({"otlp": {"upstream": "127.0.0.1:4318"}},
         f"otlp: {NO_TIMER} by which exports could be made; set `on_requests: true`"),
        ({"report": {"admin_key": "any"}}, f"report: {NO_TIMER}"),
    ],
    ("prompt-guard.yaml", "wasm-prompt-guard"): [
        ({"pii": {"entities": {"SECRET": "block", "EMAIL": "mask"}}}, f"pii.entities.EMAIL: {NO_BODIES}"),
        ({"pii": {"entities": {"SECRET": "block"}, "preset": "pci_dss"}}, f"pii.preset: {NO_BODIES}"),
        ({"pii": {"custom": {"TICKET": "TCK-[0-9]{6}"}}}, f"pii.custom.TICKET: {NO_BODIES}"),
        ({"answers": {"deny": ["forbidden"]}}, "answers: this proxy cannot change answers"),
        ({"moderation": {"service": "openai", "upstream": "127.0.0.1:1", "api_key": "k", "answers": True}},
         "moderation.answers: this proxy cannot make an answer wait"),
    ],
    ("semantic-cache-client.yaml", "wasm-semantic-cache-client"): [
        ({"redis": {"service": WEBDIS}}, f"redis: {NO_TIMER}"),
        ({"semantic": {"embedder": {"kind": "ollama", "service": {"upstream": "ollama:11434"}, "model": "any"},
                       "store": {"kind": "qdrant", "service": {"upstream": "qdrant:6333"}}}},
         f"semantic.store: {NO_TIMER}"),
        ({"stale_if_error": 60}, "stale_if_error: this proxy cannot hold a failure back"),
    ],
    ("token-ratelimit.yaml", "wasm-token-ratelimit"): [
        ({"store": {"redis": WEBDIS}}, f"store.redis: {NO_TIMER}"),
        ({"store": {"rls": {"upstream": "limiter"}}}, "store.rls: this proxy makes no calls of gRPC"),
        ({"webhook": {"upstream": "alerts:80"}}, f"webhook: {NO_TIMER}"),
        ({"rules": [TOKENS, {**TOKENS, "name": "cuts", "cut": True}]},
         "rules[1].cut: this proxy cannot change answers, so that none can be ended here; leave it out, or use"),
    ],
    ("ai-proxy.yaml", "wasm-ai-proxy"): [
        ({"role": "route"}, "role: this proxy has no upstream filters; leave `role` out"),
        ({"bridge": False, "inline": "rewrite"}, "inline: on this proxy bodies can only be changed by the body bridge"),
        ({"routes": [{"name": "copied", "targets": [MODEL, MODEL], "shadow": {"targets": [1]}}]},
         f"routes[0].shadow: {NO_TIMER}"),
        ({"routes": [{"name": "busy", "targets": [
            {**MODEL, "endpoints": [{"metrics": {"url": "http://127.0.0.1:8000/metrics"}}]}]}]},
         f"routes[0].targets[0].endpoints[0].metrics: {NO_TIMER}"),
        ({"store": {"url": "http://webdis:7379"}}, f"store: {NO_TIMER}"),
        ({"carbon": {"sources": [{"region": "eu", "url": "http://127.0.0.1:1/now", "pointer": "/now"}]}},
         f"carbon.sources: {NO_TIMER}"),
    ],
    # In the bundle the section is named.
    ("pass-through.yaml", "wasm-ai-gateway"): [
        ({"prompt-guard": {"pii": {"entities": {"EMAIL": "mask"}}}},
         f"prompt-guard.pii.entities.EMAIL: {NO_BODIES}"),
        ({"semantic-cache-client": {"stale_if_error": 60}}, "semantic-cache-client.stale_if_error: this proxy cannot"),
    ],
}


@pytest.mark.parametrize(("name", "plugin", "more", "message"), [
    pytest.param(*where, *case, id=f"{where[0]}-{case[1]}") for where, cases in REFUSED.items() for case in cases])
def test_what_cannot_be_done_is_refused_and_said(tmp_path, ask, name, plugin, more, message):
    def edit(text):
        document = yaml.safe_load(text)
        document["routes"][0]["plugins"][plugin]["conf"].update(more)
        return yaml.safe_dump(document, sort_keys=False) + "#END"

    with Stack(f"apisix/{name}", directory=tmp_path, edit=edit, mock=False) as stack:
        gateway = Gateway(stack)
        for _ in range(2):
            assert gateway.post(ask("gpt-4o")).status_code == 503
        assert f"configuration refused: {message}" in stack.log, stack.log


def test_what_masks_nothing_is_not_refused(tmp_path, ask):
    """Kinds of one's own are masked unless something else is said of them."""
    def edit(text):
        document = yaml.safe_load(text)
        document["routes"][0]["plugins"]["wasm-prompt-guard"]["conf"]["pii"] = {
            "custom": {"TICKET": "TCK-[0-9]{6}"}, "preset": "pci_dss",
            "entities": {"TICKET": "block", "CREDIT_CARD": "flag", "CN_BANKCARD": "flag", "IBAN": "allow"}}
        return yaml.safe_dump(document, sort_keys=False) + "#END"

    with Stack("apisix/prompt-guard.yaml", directory=tmp_path, edit=edit) as stack:
        gateway = Gateway(stack)
        assert gateway.post(ask("gpt-4o")).status_code == 200
        assert gateway.post(ask("gpt-4o", "what of TCK-123456?")).status_code == 400
