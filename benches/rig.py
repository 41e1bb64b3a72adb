"""The rig of a benchmark: servers of its own, a simulator, workers. All of it ends with the `with` block."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time


# Copies the checkpoint of one user (ARGV[1]) under the keys of others; ARGV[2] is their number.
COPY = """
local fields = redis.call('HGETALL', 'offboarder:{' .. ARGV[1] .. '}:checkpoint')
for number = 0, tonumber(ARGV[2]) - 1 do
  local user = string.format('%08x', number) .. string.sub(ARGV[1], 9)
  local key = 'offboarder:{' .. user .. '}:checkpoint'
  for field = 1, #fields, 2 do
    redis.call('HSET', key, fields[field], (string.gsub(fields[field + 1], string.sub(ARGV[1], 1, 8), string.sub(user, 1, 8))))
  end
end
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


def account(pid):
    """Peak resident kilobytes and CPU seconds of a process that still lives."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return peak, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# The kernel counts what a process had before it became a command as the command's, so a small one starts it.
ACCOUNT = """
import json, os, sys
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
with os.fdopen(int(sys.argv[1]), "w") as account:
    json.dump([os.waitstatus_to_exitcode(status), usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime], account)
"""


def run(arguments, environment, ends_with=(0,)):
    """Seconds, peak MiB, CPU seconds and output of a command that has to end well."""
    receive, send = os.pipe()
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", ACCOUNT, str(send), *arguments], env=environment,
                               stdout=subprocess.PIPE, text=True, pass_fds=(send,))
    os.close(send)
    output, _ = process.communicate()
    took = time.monotonic() - began
    with os.fdopen(receive) as account:
        status, peak, cpu = json.load(account)
    if status not in ends_with:
        sys.exit(f"{arguments[1]} ended with {status}")
    return took, peak, cpu, output


def _settings_of(servers, directory):
    """The settings that SERVERS_SH prints as export lines."""
    lines = subprocess.run([servers, "env", directory], check=True, capture_output=True, text=True).stdout
    script = lines + "\nenv -0"
    out = subprocess.run(["bash", "-c", script], check=True, capture_output=True).stdout
    return dict(line.split("=", 1) for line in out.decode().split("\0") if "=" in line)


@contextlib.contextmanager
def rig(binary, servers, simulator_flags, settings):
    """Gives the simulator's origin, the environment of commands, and a function that starts workers. `SERVERS` in the
    environment is where SERVERS_SH keeps them."""
    place = tempfile.mkdtemp(prefix="offboarder-bench-")
    started = []
    hold = subprocess.Popen([servers, "run", place], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        while "READY" not in (line := hold.stdout.readline()):
            if not line:
                sys.exit("the servers did not start")
        simulator = subprocess.Popen([binary, "simulator", "--listen", "127.0.0.1:0", *simulator_flags],
                                     stdout=subprocess.PIPE, text=True)
        started.append(simulator)
        base = "http://" + simulator.stdout.readline().rsplit("http://", 1)[1].strip()
        environment = _settings_of(servers, place) | {
            "OFFBOARDER_CXONE_BASE_URI": base, "OFFBOARDER_CXONE_CLIENT_ID": "offboarder",
            "OFFBOARDER_CXONE_CLIENT_SECRET": "simulator-secret", "OFFBOARDER_ADMIN_LISTEN": "127.0.0.1:0",
            # More users than these admit within an hour.
            "OFFBOARDER_GUARD_MAX_DELETIONS": "off", "OFFBOARDER_GUARD_MAX_REQUESTS": "off",
            "SERVERS": place,
        } | settings

        def start_worker(stderr=subprocess.DEVNULL, **more):
            worker = subprocess.Popen([binary, "worker"], env=environment | more, stderr=stderr)
            started.append(worker)
            return worker

        subprocess.run([binary, "topology"], env=environment, check=True, stdout=subprocess.DEVNULL)
        yield base, environment, start_worker
    finally:
        for process in reversed(started):
            process.send_signal(signal.SIGTERM)
            process.wait()
        hold.stdin.close()
        hold.wait()
        shutil.rmtree(place, ignore_errors=True)
