"""A telemetry collector: Rotel, which others wrote, takes OTLP and passes it on to this program, which writes down
what arrives.

collector.py DIRECTORY   prints {"http": URL, "grpc": URL} once Rotel answers, and holds until standard input ends.
                         DIRECTORY gets spans.jsonl and metrics.jsonl, a line for each span and metric
"""

import gzip
import json
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import rotel
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

START_SECONDS = 30
directory = pathlib.Path(sys.argv[1])
lock = threading.Lock()


def value(one):
    kind = one.WhichOneof("value")
    return MessageToDict(one) if kind in ("array_value", "kvlist_value") else getattr(one, kind) if kind else None


def attributes(of):
    return {one.key: value(one.value) for one in of}


def spans(request):
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield {
                    "name": span.name,
                    "trace": span.trace_id.hex(),
                    "id": span.span_id.hex(),
                    "parent": span.parent_span_id.hex(),
                    "kind": span.kind,
                    "status": span.status.code,
                    "from": span.start_time_unix_nano,
                    "to": span.end_time_unix_nano,
                    "attributes": attributes(span.attributes),
                    "links": [{"trace": link.trace_id.hex(), "id": link.span_id.hex()} for link in span.links],
                    "events": [event.name for event in span.events],
                    "resource": attributes(resource.resource.attributes),
                }


def metrics(request):
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                points = getattr(metric, kind).data_points
                yield {
                    "name": metric.name,
                    "kind": kind,
                    "points": [attributes(point.attributes) for point in points],
                    "resource": attributes(resource.resource.attributes),
                }


class Sink(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        request, told, file = (
            (ExportTraceServiceRequest(), spans, "spans.jsonl")
            if self.path.endswith("traces")
            else (ExportMetricsServiceRequest(), metrics, "metrics.jsonl")
        )
        request.ParseFromString(body)
        with lock, open(directory / file, "a") as lines:
            lines.writelines(json.dumps(one) + "\n" for one in told(request))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments):
        pass


def free_ports(count):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def await_rotel(process, port):
    """Until it takes an empty export."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/traces", b"", {"Content-Type": "application/x-protobuf"}
        )
        try:
            urllib.request.urlopen(request, timeout=5).read()
            return
        except OSError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"Rotel does not answer: {error}\n{(directory / 'rotel.log').read_text()}")
            time.sleep(0.05)


def main():
    sink = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=sink.serve_forever, daemon=True).start()
    http, grpc = free_ports(2)
    agent = pathlib.Path(rotel.__file__).parent / "rotel-agent"
    with open(directory / "rotel.log", "w") as log:
        process = subprocess.Popen(
            [
                "setpriv", "--pdeathsig", "KILL", "--", agent, "start",
                "--otlp-http-endpoint", f"127.0.0.1:{http}", "--otlp-grpc-endpoint", f"127.0.0.1:{grpc}",
                "--exporter", "otlp", "--otlp-exporter-protocol", "http",
                "--otlp-exporter-endpoint", f"http://127.0.0.1:{sink.server_address[1]}",
            ],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=directory,
        )  # fmt: skip
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        await_rotel(process, http)
        print(json.dumps({"http": f"http://127.0.0.1:{http}", "grpc": f"http://127.0.0.1:{grpc}"}), flush=True)
        sys.stdin.read()
    finally:
        process.kill()
        process.wait()


main()
