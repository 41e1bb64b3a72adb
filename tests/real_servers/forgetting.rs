//! What Redis keeps, for how long, and what of it is garbage.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::population::{Outcome, deletable, user_id};
use crate::support::process::tail;
use crate::support::world::{DEAD, PATIENCE, World};
use crate::support::{eventually, ledger, list, promises, redis, trial};

const BATCH: &str = "leavers";
const LATER: &str = "later";
const DAY: i64 = 24 * 60 * 60 * 1000;
const TEN_MINUTES: i64 = 10 * 60 * 1000;

trial!(
    "checkpoints of unknown and of finished users expire, batches still say how they ended, and garbage in Redis stops nobody",
    what_expires
);

fn what_expires(place: usize) {
    let mut users = deletable(place, 4, 4);
    users[1].outcome = Outcome::Refused(409);
    let mut world = World::with_topology(place, users);
    world.set("OFFBOARDER_GUARD_MAX_DELETIONS", "100/1h");
    // A lease that is garbage is waited for as long as any other.
    world.set("OFFBOARDER_WORKER_LEASE", "2s");
    let members = [user_id(place, 0), user_id(place, 1), user_id(place, 99)];
    let [deleted, kept, unknown] = &members;
    leave_garbage(&world, deleted, kept);

    let mut worker = world.start(&["worker"]);
    world.publish(&members.each_ref().map(|user| message(user, BATCH)));
    await_done(&world, BATCH, 3);
    // The same users with another batch.
    world.publish(&[message(deleted, LATER), message(unknown, LATER)]);
    await_done(&world, LATER, 2);
    promises::await_quiet(&world, PATIENCE);

    assert_expiry(&world, &members);
    assert_small(&world, &members);
    assert_batches_outlive_checkpoints(&world, &members);
    assert_nothing_done_again(&world, deleted, kept);
    assert!(worker.ended().is_none());
    assert_eq!(world.depth(DEAD), Some(2), "{}", tail(&worker.errors()));
    World::drain(worker);
}

/// What another program left there: keys of another kind, numbers and members that are none.
fn leave_garbage(world: &World, one: &str, other: &str) {
    let url = world.setting("OFFBOARDER_CHECKPOINTS_URL");
    let numbers = ["version", "many", "fence", "9e99", "unreleased", "-"];
    let key = checkpoint(other);
    let garbage = [&["HSET", &key], &numbers[..], &["body", "x"]].concat();
    redis::ask(url, &garbage);
    redis::ask(url, &["SET", &checkpoint(one), "x"]);

    let lease = |user: &str| format!("offboarder:{{{user}}}:lease");
    redis::ask(url, &["RPUSH", &lease(one), "x"]);
    redis::ask(url, &["SET", &lease(other), "somebody"]);
    redis::ask(url, &["SET", "offboarder:deletions", "x"]);
    redis::ask(url, &["SET", "offboarder:batches", "x"]);
    redis::ask(url, &["SET", "offboarder:access", "x"]);
    redis::ask(url, &["SET", "offboarder:batch:later:users", "x"]);
}

fn checkpoint(user: &str) -> String {
    format!("offboarder:{{{user}}}:checkpoint")
}

fn message(user: &str, batch: &str) -> Value {
    json!({ "body": json!({ "userId": user, "batchId": batch }).to_string() })
}

fn show(world: &World, batch: &str) -> Value {
    world
        .run(&["batch", "show", batch, "--output", "json"])
        .json()
}

fn await_done(world: &World, batch: &str, users: u64) {
    eventually(PATIENCE, || {
        let listed = world.run(&["batch", "list", "--output", "json"]).output;
        if listed.contains(batch) {
            Ok(())
        } else {
            Err(format!("no batch {batch}"))
        }
    });

    eventually(PATIENCE, || {
        let shown = show(world, batch);
        if shown["users"] == users && shown["notBegun"] == 0 && shown["underWay"] == 0 {
            Ok(())
        } else {
            Err(shown.to_string())
        }
    });
}

/// Each user's checkpoint is kept for its time, less what the trial took.
fn assert_expiry(world: &World, [deleted, kept, unknown]: &[String; 3]) {
    let url = world.setting("OFFBOARDER_CHECKPOINTS_URL");
    for (user, time) in [(unknown, DAY), (deleted, 90 * DAY), (kept, 90 * DAY)] {
        let left = redis::expires_in_ms(url, &checkpoint(user));
        assert!((time - TEN_MINUTES..=time).contains(&left), "{left} ms");
    }

    let members = redis::expires_in_ms(url, "offboarder:batch:leavers:users");
    assert!(members > 80 * DAY, "all of them ended, yet {members} ms");
}

/// A checkpoint at its end has only what no manifest has.
fn assert_small(world: &World, members: &[String; 3]) {
    let url = world.setting("OFFBOARDER_CHECKPOINTS_URL");
    let [deleted, _, unknown] = members;
    let body = redis::body(url, deleted).expect("a checkpoint");
    assert!(
        !body.contains("correlationId") && body.contains("Recorded"),
        "its calls are in the manifest: {body}"
    );
    let body = redis::body(url, unknown).expect("a checkpoint");
    assert!(
        body.matches("GET").count() <= 2,
        "a second message added nothing: {body}"
    );

    let size = |user: &String| redis::memory_usage(url, &checkpoint(user));
    let sizes = members.each_ref().map(size);
    eprintln!("bytes of a deleted, a deactivated and an unknown user: {sizes:?}");
    assert!(sizes[0] * 2 < sizes[1], "{sizes:?}");
    assert!(sizes[2] < 2500, "{sizes:?}");
}

/// Once the checkpoints have expired, the batches still say how their users ended. Members that are
/// no users are skipped.
fn assert_batches_outlive_checkpoints(world: &World, members: &[String; 3]) {
    let url = world.setting("OFFBOARDER_CHECKPOINTS_URL");
    let [deleted, kept, unknown] = members;
    let before = [BATCH, LATER].map(|batch| results(world, batch));
    for user in members {
        redis::ask(url, &["DEL", &checkpoint(user)]);
    }
    let members = "offboarder:batch:leavers:users";
    let no_users = ["inf", "no user", "-inf", "\u{fffd}"];
    redis::ask(url, &[&["ZADD", members], &no_users[..]].concat());
    let no_batch = ["ZADD", "offboarder:batches", "inf", "no batch\u{1b}"];
    redis::ask(url, &no_batch);

    let after = [BATCH, LATER].map(|batch| results(world, batch));
    assert_eq!(after, before);
    assert_eq!(before[0][deleted], "finished");
    assert_eq!(before[0][unknown], "dead_letter");
    let shown = show(world, BATCH);
    assert_eq!(shown["finished"], 2);
    assert_eq!(shown["notBegun"], 0);
    assert_eq!(shown["deadLetters"][0]["users"], 1);

    world.run(&["batch", "list"]).expect(0);
    let status = world.json(&["status", deleted, kept], 0).to_string();
    assert!(status.contains("DeactivatedOnly"), "{status}");
    assert!(status.contains("\"Deleted\""), "{status}");
}

/// The result of each user of a batch.
fn results(world: &World, batch: &str) -> BTreeMap<String, Value> {
    // Of each batch, one user is a dead letter.
    let report = world.json(&["batch", "report", batch], 1);
    let rows = list(&report["users"]).iter();
    rows.map(|row| {
        let id = row["userId"].as_str().expect("an ID").to_owned();
        (id, row["result"].clone())
    })
    .collect()
}

/// A further message finds the manifests of both.
fn assert_nothing_done_again(world: &World, deleted: &str, kept: &str) {
    let writes = || [deleted, kept].map(|user| ledger::writes_of(&world.simulator, user));
    let before = writes();
    let third = &world.users[2].id;
    world.publish(&[deleted, kept, third].map(|user| message(user, "again")));
    await_done(world, "again", 3);
    promises::await_quiet(world, PATIENCE);
    assert_eq!(writes(), before);
}
