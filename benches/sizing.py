"""What waiting messages cost RabbitMQ, and what users cost Redis: bytes of memory and of disk for each.

sizing.py OFFBOARDER SERVERS_SH [MESSAGES]

Messages: a tenth of MESSAGES (100,000) and all of them are submitted as one batch, with no worker; then a
thousand users are delayed by `--delete-after`. Memory of the node is what RabbitMQ counts for quorum queues
(processes, ETS tables, binaries), disk is all of its Raft log.
Users: a thousand are off-boarded, some become dead letters, one has an archive of many parts; the
finished checkpoints are then copied to ten times as many. A key's size is MEMORY USAGE, with all samples.
"""

import json
import subprocess
import sys
import tempfile
import time
import urllib.request

from rig import COPY, rig
from servers import Broker, Redis, du

DELAYED = 1000
DEAD_LETTERS = 50


def each(after, before, name, count):
    return (after[name] - before[name]) / count


def submit(binary, environment, users, *arguments):
    command = [binary, "submit", "--file", "-", "--requested-by", "hr@example.com", "--reason", "left", *arguments]
    subprocess.run(command, env=environment, input="\n".join(users), text=True, check=True, stdout=subprocess.DEVNULL)


def waiting(binary, environment, broker, redis, sizes):
    for size in sizes:
        users = [f"{number:08x}-5eed-4000-8000-ffffffffffff" for number in range(size)]
        before, used, log = broker.look("offboarding.users"), redis.used(), du(redis.log)
        submit(binary, environment, users, "--batch-id", f"of-{size}")
        after = broker.look("offboarding.users")
        assert after["messages"] == size, after
        print(f"{size:7} waiting messages   {each(after, before, 'queue', size):6.0f} B of the queue's memory, "
              f"{each(after, before, 'node', size):6.0f} B of the node's, "
              f"{each(after, before, 'disk', size):6.0f} B on disk each; node {after['rss'] / 1e6:.0f} MB resident")
        print(f"{'':7} users of a batch   {(redis.used() - used) / size:6.0f} B of Redis' memory, "
              f"{(du(redis.log) - log) / size:6.0f} B of its log each")
        broker.ctl("purge_queue", "offboarding.users")


def until(condition):
    while not condition():
        time.sleep(2)


def mean(values):
    values = sorted(values)
    return f"{sum(values) / len(values):6.0f} B each ({values[0]} to {values[-1]})"


def stages(binary, environment, base, start_worker, broker, redis):
    def ask(path, body=None):
        request = urllib.request.Request(f"{base}/_simulator/{path}", data=body and json.dumps(body).encode(),
                                         method="POST" if body else "GET", headers={"content-type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def depth(queue):
        queues = json.loads(broker.ctl("list_queues", "--formatter", "json", "name", "messages"))
        return next(one["messages"] for one in queues if one["name"] == queue)

    def deletions():
        return sum(one["operation"] == "delete_user" for one in ask("ledger")["entries"])

    plain = [user for user in ask("users") if not user.endswith("aaaaaaaaaaaa")]
    delayed, dead_letters, ended = plain[:DELAYED], plain[DELAYED:DELAYED + DEAD_LETTERS], plain[DELAYED + DEAD_LETTERS:]
    big = next(user for user in ask("users") if user.endswith("aaaaaaaaaaaa"))
    before = broker.look("offboarding.wait.7200s")
    worker = start_worker()
    submit(binary, environment, delayed, "--batch-id", "delayed", "--delete-after", "2999-01-01T00:00:00Z")
    until(lambda: depth("offboarding.wait.7200s") == DELAYED)
    after = broker.look("offboarding.wait.7200s")
    print(f"{DELAYED:7} delayed jobs       {each(after, before, 'queue', DELAYED):6.0f} B of the queue's memory, "
          f"{each(after, before, 'disk', DELAYED):6.0f} B written to disk for each on its way through three queues")
    print(f"        archived, waiting  {mean(map(redis.checkpoint, delayed[:200]))}")

    for user in dead_letters:
        ask("faults", {"operation": "put_scim_user", "user": user, "fault": {"kind": "status", "status": 400}})
    submit(binary, environment, dead_letters)
    until(lambda: depth("offboarding.dead") == DEAD_LETTERS)
    print(f"{DEAD_LETTERS:7} dead letters       {mean(map(redis.checkpoint, dead_letters))}")

    used, log = redis.used(), du(redis.log)
    submit(binary, environment, ended)
    until(lambda: deletions() == len(ended) and depth("offboarding.archive") == 0)
    time.sleep(5)
    print(f"{len(ended):7} finished users     {mean(map(redis.checkpoint, ended[:200]))}; "
          f"used_memory {(redis.used() - used) / len(ended):.0f} B each, log {(du(redis.log) - log) / len(ended):.0f} B each")

    submit(binary, environment, [big])
    seen = {}
    while not seen or redis.ask("HGET", f"offboarder:{{{big}}}:checkpoint", "body").find('"Deleted"') < 0:
        body = redis.ask("HGET", f"offboarder:{{{big}}}:checkpoint", "body")
        archive = (json.loads(body)["step"].get("archive") or {}) if body else {}
        parts = len((archive.get("upload") or {}).get("parts", []))
        seen[parts] = redis.checkpoint(big)
        time.sleep(0.1)
    most = max(seen)
    least = min(parts for parts in seen if parts)
    print(f"        an archive under way {seen[least]} B with {least} parts, {seen[most]} B with {most}: "
          f"{(seen[most] - seen[least]) / max(1, most - least):.0f} B a part")
    worker.terminate()
    worker.wait()

    before, count = (redis.used(), redis.rewritten()), 10 * len(ended)
    redis.ask("EVAL", COPY, "0", ended[0], str(count))
    print(f"{count:7} finished, copied   used_memory {(redis.used() - before[0]) / count:.0f} B each, "
          f"log once rewritten {(redis.rewritten() - before[1]) / count:.0f} B each")
    print("keys that never expire:", ", ".join(redis.kept()))


def main():
    binary, servers = sys.argv[1], sys.argv[2]
    most = int(sys.argv[3]) if len(sys.argv) > 3 else 100_000
    big = [{"id": "00000001-5eed-4000-8000-aaaaaaaaaaaa", "conversations": 60_000, "conversationBytes": 6000}]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as population:
        json.dump(big, population)
        population.flush()
        flags = ["--users", str(2 * DELAYED + DEAD_LETTERS), "--population", population.name]
        settings = {f"OFFBOARDER_CXONE_RATE_{name}": "off" for name in ("ROUTING", "SCIM", "ANALYTICS")}
        with rig(binary, servers, flags, settings) as (base, environment, start_worker):
            place = environment["SERVERS"]
            broker, redis = Broker(servers, place), Redis(environment["OFFBOARDER_CHECKPOINTS_URL"], place)
            none = broker.look("offboarding.users")
            queues = len(broker.ctl("list_queues", "name").split()) - 1
            print(f"an idle node with {queues} queues: {none['rss'] / 1e6:.0f} MB resident, {none['disk'] / 1e3:.0f} kB of log")
            waiting(binary, environment, broker, redis, [most // 10, most])
            stages(binary, environment, base, start_worker, broker, redis)


main()
