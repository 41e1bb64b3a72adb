"""Four workers that share an analytics quota of 20/s and a routing quota of 50/s: how much of it they use,
and how often they get a 429, as the simulator counts it, quiet and with programs that use up the CPU.

quota.py OFFBOARDER SERVERS_SH [SECONDS [HOGS]]

The simulator admits no more than the quota in any second, over all workers. Counted are SECONDS (60) full seconds of its
ledger, by when a call arrived, from ten seconds after the first call on, while there is work for both classes. A second
round runs with HOGS (2 for each core) processes that compute at the same priority.
"""

import collections
import contextlib
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


@contextlib.contextmanager
def hogs(count):
    started = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def measure(binary, servers, seconds, count):
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
        with hogs(count):
            time.sleep(seconds + 15)
            load = os.getloadavg()[0]
        entries = [entry for entry in ask("ledger")["entries"] if class_of(entry["operation"])]

    begin = min(entry["startedAt"] for entry in entries)
    begin = datetime.datetime.fromisoformat(begin).timestamp() + 10
    counted = collections.Counter()
    full = collections.Counter()
    for entry in entries:
        second = int(datetime.datetime.fromisoformat(entry["startedAt"]).timestamp() - begin // 1)
        if 0 < second <= seconds:
            counted[class_of(entry["operation"]), entry["status"] == 429] += 1
            full[class_of(entry["operation"]), second] += entry["status"] != 429
    print(f"{WORKERS} workers, {users} users of {CONVERSATIONS} conversations, pages of {PAGE_SIZE}, {seconds} seconds, "
          f"all on the same {os.cpu_count()} cores, with {count} hogs; load {load:.1f}")
    for name, rate in QUOTAS.items():
        passed, refused = counted[name, False], counted[name, True]
        least, most = (pick(full[name, second] for second in range(1, seconds + 1)) for pick in (min, max))
        print(f"{name:10} allowed {rate}/s, used {passed / seconds:.2f}/s ({least} to {most} in a second), "
              f"{passed / seconds / rate:.1%}; {refused} of {passed + refused} calls answered 429, "
              f"{refused / max(1, passed + refused):.2%}", flush=True)


def main():
    binary, servers = sys.argv[1], sys.argv[2]
    seconds = int(sys.argv[3]) if len(sys.argv) > 3 else 60
    busy = int(sys.argv[4]) if len(sys.argv) > 4 else 2 * os.cpu_count()
    for count in (0, busy):
        measure(binary, servers, seconds, count)


main()
