"""What the evidence log costs.

evidence.py OFFBOARDER SERVERS_SH [ENTRIES] [USERS] [ROUNDS]

The first part makes a log of ENTRIES (1,000,000) records in a directory, one small object for each, without the program under test, and
prints how long `verify` needs to check all of it, and how large a proof of one leaver is. The second part off-boards USERS (400) with a
worker that writes the log and with one that does not, in turns, ROUNDS (3) times, as bench-user does, and prints the medians
of the worker's CPU time by /proc/PID/stat until all records are in the log; and what the difference is at 100 users a second.
How many announcements share a request depends on how fast the users come: at 100 a second it is more than the bench has.
"""

import base64
import hashlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import uuid

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from report import off_board
from rig import run
from user import account, tenant

ORIGIN = "example.com/bench"
MOST_RECORDS = 10_000
AT = "2026-11-30T00:00:00Z"


def encoded(value):
    return base64.b64encode(value).decode()


class Log:
    """A writer of the log that shares no code with the other one."""

    def __init__(self, directory):
        self.directory = directory
        self.key = Ed25519PrivateKey.generate()
        public = b"\x01" + self.key.public_key().public_bytes_raw()
        self.id = hashlib.sha256(ORIGIN.encode() + b"\n" + public).digest()[:4]
        self.verifier = f"{ORIGIN}+{self.id.hex()}+{encoded(public)}"
        self.roots = []
        self.size = self.steps = 0

    def secret(self):
        return f"PRIVATE+KEY+{ORIGIN}+{self.id.hex()}+{encoded(bytes([1]) + self.key.private_bytes_raw())}"

    def _add(self, leaf):
        node, height = hashlib.sha256(b"\x00" + leaf.encode()).digest(), 0
        while self.roots and self.roots[-1][1] == height:
            node = hashlib.sha256(b"\x01" + self.roots.pop()[0] + node).digest()
            height += 1
        self.roots.append((node, height))
        self.size += 1

    def step(self, records):
        self.steps += 1
        leaves = [{"at": AT, "by": "bench", "kind": "step", "number": self.steps, "until": AT}, *records]
        leaves = [json.dumps(leaf, sort_keys=True, separators=(",", ":")) for leaf in leaves]
        for leaf in leaves:
            self._add(leaf)
        root = self.roots[-1][0]
        for left, _ in reversed(self.roots[:-1]):
            root = hashlib.sha256(b"\x01" + left + root).digest()
        text = f"{ORIGIN}\n{self.size}\n{encoded(root)}\n"
        signature = encoded(self.id + self.key.sign(text.encode()))
        frontier = ",".join(f'"{encoded(node)}"' for node, _ in self.roots)
        checkpoint = json.dumps(f"{text}\n\u2014 {ORIGIN} {signature}\n")
        (self.directory / f"_log_step_{self.steps}.json").write_text(
            f'{{"checkpoint":{checkpoint},"frontier":[{frontier}],"leaves":[{",".join(leaves)}]}}')


def record(kind, key, body):
    return {"found": "same", "id": str(uuid.uuid4()), "key": key, "kind": "record", "record": kind,
            "sha256": hashlib.sha256(body.encode()).hexdigest()}


def check(binary, entries):
    with tempfile.TemporaryDirectory(prefix="offboarder-bench-") as place:
        user, objects = off_board(binary, place)
        directory = pathlib.Path(place, "download")
        directory.mkdir(mode=0o700)
        for end, text in objects.items():
            (directory / f"{user}{end}").write_text(text)
        log = Log(directory)
        records = [record("manifest", f"{user}_audit.json", objects["_audit.json"])]
        for number in range(1, entries):
            key, body = f"_act_{uuid.UUID(int=number, version=4)}.json", f'{{"number":{number}}}'
            (directory / key).write_text(body)
            records.append(record("audit_entry", key, body))
            if len(records) == MOST_RECORDS:
                log.step(records)
                records = []
        if records:
            log.step(records)
        took, peak, cpu, said = run(
            [binary, "verify", "--folder", str(directory), user, "--evidence-key", log.verifier, "--output", "json"], os.environ)
        found = json.loads(said)["evidenceLog"]
        assert found["records"] == entries and not found["findings"], found
        print(f"{entries} records in {log.steps} steps: checked in {took:.1f} s, {cpu:.1f} s of CPU, {peak:.0f} MiB at most")
        settings = os.environ | {"OFFBOARDER_ARCHIVE_URL": f"file:{directory}", "OFFBOARDER_CHECKPOINTS_URL": f"file:{place}/c"}
        took, peak, _, said = run([binary, "evidence", "export", user, "--evidence-key", log.verifier], settings)
        [proved] = json.loads(said)["records"]
        print(f"a proof of one leaver: {len(proved['proof']) + len(proved['leaf'])} bytes beside the manifest of {len(proved['record'])}; "
              f"exported in {took:.1f} s, {peak:.0f} MiB at most", flush=True)


# A step follows within a minute, and a worker looks for what is new every 23 s at least.
UNTIL_LOGGED_S = 85


def cpu_a_user(binary, servers, users, more):
    """Milliseconds of CPU a user, and users a second."""
    with tenant(binary, servers, users) as (_environment, start_worker, off_board_all):
        worker = start_worker(**more)
        time.sleep(5)
        cpu, began = account(worker.pid)[1], time.monotonic()
        off_board_all()
        took = time.monotonic() - began
        time.sleep(UNTIL_LOGGED_S)
        return (account(worker.pid)[1] - cpu) * 1000 / users, users / took


def costs(binary, servers, users, rounds):
    log = Log(pathlib.Path())
    on = {"OFFBOARDER_EVIDENCE_ORIGIN": ORIGIN, "OFFBOARDER_EVIDENCE_KEY": log.secret()}
    measured = {"off": [], "on": []}
    for _ in range(rounds):
        measured["off"].append(cpu_a_user(binary, servers, users, {}))
        measured["on"].append(cpu_a_user(binary, servers, users, on))
    medians = {}
    for name, runs in measured.items():
        medians[name] = statistics.median(cpu for cpu, _ in runs)
        each = ", ".join(f"{cpu:.2f} at {rate:.0f} users/s" for cpu, rate in runs)
        print(f"the worker's CPU with the log {name}: {medians[name]:.2f} ms a user ({each})")
    more = medians["on"] - medians["off"]
    print(f"{more:.2f} ms more a user: at 100 users a second {more * 10:.0f} % of a core")


def main():
    binary, servers = sys.argv[1:3]
    numbers = [int(number) for number in sys.argv[3:6] if number] + [None] * 3
    print(f"one process on {os.cpu_count()} cores; load {os.getloadavg()[0]:.1f}")
    check(binary, numbers[0] or 1_000_000)
    costs(binary, servers, numbers[1] or 400, numbers[2] or 3)


if __name__ == "__main__":
    main()
