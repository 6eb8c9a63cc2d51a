"""`make bench`: measures, prints a table, and writes target/bench/summary.json and docs/performance.svg."""

import json
import os
import subprocess
import time
from pathlib import Path

from gateway.config import ROOT
from gateway.stack import DidNotStart

from . import cases, report
from .measure import Bench, Failed
from .variants import variants

OUT = ROOT / "target" / "bench"


def main():
    """All cases, or with `QUICK=1` the base case only; all variants, or those that `ONLY` names."""
    quick = os.environ.get("QUICK") == "1"
    only = os.environ.get("ONLY", "").split()
    chosen = [variant for variant in variants() if not only or variant.name in ("plain", *only)]
    results = {}
    with Bench(chosen) as bench:
        for case in cases.warm_up(bench.directory):
            bench.rounds(case, 1, tell)
        for case in cases.cases(bench.directory, quick):
            results[case.name] = bench.rounds(case, 3 if quick else 5, tell)
        memory = {proxy.variant.name: proxy.memory() for proxy in bench.proxies}
        starts = {proxy.variant.name: proxy.start_cpu for proxy in bench.proxies}
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "rounds.json").write_text(json.dumps(results) + "\n")
    about = {"date": time.strftime("%Y-%m-%d %H:%M"), "machine": machine(), "quick": quick,
             "commit": commit(), "load_average": os.getloadavg()[0]}
    summary = report.summary(about, results, memory, starts)
    (OUT / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    print(report.table(summary))
    if not quick and not only:
        Path(ROOT / "docs" / "performance.svg").write_text(report.plot(summary))


def tell(text):
    """Says how far it is."""
    print(text, flush=True)


def machine():
    """The processor, and how many."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")
    return f"{os.cpu_count()} x {name}"


def commit():
    """What was measured."""
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True,
                          text=True, check=False)
    return done.stdout.strip()


try:
    main()
except (DidNotStart, Failed) as error:
    raise SystemExit(str(error)) from None
