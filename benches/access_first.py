"""A batch under the default quotas: how many users are deleted before all have lost their access, and how long it all takes.

access_first.py OFFBOARDER SERVERS_SH [USERS]

USERS (500) are submitted, then a worker starts. Counted by the simulator.
"""

import datetime
import json
import os
import subprocess
import sys
import time
import urllib.request

from rig import rig

QUOTAS = {f"OFFBOARDER_CXONE_RATE_{name}": rate for name, rate in
          (("ROUTING", "20/s"), ("SCIM", "20/s"), ("ANALYTICS", "5/s"))}


def main():
    binary, servers = sys.argv[1], sys.argv[2]
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 500
    with rig(binary, servers, ["--users", str(count), "--conversations", "20"], QUOTAS) as (base, environment, start_worker):
        def ask(path):
            with urllib.request.urlopen(f"{base}/_simulator/{path}") as answer:
                return json.load(answer)

        def times(operation):
            entries = [entry for entry in ask("ledger")["entries"] if entry["operation"] == operation]
            return sorted(datetime.datetime.fromisoformat(entry["startedAt"]).timestamp() for entry in entries)

        subprocess.run([binary, "submit", "--file", "-"], env=environment, input="\n".join(ask("users")), text=True,
                       check=True, stdout=subprocess.DEVNULL)
        begun = time.time()
        start_worker()
        while len(times("delete_user")) < count:
            time.sleep(2)
        access, deleted = times("put_scim_user"), times("delete_user")
    before = sum(at < access[-1] for at in deleted)
    print(f"one worker, {count} users of 20 conversations, quotas 20/s, 20/s and 5/s, on {os.cpu_count()} cores with the "
          f"simulator and the servers")
    print(f"all access was gone after {access[-1] - begun:.0f} s; {before} users were deleted by then")
    print(f"the first was deleted after {deleted[0] - begun:.0f} s, the last after {deleted[-1] - begun:.0f} s")


main()
