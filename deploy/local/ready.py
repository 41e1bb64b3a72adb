"""Waits until a local server answers a real request.

ready.py PID SECONDS rabbitmq PORT | redis PORT | s3 BUCKET locked|plain

Gives up when the process has ended or the time is over. For S3 it creates the bucket if it
does not exist: with Object Lock, unless it is to be plain.
"""

import os
import socket
import sys
import time


def rabbitmq(port, *_):
    import pika

    parameters = pika.URLParameters(
        f"amqp://guest:guest@127.0.0.1:{port}/%2f?socket_timeout=5&stack_timeout=10"
    )
    pika.BlockingConnection(parameters).close()


def redis(port, *_):
    with socket.create_connection(("127.0.0.1", int(port)), timeout=5) as connection:
        connection.sendall(b"PING\r\n")
        if not connection.recv(64).startswith(b"+PONG"):
            raise ConnectionError("not ready yet")


def s3(bucket, kind):
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "s3",
        config=Config(
            s3={"addressing_style": "path"}, connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 1}
        ),
    )
    if bucket not in [one["Name"] for one in client.list_buckets().get("Buckets", [])]:
        lock = {"ObjectLockEnabledForBucket": True} if kind == "locked" else {}
        client.create_bucket(Bucket=bucket, **lock)
    # The first write needs a volume, which the store may not have assigned yet.
    stored = client.put_object(Bucket=bucket, Key=".ready", Body=b"ready")
    version = {"VersionId": stored["VersionId"]} if "VersionId" in stored else {}
    client.delete_object(Bucket=bucket, Key=".ready", **version)


def main():
    pid, seconds, name, *arguments = sys.argv[1:]
    check = {"rabbitmq": rabbitmq, "redis": redis, "s3": s3}[name]
    deadline = time.monotonic() + float(seconds)
    while True:
        try:
            check(*arguments)
            return
        except Exception as error:  # the client libraries raise many types while a server starts
            if not os.path.exists(f"/proc/{pid}"):
                sys.exit(f"{name}: the process ended: {error}")
            if time.monotonic() > deadline:
                sys.exit(f"{name}: no answer within {seconds} s: {error}")
            time.sleep(0.1)


main()
