"""Archives one user of a given size with a real worker, and prints speed, peak memory and CPU time.

archive.py OFFBOARDER SERVERS_SH [GIGABYTES]

Starts RabbitMQ, Redis and S3 of its own (SERVERS_SH), the simulator with one user, and one worker;
submits the user and waits for its manifest. Speed is bytes over the time of the archive step, as the
manifest gives it; memory and CPU time are the kernel's own account of the worker process.
"""

import json
import os
import subprocess
import sys
import time

from rig import account, rig

PAGE_SIZE = 500
CONVERSATION_BYTES = 4000


def seconds(step):
    def at(text):
        whole, _, fraction = text.rstrip("Z").partition(".")
        return time.mktime(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{fraction or 0}")

    return at(step["completedAt"]) - at(step["startedAt"])


def main():
    binary, servers = sys.argv[1], sys.argv[2]
    gigabytes = float(sys.argv[3]) if len(sys.argv) > 3 else 2.0
    conversations = int(gigabytes * 1e9 / CONVERSATION_BYTES)
    flags = ["--users", "1", "--conversations", str(conversations), "--conversation-bytes", str(CONVERSATION_BYTES)]
    settings = {"OFFBOARDER_CXONE_RATE_ANALYTICS": "off", "OFFBOARDER_CXONE_PAGE_SIZE": str(PAGE_SIZE)}
    user = "00000001-5eed-4000-8000-000000000000"
    with rig(binary, servers, flags, settings) as (_, environment, start_worker):
        worker = start_worker()
        subprocess.run([binary, "submit", user], env=environment, check=True, stdout=subprocess.DEVNULL)
        while True:
            answer = subprocess.run([binary, "status", user, "--output", "json"], env=environment,
                                    capture_output=True, text=True)
            known = json.loads(answer.stdout)["users"][0] if answer.stdout else {}
            if known.get("finished"):
                break
            if known.get("deadLetter") or worker.poll() is not None:
                sys.exit(f"the user did not get through: {known.get('lastError')}")
            time.sleep(0.5)
        peak, cpu = account(worker.pid)
        archive, steps = known["archive"], known["steps"]
        took = seconds(next(step for step in steps if step["state"] == "Archived"))
        size = archive["bytes"]
        print(f"one user, {archive['conversations']} conversations in {archive['pages']} pages of {PAGE_SIZE}, "
              f"simulator, S3, Redis and RabbitMQ on the same {os.cpu_count()} cores")
        print(f"archived     {size / 1e9:8.2f} GB in {took:.1f} s")
        print(f"speed        {size / 1e6 / took:8.0f} MB/s")
        print(f"peak memory  {peak / 1024:8.1f} MiB resident (VmHWM of the worker)")
        print(f"CPU          {cpu / (size / 1e9):8.2f} s per GB (user and system, the whole worker)")


main()
