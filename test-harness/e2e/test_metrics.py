"""What ai-metrics counts of a thousand requests is what they were.

The thousand requests of `mix.py` are sent twice; all figures are compared with what the stand-ins for the
providers have recorded.
"""

import collections
import json
import re

import pytest

import mix

TIMED = ("_milliseconds", "_microseconds")
RUNS = pytest.mark.parametrize("run", [1, 2])


@RUNS
def test_every_request_is_counted_once_with_its_status(observed, run):
    truth = observed.truth[run]
    assert observed.total(run, "ai_requests_total") == 1000
    for status, count in collections.Counter(one.got.status for one in truth).items():
        assert observed.total(run, "ai_requests_total", status=str(status)) == count, status
    for kind, labels in {
            "left": {"error_type": "client_disconnect", "status": "200"},
            "wrong key": {"status": "401"},
            "limited": {"error_type": "rate_limit", "gen_ai_provider_name": "none"}}.items():
        wanted = sum(one.got.ask.kind == kind and (kind != "limited" or one.got.status == 429)
                     for one in truth)
        assert observed.total(run, "ai_requests_total", **labels) == wanted > 0, kind
    assert observed.total(run, "ai_guard_requests_total", action="block") == 20
    cut = [observed.total(run, "ai_requests_total", error_type=kind)
           for kind in ("stream_incomplete", "stream_error", "upstream_reset")]
    assert sum(cut) == 40, cut
    assert observed.total(run, "ai_limited_requests_total", limit="mix") == 5


@RUNS
def test_requests_are_counted_for_who_asked_and_who_served(observed, run):
    served = collections.Counter(
        (one.last["listener"], one.got.ask.consumer, one.got.ask.stream, one.got.ask.model)
        for one in observed.truth[run] if one.last and one.last["status"] < 300)
    assert len(served) > 20
    for (provider, consumer, stream, model), count in served.items():
        assert observed.total(
            run, "ai_requests_total", status="200", gen_ai_provider_name=provider,
            consumer=consumer, stream=str(stream).lower(), gen_ai_request_model=model,
            region="desk") == count, (provider, consumer, stream, model)
    hits = observed.total(run, "ai_cache_requests_total", result="hit-exact")
    assert hits == 20 and not any(one.attempts for one in observed.truth[run]
                                  if one.got.ask.kind == "cached")
    assert observed.total(run, "ai_requests_total", status="200") == sum(served.values()) + hits


@RUNS
def test_every_attempt_is_counted_at_the_provider_that_got_it(observed, run):
    attempts, failed = collections.Counter(), collections.Counter()
    for one in observed.truth[run]:
        attempts.update(one.attempts)
        failed.update(one.attempts[:-1])
        if one.got.status >= 500 or one.got.ask.kind == "cut":
            failed.update(one.attempts[-1:])
    assert failed["openai"] > 40
    for provider, count in attempts.items():
        labels = {"gen_ai_provider_name": provider}
        assert observed.total(run, "ai_attempts_total", **labels) == count, provider
        assert observed.total(run, "ai_attempts_total", result="failed",
                              **labels) == failed[provider], provider


@RUNS
def test_tokens_are_exactly_those_that_the_providers_reported(observed, run):
    wanted = collections.Counter()
    for one in observed.truth[run]:
        for kind, count in (one.tokens or {}).items():
            wanted[one.last["listener"], one.got.ask.consumer, kind] += count
    assert len(wanted) > 40
    for (provider, consumer, kind), count in wanted.items():
        labels = {"gen_ai_provider_name": provider, "gen_ai_token_type": kind}
        assert observed.total(run, "ai_tokens_total", source="reported", consumer=consumer,
                              **labels) == count, (provider, consumer, kind)


@RUNS
def test_what_broke_off_or_reported_nothing_is_estimated_from_what_came(observed, run):
    broken = [one for one in observed.truth[run] if one.estimated]
    assert len(broken) == 120
    # 39 letters of eight words; 23 up to the fifth.
    wanted = sum(10 if one.got.ask.kind == "stream without usage" else 6 for one in broken)
    assert observed.total(run, "ai_tokens_total", source="estimated",
                          gen_ai_token_type="output") == wanted
    prompts = observed.total(run, "ai_tokens_total", source="estimated", gen_ai_token_type="input")
    assert 5 * len(broken) < prompts < 40 * len(broken)


@RUNS
def test_costs_are_exact(observed, run):
    wanted, without = collections.Counter(), 0
    for one in observed.truth[run]:
        if one.cost is not None:
            wanted[one.last["listener"], one.model] += one.cost
        elif one.tokens:
            without += 1
    assert {provider for provider, _ in wanted} == set(mix.FIVE) and without == 10
    for (provider, model), cost in wanted.items():
        assert observed.total(run, "ai_cost_nano_usd_total", source="reported",
                              gen_ai_provider_name=provider,
                              gen_ai_response_model=model) == cost, (provider, model)
    assert observed.total(run, "ai_unpriced_requests_total") == 10


@RUNS
def test_who_can_be_rated_is_an_answer_of_a_provider(observed, run):
    asked = {one.got.ask.kind: bool(one.got.feedback) for one in observed.truth[run]}
    assert asked["whole"] and asked["stream"] and not asked["cached"]


@RUNS
def test_latencies_are_in_their_buckets(observed, run):
    truth = observed.truth[run]
    whole = [one for one in truth if one.got.ask.kind in ("whole", "stream", "masked")]
    streams = [one for one in whole if one.got.ask.stream]
    name = "gen_ai_client_operation_duration_milliseconds"
    models = {one.got.ask.model for one in whole}
    for bound in (40, 80, 160, 320, 640):
        # The gateway is faster than what its client sees and slower than its provider. Envoy keeps two
        # digits of a value, hence the tenth.
        found = sum(observed.bucket(run, name, bound, gen_ai_request_model=model, error_type="")
                    for model in models)
        others = [one for one in truth if one not in whole and one.got.status == 200
                  and one.got.ask.model in models and one.got.ask.kind != "cut"]
        least = sum(one.got.millis <= bound * 0.9 for one in whole)
        most = sum(one.last["total_ms"] <= bound * 1.1 for one in whole) + len(others)
        assert least <= found <= most, (bound, least, found, most)
    name = "gen_ai_server_time_to_first_token_milliseconds"
    found = {bound: observed.bucket(run, name, bound) for bound in (20, 60, 100, 250)}
    for bound, count in found.items():
        slow = sum(one.got.ask.script.get("ttft_ms", 0) > bound * 1.1 for one in streams)
        everything = observed.bucket(run, name, "+Inf")
        assert count <= everything - slow, (bound, count, everything, slow)


@RUNS
def test_the_providers_part_of_the_time_is_told_apart_from_our_own(observed, run):
    lines = [line for line in observed.log_lines(run) if "own_ms" in line]
    assert len(lines) > 500
    for line in lines:
        assert 0 <= line["own_ms"] and line["upstream_ms"] <= line["total_ms"], line
        assert abs(line["own_ms"] + line["upstream_ms"] - line["total_ms"]) < 0.01


def test_the_same_traffic_twice_gives_the_same_counters(observed):
    def grown(run):
        names = {key for key in observed.counters[run]}
        before = observed.counters[run - 1]
        found = {key: observed.counters[run][key] - before.get(key, 0) for key in names}
        return {key: value for key, value in found.items() if value and not varies(key[0])}

    def varies(name):
        # What follows the clock and not the requests, and the exports of what was refused once.
        return name.startswith(("ai_drift", "ai_otlp", "ai_metrics_dropped")) or name.endswith(TIMED)

    first, second = grown(1), grown(2)
    assert len(first) > 150
    assert first == second, set(first.items()) ^ set(second.items())


@RUNS
def test_each_request_has_one_line_in_the_access_log(observed, run):
    lines = observed.log_lines(run)
    assert len(lines) == 1000
    wanted = collections.Counter((one.got.status, one.got.ask.consumer, one.got.ask.model)
                                 for one in observed.truth[run]
                                 if one.got.ask.kind not in ("wrong key", "forbidden"))
    found = collections.Counter((line["status"], line["consumer"], line["requested_model"])
                                for line in lines if line["status"] not in (401, 403))
    assert found == wanted
    told = re.findall(r'\{"time":.*\}', observed.gateway.stack.log)
    assert len(told) == observed.before + 2000 and json.loads(told[0])["operation"] == "chat"
    assert "kangaroo" not in observed.access_log.read_text()
