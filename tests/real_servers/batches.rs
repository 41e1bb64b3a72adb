//! `batch`: what it shows of many users is what is stored of each.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::population::{Outcome, User, deletable, user_id};
use crate::support::process::tail;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, list, redis, trial};

const BATCH: &str = "2026-11.all:kinds";

trial!(
    "a batch is the sum of its users: finished, held, refused, given up, waiting, not begun",
    the_sum_of_its_users
);

fn the_sum_of_its_users(place: usize) {
    let mut world = world(place);
    let missing = user_id(place, 99);
    let late = user_id(place, 98);
    send_batch(&world, &missing);
    let worker = world.start(&["worker"]);
    eventually(PATIENCE, || {
        let shown = show(&world, BATCH);
        let is_done = shown["users"] == 8 && shown["notBegun"] == 0 && shown["underWay"] == 0;
        let waiting = list(&shown["waiting"]);
        if is_done && waiting.len() == 1 && waiting[0]["why"] == "not_due" {
            Ok(())
        } else {
            Err(format!("{shown}; {}", tail(&worker.errors())))
        }
    });
    World::drain(worker);
    world.run(&["submit", &late, "--batch-id", BATCH]).expect(0);

    // Two users of this batch are dead letters.
    let shown = world.json(&["batch", "show", BATCH], 1);
    assert_counts(&shown);
    assert_times(&shown);
    assert_report(&world, &missing, &late);
    assert_csv(&world);
    assert_summaries_repeat_checkpoints(&world, shown);
    assert_table(&world);

    for command in ["show", "report"] {
        let ended = world.run(&["batch", command, "no-such-batch"]).expect(1);
        let named = ended.errors.contains("batch no-such-batch does not exist");
        assert!(named, "{}", ended.errors);
    }
    world.unset("OFFBOARDER_CHECKPOINTS_URL");
    let ended = world.run(&["batch", "list"]).expect(2);
    let named = ended.errors.contains("set OFFBOARDER_CHECKPOINTS_URL");
    assert!(named, "{}", ended.errors);
}

/// Users of every kind: the first are deleted, refused and not offered; then one on hold, one
/// protected, and two who can be deleted.
fn world(place: usize) -> World {
    let outcomes = [Outcome::Deleted, Outcome::Refused(409), Outcome::NotOffered];
    let outcome = |number| outcomes.get(number).copied().unwrap_or(Outcome::Deleted);
    let users = (0..7).map(|number| User::new(place, number, outcome(number), 4));
    let mut world = World::with_topology(place, users.collect());

    world
        .run(&["hold", "add", &user_id(place, 3), "--why", "case 4711"])
        .expect(0);
    let protected = world.write("protected.txt", &user_id(place, 4));
    world.set("OFFBOARDER_GUARD_PROTECTED", &protected);
    world
}

/// By two files, and by a foreign publisher, which notes nothing down.
fn send_batch(world: &World, missing: &str) {
    let id = |number: usize| world.users[number].id.as_str();
    let row = |id: &str| format!("{id},=1+1\n");
    let rows = [id(0), id(1), id(2), id(3), missing].map(row).concat();
    let csv = format!("userId,requestedBy\n{rows}");
    let later = json!({ "userId": id(6), "deleteAfter": "2999-01-01T00:00:00Z" });
    for file in [
        world.write("users.csv", &csv),
        world.write("later.jsonl", &format!("{later}\n")),
    ] {
        world
            .run(&["submit", "--file", &file, "--batch-id", BATCH])
            .expect(0);
    }

    let message = |number| json!({ "userId": id(number), "batchId": BATCH }).to_string();
    world.publish(&[4, 5].map(|number| json!({ "body": message(number) })));
}

fn show(world: &World, batch: &str) -> Value {
    world
        .run(&["batch", "show", batch, "--output", "json"])
        .json()
}

fn assert_counts(shown: &Value) {
    assert_eq!(shown["users"], 9, "{shown}");
    assert_eq!(shown["finished"], 5, "{shown}");
    assert_eq!(shown["notBegun"], 1, "{shown}");
    assert_eq!(
        shown["deletions"],
        json!({ "deleted": 2, "refused": 1, "not_offered": 1, "held": 1 }),
        "{shown}"
    );

    let dead = |reason: &str| json!({ "reason": reason, "users": 1 });
    let mut dead_letters = list(&shown["deadLetters"]).clone();
    dead_letters.sort_by_key(|dead_letter| dead_letter["reason"].to_string());
    assert_eq!(
        dead_letters,
        [dead("protected_user"), dead("user_not_found")]
    );

    assert_eq!(shown["waiting"][0]["users"], 1);
    assert_eq!(shown["waiting"][0]["lastUntil"], "2999-01-01T00:00:00Z");
    let states = json!({
        "Received": 2, "QueuesCleared": 0, "Deactivated": 0, "Archived": 1, "Deleted": 2,
        "DeactivatedOnly": 3,
    });
    assert_eq!(shown["states"], states, "{shown}");
}

fn assert_times(shown: &Value) {
    let access = &shown["accessRemoved"];
    let seconds = |name: &str| access[name].as_f64().expect("seconds");
    assert_eq!(access["users"], 6, "{shown}");
    assert!(seconds("p50Seconds") <= seconds("p95Seconds"), "{shown}");
    assert!(
        seconds("p95Seconds") <= seconds("longestSeconds"),
        "{shown}"
    );
    assert!(
        seconds("longestSeconds") < PATIENCE.as_secs_f64(),
        "{shown}"
    );

    let rate = shown["finishedPerMinute"].as_f64().expect("a rate");
    assert!(rate > 0.0, "{shown}");
    // Who was submitted after the worker ended has not begun, and still has access; nobody works.
    assert_eq!(shown["fleet"]["stopped"], true, "{shown}");
    assert_eq!(shown["timeLeftSeconds"], Value::Null, "{shown}");
    assert_eq!(shown["stillHaveAccess"]["users"], 2, "{shown}");
}

/// Without the summaries of the checkpoints, and with that of an earlier save, the answer is the
/// same.
fn assert_summaries_repeat_checkpoints(world: &World, shown: Value) {
    let url = world.setting("OFFBOARDER_CHECKPOINTS_URL");
    let checkpoint = |user: &User| format!("offboarder:{{{}}}:checkpoint", user.id);
    let shown = without_times(shown);
    for user in &world.users {
        redis::ask(url, &["HDEL", &checkpoint(user), "sum"]);
    }
    assert_eq!(without_times(show(world, BATCH)), shown);

    let earlier = r#"1 {"s":"Received","u":0}"#;
    let first = checkpoint(&world.users[0]);
    redis::ask(url, &["HSET", &first, "sum", earlier]);
    assert_eq!(without_times(show(world, BATCH)), shown);
}

/// Without what changes while no worker runs.
fn without_times(mut shown: Value) -> Value {
    let changing = [
        "asOf",
        "finishedPerMinute",
        "timeLeftSeconds",
        "stillHaveAccess",
        "fleet",
    ];
    for member in changing {
        shown[member] = Value::Null;
    }
    shown
}

fn assert_table(world: &World) {
    let listed = world.json(&["batch", "ls"], 0);
    assert_eq!(listed["batches"][0]["batchId"], BATCH);
    assert_eq!(listed["batches"][0]["users"], 9);
    let progress = &listed["batches"][0]["progress"];
    for (member, users) in [
        ("finished", 5),
        ("deadLetters", 2),
        ("cancelled", 0),
        ("left", 2),
        ("stillHaveAccess", 2),
    ] {
        assert_eq!(progress[member], users, "{member}: {progress}");
    }
    assert_eq!(progress["state"], "under-way", "{progress}");

    let table = world.run(&["batch", "show", BATCH]).expect(1).output;
    for words in [
        "9 users",
        "5 (55.6 %)",
        "1 held",
        "1 protected_user",
        "1 not_due, ",
        " 2999-01-01",
        "rate",
        "! ",
        "still have access  2, the longest for ",
        "of those 6: half within ",
        "time left          stopped",
    ] {
        assert!(table.contains(words), "{words} in\n{table}");
    }
}

fn assert_report(world: &World, missing: &str, late: &str) {
    let report = world.json(&["batch", "report", BATCH], 1);
    let rows = list(&report["users"]).iter();
    let rows: BTreeMap<&str, &Value> = rows
        .map(|row| (row["userId"].as_str().expect("an ID"), row))
        .collect();
    assert_eq!(rows.len(), 9);

    let id = |number: usize| world.users[number].id.as_str();
    let expected = [
        (id(0), ["finished", "Deleted", "deleted", ""]),
        (id(1), ["finished", "DeactivatedOnly", "refused", ""]),
        (id(2), ["finished", "DeactivatedOnly", "not_offered", ""]),
        (id(3), ["finished", "DeactivatedOnly", "held", ""]),
        (id(4), ["dead_letter", "Received", "", "protected_user"]),
        (id(6), ["waiting", "Archived", "", ""]),
        (missing, ["dead_letter", "Received", "", "user_not_found"]),
        (late, ["not_begun", "", "", ""]),
    ];
    for (id, cells) in expected {
        let cell = |name: &str| rows[id][name].as_str().unwrap_or_default();
        let shown = ["result", "state", "deletion", "deadLetter"].map(cell);
        assert_eq!(shown, cells, "{}", rows[id]);
    }

    assert_eq!(rows[id(1)]["deletionStatus"], 409);
    assert_eq!(rows[id(0)]["requestedBy"], "=1+1");
    let manifest = rows[id(0)]["manifest"].as_str().expect("a key");
    assert!(manifest.ends_with("_audit.json"), "{manifest}");
}

fn assert_csv(world: &World) {
    let csv = world.run(&["batch", "report", BATCH]).expect(1).output;
    let lines: Vec<&str> = csv.lines().collect();
    assert!(
        lines[0].starts_with("userId,result,state,deletion,"),
        "{}",
        lines[0]
    );
    assert_eq!(lines.len(), 10, "a header and a row for each user");
    assert!(csv.contains(",'=1+1,"), "no formula for a spreadsheet");
}

trial!(
    "batch show --watch ends when nothing is left to do",
    watched
);

fn watched(place: usize) {
    let world = World::with_topology(place, deletable(place, 3, 4));
    let ids: Vec<&str> = world.users.iter().map(|user| user.id.as_str()).collect();
    world
        .run(&[&["submit", "--batch-id", "w"], &ids[..]].concat())
        .expect(0);
    let mut watches = ["table", "json"]
        .map(|output| world.start(&["batch", "show", "w", "--watch", "--output", output]));
    eventually(Duration::from_secs(30), || {
        let seen = watches[0].output();
        if seen.contains("3 (100.0 %)") {
            Ok(())
        } else {
            Err(seen + &watches[0].errors())
        }
    });

    let worker = world.start(&["worker"]);
    let outputs = watches.each_mut().map(|watch| {
        assert_eq!(watch.end(PATIENCE).code(), Some(0), "{}", watch.errors());
        watch.output()
    });
    let has_ended = outputs[0].contains("none: ");
    assert!(has_ended, "{}", outputs[0]);
    let last: Value = serde_json::from_str(&outputs[1]).expect("one document");
    assert_eq!(last["finished"], 3);
    assert_eq!(last["timeLeftSeconds"], 0);
    World::drain(worker);
}
