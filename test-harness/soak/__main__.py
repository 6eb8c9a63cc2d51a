"""Starts the bundle's example with one worker, loads it to a share of a core, and looks at its memory."""

import os
import statistics
import sys
import tempfile
import time
import urllib.request

from gateway.stack import Stack

from .clients import Clients

SECONDS = int(os.environ.get("SECONDS", "180"))
# Of one core, what Envoy is to use.
CPU = float(os.environ.get("CPU", "0.7"))
# Until caches, tables and V8's heap have their size.
WARM_UP = 0.4
# What memory may grow by from then on, and how much of that is noise.
GROWTH, NOISE = 0.05, 4 << 20


def used(pid):
    """Seconds of CPU that a process has had, of all its threads."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid):
    """Bytes of memory that a process has."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def watch(stack, clients):
    """Keeps the load where it is wanted; samples of CPU and memory, second by second."""
    pid = stack.processes["envoy"].pid
    samples, before, at = [], used(pid), time.monotonic()
    until = at + SECONDS
    while time.monotonic() < until:
        time.sleep(1)
        now, when = used(pid), time.monotonic()
        share, before, at = (now - before) / (when - at), now, when
        samples.append((share, resident(pid)))
        # Gently: one step moves the load by a fifth of what is missing.
        clients.pause.value = min(1, max(0.0005, clients.pause.value * (1 + (share / CPU - 1) / 5)))
        if len(samples) % 10 == 0:
            # The stand-ins remember what they were asked.
            urllib.request.urlopen(urllib.request.Request(
                f"{stack.mock_url('openai')}/_mock/reset", method="POST"), timeout=60).close()
            print(f"{len(samples):5} s  {share:5.0%} of a core  {samples[-1][1] / 1e6:6.0f} MB", flush=True)
    return samples


def main():
    """Runs it; 1 if something was wrong."""
    with Stack("bundle.yaml", directory=tempfile.mkdtemp(prefix="soak-"), workers=1, cache=True) as stack:
        address = stack.base_url.removeprefix("http://").removesuffix("/v1")
        clients = Clients(address)
        samples = watch(stack, clients)
        counts, wrong = clients.stop()
        log = stack.log
    for (kind, outcome), count in sorted(counts.items(), key=str):
        print(f"{kind:22} {outcome!s:>6} {count:8}")
    memory = [size for _, size in samples][int(len(samples) * WARM_UP):]
    third = max(1, len(memory) // 3)
    first, last = statistics.median(memory[:third]), statistics.median(memory[-third:])
    cpu = statistics.mean(share for share, _ in samples[int(len(samples) * WARM_UP):])
    print(f"{sum(counts.values())} requests, {cpu:.0%} of a core, memory {first / 1e6:.0f} MB after the "
          f"warm-up, {last / 1e6:.0f} MB at the end")
    if "panicked" in log or "failed to load" in log:
        wrong.append("Envoy's log tells of a module that has failed")
    if last - first > max(first * GROWTH, NOISE):
        wrong.append(f"memory has grown by {(last - first) / 1e6:.0f} MB after the warm-up")
    for line in wrong[:20]:
        print(f"WRONG  {line}")
    return 1 if wrong else 0


sys.exit(main())
