"""Submits USERS users (100,000) of a CSV file as one batch, and prints how long that took and how much memory
it needed, against a tenth of them; then how long `batch show` and `batch report` take to answer for all of them.

submit.py OFFBOARDER SERVERS_SH [USERS]

Starts RabbitMQ, Redis and S3 of its own (SERVERS_SH). Memory and CPU time are the kernel's own account of
the process. For `batch show` each user has the checkpoint of one who was really off-boarded.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from rig import COPY, rig, run

COLUMNS = "name,reason,userId,requestedBy"
MODEL = "00000001-5eed-4000-8000-000000000000"


def user(number):
    return f"{number:08x}-5eed-4000-8000-000000000000"


def submit(binary, environment, place, users, batch):
    file = pathlib.Path(place, f"{batch}.csv")
    with open(file, "w") as rows:
        print(COLUMNS, file=rows)
        for number in range(users):
            print(f'"Leaver, {number}",left,{user(number)},hr', file=rows)
    arguments = [binary, "submit", "--file", str(file), "--batch-id", batch, "--output", "json"]
    took, peak, cpu, output = run(arguments, environment)
    answer = json.loads(output)
    assert answer["sent"] + answer["alreadySent"] == users, answer
    print(f"{users:7} users of a CSV file of {file.stat().st_size / 1e6:.1f} MB: {took:6.1f} s, "
          f"{users / took:6.0f} a second; {peak:5.1f} MiB resident at most; {cpu:.1f} s of CPU")


def off_board_the_model(binary, environment, start_worker):
    subprocess.run([binary, "submit", MODEL, "--batch-id", "all"], env=environment, check=True,
                   stdout=subprocess.DEVNULL)
    worker = start_worker()
    while True:
        output = run([binary, "status", MODEL, "--output", "json"], environment, ends_with=(0, 1))[3]
        if json.loads(output)["users"][0].get("finished"):
            break
        time.sleep(0.5)
    worker.terminate()
    worker.wait()


def measure(arguments, environment):
    took, peak, cpu, output = run(arguments, environment)
    print(f"{' '.join(arguments[1:]):20} {took:6.2f} s; {peak:5.1f} MiB resident at most; {cpu:.1f} s of CPU")
    return output


def main():
    binary, servers = sys.argv[1], sys.argv[2]
    users = int(sys.argv[3]) if len(sys.argv) > 3 else 100_000
    with rig(binary, servers, ["--users", "1"], {}) as (_, environment, start_worker), \
            tempfile.TemporaryDirectory() as place:
        off_board_the_model(binary, environment, start_worker)
        print(f"one process, RabbitMQ, Redis and S3 on the same {os.cpu_count()} cores")
        submit(binary, environment, place, users // 10, "a-tenth")
        submit(binary, environment, place, users, "all")
        subprocess.run(["redis-cli", "-u", environment["OFFBOARDER_CHECKPOINTS_URL"], "EVAL", COPY, "0", MODEL,
                        str(users)], check=True, stdout=subprocess.DEVNULL)
        answer = json.loads(measure([binary, "batch", "show", "all", "--output", "json"], environment))
        assert answer["users"] == answer["finished"] == users, answer
        assert measure([binary, "batch", "report", "all"], environment).count("\n") == users + 1


main()
