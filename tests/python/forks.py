"""Runs the scripts beside it, each in a fork of this process, so that what they import is loaded once.

forks.py SOCKET   listens at this Unix socket as long as its standard input is open; prints READY

A connection is a script: one line of {"script", "arguments", "environment", "input"}, and one of
{"status": 0 or 1, "output", "errors"} back.
"""

import io
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import traceback
import warnings

import boto3
import jsonschema  # noqa: F401
import pika  # noqa: F401


def main():
    warnings.simplefilter("ignore")
    # The forks inherit the API's model that this loads; the credentials are nobody's.
    boto3.client("s3", region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("READY", flush=True)
    events = selectors.DefaultSelector()
    events.register(listener, selectors.EVENT_READ)
    events.register(sys.stdin, selectors.EVENT_READ)
    while all(key.fileobj is listener for key, _ in events.select()):
        connection, _ = listener.accept()
        if os.fork() == 0:
            # A script may start processes and wait for them.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            answer(connection)
            os._exit(0)
        connection.close()


def answer(connection):
    with connection, connection.makefile("rw") as stream:
        request = json.loads(stream.readline())
        json.dump(run(request), stream)
        stream.write("\n")


def run(request):
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), request["script"])
    sys.argv = [script, *request["arguments"]]
    sys.stdin, sys.stdout, sys.stderr = io.StringIO(request["input"]), io.StringIO(), io.StringIO()
    os.environ.update(request["environment"])
    status = 0
    try:
        runpy.run_path(script, run_name="__main__")
    except BaseException:
        traceback.print_exc()
        status = 1
    return {"status": status, "output": sys.stdout.getvalue(), "errors": sys.stderr.getvalue()}


main()
