"""Checks the console with a real browser: all tests of this directory, in one browser process.

run.py DIRECTORY < {"workers": [{"admin", "pid"}], "people": {name: key}, "users": [ID], "program": path}

ada is an admin, bob an operator, cyd a reader; the settings of the deployment are in the environment. Prints {"passed": n}. The
tests change the deployment, and end one of its workers.
"""

import json
import sys
import time
import traceback

import keys
import pages
import polling
import replaying
import signing_in
from support import Console, browser

TESTS = [*signing_in.TESTS, *pages.TESTS, *polling.TESTS, *keys.TESTS, *replaying.TESTS]


def main():
    known = json.load(sys.stdin)
    only = sys.argv[2:]
    passed = 0
    failed = []
    with browser() as started:
        console = Console(started, known, sys.argv[1])
        for test in TESTS:
            if only and test.__name__ not in only:
                continue
            begun = time.monotonic()
            try:
                test(console)
                assert not console.faults, "\n".join(console.faults)
            except Exception:
                print(f"FAILED {test.__name__}\n{traceback.format_exc()}", file=sys.stderr)
                failed.append(test.__name__)
            else:
                passed += 1
            print(f"{time.monotonic() - begun:6.1f} s  {test.__name__}", file=sys.stderr)
    if failed:
        sys.exit(f"failed: {failed}")
    json.dump({"passed": passed}, sys.stdout)


main()
