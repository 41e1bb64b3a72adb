"""Submits USERS users (100,000) as one batch, and prints how long `users list --access` takes to say who still has access: the
first page of 100, and all pages of 10,000. Then all of them get the checkpoint of one who was really off-boarded, Redis loses
the index, and the list rebuilds it.

access.py OFFBOARDER SERVERS_SH [USERS]

Starts RabbitMQ, Redis and S3 of its own (SERVERS_SH). The times are those of whole processes, with their start.
"""

import json
import pathlib
import statistics
import subprocess
import sys
import time

from rig import COPY, rig

MODEL = "00000001-5eed-4000-8000-000000000000"
TIMES = 7


def user(number):
    return f"{number:08x}-5eed-4000-8000-000000000000"


def main():
    binary, servers = sys.argv[1:3]
    users = int(sys.argv[3]) if len(sys.argv) > 3 else 100_000

    with rig(binary, servers, [], {}) as (_, environment, _):
        def ask(*arguments):
            began = time.monotonic()
            command = [binary, "users", "list", "--access", "--output", "json", *arguments]
            answer = subprocess.run(command, env=environment, check=True, capture_output=True).stdout
            return time.monotonic() - began, json.loads(answer)

        def redis(*arguments):
            command = ["redis-cli", "-u", environment["OFFBOARDER_CHECKPOINTS_URL"], *arguments]
            return subprocess.run(command, check=True, capture_output=True, text=True).stdout

        listed = pathlib.Path(environment["SERVERS"]) / "users.txt"
        listed.write_text("".join(f"{user(number)}\n" for number in range(users)))
        began = time.monotonic()
        subprocess.run([binary, "submit", "--file", listed, "--batch-id", "bench"], env=environment, check=True)
        print(f"submit      {users} users in {time.monotonic() - began:.1f} s")

        ask()
        pages = [ask() for _ in range(TIMES)]
        assert all(page["access"]["users"] == users for _, page in pages), pages[0][1]["access"]
        times = [took * 1000 for took, _ in pages]
        print(f"first page  100 of {users}: median {statistics.median(times):.0f} ms, longest {max(times):.0f} ms")

        began, seen, cursor = time.monotonic(), 0, []
        while True:
            _, page = ask("--limit", "10000", *cursor)
            seen += len(page["users"])
            if page["nextCursor"] is None:
                break
            cursor = ["--cursor", page["nextCursor"]]
        assert seen == users, seen
        print(f"all pages   {users} users in {time.monotonic() - began:.1f} s")

        redis("DEL", "offboarder:access")
        took, page = ask()
        assert page["access"]["users"] == users, page["access"]
        print(f"rebuilt     {users} users who have not begun, from their batch, in {took:.1f} s")

        model = [binary, "run", MODEL]
        subprocess.run(model, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        redis("EVAL", COPY, "0", MODEL, str(users))
        redis("DEL", "offboarder:access")
        took, page = ask()
        print(f"rebuilt     from {users} checkpoints in {took:.1f} s; {page['access']['users']} users still have access")


main()
