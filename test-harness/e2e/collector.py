"""A real OpenTelemetry collector (Rotel, which PyPI has as a program): takes what the gateway exports, and
sends what it has made of it to a receiver of the test."""

import socket
from importlib.util import find_spec
from pathlib import Path

import otlp
from gateway.config import free_ports
from gateway.stack import start, stop, wait_for


def listens(port):
    """Whether a connection to a port is taken."""
    with socket.socket() as each:
        return each.connect_ex(("127.0.0.1", port)) == 0


class Collector:
    """A running collector. `received` has what came out of it."""

    def __init__(self, directory):
        self.directory = directory
        self.port, grpc = free_ports(2)
        self.url = f"http://127.0.0.1:{self.port}"
        self.received = otlp.Receiver()
        program = Path(find_spec("rotel").origin).parent / "rotel-agent"
        self.command = [
            program, "start", "--pid-file", directory / "rotel.pid",
            "--otlp-http-endpoint", self.url.removeprefix("http://"),
            "--otlp-grpc-endpoint", f"127.0.0.1:{grpc}",
            "--batch-timeout", "200ms", "--exporter", "otlp", "--otlp-exporter-protocol", "http",
            "--otlp-exporter-endpoint", f"http://127.0.0.1:{self.received.port}"]
        self.process = None

    def __enter__(self):
        log = self.directory / "rotel.log"
        self.process = start([str(each) for each in self.command], log)
        wait_for(lambda: listens(self.port), self.process, log, "Rotel")
        return self

    def __exit__(self, *_):
        stop(self.process.pid, self.process)
        self.received.close()
