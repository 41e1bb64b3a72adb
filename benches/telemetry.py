"""What a telemetry collector costs a worker: one that takes all, one that is dead, one that never answers, one that
refuses, against none at all.

telemetry.py OFFBOARDER SERVERS_SH [USERS] [ROUNDS]

The one that takes all is Rotel, which keeps nothing. Each round every kind, in an order that changes, off-boards
USERS (300) by a worker of its own, started after they are queued. Timed are: from the first user finished to the last; and from
SIGTERM, with nothing left to do, to the end. Counted is the processor time of the whole worker, which says more than
users a second where others are at work. There are no quotas, and everything runs on the same cores.
"""

import json
import os
import pathlib
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import rotel
from rig import free_port, rig

CONVERSATIONS = 20
KINDS = ["none", "taking", "dead", "silent", "refusing"]


def finished(port):
    """How many jobs the worker has ended; none before it listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as page:
            lines = page.read().decode().splitlines()
    except OSError:
        return 0
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("offboarder_jobs_total"))


def run(binary, environment, ids, endpoint):
    port = free_port()
    environment = environment | {"OFFBOARDER_ADMIN_LISTEN": f"127.0.0.1:{port}"}
    if endpoint:
        environment |= {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_METRIC_EXPORT_INTERVAL": "5000"}
    subprocess.run([binary, "submit", "--file", "-"], env=environment, input="\n".join(ids), text=True, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    worker = subprocess.Popen([binary, "worker"], env=environment, stderr=subprocess.DEVNULL)
    first = count = None
    while (done := finished(port)) < len(ids):
        if done and first is None:
            first, count = time.monotonic(), done
        time.sleep(0.05)
    rate = (len(ids) - count) / (time.monotonic() - first)
    asked = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    _, status, used = os.wait4(worker.pid, 0)
    worker.returncode = os.waitstatus_to_exitcode(status)
    if worker.returncode != 0:
        sys.exit(f"the worker ended with {worker.returncode}")
    return rate, time.monotonic() - asked, (used.ru_utime + used.ru_stime) / len(ids) * 1000


def start_rotel(place):
    """A collector that takes OTLP and drops it; the process, and where it listens."""
    http, grpc = free_port(), free_port()
    arguments = ["--otlp-http-endpoint", f"127.0.0.1:{http}", "--otlp-grpc-endpoint", f"127.0.0.1:{grpc}"]
    agent = pathlib.Path(rotel.__file__).parent / "rotel-agent"
    with open(os.path.join(place, "rotel.log"), "w") as log:
        process = subprocess.Popen([agent, "start", *arguments, "--exporter", "blackhole"], stdout=log, stderr=log, cwd=place)
    empty = urllib.request.Request(f"http://127.0.0.1:{http}/v1/traces", b"", {"Content-Type": "application/x-protobuf"})
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(empty, timeout=5).close()
            return process, f"http://127.0.0.1:{http}"
        except OSError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"Rotel does not answer: {error}")
            time.sleep(0.05)


def main():
    binary, servers = sys.argv[1:3]
    users = int(sys.argv[3]) if len(sys.argv) > 3 and sys.argv[3] else 300
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 and sys.argv[4] else 5
    flags = ["--users", str(users * len(KINDS) * (rounds + 1)), "--conversations", str(CONVERSATIONS)]
    settings = {f"OFFBOARDER_CXONE_RATE_{name}": "off" for name in ("ROUTING", "SCIM", "ANALYTICS")}
    silent = socket.create_server(("127.0.0.1", 0), backlog=512)
    figures = {kind: [] for kind in KINDS}
    with rig(binary, servers, flags, settings) as (base, environment, _), tempfile.TemporaryDirectory() as place:
        taking, endpoint = start_rotel(place)
        endpoints = {
            "none": None, "taking": endpoint,
            "dead": f"http://127.0.0.1:{free_port()}", "silent": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "refusing": base,
        }
        with urllib.request.urlopen(f"{base}/_simulator/users") as answer:
            ids = iter(json.load(answer))
        for number in range(rounds + 1):
            for kind in random.Random(number).sample(KINDS, len(KINDS)):
                figure = run(binary, environment, [next(ids) for _ in range(users)], endpoints[kind])
                if number > 0:  # the first warms up
                    figures[kind].append(figure)
        taking.kill()
        taking.wait()
    print(f"{rounds} rounds of {users} users of {CONVERSATIONS} conversations for each kind of collector, one worker, "
          f"on the same {os.cpu_count()} cores as servers, simulator and collector")
    print(f"{'collector':10} {'users/s':>8} {'(least–most)':>16} {'against none':>13} {'CPU ms a user':>14} "
          f"{'against none':>13} {'end, s (most)':>14}")
    for kind in KINDS:
        rates, ends, works = zip(*figures[kind])
        against = [statistics.median(one[at] / none[at] for one, none in zip(figures[kind], figures["none"])) - 1
                   for at in (0, 2)]
        print(f"{kind:10} {statistics.median(rates):8.1f} {f'({min(rates):.1f}–{max(rates):.1f})':>16} "
              f"{against[0]:+13.1%} {statistics.median(works):14.1f} {against[1]:+13.1%} "
              f"{f'{statistics.median(ends):.2f} ({max(ends):.2f})':>14}")


main()
