"""Runs one Envoy per variant, all on one core, and reads what each has used."""

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

from gateway.config import ROOT, free_ports
from gateway.stack import answers, find_envoy, start, stop, wait_for

from . import envoy, variants

LOAD = ROOT / "target" / "tools" / "load"
# The proxy has the first core for itself as far as this command goes; clients and provider have the other.
PROXY_CPU, LOAD_CPU = "0", str(max(os.sched_getaffinity(0)))


class Failed(Exception):
    """A run went wrong: what it printed."""


def taskset(cpu):
    """How to keep a process on a core."""
    return ["taskset", "-c", cpu]


class Provider:
    """The provider, for all Envoys."""

    def __init__(self, directory):
        self.port, = free_ports(1)
        self.process = start([*taskset(LOAD_CPU), str(LOAD), "serve", f"127.0.0.1:{self.port}"],
                             Path(directory) / "provider.log")

    def stop(self):
        """Ends it."""
        stop(self.process.pid, self.process)


class Proxy:
    """An Envoy with one worker."""

    def __init__(self, variant, provider, directory, workers=1, http2=False):
        self.variant = variant
        self.port, self.admin = free_ports(2)
        config = envoy.bootstrap((self.port, self.admin, provider.port), variant.filters,
                                 variant.upstream, http2)
        stem = Path(directory) / f"{variant.name}-{self.port}"
        stem.with_suffix(".json").write_text(json.dumps(config, indent=1))
        log = stem.with_suffix(".log")
        command = [*taskset(PROXY_CPU), find_envoy(), "-c", str(stem.with_suffix(".json")),
                   "--concurrency", str(workers), "--log-level", "error", "--disable-hot-restart"]
        begun = time.monotonic()
        self.process = start(command, log, cwd=ROOT)
        wait_for(lambda: answers(f"http://127.0.0.1:{self.admin}/ready"), self.process, log,
                 f"Envoy ({variant.name})")
        self.start_seconds = time.monotonic() - begun
        self.start_cpu = self.cpu()

    def cpu(self):
        """Seconds of CPU time so far, of all threads."""
        total = 0
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            try:
                total += int((task / "schedstat").read_text().split()[0])
            except FileNotFoundError:
                continue
        return total / 1e9

    def memory(self, name="VmRSS"):
        """Kilobytes of memory; `VmHWM` is the most there ever were."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
        raise Failed(f"no {name} of process {self.process.pid}")

    def forget_peak(self):
        """Lets `VmHWM` begin anew."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def stop(self):
        """Ends it."""
        stop(self.process.pid, self.process)

    def run(self, case):
        """Sends a case's requests; what the clients saw, and the CPU time that it took."""
        body = case.body
        if self.variant.repeats:
            # Without the place where the clients put another number each time.
            body = case.body.with_suffix(".repeated.json")
            body.write_text(case.body.read_text().replace("00000000", "12345678"))
        options = [f"to=127.0.0.1:{self.port}", f"body={body}", f"requests={case.requests}",
                   f"connections={case.connections}", f"expect={self.variant.expect}",
                   f"begin_us={case.begins}",
                   # Where no provider is asked, nobody thinks: then the clients wait for as long.
                   f"pause_us={case.thinks if self.variant.answers else 0}",
                   *(f"header={name}:{value}" for name, value in case.headers.items())]
        before = self.cpu()
        done = subprocess.run([*taskset(LOAD_CPU), str(LOAD), "run", *options],
                              capture_output=True, text=True, timeout=600)
        used = self.cpu() - before
        if done.returncode:
            raise Failed(f"{self.variant.name}, {case.name}: {done.stderr.strip()}")
        seen = json.loads(done.stdout)
        seen["cpu_us"] = used * 1e6 / seen["requests"]
        seen["per_second"] = seen["requests"] / seen["seconds"]
        return seen


class Bench:
    """The provider and one Envoy per variant, all of them idle until asked."""

    def __init__(self, chosen):
        self.directory = tempfile.mkdtemp(prefix="bench-")
        self.proxies = []
        self.provider = Provider(self.directory)
        try:
            for variant in chosen:
                self.proxies.append(Proxy(variant, self.provider, self.directory))
        except BaseException:
            self.stop()
            raise

    def stop(self):
        """Ends everything."""
        for proxy in self.proxies:
            proxy.stop()
        self.provider.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def rounds(self, case, count, tell):
        """`count` rounds of a case, each through all Envoys, in another order each time: a list of
        what was seen per variant."""
        results = {proxy.variant.name: [] for proxy in self.proxies}
        taking_part = [proxy for proxy in self.proxies if case.wants(proxy.variant.name)]
        for number in range(count):
            turned = number % len(taking_part)
            for proxy in taking_part[turned:] + taking_part[:turned]:
                results[proxy.variant.name].append(proxy.run(case))
            tell(f"{case.name}: round {number + 1} of {count}")
        return {name: seen for name, seen in results.items() if seen}
