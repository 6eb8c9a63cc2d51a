"""A Prometheus that scrapes a gateway."""

import json
import re
import shutil
import urllib.parse
import urllib.request

import pytest
import yaml

from gateway.config import EXAMPLES, ROOT, free_ports
from gateway.stack import answers, start, stop, wait_for

FOLDER = EXAMPLES / "observability"


def find(name):
    """A program of Prometheus: from PATH, or where setup has put it."""
    here = ROOT / ".run/prometheus/usr/bin" / name
    found = shutil.which(name) or (str(here) if here.exists() else None)
    if not found:
        pytest.fail(f"{name} is missing: run `make setup`, or install Debian's package prometheus")
    return found


def series(text):
    """The samples of Prometheus' text format: name, labels, value."""
    for line in text.splitlines():
        match = re.fullmatch(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)", line)
        if match and not line.startswith("#"):
            labels = dict(re.findall(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"', match[2] or ""))
            yield match[1], labels, float(match[3])


class Prometheus:
    """A running Prometheus with the rules of the example."""

    def __init__(self, directory, admin_url):
        self.directory = directory
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        config = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "2s"}
        config["rule_files"] = [str(FOLDER / name) for name in config["rule_files"]]
        scrape = config["scrape_configs"][0]
        scrape["static_configs"] = [{"targets": [admin_url.removeprefix("http://")]}]
        # The recorded series would not be there in time with the intervals of the shipped rules.
        for place, path in enumerate(config["rule_files"]):
            rules = yaml.safe_load(open(path, encoding="utf-8"))
            for group in rules["groups"]:
                group.pop("interval", None)
            copy = directory / f"rules-{place}.yaml"
            copy.write_text(yaml.safe_dump(rules))
            config["rule_files"][place] = str(copy)
        (directory / "prometheus.yaml").write_text(yaml.safe_dump(config))
        self.process = None

    def __enter__(self):
        log = self.directory / "prometheus.log"
        self.process = start([find("prometheus"), f"--config.file={self.directory}/prometheus.yaml",
                              f"--storage.tsdb.path={self.directory}/data",
                              f"--web.listen-address=127.0.0.1:{self.port}"], log)
        wait_for(lambda: answers(f"{self.url}/-/ready"), self.process, log, "Prometheus")
        return self

    def __exit__(self, *_):
        stop(self.process.pid, self.process)

    def query(self, expression):
        """The result of an instant query: labels and value of each series."""
        query = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"{self.url}/api/v1/query?{query}", timeout=30) as response:
            answer = json.load(response)
        assert answer["status"] == "success" and not answer.get("warnings"), answer
        return [(item["metric"], float(item["value"][1])) for item in answer["data"]["result"]]

    def names(self):
        """The names of all metrics that it has."""
        url = f"{self.url}/api/v1/label/__name__/values"
        with urllib.request.urlopen(url, timeout=30) as response:
            return set(json.load(response)["data"])
