"""Tries the definitions, the ACL and the policies of deploy/ on a real RabbitMQ, Redis and S3: they load, a worker
off-boards users with only those rights, and the servers refuse everything else. The worker's /metrics end up in
DIRECTORY/metrics.txt.

services.py OFFBOARDER SERVERS_SH DIRECTORY
"""

import contextlib
import json
import os
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import uuid

import boto3
import pika
from botocore.config import Config
from botocore.exceptions import ClientError

BINARY, SERVERS, DIRECTORY = map(os.path.abspath, sys.argv[1:4])
DEPLOY = pathlib.Path(__file__).resolve().parent.parent
WORK = pathlib.Path(DIRECTORY)
PASSWORD = uuid.uuid4().hex
REFUSED = (pika.exceptions.ChannelClosedByBroker, pika.exceptions.ConnectionClosedByBroker)
BUCKET = "cxone-audit-archives"
processes = []


def said(text):
    print(f"  {text}", flush=True)


def hold(condition, text):
    if not condition:
        sys.exit(f"  NOT SO: {text}")
    said(text)


def run(*command, env=None, status=0):
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    if done.returncode != status:
        sys.exit(f"  {shlex.join(command)}: status {done.returncode}, not {status}\n{done.stdout}{done.stderr}")
    return done.stdout


def begin(name, *command, env=None):
    """A process that ends with this one; its output goes to DIRECTORY/NAME.log."""
    process = subprocess.Popen(
        command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(WORK / f"{name}.log", "w"), text=True
    )
    processes.append(process)
    return process


def end_all():
    for process in reversed(processes):
        process.terminate()
    for process in reversed(processes):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(40)
        process.kill()


def eventually(what, seconds, check):
    deadline = time.monotonic() + seconds
    while not (answer := check()):
        if time.monotonic() > deadline:
            sys.exit(f"  {what}: not within {seconds} s")
        time.sleep(0.1)
    return answer


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


# --- RabbitMQ ------------------------------------------------------------------------------


def ctl(*arguments):
    return run(SERVERS, "ctl", f"{WORK}/servers", *arguments)


class Broker:
    def __init__(self, url):
        self.port = re.search(r":(\d+)/", url).group(1)

    def url(self, user):
        return f"amqp://offboarder-{user}:{PASSWORD}@127.0.0.1:{self.port}/offboarder"

    def settings(self, user):
        return {"OFFBOARDER_QUEUE_URL": self.url(user)}

    def channel(self, user):
        return pika.BlockingConnection(pika.URLParameters(self.url(user))).channel()

    def may(self, user, act):
        """Whether the broker allows this user the action; a refusal closes the channel, so each action has its own."""
        channel = self.channel(user)
        try:
            channel.confirm_delivery()
            act(channel)
            return True
        except REFUSED as error:
            if error.reply_code != 403:
                raise
            return False
        finally:
            with contextlib.suppress(pika.exceptions.AMQPError):
                channel.connection.close()


def rabbitmq(url):
    ctl("import_definitions", str(DEPLOY / "rabbitmq" / "definitions.json"))
    users = [user["name"] for user in json.loads((DEPLOY / "rabbitmq" / "definitions.json").read_text())["users"]]
    broker = Broker(url)
    for user in users:
        wrong = pika.URLParameters(f"amqp://{user}:@127.0.0.1:{broker.port}/offboarder")
        try:
            pika.BlockingConnection(wrong)
            sys.exit(f"  NOT SO: {user} is not let in without a password")
        except pika.exceptions.AMQPConnectionError:
            pass
    said(f"definitions.json is imported; {', '.join(users)} have no password yet and are not let in")
    # As compose does it: a directory with the definitions, then the passwords.
    both = WORK / "definitions.d"
    both.mkdir()
    shutil.copy(DEPLOY / "rabbitmq" / "definitions.json", both / "10-definitions.json")
    local = (DEPLOY / "compose" / "rabbitmq-passwords.json").read_text()
    (both / "20-passwords.json").write_text(local.replace('"local"', f'"{PASSWORD}"'))
    ctl("eval", f'application:set_env(rabbit, load_definitions, "{both}"), ok = rabbit_definitions:maybe_load_definitions().')
    said("they are loaded once more as compose does it, and change nothing but the passwords")
    return broker


def settings_of_rabbitmq():
    """RabbitMQ's own schema reads the files; the files that they name have to exist."""
    for conf in ["rabbitmq/rabbitmq.conf", "compose/rabbitmq.conf"]:
        there = WORK / conf.replace("/", "-")
        there.write_text(re.sub(r"= /etc/rabbitmq/\S+", f"= {DEPLOY / conf}", (DEPLOY / conf).read_text()))
        read = ctl(
            "eval",
            'Schemas = filelib:wildcard(filename:join(code:priv_dir(rabbit), "schema/*.schema")), '
            f'cuttlefish_generator:map(cuttlefish_schema:files(Schemas), cuttlefish_conf:file("{there}")).',
        )
        if read.startswith("{error,"):
            sys.exit(f"  NOT SO: RabbitMQ reads {conf}: {read}")
        said(f"RabbitMQ reads {conf}")


def rights_of_rabbitmq(broker, settings):
    run(BINARY, "topology", env=settings | broker.settings("worker"))
    run(BINARY, "topology", env=settings | broker.settings("worker"))
    said("offboarder-worker declares the whole topology, twice")
    try:
        broker.channel("publisher")
        sys.exit("  NOT SO: before topic-permissions.json the publisher is not let in")
    except pika.exceptions.AMQPConnectionError:
        said("before topic-permissions.json the publisher is not let in")
    ctl("import_definitions", str(DEPLOY / "rabbitmq" / "topic-permissions.json"))
    ctl("eval", "ok = rabbit_definitions:maybe_load_definitions().")
    said("its rights stay when RabbitMQ loads definitions.json once more, as at each start")
    publish = lambda exchange, key: lambda channel: channel.basic_publish(exchange, key, b"x", mandatory=True)
    for user, what, act, allowed in [
        ("worker", "declares a queue of another name", lambda c: c.queue_declare("else"), False),
        ("worker", "publishes to a queue directly", publish("", "offboarding.users"), False),
        ("publisher", "publishes work of the worker's own", publish("offboarding", "archive"), False),
        ("publisher", "publishes dead letters", publish("offboarding.dead", ""), False),
        ("publisher", "reads a queue", lambda c: c.basic_get("offboarding.users"), False),
        ("publisher", "empties a queue", lambda c: c.queue_purge("offboarding.users"), False),
        ("publisher", "deletes a queue", lambda c: c.queue_delete("offboarding.users"), False),
        ("scaler", "asks how long a queue is", lambda c: c.queue_declare("offboarding.users", passive=True), True),
        ("scaler", "reads a queue", lambda c: c.basic_get("offboarding.users"), False),
        ("scaler", "publishes", publish("offboarding", "users"), False),
        ("listener", "makes its queue and binds it to the results", listen, True),
        ("listener", "publishes results", publish("offboarding.events", "user.deleted"), False),
        ("listener", "reads the work", lambda c: c.basic_get("offboarding.users"), False),
        ("listener", "binds to the work", lambda c: listen(c, "offboarding"), False),
    ]:
        hold(broker.may(user, act) == allowed, f"offboarder-{user} {what}: {'allowed' if allowed else 'refused'}")
    listed = json.loads(ctl("list_queues", "-p", "offboarder", "name", "policy", "--formatter", "json"))
    policies = {queue["name"]: queue["policy"] for queue in listed}
    bounded = [name for name, policy in policies.items() if policy == "events-bounded"]
    hold(bounded == ["events.check"], "of all queues only the listener's is bounded by a policy")


def listen(channel, exchange="offboarding.events"):
    channel.queue_declare("events.check", durable=True, arguments={"x-queue-type": "quorum"})
    channel.queue_bind("events.check", exchange, "user.#")


# --- Redis ---------------------------------------------------------------------------------


def redis():
    port, home = free_port(), WORK / "redis"
    home.mkdir()
    acl = (DEPLOY / "redis" / "users.acl").read_text().replace("on resetpass", f"on resetpass >{PASSWORD}")
    (home / "users.acl").write_text(acl)
    begin(
        "redis", "redis-server", str(DEPLOY / "redis" / "redis.conf"),
        "--bind", "127.0.0.1", "--port", str(port), "--dir", str(home), "--aclfile", str(home / "users.acl"),
        "--logfile", str(WORK / "redis.log"),
    )  # fmt: skip

    def cli(*arguments, user="offboarder-worker"):
        command = ["redis-cli", "-p", str(port), "--user", user, "--pass", PASSWORD, "--no-auth-warning", *arguments]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()

    eventually("Redis answers", 10, lambda: cli("PING") == "PONG")
    said("redis.conf and users.acl are loaded")
    for command in ["FLUSHALL", "KEYS *", "CONFIG GET dir", "ACL LIST", "GET else", "SHUTDOWN", "SUBSCRIBE x"]:
        hold("NOPERM" in cli(*command.split()), f"offboarder-worker: {command} is refused")
    hold("NOAUTH" in cli("PING", user="default"), "the user `default` is not let in")
    return f"redis://offboarder-worker:{PASSWORD}@127.0.0.1:{port}/0"


# --- S3 ------------------------------------------------------------------------------------


def policy(name):
    return json.loads((DEPLOY / "s3" / name).read_text())["Statement"]


def s3(settings):
    """SeaweedFS accepts bucket policies here, and no IAM policies: the worker's statements go into the bucket's policy, for
    an identity without any other right."""
    clients = {}
    for who, key in [("owner", "AWS_ACCESS_KEY_ID"), ("worker", "NOBODY_ACCESS_KEY_ID")]:
        clients[who] = boto3.client(
            "s3",
            endpoint_url=settings["AWS_ENDPOINT_URL_S3"],
            region_name=settings["AWS_REGION"],
            aws_access_key_id=settings[key],
            aws_secret_access_key=settings["AWS_SECRET_ACCESS_KEY"],
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )
    owner, worker = clients["owner"], clients["worker"]

    def refused(act, **arguments):
        try:
            act(Bucket=BUCKET, **arguments)
            return False
        except ClientError as error:
            return error.response["ResponseMetadata"]["HTTPStatusCode"] == 403

    lifecycle = json.loads((DEPLOY / "s3" / "lifecycle.json").read_text())
    owner.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration=lifecycle)
    hold(
        owner.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"] == lifecycle["Rules"],
        "the store keeps lifecycle.json as it is",
    )
    hold(refused(worker.list_objects_v2), "before the policy the worker may do nothing")
    allowed = [one | {"Principal": {"AWS": "arn:aws:iam::000000000000:user/nobody"}} for one in policy("worker-policy.json")]
    denied = [one for one in policy("bucket-policy.json") if one["Sid"] != "TlsOnly"]
    owner.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": allowed + denied}))
    hold(refused(worker.put_object, Key="else/x", Body=b"x"), "the worker writes beside its prefix: refused")
    hold(refused(worker.get_bucket_policy), "the worker reads the bucket's policy: refused")
    owner.put_object(Bucket=BUCKET, Key="deprovisioning/check", Body=b"x", IfNoneMatch="*")
    for who, client in clients.items():
        hold(refused(client.delete_object, Key="deprovisioning/check"), f"the {who} deletes an object: refused")
    hold(refused(owner.delete_bucket), "the owner deletes the bucket: refused")
    return owner


def tls_only(owner):
    """Runs last: after it no request over plain HTTP succeeds."""
    statements = [one for one in policy("bucket-policy.json") if one["Sid"] == "TlsOnly"]
    owner.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    try:
        owner.list_objects_v2(Bucket=BUCKET)
        sys.exit("  NOT SO: plain HTTP is refused")
    except ClientError:
        said("the owner over plain HTTP: refused")


# --- all of it together --------------------------------------------------------------------


def off_board(settings, broker, owner):
    simulator = begin("simulator", BINARY, "simulator", "--listen", "127.0.0.1:0", "--users", "8", env=settings)
    base_uri = re.search(r"http://\S+", simulator.stdout.readline()).group()
    settings |= {
        "OFFBOARDER_CXONE_BASE_URI": base_uri,
        "OFFBOARDER_CXONE_CLIENT_ID": "offboarder",
        "OFFBOARDER_CXONE_CLIENT_SECRET": "simulator-secret",
        "OFFBOARDER_ARCHIVE_RETENTION": "governance:1d",
        "OFFBOARDER_ADMIN_LISTEN": "127.0.0.1:0",
        "OFFBOARDER_WORKER_RETRY_BASE": "100ms",
    }
    with urllib.request.urlopen(f"{base_uri}/_simulator/users", timeout=5) as answer:
        users = json.load(answer)
    # One user fails once, so that every metric has something to count.
    fault = {"operation": "get_user", "user": users[0], "times": 1, "fault": {"kind": "status", "status": 503}}
    body = json.dumps(fault).encode()
    striking = urllib.request.Request(f"{base_uri}/_simulator/faults", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(striking, timeout=5).close()
    worker = begin("worker", BINARY, "worker", env=settings | broker.settings("worker"))
    run(BINARY, "submit", *users, env=settings | broker.settings("publisher"))

    def ended():
        if worker.poll() is not None:
            sys.exit(f"  NOT SO: the worker lives; it ended with status {worker.returncode}")
        done = subprocess.run(
            [BINARY, "status", "--output", "json", *users], env=settings, capture_output=True, text=True
        )
        found = json.loads(done.stdout or "{}").get("users", [])
        ends = [user["userId"] for user in found if user["state"] in ("Deleted", "DeactivatedOnly")]
        return sorted(ends) == sorted(users)

    eventually(f"{len(users)} users are off-boarded", 60, ended)
    listed = owner.list_objects_v2(Bucket=BUCKET, Prefix="deprovisioning/")["Contents"]
    manifests = [one["Key"] for one in listed if one["Key"].endswith("_audit.json")]
    hold(len(manifests) == len(users), f"{len(users)} manifests are stored")
    said(f"{len(users)} users are off-boarded: published, processed and stored with only those rights")
    lines = map(json.loads, (WORK / "worker.log").read_text().splitlines())
    (listen,) = [line["listen"] for line in lines if line["message"] == "admin HTTP"]
    with urllib.request.urlopen(f"http://{listen}/metrics", timeout=5) as answer:
        (WORK / "metrics.txt").write_bytes(answer.read())
    with urllib.request.urlopen(f"http://{listen}/healthz", timeout=5) as answer:
        hold(json.load(answer) == {"status": "ok"}, "the worker is healthy")


def main():
    (WORK / "servers").mkdir(parents=True)
    servers = begin("servers", SERVERS, "run", f"{WORK}/servers")
    try:
        redis_url = redis()
        hold(servers.stdout.readline() == "READY\n", "RabbitMQ and S3 are up")
        exports = run(SERVERS, "env", f"{WORK}/servers")
        settings = dict(shlex.split(line)[1].split("=", 1) for line in exports.splitlines())
        settings["NOBODY_ACCESS_KEY_ID"] = f"{settings['AWS_ACCESS_KEY_ID']}-of-nobody"
        settings |= {"PATH": "/usr/bin:/bin", "OFFBOARDER_CHECKPOINTS_URL": redis_url}
        broker = rabbitmq(settings["OFFBOARDER_QUEUE_URL"])
        settings_of_rabbitmq()
        rights_of_rabbitmq(broker, settings)
        owner = s3(settings)
        as_worker = settings | {"AWS_ACCESS_KEY_ID": settings["NOBODY_ACCESS_KEY_ID"]}
        off_board(as_worker, broker, owner)
        tls_only(owner)
    except BaseException:
        for log in sorted(WORK.glob("*.log")):
            tail = log.read_text(errors="replace").splitlines()[-5:]
            print(f"  {log.name}:", *tail, sep="\n    ", flush=True)
        raise
    finally:
        end_all()


main()
