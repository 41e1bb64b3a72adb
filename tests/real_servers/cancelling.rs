//! `cancel` and `batch pause`: nothing more is done for a request that was taken back, whatever is lost.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::population::deletable;
use crate::support::process::tail;
use crate::support::world::{PATIENCE, RESULTS, World};
use crate::support::{eventually, ledger, list, redis, trial};

const BATCH: &str = "wrong-list";
/// Long enough for the commands that come while the DELETE is under way.
const SLOW: u64 = 12_000;

trial!(
    "a batch that is cancelled in the middle sends no DELETE but the one that it names, also after Redis forgot it, until it is submitted again",
    cancelled_in_the_middle,
    seconds = 40
);

fn cancelled_in_the_middle(place: usize) {
    let world = World::with_topology(place, deletable(place, 5, 4));
    let id = |user: usize| world.users[user].id.clone();
    let worker = world.start(&["worker"]);
    submit(&world, &json!({ "userId": id(0) }));
    world.await_deleted(&id(0));
    submit(
        &world,
        &json!({ "userId": id(2), "deleteAfter": "2999-01-01T00:00:00Z" }),
    );
    await_waiting(&world, "not_due");
    let slow = json!({ "kind": "latency", "ms": SLOW });
    world.strike(1, "delete_user", 0, 1, &slow);
    submit(&world, &json!({ "userId": id(1) }));
    world.await_sealed(&world.users[1..2]);
    // Two users have not begun.
    world.run(&["pause", "--why", "a trial"]).expect(0);
    worker.await_readyz(503);
    let messages = [3, 4].map(|user| {
        json!({ "userId": id(user), "batchId": BATCH, "requestedAt": now() }).to_string()
    });
    for message in &messages {
        submit(&world, &serde_json::from_str(message).expect("JSON"));
    }

    let report = world.json(&["cancel", "--batch", BATCH, "--why", "HR erred"], 1);
    assert_eq!(report["cancelled"], 3, "{report}");
    assert_eq!(report["notBegun"], 2, "{report}");
    assert_eq!(report["finished"], json!([id(0)]), "{report}");
    let too_late = list(&report["tooLate"]);
    assert_eq!(too_late.len(), 1, "{report}");
    assert_eq!(too_late[0]["userId"], id(1), "{report}");
    assert_shown(&world, &id(2));

    world.run(&["resume", "--why", "a trial"]).expect(0);
    await_events(&world, &[id(3), id(4)]);
    assert_eq!(world.deletions(), 2, "{}", tail(&worker.errors()));
    assert_untouched(&world);

    redis::forget(world.setting("OFFBOARDER_CHECKPOINTS_URL"));
    world.publish(
        &messages
            .each_ref()
            .map(|message| json!({ "body": message })),
    );
    // A message that does not say when it was asked for.
    world.publish(&[json!({ "body": json!({ "userId": id(3), "batchId": BATCH }).to_string() })]);
    await_read(&world);
    assert_eq!(world.deletions(), 2, "{}", tail(&worker.errors()));
    assert_untouched(&world);

    let again = world
        .run(&["submit", &id(3), &id(4), "--batch-id", BATCH])
        .expect(0);
    assert!(again.output.contains("submitted again"), "{}", again.output);
    world.await_deleted(&id(3));
    world.await_deleted(&id(4));
    World::drain(worker);
    world.assert_exist(&[(2, true)]);
    let log = world.audit_log(&[]);
    let entry = log.iter().find(|entry| entry["what"] == "cancel");
    assert_eq!(entry.expect("an entry")["count"], 5);
}

fn now() -> String {
    jiff::Timestamp::now().to_string()
}

fn submit(world: &World, message: &Value) {
    let file = world.write("message.jsonl", &format!("{message}\n"));
    world
        .run(&["submit", "--file", &file, "--batch-id", BATCH])
        .expect(0);
}

fn show(world: &World, batch: &str) -> Value {
    let ended = world.run(&["batch", "show", batch, "--output", "json"]);
    ended.json()
}

fn await_waiting(world: &World, why: &str) {
    eventually(PATIENCE, || {
        let shown = show(world, BATCH);
        match list(&shown["waiting"]).first() {
            Some(waiting) if waiting["why"] == why => Ok(()),
            _ => Err(shown.to_string()),
        }
    });
}

/// Every view says so at once, also of a user whose message comes up in centuries.
fn assert_shown(world: &World, delayed: &str) {
    let shown = show(world, BATCH);
    let counts = ["cancelled", "finished", "notBegun", "underWay"].map(|name| &shown[name]);
    // The one who was deleted has no manifest yet, since all workers are paused.
    assert_eq!(
        counts,
        [&json!(3), &json!(1), &json!(0), &json!(1)],
        "{shown}"
    );
    assert_eq!(shown["waiting"], json!([]), "{shown}");
    assert_eq!(shown["stillHaveAccess"], Value::Null, "{shown}");
    let status = world.run(&["status", delayed]).expect(0).output;
    for says in [
        "cancelled with batch wrong-list",
        "HR erred",
        "at 2999-01-01",
    ] {
        assert!(status.contains(says), "{says}: {status}");
    }
    let users = world.json(&["users", "list", "--batch", BATCH], 0);
    let cancelled = list(&users["users"]).iter();
    let cancelled = cancelled
        .filter(|user| user["standing"] == "cancelled")
        .count();
    assert_eq!(cancelled, 3, "{users}");
    let access = world.json(&["users", "list", "--access"], 0);
    assert_eq!(access["users"], json!([]), "{access}");
}

fn assert_untouched(world: &World) {
    for user in [3, 4] {
        let id = &world.users[user].id;
        assert_eq!(world.user_now(id)["active"], true, "user {user}");
        assert_eq!(ledger::writes_of(&world.simulator, id), 0, "user {user}");
    }
}

fn await_read(world: &World) {
    eventually(PATIENCE, || {
        let waits = world.depth("offboarding.users").unwrap_or(0) + world.messages_in_flight();
        if waits == 0 {
            Ok(())
        } else {
            Err(format!("{waits} messages"))
        }
    });
}

/// The end of each of these users is announced.
fn await_events(world: &World, users: &[String]) {
    eventually(PATIENCE, || {
        let events = world.messages(RESULTS);
        let is_cancelled = |user: &String| {
            events.iter().any(|event| {
                let body = event["body"].as_str().unwrap_or_default();
                event["routingKey"] == "user.cancelled" && body.contains(user.as_str())
            })
        };
        match users.iter().find(|user| !is_cancelled(user)) {
            None => Ok(()),
            Some(user) => Err(format!("no event of {user}")),
        }
    });
}

trial!(
    "users of a paused batch wait while another batch continues, also after a crash, and continue when it is resumed",
    paused_batch
);

fn paused_batch(place: usize) {
    let world = World::with_topology(place, deletable(place, 3, 4));
    let id = |user: usize| world.users[user].id.as_str();
    let pause = ["batch", "pause", BATCH, "--why", "HR checks the list"];
    world.run(&pause).expect(0);
    let again = world.run(&pause).expect(0);
    assert!(again.output.contains("already paused"), "{}", again.output);
    world
        .run(&["submit", id(0), id(1), "--batch-id", BATCH])
        .expect(0);
    world
        .run(&["submit", id(2), "--batch-id", "right"])
        .expect(0);

    let mut worker = world.start(&["worker"]);
    world.await_deleted(id(2));
    await_waiting(&world, "batch_paused");
    worker.signal("KILL");
    worker.end(Duration::from_secs(10));
    let worker = world.start(&["worker"]);
    let shown = show(&world, BATCH);
    assert_eq!(shown["pause"]["why"], "HR checks the list", "{shown}");
    assert_eq!(shown["timeLeftSeconds"], Value::Null, "{shown}");
    let table = world.run(&["batch", "show", BATCH]).expect(0).output;
    assert!(table.contains("is paused by"), "{table}");
    let batches = world.json(&["batch", "list"], 0);
    let paused = list(&batches["batches"]).iter();
    let paused: Vec<&Value> = paused.filter(|batch| !batch["pause"].is_null()).collect();
    assert_eq!(paused.len(), 1, "{batches}");
    assert_eq!(paused[0]["batchId"], BATCH);
    for user in [0, 1] {
        assert_eq!(ledger::writes_of(&world.simulator, id(user)), 0);
    }

    world
        .run(&["batch", "resume", BATCH, "--why", "the list is right"])
        .expect(0);
    world.await_deleted(id(0));
    world.await_deleted(id(1));
    let status = world.json(&["status", id(0)], 0);
    assert_eq!(status["users"][0]["attempts"], 0, "{status}");
    World::drain(worker);
}
