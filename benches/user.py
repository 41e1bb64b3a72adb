"""What a small user costs: calls of the tenant, requests to S3, round trips to Redis, operations of the broker, and the CPU
time of each part.

user.py OFFBOARDER SERVERS_SH [USERS]

Runs with servers of their own. The first counts, with 20 users and one worker: calls by the simulator's ledger; S3 requests
by a proxy that reads along; Redis commands by MONITOR; operations of the broker by its global counters. The second
measures, with USERS (200) and nothing in between: CPU time by /proc/PID/stat of each part, before the first message is
submitted and after the last user is deleted, and users a second by the simulator's ledger. The third does with 20 ms a call,
and compares users a second with what 16 slots could do that only wait for calls. The last two count allocations by the C
library's libmemusage.so, with and without users. A user has 20 conversations
of 500 bytes and three queues, none of them its own; quotas are off, there is an integrity key, and all
other settings are the defaults.
"""

import asyncio
import collections
import contextlib
import datetime
import hashlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
import uuid

from rig import account, rig

COUNTED = 20
# The worker's default.
SLOTS = 16
LATENCY_MS = 20
USER = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PARTS = {"RabbitMQ": "rabbitmq", "Redis": "redis", "S3 server": "s3"}
# With a key, as deploy/ sets one: without it account and routing are read again before the seal.
SETTINGS = {f"OFFBOARDER_CXONE_RATE_{name}": "off" for name in ("ROUTING", "SCIM", "ANALYTICS")} | {
    "OFFBOARDER_INTEGRITY_KEY": "k" * 32}
SCRIPTS = pathlib.Path(__file__).parent.parent / "src/adapters/redis/scripts.rs"


class S3Proxy:
    """Passes bytes on to S3, and notes method and target of each request."""

    def __init__(self, upstream):
        self.upstream = urllib.parse.urlsplit(upstream)
        self.requests = []
        self.loop = asyncio.new_event_loop()
        server = self.loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % server.sockets[0].getsockname()[1]
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    async def _serve(self, client, to_client):
        server, to_server = await asyncio.open_connection(self.upstream.hostname, self.upstream.port)
        back = asyncio.ensure_future(self._copy(server, to_client))
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await client.readuntil(b"\r\n\r\n")
                self.requests.append(head.split(b" HTTP/", 1)[0].decode())
                to_server.write(head)
                length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
                if length:
                    to_server.write(await client.readexactly(int(length[1])))
                await to_server.drain()
        to_server.close()
        await back

    @staticmethod
    async def _copy(source, target):
        with contextlib.suppress(ConnectionError):
            while data := await source.read(1 << 16):
                target.write(data)
                await target.drain()
        target.close()


class Monitor:
    """The commands that Redis gets, those of scripts by the name that the code has for them."""

    def __init__(self, url):
        address = urllib.parse.urlsplit(url)
        self.lines = []
        self.names = {}
        for name, text in re.findall(r'const (\w+): &str = r"(.*?)";', SCRIPTS.read_text(), re.S):
            self.names[hashlib.sha1(text.encode()).hexdigest()] = name.lower().replace("_", " ")
        self.socket = socket.create_connection((address.hostname, address.port))
        self.socket.sendall(b"MONITOR\r\n")
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        with contextlib.suppress(OSError), self.socket.makefile(errors="replace") as lines:
            self.lines.extend(lines)

    def commands(self):
        for line in self.lines:
            if " lua] " in line or '"' not in line:
                continue
            words = re.findall(r'"((?:[^"\\]|\\.)*)"', line)
            yield self.names.get(words[1] if len(words) > 1 else "", words[0].upper()), line


def kind_of(request):
    """Method and kind of object, e.g. `PUT ID_sealed.json`."""
    method, target = request.split(" ", 1)
    url = urllib.parse.urlsplit(target)
    query = urllib.parse.parse_qs(url.query, keep_blank_values=True)
    if "prefix" in query:
        method = "LIST VERSIONS" if "versions" in query else "LIST"
    name = query.get("prefix", [url.path])[0].rsplit("/", 1)[-1]
    return f"{method} {USER.sub('ID', name)}"


def broker_counters(servers, environment):
    """What all queues of the node did so far, by the counter's name."""
    asked = [servers, "ctl", environment["SERVERS"], "eval", "rabbit_global_counters:overview()."]
    said = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    counters = collections.Counter()
    for name, number in re.findall(r"(messages_\w+)\s*=>\s*(\d+)", said):
        counters[name] += int(number)
    return counters


def cpu_of(pid):
    """CPU seconds of a process and of those that it started."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return account(pid)[1] + sum(cpu_of(child) for child in children)


def servers_cpu(environment):
    pids = {part: (pathlib.Path(environment["SERVERS"]) / name / "pid").read_text().split()[0] for part, name in PARTS.items()}
    return {part: cpu_of(pid) for part, pid in pids.items()}


def at(entry, end):
    return datetime.datetime.fromisoformat(entry[end]).timestamp()


@contextlib.contextmanager
def tenant(binary, servers, count, *more_flags, settings=None):
    users = [{"id": str(uuid.UUID(int=number + 1, version=4)), "conversations": 20, "conversationBytes": 500, "queues": 3,
              "ownsNoQueue": True} for number in range(count)]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as population:
        json.dump(users, population)
        population.flush()
        flags = ["--users", "0", "--population", population.name, *more_flags]
        yield from _run(binary, servers, flags, count, SETTINGS if settings is None else settings)


def _run(binary, servers, flags, count, settings):
    with rig(binary, servers, flags, settings) as (base, environment, start_worker):
        def ask(path):
            with urllib.request.urlopen(f"{base}/_simulator/{path}") as answer:
                return json.load(answer)

        def off_board():
            """All users; the ledger after the last one. A submission has no batch, as of other publishers."""
            if count == 0:
                return []
            subprocess.run([binary, "submit", "--file", "-"], env=environment, input="\n".join(ask("users")), text=True,
                           check=True, stdout=subprocess.DEVNULL)
            while True:
                # Not the ledger: all of it, often, would take the cores that are measured.
                deleted = ask("counters").get("delete_user", {})
                if sum(calls for status, calls in deleted.items() if int(status) < 300) == count:
                    # The manifest of the last user comes after it.
                    time.sleep(2)
                    return ask("ledger")["entries"]
                time.sleep(0.2)

        yield environment, start_worker, off_board


def table(title, counts, users):
    print(f"{title:24} {sum(counts.values()) / users:7.2f} a user")
    for name, number in sorted(counts.items(), key=lambda row: (-row[1], row[0])):
        print(f"    {name:34} {number / users:7.2f}")


def count(binary, servers):
    with tenant(binary, servers, COUNTED) as (environment, start_worker, off_board):
        proxy = S3Proxy(environment["AWS_ENDPOINT_URL_S3"])
        environment["AWS_ENDPOINT_URL_S3"] = environment["AWS_ENDPOINT_URL"] = proxy.url
        monitor = Monitor(environment["OFFBOARDER_CHECKPOINTS_URL"])
        start_worker()
        time.sleep(5)
        requests = len(proxy.requests)
        lines = len(monitor.lines)
        broker = broker_counters(servers, environment)
        entries = off_board()
        broker = broker_counters(servers, environment) - broker
        requests = proxy.requests[requests:]
        monitor.lines = monitor.lines[lines:]

    print(f"counted with {COUNTED} users and one worker")
    table("API calls", collections.Counter(entry["operation"] for entry in entries if "token" not in entry["operation"]), COUNTED)
    table("S3 requests", collections.Counter(map(kind_of, requests)), COUNTED)
    own = collections.Counter(name for name, line in monitor.commands() if USER.search(line))
    table("Redis, naming a user", own, COUNTED)
    others = collections.Counter(name for name, line in monitor.commands() if not USER.search(line))
    table("Redis, other commands", others, COUNTED)
    table("broker operations", broker, COUNTED)


def users_a_second(entries, users):
    """From the first call to the last one of users who were deleted: what the worker asked at its start is not counted."""
    deleted = {entry["userId"] for entry in entries if entry["operation"] == "delete_user"}
    theirs = [entry for entry in entries if entry.get("userId") in deleted]
    return users / (max(at(entry, "endedAt") for entry in theirs) - min(at(entry, "startedAt") for entry in theirs))


def measured(binary, servers, users, *more_flags):
    """Users a second, CPU milliseconds a user of each part, and the worker's peak in MiB."""
    with tenant(binary, servers, users, *more_flags) as (environment, start_worker, off_board):
        worker = start_worker()
        time.sleep(5)
        before = servers_cpu(environment) | {"worker": cpu_of(worker.pid)}
        entries = off_board()
        after = servers_cpu(environment) | {"worker": cpu_of(worker.pid)}
        peak_kb, _ = account(worker.pid)
    cpu = {part: 1000 * (seconds - before[part]) / users for part, seconds in after.items()}
    return users_a_second(entries, users), cpu, peak_kb / 1024


def measure(binary, servers, users):
    rate, cpu, peak = measured(binary, servers, users)
    print(f"\nmeasured with {users} users and one worker, everything on the same {os.cpu_count()} cores")
    for part, milliseconds in cpu.items():
        print(f"CPU of {part:17} {milliseconds:7.2f} ms a user")
    print(f"{'peak memory of worker':24} {peak:7.1f} MiB")
    print(f"{'users a second':24} {rate:7.1f}")


def measure_slow_calls(binary, servers, users):
    with tenant(binary, servers, users, "--latency", f"{LATENCY_MS}ms") as (_, start_worker, off_board):
        start_worker()
        time.sleep(5)
        entries = off_board()
    calls = sum("token" not in entry["operation"] for entry in entries) / users
    ideal = SLOTS / (calls * LATENCY_MS / 1000)
    found = users_a_second(entries, users)
    print(f"{f'the same, {LATENCY_MS} ms a call':24} {found:7.1f} of {ideal:.1f} that {SLOTS} slots could do which only wait "
          f"for {calls:.1f} calls a user: {found / ideal:.2f}")


def allocations(binary, servers, users):
    """How often the worker took memory, from its start to its end: `malloc`, `calloc`, `realloc`."""
    with tempfile.NamedTemporaryFile("r") as log:
        with tenant(binary, servers, users) as (_, start_worker, off_board), open(log.name, "w") as stderr:
            worker = start_worker(stderr=stderr, LD_PRELOAD="libmemusage.so", MEMUSAGE_NO_TIMER="1")
            time.sleep(5)
            off_board()
            worker.send_signal(signal.SIGTERM)
            worker.wait()
        rows = re.findall(r"(malloc|calloc|realloc)\|(?:\x1b\S*)? +(\d+) +(\d+)", log.read())
    if len(rows) != 3:
        sys.exit("libmemusage.so of the C library did not count; is it installed?")
    return sum(int(calls) for _, calls, _ in rows), sum(int(size) for *_, size in rows)


def count_allocations(binary, servers, users):
    calls, size = (after - before for after, before in zip(allocations(binary, servers, users), allocations(binary, servers, 0)))
    print(f"{'allocations':24} {calls / users:7.0f} a user, {size / users / 1024:.0f} KiB")


def main():
    binary, servers = sys.argv[1], sys.argv[2]
    users = int(sys.argv[3]) if len(sys.argv) > 3 else 200
    count(binary, servers)
    measure(binary, servers, users)
    measure_slow_calls(binary, servers, users)
    count_allocations(binary, servers, users)
    print("\nHow: calls by the simulator's ledger, S3 requests by a proxy, Redis commands by MONITOR (what a script does is no round "
          "trip), the broker by its global counters, CPU by /proc/PID/stat with the submission, allocations by "
          "libmemusage.so, less those of a worker without users.")


if __name__ == "__main__":
    main()
