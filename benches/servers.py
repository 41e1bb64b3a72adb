"""RabbitMQ, Redis and S3 of a benchmark, as they count and as the kernel counts."""

import json
import pathlib
import subprocess
import time


def du(path):
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


class Broker:
    """RabbitMQ, as its node counts."""

    def __init__(self, servers, place):
        self.servers, self.place = servers, place

    def ctl(self, *arguments):
        return subprocess.run([self.servers, "ctl", self.place, *arguments], check=True, capture_output=True,
                              text=True).stdout

    def look(self, queue):
        """Messages and memory of a queue, memory of the node for quorum queues, bytes on disk."""
        time.sleep(6)  # It counts every five seconds.
        queues = json.loads(self.ctl("list_queues", "--formatter", "json", "name", "messages", "memory"))
        found = next(one for one in queues if one["name"] == queue)
        memory = json.loads(self.ctl("status", "--formatter", "json"))["memory"]
        node = sum(memory[part] for part in ("quorum_queue_procs", "quorum_ets", "binary"))
        log = next(pathlib.Path(self.place, "rabbitmq", "mnesia").glob("*/quorum"))
        return {"messages": found["messages"], "queue": found["memory"], "node": node, "rss": memory["total"]["rss"],
                "disk": du(log)}


class Redis:
    """Redis, as it counts."""

    def __init__(self, url, place):
        self.url, self.log = url, pathlib.Path(place, "redis", "appendonlydir")

    def ask(self, *command):
        return subprocess.run(["redis-cli", "-u", self.url, *command], check=True, capture_output=True,
                              text=True).stdout.strip()

    def used(self):
        return int(next(line for line in self.ask("INFO", "memory").splitlines()
                        if line.startswith("used_memory:")).split(":")[1])

    def rewritten(self):
        """Bytes of the log, once it is rewritten."""
        self.ask("BGREWRITEAOF")
        while "aof_rewrite_in_progress:0" not in self.ask("INFO", "persistence"):
            time.sleep(0.2)
        time.sleep(1)
        return du(self.log)

    def size(self, key):
        return int(self.ask("MEMORY", "USAGE", key, "SAMPLES", "0") or 0)

    def checkpoint(self, user):
        return self.size(f"offboarder:{{{user}}}:checkpoint")

    def kept(self):
        """How many keys there are that never expire, by kind."""
        script = ("local kinds = {} for _, key in ipairs(redis.call('KEYS', '*')) do "
                  "if redis.call('PTTL', key) == -1 then local kind = string.gsub(string.gsub(key, '{.*}', '{USER}'), "
                  "'batch:.*:', 'batch:B:') kinds[kind] = (kinds[kind] or 0) + 1 end end "
                  "local out = {} for kind, n in pairs(kinds) do out[#out + 1] = kind .. ' ' .. n end return out")
        return self.ask("EVAL", script, "0").splitlines()
