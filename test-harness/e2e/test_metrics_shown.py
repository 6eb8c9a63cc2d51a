"""What is made of ai-metrics' figures: OTLP, the report, the dashboards and the alerts."""

import json
import re
import shutil
import subprocess
import time

import httpx
import pytest
import yaml

import otlp
from gateway.stack import KEYS
from observed import ADMIN
from prometheus import FOLDER, find


def test_the_collector_gets_the_same_figures(observed):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if observed.receiver.total("ai.requests") == observed.before + 2000:
            break
        time.sleep(0.5)
    receiver = observed.receiver
    assert receiver.problems == []
    assert receiver.total("ai.requests") == observed.before + 2000
    instances = [instance for instance, _ in receiver.metrics.values()]
    # Two workers, and the main thread, which only sets gauges.
    assert 2 <= len(instances) <= 3
    for instance in instances:
        assert instance["service.name"] == "wasm-ai-gateway"
        assert instance["cloud.region"] == "desk" and instance["k8s.cluster.name"] == "demo"
    for name, otlp_name, labels, otlp_labels in [
            ("ai_tokens_total", "ai.tokens", {"gen_ai_token_type": "input"},
             {"gen_ai__token__type": "input"}),
            ("ai_cost_nano_usd_total", "ai.cost", {}, {}),
            ("gen_ai_client_inference_usage_output_tokens_total",
             "gen_ai.client.inference.usage.output_tokens", {}, {})]:
        wanted = observed.everything(name, **labels)
        assert receiver.total(otlp_name, **otlp_labels) == wanted > 0, name
    points = list(receiver.points("gen_ai.server.time_to_first_token"))
    assert points and points[0][0].unit == "s" and 2.5 in points[0][2].explicit_bounds
    assert all(sum(point.bucket_counts) == point.count for _, _, point in points)
    assert sum(point.count for _, _, point in points) > 600


def test_a_real_collector_takes_all_of_it_and_hands_the_same_figures_on(observed):
    sent, out = observed.receiver, observed.collected
    names = ("ai.requests", "ai.tokens", "ai.cost", "gen_ai.server.request.duration")

    def figure(point):
        if hasattr(point, "as_int"):
            return point.as_int
        return point.count, point.sum, list(point.bucket_counts), list(point.explicit_bounds)

    def figures(receiver):
        return [sorted((sorted(labels.items()), figure(point))
                       for _, labels, point in receiver.points(name)) for name in names]

    def same():
        spans = [{span.span_id: str(span) for span in list(each.spans)} for each in (sent, out)]
        return figures(sent) == figures(out) and spans[0] == spans[1]

    deadline = time.monotonic() + 30
    while not same() and time.monotonic() < deadline:
        time.sleep(0.5)
    assert sent.problems == [] and out.problems == []
    assert all(figures(out)) and figures(out) == figures(sent)
    assert set(out.metrics) == set(sent.metrics)
    assert len(out.spans) > 1000 and same()


def test_each_request_has_one_span(observed):
    deadline = time.monotonic() + 20
    known = observed.receiver
    # All of them, but for the batch that the receiver refused for good, which is counted.
    lost = lambda: sum(value for (name, labels), value in observed.scrape()[0].items()
                       if name == "ai_metrics_dropped_total" and ("what", "span") in labels)
    # A batch whose answer did not come in time is sent again as it was.
    distinct = lambda: {span.span_id: span for span in list(known.spans)}
    count = observed.before + 2000
    while len(distinct()) + lost() < count and time.monotonic() < deadline:
        time.sleep(0.5)
    spans = distinct()
    assert len(spans) + lost() == count
    assert all(spans[span.span_id] == span for span in known.spans)
    chat = [span for span in spans.values() if span.name == "chat gpt-4o"]
    found = [otlp.attributes(span) for span in chat]
    assert all(one["gen_ai.operation.name"] == "chat" for one in found)
    whole = [one for one in found if one.get("http.response.status_code") == 200]
    assert all(one["gen_ai.usage.input_tokens"] > 0 for one in whole) and len(whole) > 100
    assert all(len(span.trace_id) == 16 and len(span.span_id) == 8 and
               span.end_time_unix_nano > span.start_time_unix_nano for span in chat)


@pytest.mark.parametrize("fmt", ["json", "csv"])
def test_the_cost_report_adds_up_to_the_same(observed, fmt):
    url = observed.gateway.stack.base_url.removesuffix("/v1") + f"/_ai/costs?format={fmt}"
    wanted = observed.everything("ai_cost_nano_usd_total")
    count = observed.before + 2000
    for _ in range(50):
        answer = httpx.get(url, headers=ADMIN)
        if fmt == "json":
            rows = answer.json()
        else:
            head, *lines = answer.text.splitlines()
            rows = [dict(zip(head.split(","), line.split(","))) for line in lines]
        nanos = sum(round(float(row["cost_usd"]) * 1e9) for row in rows)
        if nanos == wanted and sum(int(row["requests"]) for row in rows) == count:
            break
        # Workers show each other their figures every two seconds.
        time.sleep(0.2)
    assert nanos == wanted > 0
    assert sum(int(row["requests"]) for row in rows) == count
    assert {row["consumer"] for row in rows} >= {"demo", "intern", "anonymous"}


def dashboards():
    """The queries of all dashboards: file, panel, query."""
    for path in sorted((FOLDER / "dashboards").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                yield path.name, panel["title"], target["expr"]


def test_every_query_of_the_dashboards_has_data(observed):
    values = {"$__rate_interval": "2m", "$__range": "10m", "$region": ".*", "$cluster": "demo|x"}
    queries = list(dashboards())
    assert len(queries) > 80
    missing = {}
    deadline = time.monotonic() + 30
    while True:
        for board, panel, query in queries if not missing else list(missing.values()):
            text = query
            for name, value in values.items():
                text = text.replace(name, value)
            # Where there is none a panel shows 0; here there must be some.
            text = text.replace(" or vector(0)", "")
            found = observed.prometheus.query(text)
            if any(value == value for _, value in found):
                missing.pop((board, panel, query), None)
            else:
                missing[board, panel, query] = (board, panel, query)
        if not missing or time.monotonic() > deadline:
            break
        time.sleep(2)
    assert not missing, "\n".join(map(str, missing))


def test_prometheus_has_what_the_gateway_said(observed):
    for _ in range(20):
        found = observed.prometheus.query("sum(ai_requests_total)")
        if found and found[0][1] == observed.before + 2000:
            break
        time.sleep(0.5)
    assert found[0][1] == observed.before + 2000
    masked = observed.prometheus.query('sum(ai_pii_total{kind="EMAIL"})')
    assert masked[0][1] == 60
    alerts = observed.prometheus.query('ALERTS{alertname="AIModelWithoutPrice"}')
    assert "gpt-of-tomorrow" in {labels["gen_ai_response_model"] for labels, _ in alerts}


def test_the_report_compares_the_models(observed):
    url = observed.gateway.stack.base_url.removesuffix("/v1") + "/_ai/report"
    report = httpx.get(url, headers=ADMIN, params={"format": "json"}).json()
    models = {model["name"]: model for model in report["models"]}
    for name in ("openai/gpt-4o", "anthropic/claude-haiku-4-5"):
        for figure in ("success_rate", "first_token_p50_ms", "duration_p95_ms", "answer_tokens",
                       "cost_usd"):
            known = models[name][figure]
            assert known["low"] <= known["value"] <= known["high"] and known["n"] >= 30, figure
    assert models["openai/gpt-of-tomorrow"]["success_rate"]["note"] == "not enough data"
    page = httpx.get(url, headers={**ADMIN, "accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")
    assert page.text.count("<svg") >= 6 and page.text.count("<table>") >= 3
    assert not re.search(r"(?:src|href)=|<script|https?://|@import|url\(", page.text)


def chromium():
    """A browser, where there is one: Debian's takes longer to install than all other tests to run."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
                None)


@pytest.mark.skipif(not chromium(), reason="no Chromium here; `apt-get install chromium`")
def test_the_report_is_a_page_in_a_real_browser(observed, tmp_path):
    root = observed.gateway.stack.base_url.removesuffix("/v1").removeprefix("http://")
    url = f"http://admin:{KEYS['AI_ADMIN_KEY']}@{root}/_ai/report?format=html"
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/user",
             "--window-size=1400,3000", "--hide-scrollbars"]
    picture = tmp_path / "report.png"
    done = subprocess.run([chromium(), *flags, f"--screenshot={picture}", url], timeout=120,
                          capture_output=True, text=True, check=True)
    assert "Refused to apply" not in done.stderr, "the page's policy forbids its own style"
    assert picture.stat().st_size > 30_000
    dom = subprocess.run([chromium(), *flags, "--dump-dom", url], timeout=120, capture_output=True,
                         text=True, check=True).stdout
    assert "openai/gpt-4o" in dom and "<svg" in dom and "not enough data" in dom


@pytest.mark.parametrize("command", [
    ["check", "config", "prometheus.yaml"],
    ["test", "rules", "tests.yaml", "tests-days.yaml"]])
def test_the_rules_do_what_they_say(command):
    done = subprocess.run([find("promtool"), *command], cwd=FOLDER, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested():
    rules = yaml.safe_load((FOLDER / "alerts.yaml").read_text())
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    tests = [test for name in ("tests.yaml", "tests-days.yaml")
             for test in yaml.safe_load((FOLDER / name).read_text())["tests"]]
    fires = {case["alertname"] for test in tests for case in test.get("alert_rule_test", [])
             if case["exp_alerts"]}
    assert alerts == fires
