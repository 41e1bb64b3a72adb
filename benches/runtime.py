"""How long a worker needs to be ready, and its memory with pages of 20 MB; `user.py` measures small users.

runtime.py OFFBOARDER SERVERS_SH [ROUNDS]

ROUNDS (3) times: a worker with 64 slots is started on reachable services until `/readyz` says 200, and off-boards 64 users with
one page of 20 MB each, quotas off. Peak memory is the kernel's account of the worker. Prints each round, then medians.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from rig import account, free_port, rig

OFF = {f"OFFBOARDER_CXONE_RATE_{name}": "off" for name in ("ROUTING", "SCIM", "ANALYTICS")}
LARGE = 64


def is_ready(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
            return answer.status == 200
    except OSError:
        return False


def started(binary, environment):
    """A worker that is ready, and the milliseconds that it took."""
    port = free_port()
    begun = time.monotonic()
    worker = subprocess.Popen([binary, "worker"], env=environment | {"OFFBOARDER_ADMIN_LISTEN": f"127.0.0.1:{port}"},
                              stderr=subprocess.DEVNULL)
    while not is_ready(port):
        time.sleep(0.001)
    return worker, 1000 * (time.monotonic() - begun)


def off_board(binary, base, environment, ids):
    """Submits users, and waits until all are deleted; returns the seconds."""
    def deleted():
        with urllib.request.urlopen(f"{base}/_simulator/ledger") as answer:
            entries = json.load(answer)["entries"]
        gone = {entry["userId"] for entry in entries if entry["operation"] == "delete_user" and entry["status"] < 300}
        return gone.issuperset(ids)

    begun = time.monotonic()
    subprocess.run([binary, "submit", "--file", "-"], env=environment, input="\n".join(ids), text=True, check=True,
                   stdout=subprocess.DEVNULL)
    while not deleted():
        time.sleep(0.1)
    return time.monotonic() - begun


def round_of(binary, servers):
    users = [{"id": f"{number:08x}-5eed-4000-8000-aaaaaaaaaaaa", "conversations": 500, "conversationBytes": 40_000}
             for number in range(LARGE)]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as population:
        json.dump(users, population)
        population.flush()
        settings = OFF | {"OFFBOARDER_WORKER_CONCURRENCY": str(LARGE)}
        with rig(binary, servers, ["--users", "0", "--population", population.name], settings) as (base, environment, _):
            worker, ready = started(binary, environment)
            took = off_board(binary, base, environment, [user["id"] for user in users])
            peak, _ = account(worker.pid)
            worker.terminate()
            worker.wait()
    return {"ready, ms": ready, "peak MiB, pages of 20 MB on 64 slots": peak / 1024, "MB a second, pages of 20 MB": 20 * LARGE / took}


def main():
    binary, servers = sys.argv[1], sys.argv[2]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    print(f"binary {pathlib.Path(binary).stat().st_size / 1e6:.1f} MB, {os.cpu_count()} cores")
    all_of = []
    for _ in range(rounds):
        all_of.append(round_of(binary, servers))
        print(", ".join(f"{name} {value:.1f}" for name, value in all_of[-1].items()), flush=True)
    for name in all_of[0]:
        print(f"{name:40} {statistics.median(one[name] for one in all_of):.1f}")


main()
