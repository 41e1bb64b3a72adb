"""How many users a quota lets through: counted calls of each class, the bound that follows, and what two workers do.

workers.py OFFBOARDER SERVERS_SH [USERS] [WORKERS]

USERS (300) of 40 conversations and three queues are submitted to WORKERS (2) workers with the default quotas
(routing 20/s, SCIM 20/s, analytics 5/s), which the simulator enforces. Calls are counted by the simulator,
access is gone and users are deleted when it says so; memory and CPU time are the kernel's account of each worker.
"""

import collections
import datetime
import json
import math
import os
import subprocess
import sys
import time
import urllib.request

from stand import account, stand

QUOTAS = {"routing": 20, "scim": 20, "analytics": 5}
SLACK = 1.03  # Workers space calls by so much more than the quota asks for.


def class_of(operation):
    if "token" in operation:
        return None
    return next((name for name, part in (("analytics", "conversations"), ("scim", "scim")) if part in operation), "routing")


def at(entry):
    return datetime.datetime.fromisoformat(entry["endedAt"]).timestamp()


def main():
    binary, servers = sys.argv[1], sys.argv[2]
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 300
    crew = int(sys.argv[4]) if len(sys.argv) > 4 else 2
    flags = ["--users", str(count)]
    flags += [part for name, rate in QUOTAS.items() for part in (f"--quota-{name}", str(rate))]
    settings = {f"OFFBOARDER_CXONE_RATE_{name.upper()}": f"{rate}/s" for name, rate in QUOTAS.items()}
    with stand(binary, servers, flags, settings) as (base, environment, start_worker):
        def ask(path):
            with urllib.request.urlopen(f"{base}/_simulator/{path}") as answer:
                return json.load(answer)

        ids = ask("users")
        workers = [start_worker() for _ in range(crew)]
        subprocess.run([binary, "submit", "--file", "-"], env=environment, input="\n".join(ids), text=True,
                       check=True, stdout=subprocess.DEVNULL)
        while sum(entry["operation"] == "delete_user" and entry["status"] < 300 for entry in ask("ledger")["entries"]) < count:
            time.sleep(2)
        accounts = [account(worker.pid) for worker in workers]
        entries = ask("ledger")["entries"]

    refused = sum(entry["status"] == 429 for entry in entries)
    begun = min(at(entry) for entry in entries)
    deactivated = max(at(entry) for entry in entries if entry["operation"] == "put_scim_user")
    access, all_of = collections.Counter(), collections.Counter()
    first_archive = {}
    for entry in entries:
        name, user = class_of(entry["operation"]), entry["userId"]
        if name is None or entry["status"] == 429:
            continue
        all_of[name] += 1
        if name == "analytics":
            first_archive.setdefault(user, entry["seq"])
    for entry in entries:
        name = class_of(entry["operation"])
        if name and entry["status"] != 429 and entry["seq"] < first_archive.get(entry["userId"], math.inf) and entry["userId"]:
            access[name] += 1
    print(f"{crew} workers, {count} users of 40 conversations and 3 queues, default quotas, "
          f"everything on the same {os.cpu_count()} cores")
    print("calls of a user        " + ", ".join(f"{name} {all_of[name] / count:.2f}" for name in QUOTAS)
          + "; until access is gone " + ", ".join(f"{name} {access[name] / count:.2f}" for name in QUOTAS if access[name]))
    bound = {name: SLACK * all_of[name] / rate for name, rate in QUOTAS.items()}
    slowest = max(bound, key=bound.get)
    took = max(at(entry) for entry in entries) - begun
    bound_access = max(SLACK * access[name] / QUOTAS[name] for name in QUOTAS)
    print(f"access of all is gone  after {deactivated - begun:.0f} s; by the quotas alone {bound_access:.0f} s")
    print(f"all are deleted        after {took:.0f} s, {60 * count / took:.0f} users a minute; by the quotas alone "
          f"{bound[slowest]:.0f} s, {60 * count / bound[slowest]:.0f} a minute, for {slowest}")
    print(f"calls answered 429     {refused} of {sum(all_of.values()) + refused}")
    for peak, cpu in accounts:
        print(f"a worker               {peak / 1024:.0f} MiB resident at most, {1000 * cpu / count * crew:.0f} ms of CPU a user")


main()
