"""What the web console costs.

console.py OFFBOARDER SERVERS_SH [USERS] [VIEWERS] [OFF_BOARDED]

The first part submits USERS users (100,000) as one batch to a worker that is paused, and prints how long its pages take: the first time,
and the median of seven looks that are too far apart for the worker's memory of what it read. Then it writes into Redis what workers
would save of users who are finished, for all of them, and prints the same again. The second has one
viewer and then VIEWERS (50) viewers keep pages of that batch open for half a minute, as the console's script does, and prints what the worker
and Redis did. The third off-boards OFF_BOARDED users (1,500) with nobody looking and with VIEWERS viewers, in turns, three times,
and prints medians of users a second: a seventh of them with the quotas of the default settings, which are the limit then; and all with quotas off,
with 20 ms a call of the tenant's API and with none, where the cores are the limit. Times are those of a client on the same machine, which has to share its cores.
"""

import contextlib
import http.client
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time
import urllib.request

from rig import account, free_port, rig
from user import LATENCY_MS, SETTINGS, tenant

LOOKS = 7
# The worker reads again after 2 s, or four times as long as it read, but not later than after 10 s.
FORGOTTEN_S = 11
WATCHED_S = 30
ROUNDS = 3


def user(number):
    return f"{number:08x}-5eed-4000-8000-000000000000"


def started(start_worker, **more):
    """A worker that is ready, and the address of its console."""
    port = free_port()
    worker = start_worker(OFFBOARDER_ADMIN_LISTEN=f"127.0.0.1:{port}", **more)
    while True:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz").read()
            return worker, port
        time.sleep(0.05)


class Viewer(threading.Thread):
    """A page that is open: asks for its live part until it is closed."""

    def __init__(self, port, path, closed):
        super().__init__(daemon=True)
        self.port, self.path, self.closed = port, path, closed
        self.asked = self.unchanged = 0

    def run(self):
        tag, wait = None, 0.0
        while not self.closed.wait(wait):
            # The worker ends a connection that is idle as long as a page waits.
            connection = http.client.HTTPConnection("127.0.0.1", self.port)
            connection.request("GET", "/_" + self.path, headers={"If-None-Match": tag} if tag else {})
            answer = connection.getresponse()
            answer.read()
            connection.close()
            assert answer.status in (200, 304), (self.path, answer.status)
            self.asked += 1
            self.unchanged += answer.status == 304
            tag = answer.headers["ETag"] or tag
            wait = float(answer.headers["Poll-After"] or 5)


@contextlib.contextmanager
def viewers(count, port, paths):
    closed = threading.Event()
    threads = [Viewer(port, paths[number % len(paths)], closed) for number in range(count)]
    for thread in threads:
        thread.start()
        # Nobody opens all at the same moment.
        time.sleep(0.02)
    yield threads
    closed.set()
    for thread in threads:
        thread.join()


def get(port, path):
    began = time.monotonic()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
        size = len(answer.read())
    return (time.monotonic() - began) * 1000, size


def pages(port, batch, *more):
    for path in ["/", "/access", "/batches", f"/batches/{batch}", f"/batches/{batch}/users", "/dead-letters", "/workers", *more]:
        first, size = get(port, path)
        looks = []
        for _ in range(LOOKS):
            time.sleep(FORGOTTEN_S)
            looks.append(get(port, path)[0])
        print(f"{path:50} first {first:5.0f} ms, median {statistics.median(looks):5.0f} ms, longest {max(looks):5.0f} ms, {size // 1024} KiB",
              flush=True)


# What a worker saves of a user of whom a list needs to know: ARGV are the batch, and the time in ms.
FINISH = """
local sum = '{"b":"' .. ARGV[1] .. '","s":"Deleted","r":' .. ARGV[2] .. ',"a":' .. (ARGV[2] + 40000) .. ',"f":' .. (ARGV[2] + 60000) .. ',"d":"deleted","u":' .. (ARGV[2] + 60000) .. '}'
for _, user in ipairs(redis.call('ZRANGE', KEYS[1], ARGV[3], ARGV[4])) do
  redis.call('HSET', 'offboarder:{' .. user .. '}:checkpoint', 'version', '9', 'fence', '9', 'sum', '9 ' .. sum)
end
"""


def finish(environment, batch, users):
    at = str(int(time.time() * 1000) - 100_000)
    for begin in range(0, users, 10_000):
        script = ["EVAL", FINISH, "1", f"offboarder:batch:{batch}:users", batch, at, str(begin), str(begin + 9_999)]
        subprocess.run(["redis-cli", "-u", environment["OFFBOARDER_CHECKPOINTS_URL"], *script], check=True, stdout=subprocess.DEVNULL)


def commands(environment):
    asking = ["redis-cli", "-u", environment["OFFBOARDER_CHECKPOINTS_URL"], "INFO", "stats"]
    said = subprocess.run(asking, check=True, capture_output=True, text=True).stdout
    return int(next(line for line in said.splitlines() if line.startswith("total_commands_processed")).split(":")[1])


def watched(worker, port, environment, count, paths):
    cpu, sent = account(worker.pid)[1], commands(environment)
    with viewers(count, port, paths) as threads:
        time.sleep(WATCHED_S)
    asked, unchanged = (sum(getattr(one, what) for one in threads) for what in ("asked", "unchanged"))
    cpu, sent = account(worker.pid)[1] - cpu, commands(environment) - sent
    print(f"{count:3} viewers for {WATCHED_S} s: {asked} requests, {unchanged} of them unchanged; worker {cpu / WATCHED_S * 100:.1f} % of a core, "
          f"{sent} Redis commands", flush=True)


def of_a_large_batch(binary, servers, users, count):
    with rig(binary, servers, [], {}) as (_, environment, start_worker):
        listed = pathlib.Path(environment["SERVERS"]) / "users.txt"
        listed.write_text("".join(f"{user(number)}\n" for number in range(users)))
        quietly = {"env": environment, "check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([binary, "pause", "--why", "measuring the console"], **quietly)
        subprocess.run([binary, "submit", "--file", listed, "--batch-id", "bench"], **quietly)
        worker, port = started(start_worker)
        print(f"a batch of {users} users who wait:")
        pages(port, "bench", f"/users/{user(7)}")
        finish(environment, "bench", users)
        print("the same, finished:")
        pages(port, "bench")
        paths = ["/", "/batches/bench", "/access", "/batches/bench/users"]
        watched(worker, port, environment, 0, paths)
        for path in paths:
            print(f"{path} only:")
            for number in (1, count):
                watched(worker, port, environment, number, [path])
        print(f"peak memory of the worker: {account(worker.pid)[0] / 1024:.0f} MiB", flush=True)


def pace(binary, servers, users, count, latency_ms, settings):
    """Users a second, and milliseconds of the worker's CPU a user."""
    with tenant(binary, servers, users, "--latency", f"{latency_ms}ms", settings=settings) as (_, start_worker, off_board_all):
        worker, port = started(start_worker)
        with viewers(count, port, ["/", "/access", "/batches", "/workers"]):
            time.sleep(5)
            cpu, began = account(worker.pid)[1], time.monotonic()
            off_board_all()
            # It waits 2 s for the last manifest.
            return users / (time.monotonic() - began - 2), (account(worker.pid)[1] - cpu) * 1000 / users


def main():
    binary, servers = sys.argv[1:3]
    numbers = [int(number) for number in sys.argv[3:6] if number] + [None] * 3
    users, count, off_boarded = numbers[0] or 100_000, numbers[1] or 50, numbers[2] or 1_500
    print(f"{os.cpu_count()} cores; load {os.getloadavg()[0]:.1f}")
    of_a_large_batch(binary, servers, users, count)
    quotas = {"OFFBOARDER_INTEGRITY_KEY": SETTINGS["OFFBOARDER_INTEGRITY_KEY"]}
    for what, number_of, latency_ms, settings in [
            ("default quotas", off_boarded // 7, 0, quotas), (f"{LATENCY_MS} ms a call", off_boarded, LATENCY_MS, SETTINGS),
            ("no limit", off_boarded, 0, SETTINGS)]:
        measured = {0: [], count: []}
        for _ in range(ROUNDS):
            for number, runs in measured.items():
                runs.append(pace(binary, servers, number_of, number, latency_ms, settings))
        for number, runs in measured.items():
            each = ", ".join(f"{rate:.1f}" for rate, _ in runs)
            print(f"{number_of} users, {what}, {number:2} viewers: {statistics.median(rate for rate, _ in runs):.1f} users/s ({each}), "
                  f"{statistics.median(cpu for _, cpu in runs):.2f} ms of the worker's CPU a user", flush=True)


if __name__ == "__main__":
    main()
