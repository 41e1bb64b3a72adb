"""Makes the report of LEAVERS leavers (100,000), and of a tenth of them before, from a directory store, and prints leavers a
second and peak memory.

report.py OFFBOARDER [LEAVERS]

One user is off-boarded against a simulated CXone; the other leavers are copies of that user's objects under other IDs.
Memory and CPU time are the kernel's own account of the process.
"""

import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid


def off_board(binary, place):
    """The objects of one leaver, by the end of their names, and the leaver's ID."""
    simulator = subprocess.Popen([binary, "simulator", "--listen", "127.0.0.1:0", "--users", "1"],
                                 stdout=subprocess.PIPE, text=True)
    try:
        base = "http://" + simulator.stdout.readline().rsplit("http://", 1)[1].strip()
        with urllib.request.urlopen(f"{base}/_simulator/users") as answer:
            [user] = json.load(answer)
        environment = os.environ | {
            "OFFBOARDER_CXONE_BASE_URI": base, "OFFBOARDER_CXONE_CLIENT_ID": "offboarder",
            "OFFBOARDER_CXONE_CLIENT_SECRET": "simulator-secret",
            "OFFBOARDER_CHECKPOINTS_URL": f"file:{place}/checkpoints", "OFFBOARDER_ARCHIVE_URL": f"file:{place}/one",
        }
        subprocess.run([binary, "run", user, "--action", "delete", "--requested-by", "hr"], env=environment, check=True,
                       stdout=subprocess.DEVNULL)
    finally:
        simulator.terminate()
        simulator.wait()
    objects = {path.name.removeprefix(user): path.read_text() for path in pathlib.Path(place, "one").glob(f"{user}*")}
    assert len(objects) == 3, objects.keys()
    return user, objects


def fill(directory, user, objects, have, count):
    randomness = random.Random(have)
    for _ in range(have, count):
        other = str(uuid.UUID(int=randomness.getrandbits(128), version=4))
        for end, text in objects.items():
            # No archive is read, so all are empty.
            (directory / f"{other}{end}").write_text("" if end == ".json" else text.replace(user, other))


def report(binary, directory, leavers, form):
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen([binary, "report", "--since", "2020-01-01", "--folder", str(directory), "--output", form],
                                   stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        took = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"report ended with {process.returncode}")
        if form == "json":
            # Not all of it: the kernel counts what this process needs at a fork as the command's, too.
            output.seek(max(0, output.seek(0, os.SEEK_END) - 8192))
            totals = json.loads("{" + output.read().rsplit("\n],\n", 1)[1])["totals"]
            assert totals["asked"] == totals["checks"]["ok"] == leavers, totals
    print(f"{leavers:7} leavers as {form}: {took:6.1f} s, {leavers / took:6.0f} a second; {usage.ru_maxrss / 1024:5.1f} MiB "
          f"resident at most; {usage.ru_utime + usage.ru_stime:.1f} s of CPU", flush=True)


def main():
    binary = sys.argv[1]
    leavers = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    print(f"one process on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(prefix="offboarder-bench-") as place:
        user, objects = off_board(binary, place)
        directory = pathlib.Path(place, "leavers")
        directory.mkdir(mode=0o700)
        have = 0
        for count in (leavers // 10, leavers):
            fill(directory, user, objects, have, count)
            have = count
            for form in ("json", "html"):
                report(binary, directory, count, form)


if __name__ == "__main__":
    main()
