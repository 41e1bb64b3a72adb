//! `batch`: what is told of many users is what is stored of each.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::population::{Outcome, User, user_id};
use crate::support::process::tail;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, redis, trial};

fn show(world: &World, batch: &str) -> Value {
    let answer = world
        .run(&["batch", "show", batch, "--output", "json"])
        .expect(0)
        .output;
    serde_json::from_str(&answer).expect("JSON")
}

/// What does not change while nobody works.
fn still(mut overview: Value) -> Value {
    for member in ["asOf", "finishedPerMinute", "timeLeftSeconds"] {
        overview[member] = Value::Null;
    }
    overview
}

fn write(world: &World, name: &str, lines: &[String]) -> String {
    let path = world.directory.path().join(name);
    std::fs::write(&path, lines.join("\n") + "\n").expect("the file is written");
    path.display().to_string()
}

trial!("a batch is told by its users: finished, held, refused, given up, waiting, not begun", told_by_its_users);

fn told_by_its_users(place: usize) {
    const BATCH: &str = "2026-11.all:kinds";
    let fates = [Outcome::Deleted, Outcome::Refused(409), Outcome::NotOffered];
    let outcome = |number| fates.get(number).copied().unwrap_or(Outcome::Deleted);
    let users = (0..7)
        .map(|number| User::new(place, number, outcome(number), 4))
        .collect();
    let mut world = World::with_topology(place, users);
    let id = |number: usize| user_id(place, number);
    let (missing, late) = (id(99), id(98));
    world
        .run(&["hold", "add", &id(3), "--why", "case 4711"])
        .expect(0);
    let list = write(&world, "protected.txt", &[id(4)]);
    world.set("OFFBOARDER_GUARD_PROTECTED", &list);

    let mut rows = vec!["userId,requestedBy".to_owned()];
    rows.extend([id(0), id(1), id(2), id(3), missing.clone()].map(|id| format!("{id},=1+1")));
    let csv = write(&world, "users.csv", &rows);
    let later = json!({ "userId": id(6), "deleteAfter": "2999-01-01T00:00:00Z" }).to_string();
    let lines = write(&world, "later.jsonl", &[later]);
    for file in [&csv, &lines] {
        world
            .run(&["submit", "--file", file, "--batch-id", BATCH])
            .expect(0);
    }
    // Somebody else's publisher, which notes nothing down.
    world.publish(&[4, 5].map(
        |number| json!({ "body": json!({ "userId": id(number), "batchId": BATCH }).to_string() }),
    ));
    let worker = world.start(&["worker"]);
    eventually(PATIENCE, || {
        let told = show(&world, BATCH);
        let done = told["users"] == 8 && told["notBegun"] == 0 && told["underWay"] == 0;
        let waits = told["waiting"]
            .as_array()
            .is_some_and(|waiting| waiting.len() == 1 && waiting[0]["why"] == "not_due");
        if done && waits {
            Ok(())
        } else {
            Err(format!("{told}; {}", tail(&worker.errors())))
        }
    });
    World::drain(worker);
    world.run(&["submit", &late, "--batch-id", BATCH]).expect(0);

    let told = show(&world, BATCH);
    assert_eq!(
        (&told["users"], &told["finished"], &told["notBegun"]),
        (&json!(9), &json!(5), &json!(1)),
        "{told}"
    );
    assert_eq!(
        told["deletions"],
        json!({ "deleted": 2, "refused": 1, "not_offered": 1, "held": 1 }),
        "{told}"
    );
    let dead = |reason: &str| json!({ "reason": reason, "users": 1 });
    let mut letters = told["deadLetters"].as_array().expect("a list").clone();
    letters.sort_by_key(|letter| letter["reason"].to_string());
    assert_eq!(letters, [dead("protected_user"), dead("user_not_found")]);
    assert_eq!(told["waiting"][0]["users"], 1);
    assert_eq!(told["waiting"][0]["lastUntil"], "2999-01-01T00:00:00Z");
    let states = json!({ "Received": 2, "QueuesCleared": 0, "Deactivated": 0, "Archived": 1, "Deleted": 2, "DeactivatedOnly": 3 });
    assert_eq!(told["states"], states, "{told}");
    let access = &told["accessRemoved"];
    let seconds = |name: &str| access[name].as_f64().expect("seconds");
    assert_eq!(access["users"], 6, "{told}");
    assert!(seconds("p50Seconds") <= seconds("p95Seconds"), "{told}");
    assert!(seconds("p95Seconds") <= seconds("longestSeconds"), "{told}");
    assert!(seconds("longestSeconds") < PATIENCE.as_secs_f64(), "{told}");
    assert!(
        told["finishedPerMinute"]
            .as_f64()
            .is_some_and(|rate| rate > 0.0),
        "{told}"
    );
    assert!(
        told["timeLeftSeconds"]
            .as_u64()
            .is_some_and(|left| left > 1_000_000_000),
        "not before 2999: {told}"
    );

    assert_report(&world, BATCH, &missing, &late);

    // The summaries say what the checkpoints say: without them, and with those of an earlier save, the same is
    // told.
    let url = world.setting("OFFBOARDER_CHECKPOINTS_URL").to_owned();
    for user in &world.users {
        let key = format!("offboarder:{{{}}}:checkpoint", user.id);
        redis::ask(&url, &["HDEL", &key, "sum"]);
    }
    assert_eq!(still(show(&world, BATCH)), still(told.clone()));
    let key = format!("offboarder:{{{}}}:checkpoint", world.users[0].id);
    redis::ask(&url, &["HSET", &key, "sum", r#"1 {"s":"Received","u":0}"#]);
    assert_eq!(still(show(&world, BATCH)), still(told));

    let listed = world
        .run(&["batch", "ls", "--output", "json"])
        .expect(0)
        .output;
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(
        (
            &listed["batches"][0]["batchId"],
            &listed["batches"][0]["users"]
        ),
        (&json!(BATCH), &json!(9))
    );
    let table = world.run(&["batch", "show", BATCH]).expect(0).output;
    for words in [
        "9 users",
        "5 (55.6 %)",
        "1 held",
        "1 protected_user",
        "1 not_due, from 2999-01-01",
        "rate",
    ] {
        assert!(table.contains(words), "{words} in\n{table}");
    }
    for act in ["show", "report"] {
        let ended = world.run(&["batch", act, "no-such-batch"]).expect(1);
        assert!(
            ended.errors.contains("there is no batch no-such-batch"),
            "{}",
            ended.errors
        );
    }
    world.unset("OFFBOARDER_CHECKPOINTS_URL");
    let ended = world.run(&["batch", "list"]).expect(2);
    assert!(
        ended.errors.contains("set OFFBOARDER_CHECKPOINTS_URL"),
        "{}",
        ended.errors
    );
}

fn assert_report(world: &World, batch: &str, missing: &str, late: &str) {
    let report = world
        .run(&["batch", "report", batch, "--output", "json"])
        .expect(0)
        .output;
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let rows = report["users"].as_array().expect("a list").iter();
    let rows: BTreeMap<&str, &Value> = rows
        .map(|row| (row["userId"].as_str().expect("an ID"), row))
        .collect();
    assert_eq!(rows.len(), 9);
    let row = |number: usize| rows[world.users[number].id.as_str()];
    let told = |row: &Value| {
        let cell = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        [
            cell("result"),
            cell("state"),
            cell("deletion"),
            cell("deadLetter"),
        ]
    };
    assert_eq!(told(row(0)), ["finished", "Deleted", "deleted", ""]);
    assert_eq!(told(row(1)), ["finished", "DeactivatedOnly", "refused", ""]);
    assert_eq!(row(1)["deletionStatus"], 409);
    assert_eq!(
        told(row(2)),
        ["finished", "DeactivatedOnly", "not_offered", ""]
    );
    assert_eq!(told(row(3)), ["finished", "DeactivatedOnly", "held", ""]);
    assert_eq!(
        told(row(4)),
        ["dead_letter", "Received", "", "protected_user"]
    );
    assert_eq!(told(row(6)), ["waiting", "Archived", "", ""]);
    assert_eq!(
        told(rows[missing]),
        ["dead_letter", "Received", "", "user_not_found"]
    );
    assert_eq!(told(rows[late]), ["not_begun", "", "", ""]);
    assert_eq!(row(0)["requestedBy"], "=1+1");
    assert!(
        row(0)["manifest"]
            .as_str()
            .is_some_and(|key| key.ends_with("_audit.json")),
        "{}",
        row(0)
    );

    let csv = world.run(&["batch", "report", batch]).expect(0).output;
    let lines: Vec<&str> = csv.lines().collect();
    assert!(
        lines[0].starts_with("userId,result,state,deletion,"),
        "{}",
        lines[0]
    );
    assert_eq!(lines.len(), 10, "a header and a row for each user");
    assert!(csv.contains(",'=1+1,"), "no formula for a spreadsheet");
}

trial!("batch show --watch ends when nothing is left to do", watched);

fn watched(place: usize) {
    let users = (0..3)
        .map(|number| User::new(place, number, Outcome::Deleted, 4))
        .collect();
    let world = World::with_topology(place, users);
    let ids: Vec<&str> = world.users.iter().map(|user| user.id.as_str()).collect();
    world
        .run(&[&["submit", "--batch-id", "w"], &ids[..]].concat())
        .expect(0);
    let mut watches = [&["--output", "table"], &["--output", "json"]]
        .map(|output| world.start(&[&["batch", "show", "w", "--watch"], &output[..]].concat()));
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
    assert!(
        outputs[0].contains("none: nothing is left to do"),
        "{}",
        outputs[0]
    );
    let last: Value = serde_json::from_str(&outputs[1]).expect("one document");
    assert_eq!(
        (&last["finished"], &last["timeLeftSeconds"]),
        (&json!(3), &json!(0))
    );
    World::drain(worker);
}
