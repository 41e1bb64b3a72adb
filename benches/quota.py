"""Four workers that share an analytics quota of 20/s and a routing quota of 50/s: how much of it they use,
and how often they get a 429, as the simulator counts it.

quota.py OFFBOARDER SERVERS_SH [SECONDS]

The simulator admits no more than the quota in any second, over all workers. Counted is from ten seconds
after the first call on, for SECONDS (60), while there is work for both classes.
"""

import collections
import datetime
import json
import os
import subprocess
import sys
import time
import urllib.request

from rig import rig

QUOTAS = {"routing": 50, "analytics": 20}
WORKERS = 4
PAGE_SIZE = 5
CONVERSATIONS = 60


def class_of(operation):
    if "conversations" in operation:
        return "analytics"
    return None if "scim" in operation or "token" in operation else "routing"


def main():
    binary, servers = sys.argv[1], sys.argv[2]
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 60.0
    users = int((seconds + 20) * QUOTAS["routing"] / 6)
    flags = ["--users", str(users), "--conversations", str(CONVERSATIONS)]
    flags += [part for name, rate in QUOTAS.items() for part in (f"--quota-{name}", str(rate))]
    settings = {f"OFFBOARDER_CXONE_RATE_{name.upper()}": f"{rate}/s" for name, rate in QUOTAS.items()}
    settings |= {"OFFBOARDER_CXONE_RATE_SCIM": "off", "OFFBOARDER_CXONE_PAGE_SIZE": str(PAGE_SIZE)}
    with rig(binary, servers, flags, settings) as (base, environment, start_worker):
        def ask(path):
            with urllib.request.urlopen(f"{base}/_simulator/{path}") as answer:
                return json.load(answer)

        ids = "\n".join(ask("users"))
        for _ in range(WORKERS):
            start_worker()
        subprocess.run([binary, "submit", "--file", "-"], env=environment, input=ids, text=True, check=True,
                       stdout=subprocess.DEVNULL)
        time.sleep(seconds + 15)
        entries = [entry for entry in ask("ledger")["entries"] if class_of(entry["operation"])]

    begin = min(entry["startedAt"] for entry in entries)
    begin = datetime.datetime.fromisoformat(begin).timestamp() + 10
    counted = collections.Counter()
    for entry in entries:
        at = datetime.datetime.fromisoformat(entry["startedAt"]).timestamp()
        if begin <= at < begin + seconds:
            counted[class_of(entry["operation"]), entry["status"] == 429] += 1
    print(f"{WORKERS} workers, {users} users of {CONVERSATIONS} conversations, pages of {PAGE_SIZE}, counted for "
          f"{seconds:.0f} s by the simulator, all on the same {os.cpu_count()} cores")
    for name, rate in QUOTAS.items():
        passed, refused = counted[name, False], counted[name, True]
        print(f"{name:10} {passed / seconds:6.2f} of {rate} calls/s admitted, {passed / seconds / rate:6.1%} of the "
              f"quota; {refused} of {passed + refused} calls answered 429, {refused / max(1, passed + refused):.2%}")


main()
