"""Users who wait, and an urgent one: how long each keeps its access, and what is archived in that time.

lanes.py OFFBOARDER SERVERS_SH [USERS]

USERS (5000) are submitted; once a hundred are deactivated an urgent one is. The API takes 10 ms, a
conversation query half a second. Counted by the simulator, and by the worker's own metric.
"""

import datetime
import json
import os
import subprocess
import sys
import time
import urllib.request

from rig import rig

FLAGS = ["--conversations", "5", "--latency", "10ms", "--latency-analytics", "500ms"]
SETTINGS = {"OFFBOARDER_CXONE_RATE_ROUTING": "off", "OFFBOARDER_CXONE_RATE_SCIM": "off",
            "OFFBOARDER_CXONE_RATE_ANALYTICS": "20/s"}


def main():
    binary, servers = sys.argv[1], sys.argv[2]
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 5000
    with rig(binary, servers, ["--users", str(count + 1), *FLAGS], SETTINGS) as (base, environment, start_worker):
        def ask(path):
            with urllib.request.urlopen(f"{base}/_simulator/{path}") as answer:
                return json.load(answer)

        def times(operation):
            entries = [entry for entry in ask("ledger")["entries"] if entry["operation"] == operation]
            return [datetime.datetime.fromisoformat(entry["startedAt"]).timestamp() for entry in entries]

        def submit(*arguments, users=None):
            subprocess.run([binary, "submit", *arguments], env=environment, input=users, text=True, check=True,
                           stdout=subprocess.DEVNULL)

        *users, urgent = ask("users")
        submit("--file", "-", users="\n".join(users))
        start_worker()
        while len(times("put_scim_user")) < 100:
            time.sleep(1)
        submit(urgent, "--urgent")
        asked = time.time()
        while ask(f"users/{urgent}")["active"]:
            time.sleep(0.05)
        took, before = time.time() - asked, len(times("put_scim_user"))
        while len(times("put_scim_user")) <= count:
            time.sleep(5)
        deactivated = max(times("put_scim_user"))
        archived = sum(at < deactivated for at in times("delete_user"))
        begun = min(times("put_scim_user"))
    print(f"one worker, {count} users of 5 conversations, on {os.cpu_count()} cores with the simulator and the servers")
    print(f"the urgent user's access was gone {took:.2f} s after its submission, {before} others' by then")
    print(f"all access was gone after {deactivated - begun:.0f} s ({count / (deactivated - begun):.0f} users/s); "
          f"{archived} users were archived and deleted by then")


main()
