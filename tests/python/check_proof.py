#!/usr/bin/env python3
"""Has aics-tlog, which is not of this project, judge a file of `evidence export`.

    check_proof.py FILE LOG_KEY WITNESS_KEY

It prints JSON: for each record, what it is called, and whether it is proved, with a quorum of that witness.
"""

import hashlib
import json
import sys
from base64 import b64decode

from aics_tlog import parse_note, parse_vkey, verify_checkpoint, verify_leaf_inclusion

log, witness = (parse_vkey(key) for key in sys.argv[2:4])


def is_proved(record):
    head, note = record["proof"].split("\n\n", 1)
    form, index, *path = head.split("\n")
    if form != "c2sp.org/tlog-proof@v1":
        return False
    checked = verify_checkpoint(parse_note(note), log, [witness], 1)
    leaf = record["leaf"]
    said = json.loads(leaf)
    return (
        checked.ok
        and verify_leaf_inclusion(
            leaf.encode(),
            int(index.removeprefix("index ")),
            checked.size,
            [b64decode(line) for line in path],
            checked.root,
        )
        and said["key"] == record["key"]
        and said["sha256"] == hashlib.sha256(record["record"].encode()).hexdigest()
    )


def judged(record):
    try:
        return is_proved(record)
    except ValueError:
        return False


with open(sys.argv[1], encoding="utf-8") as file:
    records = json.load(file)["records"]
print(json.dumps({record["key"]: judged(record) for record in records}))
