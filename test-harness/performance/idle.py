"""`make bench-idle`: what streams cost in memory that have begun and wait for more, over HTTP/2."""

import os
import subprocess
import tempfile
import time
from pathlib import Path

from gateway.stack import DidNotStart

from . import bodies, variants
from .measure import LOAD, LOAD_CPU, Failed, Provider, Proxy, taskset

STREAMS = int(os.environ.get("STREAMS") or 10_000)
# The streams' second token comes long after the measurement.
HEADERS = {**variants.HEADERS, "x-load": "tokens=2 gap_us=3600000000"}
NAMES = ("plain", "noop", "ai_proxy_passthrough", "ai_proxy_translate", "bundle", "bundle_upstream")


def main():
    """Each variant by itself: memory before the streams, and with all of them open."""
    only = os.environ.get("ONLY", "").split() or NAMES
    print(f"{STREAMS} streams\n{'':<24}{'before':>10}{'with them':>12}{'a stream':>12}{'above plain':>14}")
    plain = 0.0
    for variant in variants.variants():
        if variant.name == "plain" or variant.name in only:
            before, after = measured(variant)
            each = (after - before) / STREAMS
            plain = each if variant.name == "plain" else plain
            print(f"{variant.name:<24}{before / 1024:>7.0f} MB{after / 1024:>9.0f} MB{each:>9.1f} KB"
                  f"{each - plain:>11.1f} KB", flush=True)


def measured(variant):
    """Kilobytes before and with the streams."""
    with tempfile.TemporaryDirectory(prefix="idle-") as directory:
        body = Path(directory) / "stream.json"
        body.write_text(bodies.request(None, True))
        provider = Provider(directory)
        proxy = Proxy(variant, provider, directory, http2=True)
        try:
            with holding(proxy, body, 10):
                pass
            before = proxy.memory()
            with holding(proxy, body, STREAMS):
                return before, proxy.memory()
        finally:
            proxy.stop()
            provider.stop()


class holding:  # pylint: disable=invalid-name
    """So many streams, each with its first token."""

    def __init__(self, proxy, body, streams):
        headers = [f"{name}:{value}" for name, value in HEADERS.items()]
        self.command = [*taskset(LOAD_CPU), str(LOAD), "idle", f"127.0.0.1:{proxy.port}", str(streams),
                        str(body), *headers]
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "open":
            raise Failed(self.process.communicate()[1].strip())
        time.sleep(2)
        return self

    def __exit__(self, *_):
        self.process.communicate(input="")


if __name__ == "__main__":
    try:
        main()
    except (DidNotStart, Failed) as error:
        raise SystemExit(str(error)) from None
