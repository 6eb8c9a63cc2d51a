"""Routes in two workers: shares, sticking, resting, canary, and a provider of another protocol for each
attempt."""

import collections
import concurrent.futures
import json
import re

import httpx
import pytest

TARGETS = [
    {"provider": "openai", "model": "gpt-5", "weight": 6},
    {"provider": "anthropic", "model": "claude-sonnet-4-5", "weight": 3},
    {"provider": "gemini", "model": "gemini-2.5-flash", "weight": 1},
]


def providers(gateway, ask, count, headers=None):
    """Who answers so many requests, sent over several connections so that both workers get some."""

    def some(share):
        with httpx.Client(base_url=gateway.stack.base_url, timeout=60) as client:
            return [client.post("/chat/completions", json=ask("any"), headers=headers or {})
                    .headers["x-ai-provider"] for _ in range(share)]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = pool.map(some, [count // 8] * 8)
    return collections.Counter(provider for answer in answers for provider in answer)


def test_shares_are_kept(with_routes, ask):
    gateway = with_routes([{"name": "shared", "strategy": "weighted", "targets": TARGETS}])
    counts = providers(gateway, ask, 800)
    for provider, share in (("openai", 60), ("anthropic", 30), ("gemini", 10)):
        assert abs(counts[provider] / 8 - share) < 1, counts


def test_a_client_keeps_to_its_target_in_both_workers(with_routes, ask):
    gateway = with_routes([{"name": "sticky", "strategy": "weighted", "targets": TARGETS,
                            "sticky": {"header": "x-session"}}])
    seen = set()
    for session in range(12):
        counts = providers(gateway, ask, 16, {"x-session": f"s{session}"})
        assert len(counts) == 1, counts
        seen |= set(counts)
    assert len(seen) > 1


FAILURES = {
    "503": {"status": 503},
    "429": {"status": 429, "retry_after": 5},
    "dropped": {"drop_connection": True},
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_each_attempt_is_of_its_own_protocol(with_routes, ask, failure, stream):
    order = [TARGETS[2], TARGETS[1], TARGETS[0]]
    gateway = with_routes([{"name": "in-order", "targets": order}])
    script = {"text": "here", "on": {"gemini": failure, "anthropic": failure}}
    answer = gateway.post(ask("any", stream=stream), script)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-ai-provider"] == "openai"
    assert answer.headers["x-ai-route"] == "in-order"
    assert "here" in answer.text
    attempts = [gateway.received(name)[0] for name in ("gemini", "anthropic", "openai")]
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    assert [attempt["path"] for attempt in attempts] == [
        f"/v1beta/models/gemini-2.5-flash:{method}", "/v1/messages", "/v1/chat/completions"]
    keys = [{name for name, _ in attempt["headers"]} &
            {"authorization", "x-api-key", "x-goog-api-key"} for attempt in attempts]
    assert keys == [{"x-goog-api-key"}, {"x-api-key"}, {"authorization"}]
    for attempt in attempts:
        names = {name for name, _ in attempt["headers"]}
        assert not {"x-ai-cluster", "x-ai-facts"} & names


def test_nobody_listens_at_the_first(with_routes, ask):
    # A port that nobody listens on, in the place of OpenAI's.
    gateway = with_routes([{"name": "in-order", "targets": TARGETS}],
                          edit=lambda text: re.sub(r"(name: openai\n[\s\S]*?port_value:) \d+", r"\1 1", text))
    for stream in (False, True):
        answer = gateway.post(ask("any", stream=stream))
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-ai-provider"] == "anthropic"


def test_a_target_that_keeps_failing_is_not_asked_any_more(with_routes, ask):
    gateway = with_routes([{"name": "in-order", "targets": TARGETS}],
                          more='"circuit": { "consecutive_failures": 2, "rest_seconds": 600 },')
    for _ in range(40):
        answer = gateway.post(ask("any"), {"on": {"openai": {"status": 500}}},
                              headers={"connection": "close"})
        assert answer.headers["x-ai-provider"] == "anthropic"
    # Two in each worker.
    assert 2 <= len(gateway.received("openai")) <= 4


def test_a_canary_that_fails_is_taken_back_in_both_workers(with_routes, ask):
    canary = {"target": 1, "steps": [50], "min_requests": 10}
    gateway = with_routes([{"name": "new", "targets": TARGETS[:2], "canary": canary}])
    script = {"on": {"anthropic": {"status": 500}}}
    for _ in range(60):
        gateway.post(ask("any"), script, headers={"connection": "close"}).raise_for_status()
    tried = len(gateway.received("anthropic"))
    assert 1 <= tried <= 5
    assert '"status":"aborted"' in gateway.stack.log


def test_where_a_request_may_not_go_is_told(with_routes, ask):
    gateway = with_routes([{"name": "eu", "allowed_regions": ["eu"], "targets": TARGETS}])
    answer = gateway.post(ask("any"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "region_not_allowed")
    line = next(line for line in gateway.stack.log.splitlines() if '"event":"routing"' in line)
    line = json.JSONDecoder().raw_decode(line[line.index("{"):])[0]
    assert (line["audit"], line["action"], line["rule"], line["region"]) == (1, "deny", "eu", None)
