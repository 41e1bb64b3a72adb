"""A proxy that holds both sides to an OpenAPI document, with openapi-core as the checker.

openapi_proxy.py --upstream URL --spec FILE --report FILE

Prints its own address on the first line. The Host header goes through as it came, so that
absolute links lead back here. After every exchange, and before the client sees the answer,
the report is complete: {"validated": {"METHOD /path/{pattern}": n}, "violations": [text, …],
"usedByRuns": ["METHOD /path/{pattern}", …]}. Where a document says which of its operations a run
uses (`x-use: main`), a call of another one is a violation.
"""

import argparse
import http.client
import json
import os
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.exceptions import OpenAPIError
from openapi_core.templating.paths.exceptions import PathError
from openapi_core.templating.paths.finders import APICallPathFinder
from werkzeug.datastructures import Headers, ImmutableMultiDict

# The document says these once for all operations, in prose.
SAID_FOR_ALL = {401, 403, 429, 500, 502, 503, 504}
# These give tokens, or are read before there is one.
WITHOUT_BEARER = ("/oauth/token", "/auth/token", "/.well-known/")
METHODS = {"get", "put", "post", "patch", "delete"}
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "content-length"}


class Request:
    def __init__(self, host_url, method, target, headers, body):
        parts = urllib.parse.urlsplit(target)
        self.host_url = host_url
        self.path = parts.path
        self.method = method.lower()
        self.body = body or None
        self.content_type = headers.get("Content-Type", "").lower()
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True)),
            header=Headers(list(headers.items())),
        )


class Response:
    def __init__(self, status, headers, body):
        self.status_code = status
        self.headers = Headers(headers)
        self.content_type = self.headers.get("Content-Type", "").lower()
        self.data = body or None


def explained(error):
    """The error with its causes, down to the schema's own words."""
    words = [f"{type(error).__name__}: {error}"]
    words += [one.message for one in getattr(error, "schema_errors", None) or []]
    cause = error.__cause__
    if cause is not None:
        words.append(explained(cause))
    return " <- ".join(words)


class Checker:
    def __init__(self, spec_path, report_path):
        with open(spec_path, encoding="utf-8") as file:
            self.document = yaml.safe_load(file)
        # Tokens have a host of their own; here all hosts are this one.
        for path in self.document["paths"].values():
            path.pop("servers", None)
            for method in METHODS & path.keys():
                path[method].pop("servers", None)
        self.report_path = report_path
        self.lock = threading.Lock()
        self.validated = {}
        self.violations = []

    def serve_at(self, origin):
        self.origin = origin
        self.document["servers"] = [{"url": origin}]
        # The contract, which is given, is no flawless OpenAPI: a few responses have no description, and one
        # has a comma too many in it. Neither touches what is checked here, so the document itself is not.
        config = Config(
            spec_validator_cls=None, extra_media_type_deserializers={"application/scim+json": json.loads}
        )
        self.openapi = OpenAPI.from_dict(self.document, config=config)
        self.save()

    def operations(self):
        for pattern, path in self.document["paths"].items():
            for method in sorted(METHODS & path.keys()):
                yield f"{method.upper()} {pattern}", path[method].get("x-use", "main")

    def complaints(self, request, response, pattern):
        use = self.document["paths"][pattern][request.method].get("x-use", "main")
        if use != "main":
            yield f"request: no run uses this operation (x-use: {use})"
        if not any(one in pattern for one in WITHOUT_BEARER):
            if not request.parameters.header.get("Authorization", "").startswith("Bearer "):
                yield "request: no bearer token"
        try:
            self.openapi.validate_request(request)
        except OpenAPIError as error:
            yield f"request: {explained(error)}"
        documented = self.document["paths"][pattern][request.method].get("responses", {})
        if str(response.status_code) not in documented and response.status_code in SAID_FOR_ALL:
            return
        try:
            self.openapi.validate_response(request, response)
        except OpenAPIError as error:
            yield f"response {response.status_code}: {explained(error)}"

    def check(self, request, response):
        label = f"{request.method.upper()} {request.path}"
        try:
            found = APICallPathFinder(self.openapi.spec).find(request.method, request.host_url + request.path)
            pattern = found.path_result.pattern
        except PathError as error:
            with self.lock:
                self.violations.append(f"{label}: {explained(error)}")
                self.save()
            return
        complaints = [f"{label}: {one}" for one in self.complaints(request, response, pattern)]
        operation = f"{request.method.upper()} {pattern}"
        with self.lock:
            self.validated[operation] = self.validated.get(operation, 0) + 1
            self.violations += complaints
            self.save()

    def save(self):
        fresh = f"{self.report_path}.new"
        with open(fresh, "w", encoding="utf-8") as file:
            used = [operation for operation, use in self.operations() if use == "main"]
            report = {"validated": self.validated, "violations": self.violations, "usedByRuns": used}
            json.dump(report, file, indent=1)
        os.replace(fresh, self.report_path)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def relay(self):
        length = self.headers.get("Content-Length")
        body = self.rfile.read(int(length)) if length else b""
        upstream = http.client.HTTPConnection(self.server.upstream, timeout=60)
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in HOP_BY_HOP:
                upstream.putheader(name, value)
        if length:
            upstream.putheader("Content-Length", length)
        upstream.endheaders(body or None)
        answer = upstream.getresponse()
        data = answer.read()
        upstream.close()
        checker = self.server.checker
        checker.check(
            Request(checker.origin, self.command, self.path, self.headers, body),
            Response(answer.status, answer.getheaders(), data),
        )
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        if answer.status not in (204, 304):
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = relay

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser()
    for name in ("--upstream", "--spec", "--report"):
        parser.add_argument(name, required=True)
    arguments = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.upstream = urllib.parse.urlsplit(arguments.upstream).netloc
    server.checker = Checker(arguments.spec, arguments.report)
    origin = f"http://127.0.0.1:{server.server_port}"
    server.checker.serve_at(origin)
    print(origin, flush=True)
    server.serve_forever()


main()
