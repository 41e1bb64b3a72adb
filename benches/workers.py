"""How many users a quota lets through: counted calls of each class, the bound that follows, and what two workers do.

workers.py OFFBOARDER SERVERS_SH [USERS] [DIVISOR]

USERS (300) of 40 conversations and three queues are submitted to two workers with the default quotas (routing 20/s,
SCIM 20/s, analytics 5/s) by DIVISOR (1; a slow machine needs more), which the simulator enforces. Calls are counted by the simulator,
access is gone and users are deleted when it says so; memory and CPU time are the kernel's account of each worker.
"""

import collections
import datetime
import json
import os
import re
import subprocess
import sys
import time
import urllib.request

from rig import account, rig

WORKERS = 2
QUOTAS = {"routing": 20, "scim": 20, "analytics": 5}
USER = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SLACK = 1.03  # Workers space calls by that much more than the quota asks for.


def class_of(operation):
    if "token" in operation:
        return None
    if "conversations" in operation:
        return "analytics"
    return "scim" if "scim" in operation else "routing"


def at(entry):
    return datetime.datetime.fromisoformat(entry["endedAt"]).timestamp()


def main():
    binary, servers = sys.argv[1], sys.argv[2]
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 300
    divisor = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    quotas = {name: rate // divisor for name, rate in QUOTAS.items()}
    flags = ["--users", str(count)]
    flags += [part for name, rate in quotas.items() for part in (f"--quota-{name}", str(rate))]
    settings = {f"OFFBOARDER_CXONE_RATE_{name.upper()}": f"{rate}/s" for name, rate in quotas.items()}
    with rig(binary, servers, flags, settings) as (base, environment, start_worker):
        def ask(path):
            with urllib.request.urlopen(f"{base}/_simulator/{path}") as answer:
                return json.load(answer)

        ids = ask("users")
        workers = [start_worker() for _ in range(WORKERS)]
        subprocess.run([binary, "submit", "--file", "-"], env=environment, input="\n".join(ids), text=True,
                       check=True, stdout=subprocess.DEVNULL)
        deleted = 0
        while deleted < count:
            time.sleep(2)
            entries = ask("ledger")["entries"]
            deleted = sum(entry["operation"] == "delete_user" and entry["status"] < 300 for entry in entries)
        accounts = [account(worker.pid) for worker in workers]

    refused = sum(entry["status"] == 429 for entry in entries)
    begun = min(at(entry) for entry in entries)
    deactivated = max(at(entry) for entry in entries if entry["operation"] == "put_scim_user")
    took = max(at(entry) for entry in entries) - begun
    archived = {}
    access, in_all = collections.Counter(), collections.Counter()
    for entry in sorted(entries, key=lambda entry: entry["seq"]):
        name, user = class_of(entry["operation"]), USER.search(entry["path"])
        user = entry["userId"] or (user and user[0])
        if entry["status"] == 429 or not name or not user:
            continue
        in_all[name] += 1
        if name == "analytics":
            archived[user] = True
        elif user not in archived:
            access[name] += 1

    def by_class(calls):
        return ", ".join(f"{name} {calls[name] / count:.2f}" for name in quotas)

    def bound(calls):
        """The class that takes longest, and for how long."""
        return max((SLACK * calls[name] / rate, name) for name, rate in quotas.items())

    print(f"{WORKERS} workers, {count} users of 40 conversations and 3 queues, quotas "
          + ", ".join(f"{name} {rate}/s" for name, rate in quotas.items())
          + f", everything on the same {os.cpu_count()} cores")
    print(f"calls of a user        {by_class(in_all)}; until access is gone {by_class(access)}")
    for what, seconds, calls in (("access of all is gone", deactivated - begun, access), ("all are deleted", took, in_all)):
        least, slowest = bound(calls)
        print(f"{what:22} after {seconds:.0f} s, {60 * count / seconds:.0f} a minute; "
              f"by the quota only {least:.0f} s, {60 * count / least:.0f} a minute, {slowest}")
    print(f"calls answered 429     {refused} of {len(entries)}")
    for peak, cpu in accounts:
        print(f"a worker               {peak / 1024:.0f} MiB resident at most, {1000 * cpu * WORKERS / count:.0f} ms of CPU a user")


main()
