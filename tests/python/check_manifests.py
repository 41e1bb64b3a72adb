"""Checks manifests and archives against their schema, the store and the simulator.

check_manifests.py SCHEMA < {"simulator": URL, "archive": "s3://bucket/prefix/" or "file:DIR",
                             "awaitSeconds": n, "profile": "tutorial", "cxone" or "genesys",
                             "users": {"id": {"status": …, "outcome": …, "code": …}}}
                             "outcome" is the one that is true, or a list of those of which one is;
                             "sealed": false if nothing is sealed, "cleared": false if something still routes

First waits until every user has a manifest. Prints {"checked": n, "problems": [text, …]}.
"""

import datetime
import hashlib
import json
import os
import re
import sys
import time
import urllib.parse
import urllib.request

from jsonschema import Draft202012Validator, FormatChecker

STEPS = ["QueuesCleared", "Deactivated", "Archived"]
LAST_STEP = {"DELETED": "Deleted", "DEACTIVATED_ONLY": "DeactivatedOnly"}


class Bucket:
    def __init__(self, url):
        import boto3
        from botocore.config import Config

        parts = urllib.parse.urlsplit(url)
        self.bucket, self.prefix = parts.netloc, parts.path.lstrip("/")
        self.client = boto3.client("s3", config=Config(s3={"addressing_style": "path"}))

    def keys(self):
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix)
        return [one["Key"] for page in pages for one in page.get("Contents", [])]

    def versions(self):
        """How often each key was written, delete markers included; once, where the store cannot say it."""
        from botocore.exceptions import ClientError

        counts = {}
        pages = self.client.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=self.prefix)
        try:
            for page in pages:
                for one in page.get("Versions", []) + page.get("DeleteMarkers", []):
                    counts[one["Key"]] = counts.get(one["Key"], 0) + 1
        except ClientError as error:
            if error.response["Error"]["Code"] != "NotImplemented":
                raise
            return dict.fromkeys(self.keys(), 1)
        return counts

    def read(self, key):
        return self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()


class Directory:
    def __init__(self, url):
        self.root, self.prefix = url.removeprefix("file:"), ""

    def keys(self):
        found = [os.path.join(at, name) for at, _, names in os.walk(self.root) for name in names]
        return [os.path.relpath(one, self.root) for one in found]

    def versions(self):
        return dict.fromkeys(self.keys(), 1)

    def read(self, key):
        with open(os.path.join(self.root, key), "rb") as file:
            return file.read()


def joined(text):
    """JSON without whitespace around conversations, which no string looks like: equal texts hold the same."""
    text = re.sub(r'\}\s*,\s*\{"conversationId":', '},{"conversationId":', text.replace("\n", ""))
    return text.removesuffix("]").rstrip(" ") + text[-1:]


def exact(text):
    """JSON with the order of members and the digits of numbers kept, so that equal means unchanged."""
    return json.loads(text, object_pairs_hook=list, parse_int=str, parse_float=str)


class Check:
    def __init__(self, question, schema):
        self.simulator = question["simulator"]
        self.users = question["users"]
        self.profile = question.get("profile", "tutorial")
        url = question["archive"]
        self.store = Bucket(url) if url.startswith("s3:") else Directory(url)
        Draft202012Validator.check_schema(schema)
        self.validator = Draft202012Validator(schema, format_checker=FormatChecker())
        self.problems = []

    def ask(self, path):
        with urllib.request.urlopen(self.simulator + path, timeout=60) as answer:
            return answer.read().decode()

    def await_manifests(self, seconds):
        deadline = time.monotonic() + seconds
        wanted = {f"{self.store.prefix}{user}_audit.json" for user in self.users}
        while missing := wanted - set(self.store.keys()):
            if time.monotonic() > deadline:
                self.problems.append(f"{len(missing)} manifests missing after {seconds} s: {sorted(missing)[:5]}")
                return
            time.sleep(0.3)

    def all(self):
        keys, versions = set(self.store.keys()), self.store.versions()
        ledger = json.loads(self.ask("/_simulator/ledger"))
        entries = ledger["entries"] if isinstance(ledger, dict) else ledger
        sent = {}
        for one in entries:
            sent.setdefault(one.get("userId"), []).append(one)
        # What belongs to no user (a queue, a team) has its calls without one.
        self.shared = {self.call_of(one) for one in sent.get(None, [])}
        checked = 0
        for user, expected in self.users.items():
            own = {key.removeprefix(self.store.prefix) for key in keys if user in key}
            # What announces the manifest to the evidence log names it.
            own = {key for key in own if not key.startswith("_log_inbox_")}
            sealed = {f"{user}_sealed.json"} if expected.get("sealed", True) else set()
            if own != {f"{user}.json", f"{user}_audit.json"} | sealed:
                self.problems.append(f"{user}: stored are {sorted(own)}")
            manifest_key = f"{self.store.prefix}{user}_audit.json"
            if manifest_key not in keys:
                continue
            if versions.get(manifest_key) != 1:
                self.problems.append(f"{user}: the manifest has {versions.get(manifest_key)} versions")
            for problem in self.one(user, expected, json.loads(self.store.read(manifest_key)), sent.get(user, [])):
                self.problems.append(f"{user}: {problem}")
            checked += 1
        return checked

    @staticmethod
    def call_of(entry):
        return entry["method"], entry["path"].split("?")[0], entry["status"]

    def one(self, user, expected, manifest, sent):
        for error in self.validator.iter_errors(manifest):
            yield f"schema: {error.json_path}: {error.message}"
            return
        truth = json.loads(self.ask(f"/_simulator/users/{user}"))
        deletion, archive = manifest["deletion"], manifest["archive"]

        def same(what, said, true):
            if said != true:
                yield f"{what} is {said!r}, true is {true!r}"

        yield from same("userId", manifest["userId"], user)
        yield from same("revision", manifest["revision"], 1)
        yield from same("status", manifest["status"], expected["status"])
        outcomes = expected["outcome"] if isinstance(expected["outcome"], list) else [expected["outcome"]]
        if deletion["outcome"] not in outcomes:
            yield f"deletion.outcome is {deletion['outcome']!r}, true is {' or '.join(outcomes)}"
        if expected.get("code"):
            yield from same("deletion.status", deletion.get("status"), expected["code"])
        deleted = manifest["status"] == "DELETED"
        yield from same("status DELETED", deleted, not truth["exists"])
        yield from same("error is null", manifest["error"] is None, deleted)
        if truth["exists"]:
            yield from same("scimActive", manifest["scimActive"], truth["active"])
        yield from same("scimActive is true", manifest["scimActive"] is True, False)
        if expected.get("confirmed"):
            yield from same("deletion.confirmedAt is set", bool(deletion.get("confirmedAt")), True)
        kinds = ("queues", "owns", "supervises") + (("groups",) if self.profile == "cxone" else ())
        if truth["exists"]:
            left = [kind for kind in kinds if truth.get(kind)]
            yield from same("queueAssignmentsCleared", manifest["queueAssignmentsCleared"], not left)
        cleared = expected.get("cleared", True)
        yield from same("queueAssignmentsCleared", manifest["queueAssignmentsCleared"], cleared)
        yield from same("there is a residual", bool(manifest["residual"]), not cleared)
        yield from same("interactionsArchived", manifest["interactionsArchived"], archive["complete"])
        yield from same("archive.complete", archive["complete"], True)
        states = [step["state"] for step in manifest["steps"]]
        yield from same("steps", states, [*STEPS, LAST_STEP[manifest["status"]]])
        yield from self.of_profile(manifest, truth, sent, same)
        really = {self.call_of(entry) for entry in sent} | self.shared
        for step in manifest["steps"]:
            for call in step["calls"]:
                named = (call["method"], urllib.parse.urlsplit(call["path"]).path, call["status"])
                if named not in really and not named[1].endswith("/details/query"):
                    yield f"step {step['state']} names a call that was not made: {named}"
        yield from self.archive(user, archive)
        try:
            timestamp = datetime.datetime.fromisoformat(manifest["timestamp"])
            if timestamp.utcoffset() != datetime.timedelta(0):
                yield f"timestamp {manifest['timestamp']} is not UTC"
        except ValueError as error:
            yield f"timestamp: {error}"

    def of_profile(self, manifest, truth, sent, same):
        yield from same("profile", manifest.get("profile", "tutorial"), self.profile)
        if self.profile == "tutorial":
            return
        yield from same("sessionsEndedAt is set", bool(manifest.get("sessionsEndedAt")), True)
        yield from same("sessions are left", bool(truth["sessions"]), False)
        yield from same("access keys are left", truth["accessKeys"], [])
        yield from same("notArchived names something", bool(manifest.get("notArchived")), True)
        end = datetime.datetime.fromisoformat(manifest["timestamp"])
        for one in sent:
            late = datetime.datetime.fromisoformat(one["startedAt"]) > end
            if late and one["applied"]:
                yield f"{one['operation']} changed something after the end"

    def archive(self, user, archive):
        if archive["key"].rsplit("/", 1)[-1] != f"{user}.json":
            yield f"archive.key is {archive['key']}"
        stored = self.store.read(f"{self.store.prefix}{user}.json")
        if len(stored) != archive["bytes"]:
            yield f"archive.bytes is {archive['bytes']}, stored are {len(stored)}"
        if hashlib.sha256(stored).hexdigest() != archive["sha256"]:
            yield "archive.sha256 is not that of the stored object"
        window = urllib.parse.urlencode({"from": archive["dateFrom"], "to": archive["dateTo"]})
        served, kept = self.ask(f"/_simulator/conversations/{user}?{window}"), stored.decode()
        json.loads(kept)  # It is JSON, whatever the texts are alike in.
        if joined(kept) != joined(served) and exact(kept) != exact(served):
            yield "the archive holds other conversations than were served"
        count = len(json.loads(served))
        if archive["conversations"] != count:
            yield f"archive.conversations is {archive['conversations']}, served were {count}"


def main():
    question = json.load(sys.stdin)
    with open(sys.argv[1], encoding="utf-8") as file:
        check = Check(question, json.load(file))
    check.await_manifests(question.get("awaitSeconds", 0))
    checked = check.all()
    print(json.dumps({"checked": checked, "problems": check.problems}))


main()
