"""Users who are queued through an outage of the API: who becomes a dead letter, and who lost an attempt.

outage.py OFFBOARDER SERVERS_SH [USERS] [MINUTES]

USERS (1000) are submitted; once fifty are deactivated every call to the API, the token's too, is answered with 503
for MINUTES (10). A single attempt that is spent would be a dead letter: OFFBOARDER_WORKER_MAX_ATTEMPTS is 1.
"""

import json
import os
import subprocess
import sys
import time
import urllib.request

from rig import rig

SETTINGS = {"OFFBOARDER_WORKER_MAX_ATTEMPTS": "1", "OFFBOARDER_CXONE_RATE_ROUTING": "off",
            "OFFBOARDER_CXONE_RATE_SCIM": "off", "OFFBOARDER_CXONE_RATE_ANALYTICS": "off"}


def main():
    binary, servers = sys.argv[1], sys.argv[2]
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 1000
    minutes = float(sys.argv[4]) if len(sys.argv) > 4 else 10.0
    flags = ["--users", str(count), "--conversations", "5"]
    with rig(binary, servers, flags, SETTINGS) as (base, environment, start_worker):
        def ask(path, method="GET", body=None):
            request = urllib.request.Request(f"{base}/_simulator/{path}", method=method,
                                             data=None if body is None else json.dumps(body).encode(),
                                             headers={"content-type": "application/json"})
            with urllib.request.urlopen(request) as answer:
                text = answer.read()
            return json.loads(text) if text else None

        def done(operation):
            entries = ask("ledger")["entries"]
            return sum(entry["operation"] == operation and entry["status"] < 300 for entry in entries)

        users = ask("users")
        subprocess.run([binary, "submit", "--file", "-"], env=environment, input="\n".join(users), text=True,
                       check=True, stdout=subprocess.DEVNULL)
        for _ in range(2):
            start_worker()
        while done("put_scim_user") < 50:
            time.sleep(0.5)
        ask("faults", "POST", {"operation": "*", "fault": {"kind": "status", "status": 503}})
        before = len(ask("ledger")["entries"])
        time.sleep(minutes * 60)
        during = len(ask("ledger")["entries"]) - before
        left = count - done("delete_user")
        ask("faults", "DELETE")
        over, finished = time.time(), done("delete_user")
        while done("delete_user") == finished:
            time.sleep(0.2)
        again = time.time() - over
        while done("delete_user") < count:
            time.sleep(2)
        took = time.time() - over
        states = json.loads(subprocess.run([binary, "status", "--output", "json", *users], env=environment, text=True,
                                           check=True, capture_output=True).stdout)["users"]
    print(f"two workers, {count} users, an outage of {minutes:.0f} minutes that {left} users were queued through")
    print(f"{during} calls were sent during the outage; the first deletion came {again:.1f} s after it, the last "
          f"{took:.0f} s after it")
    print(f"{sum(bool(user['deadLetter']) for user in states)} dead letters, {sum(user['attempts'] for user in states)} "
          f"attempts spent, {sum(user['state'] == 'Deleted' for user in states)} of {count} users Deleted")


main()
