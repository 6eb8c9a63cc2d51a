"""An OTLP/HTTP receiver: takes metrics and spans, by the protocol's own definition.

Every body is parsed with OpenTelemetry's published protobuf messages; in JSON they refuse unknown fields
and wrong types.
"""

import base64
import collections
import gzip
import json
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

IDS = ("traceId", "spanId", "parentSpanId")


def binary_ids(node):
    """OTLP's JSON has ids in hexadecimal, where protobuf's JSON has base64."""
    if isinstance(node, list):
        return [binary_ids(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {name: base64.b64encode(bytes.fromhex(value)).decode() if name in IDS
            else binary_ids(value) for name, value in node.items()}


def value(attribute):
    """An attribute's value in Python."""
    found = getattr(attribute.value, attribute.value.WhichOneof("value"))
    return [item.string_value for item in found.values] if hasattr(found, "values") else found


def attributes(message):
    """The attributes of a resource, data point or span."""
    return {attribute.key: value(attribute) for attribute in message.attributes}


class Receiver:
    """Listens on a free port. `refuse` has statuses that the next exports of a kind get. What is taken goes
    on to `collector`, byte for byte, if there is one, and its answer is the answer."""

    def __init__(self, collector=None):
        self.collector = collector
        self.metrics, self.spans, self.problems = {}, [], []
        self.refuse = collections.defaultdict(list)
        self.lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            """One export."""

            protocol_version = "HTTP/1.1"

            def do_POST(self):  # pylint: disable=invalid-name
                """Takes it, or answers what the test wants."""
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers["content-encoding"] == "gzip":
                    body = gzip.decompress(body)
                status = receiver.take(self.path, self.headers["content-type"], body)
                answer = b"{}" if self.headers["content-type"] == "application/json" else b""
                if status == 200 and receiver.collector:
                    status, answer = receiver.forward(self.path, self.headers, body)
                self.send_response(status)
                self.send_header("content-type", self.headers["content-type"])
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                """Silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, path, content_type, body):
        """Parses an export; the status of the answer."""
        with self.lock:
            if self.refuse[path]:
                return self.refuse[path].pop(0)
            try:
                message, keep = {
                    "/v1/metrics": (ExportMetricsServiceRequest(), self.take_metrics),
                    "/v1/traces": (ExportTraceServiceRequest(), self.take_spans)}[path]
                if content_type == "application/x-protobuf":
                    message.ParseFromString(body)
                else:
                    assert content_type == "application/json", content_type
                    json_format.ParseDict(binary_ids(json.loads(body)), message)
                keep(message)
            except Exception as error:  # pylint: disable=broad-except
                self.problems.append(f"{path}: {error!r}: {body[:300]!r}")
                return 400
        return 200

    def forward(self, path, headers, body):
        """Gives an export to the collector; what it answers."""
        request = urllib.request.Request(self.collector + path, body,
                                         {"content-type": headers["content-type"]})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            self.problems.append(f"{path}: the collector answered {error.code}: {body[:300]!r}")
            return error.code, error.read()

    def take_metrics(self, request):
        """Of each instance the latest export counts: they are cumulative."""
        for resource in request.resource_metrics:
            instance = attributes(resource.resource)
            metrics = [metric for scope in resource.scope_metrics for metric in scope.metrics]
            self.metrics[instance["service.instance.id"]] = (instance, metrics)

    def take_spans(self, request):
        """Spans add up."""
        for resource in request.resource_spans:
            self.spans.extend(span for scope in resource.scope_spans for span in scope.spans)

    def points(self, name):
        """The data points of a metric, of all instances: its message, attributes and point."""
        with self.lock:
            for _, metrics in self.metrics.values():
                for metric in metrics:
                    if metric.name == name:
                        data = getattr(metric, metric.WhichOneof("data"))
                        for point in data.data_points:
                            yield metric, attributes(point), point

    def total(self, name, **labels):
        """The sum of a counter's points that have these attributes (dots written `__`)."""
        wanted = {key.replace("__", "."): text for key, text in labels.items()}
        return sum(point.as_int for _, found, point in self.points(name)
                   if all(found.get(key, "") == text for key, text in wanted.items()))

    def close(self):
        """Stops."""
        self.server.shutdown()
        self.server.server_close()
