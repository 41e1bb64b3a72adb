"""What a worker costs: time to ready, CPU and throughput of small users, memory of users with pages of 20 MB.

runtime.py OFFBOARDER SERVERS_SH [USERS] [ROUNDS]

ROUNDS (3) times: a worker is started on reachable services until `/readyz` says 200; USERS (300) of 20 conversations of 500
bytes and 3 queues are submitted to it, quotas off; then 64 users with one page of 20 MB, on 64 slots. CPU and peak memory
are the kernel's account of the worker. Prints each round, then medians.
"""

import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from rig import account, rig

OFF = {f"OFFBOARDER_CXONE_RATE_{name}": "off" for name in ("ROUTING", "SCIM", "ANALYTICS")}
LARGE = 64


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


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


def round_of(binary, servers, count):
    big = [{"id": f"{number:08x}-5eed-4000-8000-aaaaaaaaaaaa", "conversations": 500, "conversationBytes": 40_000}
           for number in range(LARGE)]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as population:
        json.dump(big, population)
        population.flush()
        flags = ["--users", str(count), "--conversations", "20", "--conversation-bytes", "500", "--population", population.name]
        with rig(binary, servers, flags, OFF) as (base, environment, _):
            large = [one["id"] for one in big]
            with urllib.request.urlopen(f"{base}/_simulator/users") as answer:
                small = [user for user in json.load(answer) if user not in large]
            worker, ready = started(binary, environment)
            before = account(worker.pid)[1]
            took = off_board(binary, base, environment, small)
            peak_small, cpu = account(worker.pid)
            worker.terminate()
            worker.wait()

            worker, _ = started(binary, environment | {"OFFBOARDER_WORKER_CONCURRENCY": str(LARGE)})
            took_large = off_board(binary, base, environment, large)
            peak_large = account(worker.pid)[0]
            worker.terminate()
            worker.wait()
    return {"ready, ms": ready, "users a second": count / took, "CPU ms a user": 1000 * (cpu - before) / count,
            "peak MiB, small users": peak_small / 1024, "peak MiB, pages of 20 MB on 64 slots": peak_large / 1024,
            "MB a second, pages of 20 MB": 20 * LARGE / took_large}


def main():
    binary, servers = sys.argv[1], sys.argv[2]
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 300
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 3
    print(f"binary {pathlib.Path(binary).stat().st_size / 1e6:.1f} MB, {os.cpu_count()} cores")
    all_of = []
    for _ in range(rounds):
        all_of.append(round_of(binary, servers, count))
        print(", ".join(f"{name} {value:.1f}" for name, value in all_of[-1].items()), flush=True)
    for name in all_of[0]:
        print(f"{name:40} {statistics.median(one[name] for one in all_of):.1f}")


main()
