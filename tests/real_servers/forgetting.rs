//! What Redis keeps, for how long, and what of it is garbage.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::population::{Outcome, User, user_id};
use crate::support::process::tail;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, ledger, promises, redis, trial};

const BATCH: &str = "leavers";
const LATER: &str = "later";

fn show(world: &World, batch: &str) -> Value {
    let answer = world
        .run(&["batch", "show", batch, "--output", "json"])
        .expect(0)
        .output;
    serde_json::from_str(&answer).expect("JSON")
}

fn results(world: &World, batch: &str) -> BTreeMap<String, Value> {
    let answer = world
        .run(&["batch", "report", batch, "--output", "json"])
        .expect(0)
        .output;
    let report: Value = serde_json::from_str(&answer).expect("JSON");
    let rows = report["users"].as_array().expect("rows").iter();
    rows.map(|row| {
        (
            row["userId"].as_str().expect("an ID").to_owned(),
            row["result"].clone(),
        )
    })
    .collect()
}

fn checkpoint(user: &str) -> String {
    format!("offboarder:{{{user}}}:checkpoint")
}

fn await_done(world: &World, batch: &str, users: u64) {
    eventually(PATIENCE, || {
        let known = world
            .run(&["batch", "list", "--output", "json"])
            .output
            .contains(batch);
        if known {
            Ok(())
        } else {
            Err(format!("no batch {batch}"))
        }
    });
    eventually(PATIENCE, || match show(world, batch) {
        told if told["users"] == users && told["notBegun"] == 0 && told["underWay"] == 0 => Ok(()),
        told => Err(told.to_string()),
    });
}

trial!("checkpoints of unknown and of finished users expire, batches still say how they ended, and garbage in Redis stops nobody", what_expires);

fn what_expires(place: usize) {
    const DAY: i64 = 24 * 60 * 60 * 1000;
    let fates = [
        Outcome::Deleted,
        Outcome::Refused(409),
        Outcome::Deleted,
        Outcome::Deleted,
    ];
    let users = fates
        .into_iter()
        .enumerate()
        .map(|(number, outcome)| User::new(place, number, outcome, 4))
        .collect();
    let mut world = World::with_topology(place, users);
    let url = world.setting("OFFBOARDER_CHECKPOINTS_URL").to_owned();
    world.set("OFFBOARDER_GUARD_MAX_DELETIONS", "100/1h");
    // So long a lease is waited for that nobody gives back.
    world.set("OFFBOARDER_WORKER_LEASE", "2s");
    let id = |number: usize| user_id(place, number);
    let nobody = id(99);

    // What another program left there: keys of another kind, numbers and members that are none.
    redis::ask(&url, &["SET", &checkpoint(&id(0)), "x"]);
    redis::ask(
        &url,
        &[
            "HSET",
            &checkpoint(&id(1)),
            "version",
            "many",
            "fence",
            "9e99",
            "unreleased",
            "-",
            "body",
            "x",
        ],
    );
    redis::ask(
        &url,
        &["RPUSH", &format!("offboarder:{{{}}}:lease", id(0)), "x"],
    );
    redis::ask(
        &url,
        &[
            "SET",
            &format!("offboarder:{{{}}}:lease", id(1)),
            "somebody",
        ],
    );
    redis::ask(&url, &["SET", "offboarder:deletions", "x"]);
    redis::ask(&url, &["SET", "offboarder:batches", "x"]);
    redis::ask(&url, &["SET", "offboarder:batch:later:users", "x"]);

    let message = |user: &str, batch: &str| json!({ "body": json!({ "userId": user, "batchId": batch }).to_string() });
    let mut worker = world.start(&["worker"]);
    let members = [id(0), id(1), nobody.clone()];
    world.publish(&members.each_ref().map(|user| message(user, BATCH)));
    await_done(&world, BATCH, 3);
    // The same users with another batch.
    world.publish(&[message(&id(0), LATER), message(&nobody, LATER)]);
    await_done(&world, LATER, 2);
    promises::await_quiet(&world, PATIENCE);
    let kept = |user: &str| redis::expires_in_ms(&url, &checkpoint(user));
    assert!(
        (DAY - 600_000..=DAY).contains(&kept(&nobody)),
        "{} ms",
        kept(&nobody)
    );
    for user in [id(0), id(1)] {
        assert!(
            (90 * DAY - 600_000..=90 * DAY).contains(&kept(&user)),
            "{} ms",
            kept(&user)
        );
    }
    let body = redis::body(&url, &id(0)).expect("a checkpoint");
    assert!(
        !body.contains("correlationId") && body.contains("Recorded"),
        "its calls are in the manifest: {body}"
    );
    let letter = redis::body(&url, &nobody).expect("a checkpoint");
    assert!(
        letter.matches("GET").count() <= 2,
        "a second message added nothing: {letter}"
    );
    let sizes = members
        .each_ref()
        .map(|user| redis::memory_usage(&url, &checkpoint(user)));
    eprintln!("bytes of a deleted, a deactivated and an unknown user: {sizes:?}");
    assert!(sizes[0] * 2 < sizes[1] && sizes[2] < 2500, "{sizes:?}");
    assert!(
        redis::expires_in_ms(&url, "offboarder:batch:leavers:users") > 80 * DAY,
        "all of them ended"
    );

    // They expire, and the batches still say what became of them. What is no user is passed over.
    let before = [BATCH, LATER].map(|batch| results(&world, batch));
    for user in &members {
        redis::ask(&url, &["DEL", &checkpoint(user)]);
    }
    redis::ask(
        &url,
        &[
            "ZADD",
            "offboarder:batch:leavers:users",
            "inf",
            "no user",
            "-inf",
            "\u{fffd}",
        ],
    );
    redis::ask(
        &url,
        &["ZADD", "offboarder:batches", "inf", "no batch\u{1b}"],
    );
    assert_eq!([BATCH, LATER].map(|batch| results(&world, batch)), before);
    assert_eq!(
        (&before[0][&id(0)], &before[0][&nobody]),
        (&json!("finished"), &json!("dead_letter"))
    );
    let told = show(&world, BATCH);
    assert_eq!(
        (
            &told["finished"],
            &told["notBegun"],
            &told["deadLetters"][0]["users"]
        ),
        (&json!(2), &json!(0), &json!(1))
    );
    world.run(&["batch", "list"]).expect(0);
    let status = world
        .run(&["status", &id(0), &id(1), "--output", "json"])
        .expect(0)
        .output;
    assert!(
        status.contains("DeactivatedOnly") && status.contains("Deleted"),
        "{status}"
    );

    // A further message finds the manifests.
    let writes = |user: &str| ledger::writes_of(&world.simulator, user);
    let written = [id(0), id(1)].map(|user| writes(&user));
    world.publish(&[
        message(&id(0), "again"),
        message(&id(1), "again"),
        message(&id(2), "again"),
    ]);
    await_done(&world, "again", 3);
    promises::await_quiet(&world, PATIENCE);
    assert_eq!(
        [id(0), id(1)].map(|user| writes(&user)),
        written,
        "nothing is done to them again"
    );

    assert!(worker.ended().is_none());
    assert_eq!(
        world.depth("offboarding.dead"),
        Some(2),
        "{}",
        tail(&worker.errors())
    );
    World::drain(worker);
}
