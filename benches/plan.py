"""Plans ROWS users (10,000) of a CSV file against a simulated CXone without quotas, and a tenth of them before, and prints
rows a second and peak memory. Standard error is a terminal, so the bar is drawn; its last picture is printed.

plan.py OFFBOARDER SERVERS_SH [ROWS]

Starts RabbitMQ, Redis and S3 of its own (SERVERS_SH). Memory and CPU time are the kernel's own account of the process.
"""

import json
import os
import pathlib
import pty
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from rig import rig

# No quota slows the plan down, so that the program itself is measured.
RATES = {f"OFFBOARDER_CXONE_RATE_{api}": "100000/s" for api in ("ROUTING", "SCIM", "ANALYTICS")}


def drawn(terminal, into):
    """Collects what is drawn until the terminal is closed."""
    try:
        while part := os.read(terminal, 65536):
            into.append(part)
    except OSError:
        pass


def plan(binary, environment, file, rows):
    terminal, end = pty.openpty()
    picture = []
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen([binary, "plan", "--file", str(file), "--output", "json"], env=environment,
                                   stdout=output, stderr=end)
        os.close(end)
        reader = threading.Thread(target=drawn, args=(terminal, picture))
        reader.start()
        _, status, usage = os.wait4(process.pid, 0)
        took = time.monotonic() - began
        reader.join()
        os.close(terminal)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"plan ended with {process.returncode}: {b''.join(picture).decode()[-500:]}")
        output.seek(0)
        assert json.load(output)["total"]["users"] == rows
    pictures = re.findall(rf"\d+/{rows} users[^\x1b\r\n]*", b"".join(picture).decode())
    assert pictures, "no bar was drawn"
    print(f"{rows:7} rows: {took:6.1f} s, {rows / took:5.0f} rows a second; {usage.ru_maxrss / 1024:5.1f} MiB resident at "
          f"most; {usage.ru_utime + usage.ru_stime:.1f} s of CPU; the bar: {pictures[-1].strip()}", flush=True)


def main():
    binary, servers = sys.argv[1], sys.argv[2]
    rows = int(sys.argv[3]) if len(sys.argv) > 3 else 10_000
    flags = ["--users", str(rows), "--conversations", "2"]
    with rig(binary, servers, flags, RATES) as (base, environment, _), tempfile.TemporaryDirectory() as place:
        with urllib.request.urlopen(f"{base}/_simulator/users") as answer:
            users = json.load(answer)
        print(f"one process, the simulator, Redis and S3 on the same {os.cpu_count()} cores")
        for count in (rows // 10, rows):
            file = pathlib.Path(place, f"{count}.csv")
            file.write_text("User ID;Name\n" + "".join(f"{user};Jo\n" for user in users[:count]))
            plan(binary, environment, file, count)


main()
