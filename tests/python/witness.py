#!/usr/bin/env python3
"""A witness of one log (c2sp.org/tlog-witness) on a free port of this machine, made of aics-tlog: its code judges the
signatures and the proofs of consistency, and signs.

    witness.py LOG_KEY

It prints its verifier key and its URL, a line each. A line `away` on standard input makes it answer 503, `here` ends that,
and the end of the input ends it.
"""

import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aics_tlog import (
    cosignature_vkey,
    format_vkey,
    parse_checkpoint,
    parse_note,
    parse_vkey,
    sign_cosignature,
    verify_checkpoint,
    verify_consistency,
)
from base64 import b64decode, b64encode
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NAME = "witness.example/w1"


class State:
    def __init__(self, log):
        self.log = log
        self.key = Ed25519PrivateKey.generate()
        self.last = None
        self.away = False
        self.lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with state.lock:
            answer = cosign(body) if self.path == "/w/add-checkpoint" else (404, "")
        status, text = answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


def cosign(body):
    if state.away:
        return 503, ""
    head, note = body.split("\n\n", 1)
    old, *proof = head.split("\n")
    old = int(old.removeprefix("old "))
    proof = [b64decode(line) for line in proof]
    checked = verify_checkpoint(parse_note(note), state.log)
    if not checked.log_ok:
        return 403, ""
    size, root = state.last or (0, None)
    if old != size:
        return 409, f"{size}\n"
    if old > checked.size:
        return 400, ""
    if old == 0:
        follows = not proof
    else:
        follows = verify_consistency(old, checked.size, root, checked.root, proof)
    if not follows:
        return 422, ""
    state.last = (checked.size, checked.root)
    _, line = sign_cosignature(
        state.key, NAME, int(time.time()), checked.origin, checked.size, checked.root
    )
    signature = b64encode(line.key_id + line.signature).decode()
    return 200, f"\u2014 {line.name} {signature}\n"


state = State(parse_vkey(sys.argv[1]))
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(format_vkey(cosignature_vkey(NAME, state.key.public_key())))
print(f"http://127.0.0.1:{server.server_port}/w", flush=True)
for line in sys.stdin:
    with state.lock:
        state.away = line.strip() == "away"
    print("ok", flush=True)
