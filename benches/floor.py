"""What a user costs without any of a worker's promises: the floor under `make bench-user`.

floor.py OFFBOARDER SERVERS_SH [USERS]

benches/floor.rs makes, for each user, the seven calls and the two PUTs that cannot be saved, 16 users at once, and nothing
else: no queue, no checkpoint, no check. Its users, servers and simulator are those of user.py. A worker does the same users after
it, with servers of its own. Both with no latency, then with 20 ms a call.
"""

import json
import subprocess
import sys
import urllib.request

import user

FLOOR = ("cargo", "bench", "--quiet", "--locked", "--bench", "floor")


def floor(binary, servers, users, latency_ms):
    with user.tenant(binary, servers, users, "--latency", f"{latency_ms}ms") as (environment, _, _):
        with urllib.request.urlopen(environment["OFFBOARDER_CXONE_BASE_URI"] + "/_simulator/users") as answer:
            ids = json.load(answer)
        before = user.servers_cpu(environment)
        said = subprocess.run(FLOOR, env=environment, input="\n".join(ids), text=True, check=True, stdout=subprocess.PIPE)
        s3 = user.servers_cpu(environment)["S3 server"] - before["S3 server"]
    said = json.loads(said.stdout)
    return said["usersASecond"], said["cpuMs"], 1000 * s3 / users


def worker(binary, servers, users, latency_ms):
    rate, cpu, _ = user.measured(binary, servers, users, "--latency", f"{latency_ms}ms")
    return rate, cpu["worker"], cpu["S3 server"]


def main():
    binary, servers = sys.argv[1:3]
    users = int(sys.argv[3]) if len(sys.argv) > 3 else 1000
    print(f"{users} users, everything on the same cores  users/s   its CPU, ms a user   the S3 server's")
    for latency_ms in (0, user.LATENCY_MS):
        for name, of in (("floor", floor(binary, servers, users, latency_ms)),
                         ("worker", worker(binary, servers, users, latency_ms))):
            print(f"{name:8} {latency_ms:3} ms a call {of[0]:27.1f} {of[1]:20.2f} {of[2]:17.2f}")


if __name__ == "__main__":
    main()
