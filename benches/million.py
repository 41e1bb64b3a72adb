"""USERS users (1,000,000) who wait, against 8,000: what they cost each part, and whether a worker is slower for them.

million.py OFFBOARDER SERVERS_SH [USERS] [ROUNDS]

Two sets of servers, each with a simulator: in one a few wait, in the other USERS. Each is submitted as one batch; then a
worker runs in turns on one and on the other, ROUNDS (5) times, until 500 users are deleted, and is stopped. In that time it removes
the access of about five times as many, so the few are filled up before each turn: there too somebody waits until the
end. The time begins with the fiftieth user of a turn.
Memory and CPU time are the kernel's account of processes; used_memory is what Redis counts.
"""

import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
import urllib.request

from rig import account, rig, run
from servers import Broker, Redis, du

FEW, TURN, WARM = 8000, 500, 50
PARTS = ("rabbitmq", "redis", "s3")
FLAGS = ["--conversations", "20", "--conversation-bytes", "500"]
SETTINGS = {f"OFFBOARDER_CXONE_RATE_{name}": "off" for name in ("ROUTING", "SCIM", "ANALYTICS")}
MB, TICKS, PAGE = 1e6, os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGESIZE")


def user(number):
    """A user of the simulator."""
    return f"00000001-5eed-4000-8000-{number:012x}"


def session(leader):
    """Resident bytes and CPU seconds of the processes of a session."""
    resident, cpu = 0, 0
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = (process / "stat").read_text().rsplit(")", 1)[1].split()
            if int(fields[3]) == leader:
                cpu += (int(fields[11]) + int(fields[12])) / TICKS
                resident += int((process / "statm").read_text().split()[1]) * PAGE
    return resident, cpu


class Site:
    """One set of servers, and the users who were submitted to it."""

    def __init__(self, name, binary, servers, base, environment, start_worker):
        self.name, self.binary, self.base, self.environment = name, binary, base, environment
        self.place, self.start_worker = pathlib.Path(environment["SERVERS"]), start_worker
        self.broker = Broker(servers, self.place)
        self.redis = Redis(environment["OFFBOARDER_CHECKPOINTS_URL"], self.place)
        self.leaders = {part: int((self.place / part / "pid").read_text().split()[0]) for part in PARTS}
        self.submitted, self.speeds, self.costs = 0, [], []
        # As behind a worker that has run before: the list of those who still have access is complete.
        self.command("users", "list", "--access")
        self.bare = self.redis.used()

    def command(self, *arguments, ends_with=(0,)):
        return run([self.binary, *arguments], self.environment, ends_with)

    def control(self, path, method="GET"):
        request = urllib.request.Request(f"{self.base}/_simulator/{path}", method=method)
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read() or "null")

    def submit(self, count):
        file = self.place / "users.txt"
        numbers = range(self.submitted, self.submitted + count)
        file.write_text("".join(f"{user(number)}\n" for number in numbers))
        done = self.command("submit", "--file", str(file), "--batch-id", "all", "--requested-by", "hr@example.com",
                            "--reason", "left", "--output", "json")
        assert json.loads(done[3])["sent"] == count, done[3]
        self.submitted += count
        return done

    def waiting(self):
        queues = json.loads(self.broker.ctl("list_queues", "--formatter", "json", "name", "messages"))
        return {queue["name"]: queue["messages"] for queue in queues}["offboarding.users"]

    def cpu(self, worker):
        return [account(worker.pid)[1], *(session(leader)[1] for leader in self.leaders.values())]

    def deleted(self):
        return sum(self.control("counters").get("delete_user", {}).values())

    def turn(self):
        """A worker deletes TURN users; notes users a second, and CPU seconds a user of each part."""
        self.control("ledger", "DELETE")
        before = self.waiting()
        worker = self.start_worker()
        while (at := self.deleted()) < WARM:
            time.sleep(0.02)
        began, cpu = time.monotonic(), self.cpu(worker)
        while (now := self.deleted()) < at + TURN:
            time.sleep(0.02)
        took = time.monotonic() - began
        self.costs.append([(after - before) / (now - at) for before, after in zip(cpu, self.cpu(worker))])
        self.speeds.append((now - at) / took)
        peak = account(worker.pid)[0] / 1024
        worker.terminate()
        worker.wait()
        print(f"{self.name:>9} waiting  {self.speeds[-1]:6.1f} users/s; {before} users waited at the beginning, {self.waiting()} "
              f"at the end; worker {peak:.0f} MiB at most; load {os.getloadavg()[0]:.1f}", flush=True)

    def sizes(self):
        """Of each part while nobody works."""
        look, used = self.broker.look("offboarding.users"), self.redis.used()
        resident = {part: session(leader)[0] for part, leader in self.leaders.items()}
        disk = {part: du(self.place / part) for part in PARTS}
        print(f"{self.name:>9} waiting  queue {look['messages']}; RabbitMQ {resident['rabbitmq'] / MB:.0f} MB resident, "
              f"{disk['rabbitmq'] / MB:.0f} MB on disk; Redis used_memory {used / MB:.1f} MB, "
              f"{resident['redis'] / MB:.0f} MB resident, {disk['redis'] / MB:.0f} MB on disk; S3 {resident['s3'] / MB:.0f} MB "
              f"resident, {disk['s3'] / MB:.0f} MB on disk")
        print(f"{'':9} a user   {(used - self.bare) / self.submitted:.0f} B of Redis' memory", flush=True)

    def show(self):
        done = [self.command("batch", "show", "all", "--output", "json") for _ in range(3)]
        answer = json.loads(done[-1][3])
        assert answer["users"] == self.submitted, answer
        times = [one[0] for one in done]
        print(f"{self.name:>9} waiting  batch show: {statistics.median(times):.2f} s at the median, {max(times):.2f} s at most, "
              f"{done[-1][1]:.0f} MiB, {done[-1][2]:.2f} s of CPU; {answer['notBegun']} not begun, {answer['finished']} finished",
              flush=True)


def compare(few, many):
    speeds = [statistics.median(site.speeds) for site in (few, many)]
    print(f"users a second, medians of {len(few.speeds)}: {speeds[0]:.1f} with a few, {speeds[1]:.1f} with {many.submitted}: "
          f"{100 * (speeds[1] / speeds[0] - 1):+.1f} %")
    for site in (few, many):
        costs = [1000 * statistics.median(cost) for cost in zip(*site.costs)]
        texts = [f"{part} {cost:.2f}" for part, cost in zip(("worker", *PARTS), costs)]
        print(f"{site.name:>9} waiting  CPU ms a user: {', '.join(texts)}")


def main():
    binary, servers = sys.argv[1:3]
    users = int(sys.argv[3] or 1_000_000)
    rounds = int(sys.argv[4] or 5)
    # The simulator knows those who are reached.
    flags = ["--users", str((rounds + 1) * FEW), *FLAGS]
    with rig(binary, servers, flags, SETTINGS) as first, rig(binary, servers, flags, SETTINGS) as second:
        few, many = Site("a few", binary, servers, *first), Site(str(users), binary, servers, *second)
        print(f"two sets of servers on {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        for site, count in ((few, FEW), (many, users)):
            took, peak, cpu, _ = site.submit(count)
            print(f"{site.name:>9} waiting  submit: {count} users in {took:.1f} s, {count / took:.0f} a second, {peak:.0f} MiB, "
                  f"{cpu:.1f} s of CPU; load {os.getloadavg()[0]:.1f}", flush=True)
        for site in (few, many):
            site.sizes()
            site.show()
        for _ in range(rounds):
            if missing := max(0, FEW - few.waiting()):
                few.submit(missing)
            few.turn()
            many.turn()
        if rounds:
            compare(few, many)
            many.show()


main()
