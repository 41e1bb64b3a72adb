//! Users who wait are moved to the urgent lane over HTTP.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{READER, ask, audit_log, code, get, post, with_tokens};
use crate::support::population::deletable;
use crate::support::world::{DEAD, PATIENCE, World};
use crate::support::{promises, trial};

const URGENT: &str = "/api/v1/urgent";
const URGENT_QUEUE: &str = "offboarding.users.urgent";
const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

trial!(
    "a user who waits behind others is moved to the urgent lane with all that was asked for, and ends once",
    moved,
    seconds = 60
);

fn moved(place: usize) {
    let world = with_tokens(World::with_topology(place, deletable(place, 3, 1)));
    let worker = world.start(&["worker"]);
    let admin = worker.admin();
    world.run(&["pause", "--why", "a look first"]).expect(0);
    worker.await_not_ready("a look first");
    let ids: Vec<&str> = world.users.iter().map(|user| user.id.as_str()).collect();
    let last = ids[2];
    let later = Timestamp::now() + SignedDuration::from_secs(15);
    let after = later.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let order = json!({ "users": ids, "batchId": "b-1", "deleteAfter": after, "who": "hr", "why": "they leave" });
    post(&admin, "/api/v1/submit", &order);

    let order = json!({ "users": [last, UNKNOWN], "who": "ada", "why": "was dismissed" });
    let by_reader = ask(READER, "POST", &admin, URGENT, Some(&order));
    assert_eq!(code(&by_reader, 403), "forbidden");
    // Twice: a second message is as harmless as the first one.
    for _ in 0..2 {
        let moved = post(&admin, URGENT, &order);
        assert_eq!(moved["moved"], json!([last]), "{moved}");
        assert_eq!(moved["refused"][0]["userId"], UNKNOWN, "{moved}");
        assert_eq!(moved["refused"][0]["reason"], "unknown", "{moved}");
    }
    assert_asks_for_the_same(&world, last);
    let entry = &audit_log(&admin, "?limit=1")[0];
    assert_eq!(
        (&entry["what"], &entry["count"]),
        (&json!("urgent"), &json!(1))
    );
    assert_eq!(entry["details"]["users"], json!([last]), "{entry}");

    world.run(&["resume", "--why", "looked"]).expect(0);
    for id in &ids {
        world.await_deleted(id);
    }
    promises::await_quiet(&world, PATIENCE);
    assert!(Timestamp::now() >= later, "nobody was deleted before");
    assert_eq!(
        (world.accepted_deletions(), world.depth(DEAD)),
        (3, Some(0))
    );
    let status = get(&admin, &format!("/api/v1/users/{last}"));
    let request = &status["request"];
    assert_eq!(request["requestedBy"], "hr", "{status}");
    assert_eq!(request["batchId"], "b-1", "{status}");
    assert_eq!(request["deleteAfter"], after.as_str(), "{status}");
    assert!(request["order"].is_string(), "{status}");
    assert_eq!(status["revision"], 1, "{status}");
    let batch = get(&admin, "/api/v1/batches/b-1");
    assert_eq!(
        (&batch["users"], &batch["finished"]),
        (&json!(3), &json!(3)),
        "{batch}"
    );

    let again = post(&admin, URGENT, &order);
    assert_eq!(again["moved"], json!([]), "{again}");
    assert_eq!(again["refused"][1]["reason"], "finished", "{again}");
    World::drain(worker);
}

/// The messages of the urgent queue, and that of this user which waits in the other one.
fn assert_asks_for_the_same(world: &World, user: &str) {
    let read = |message: &Value| {
        let body = message["body"].as_str().expect("a body");
        let body: Value = serde_json::from_str(body).expect("JSON");
        (body, message["headers"]["offboarding-order"].clone())
    };
    let waiting = world.messages("offboarding.users");
    let waiting = waiting.iter().map(read);
    let waiting = waiting.filter(|message| message.0["userId"] == user);
    let waiting: Vec<_> = waiting.collect();
    let urgent: Vec<_> = world.messages(URGENT_QUEUE).iter().map(read).collect();
    assert_eq!(
        (waiting.len(), urgent.len()),
        (1, 2),
        "{waiting:?} {urgent:?}"
    );
    for (body, order) in &urgent {
        assert_eq!(*order, waiting[0].1);
        for member in [
            "batchId",
            "deleteAfter",
            "requestedBy",
            "reason",
            "requestedAt",
        ] {
            assert!(body[member].is_string(), "{member}: {body}");
            assert_eq!(body[member], waiting[0].0[member], "{member}");
        }
    }
}
