"""A gateway that has served the thousand requests of `mix.py` twice, with all that looks at it: a real
Prometheus and a real OpenTelemetry collector.
"""

import json
import time

import httpx
import pytest
import yaml

import mix
import otlp
from collector import Collector
from conftest import Gateway
from gateway.config import wasm_configs
from gateway.stack import KEYS, Stack
from prometheus import Prometheus, series

ADMIN = {"authorization": f"Bearer {KEYS['AI_ADMIN_KEY']}"}
LIMIT = {"name": "mix", "key": ["header:x-mix"], "unit": "requests", "limit": 5, "window": "day",
         "algorithm": "fixed_window", "soft": [0.5], "when": {"headers": {"x-mix": "run-*"}}}
# A limiter of tokens would refuse some of a thousand at once, and a resting target would make the
# order of requests matter.
CIRCUIT = {"consecutive_failures": 1_000_000, "error_rate": 1.0, "min_requests": 1_000_000}


def configured(text, port, access_log):
    """The example with all that ai-metrics can send switched on."""
    config = yaml.safe_load(text)
    config["stats_flush_interval"] = "1s"
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    config["static_resources"]["clusters"].append({
        "name": "otel", "type": "STATIC", "connect_timeout": "1s", "load_assignment": {
            "cluster_name": "otel",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}]}})
    manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]
    manager["typed_config"]["access_log"] = [{
        "name": "envoy.access_loggers.file", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": str(access_log), "log_format": {"text_format_source": {
                "inline_string": "%RESPONSE_CODE% %FILTER_STATE(wasm.ai.log:PLAIN)%\n"}}}}]
    for wasm in wasm_configs(config):
        sections = json.loads(wasm["configuration"]["value"])
        sections["ai-metrics"] |= {
            "prices": [mix.NOVA],
            "otlp": {"upstream": "otel", "period_ms": 1000},
            "access_log": {"enabled": True, "property": True},
            "report": {"admin_key": "$env://AI_ADMIN_KEY", "feedback_key": "$env://AI_ADMIN_KEY"}}
        sections["semantic-cache-client"]["mode"] = "enforce"
        sections["token-ratelimit"]["rules"] = [LIMIT]
        sections["ai-proxy"]["circuit"] = CIRCUIT
        wasm["configuration"]["value"] = json.dumps(sections)
    return yaml.safe_dump(config, sort_keys=False)


class Observed:
    """A gateway that has served the thousand requests twice."""

    def __init__(self, gateway, prometheus, receiver, collected, access_log):
        self.gateway, self.prometheus = gateway, prometheus
        # What the gateway exported, and what came out of the collector.
        self.receiver, self.collected = receiver, collected
        self.access_log = access_log
        self.truth, self.counters, self.histograms = {}, {}, {}
        # A model's name becomes a label once an answer has confirmed it.
        self.before = mix.Mix(gateway, 0).warm_up()
        self.settle(self.before)
        self.counters[0], self.histograms[0] = self.scrape()
        for run in (1, 2):
            got = mix.Mix(gateway, run).send()
            self.settle(self.before + 1000 * run)
            self.truth[run] = mix.truth(got, gateway.received())
            self.counters[run], self.histograms[run] = self.scrape()
        self.give_feedback()

    def settle(self, requests):
        """Waits until so many requests have been told of, those of clients that left included, and Envoy
        has shown its histograms."""
        before = None
        for _ in range(100):
            counters, histograms = self.scrape()
            told = sum(value for (name, _), value in counters.items() if name == "ai_requests_total")
            flight = sum(value for (name, _), value in counters.items()
                         if name == "ai_requests_in_flight")
            whole = told >= requests and flight == 0
            if whole and histograms and before == histograms:
                return
            before = histograms if whole else None
            # Envoy shows what it has every second, and is told of it every half.
            time.sleep(2.5 if whole else 0.1)

    def scrape(self):
        """All that the plugins say: counters and gauges, and histograms, by name and labels."""
        text = httpx.get(f"{self.gateway.stack.admin_url}/stats/prometheus").text
        single, buckets = {}, {}
        for name, labels, value in series(text):
            if not name.startswith(("ai_", "gen_ai_")):
                continue
            kind = buckets if name.endswith(("_bucket", "_sum", "_count")) else single
            kind[name, frozenset(labels.items())] = value
        return single, buckets

    def total(self, run, name, **labels):
        """By how much a counter has grown in a run."""
        wanted = set(labels.items())
        both = [sum(value for (found, has), value in self.counters[number].items()
                    if found == name and wanted <= has) for number in (run - 1, run)]
        return both[1] - both[0]

    def everything(self, name, **labels):
        """Where a counter stands in the end."""
        wanted = set(labels.items())
        return sum(value for (found, has), value in self.counters[2].items()
                   if found == name and wanted <= has)

    def bucket(self, run, name, bound, **labels):
        """How many values of a run's histogram were no larger."""
        wanted = {("le", f"{bound}"), *labels.items()}
        both = [sum(value for (found, has), value in self.histograms[number].items()
                    if found == f"{name}_bucket" and wanted <= has) for number in (run - 1, run)]
        return both[1] - both[0]

    def log_lines(self, run):
        """The access log's lines of a run, as Envoy's own access log has them."""
        begin, end = self.before + (run - 1) * 1000, self.before + run * 1000
        # Envoy writes it every ten seconds, or when its buffer is full.
        for _ in range(300):
            lines = [line.split(" ", 1) for line in self.access_log.read_text().splitlines()]
            lines = [json.loads(text) for _, text in lines if text.startswith("{") and text.endswith("}")]
            if len(lines) >= end:
                break
            time.sleep(0.1)
        return lines[begin:end]

    def give_feedback(self):
        """Every tenth answer of the second run gets a score."""
        for one in self.truth[2][::10]:
            if one.got.feedback:
                url = self.gateway.stack.base_url.removesuffix("/v1") + "/_ai/feedback"
                about = {"for": one.got.feedback, "score": 0.8}
                httpx.post(url, params=about, headers=ADMIN).raise_for_status()


@pytest.fixture(scope="session")
def observed(tmp_path_factory):
    """Starts everything, and sends the requests."""
    directory = tmp_path_factory.mktemp("observed")
    access_log = directory / "access.log"
    with Collector(directory) as collector:
        receiver = otlp.Receiver(collector.url)
        # A collector that is overloaded is asked again; what one refuses for good is lost, and counted.
        receiver.refuse["/v1/metrics"] = [503]
        receiver.refuse["/v1/traces"] = [503, 400]
        edit = lambda text: configured(text, receiver.port, access_log)
        with Stack("bundle.yaml", directory=directory, edit=edit) as stack:
            with Prometheus(directory, stack.admin_url) as prometheus:
                yield Observed(Gateway(stack), prometheus, receiver, collector.received, access_log)
            log = stack.log
        receiver.close()
    assert "panicked" not in log and "kangaroo" not in log
