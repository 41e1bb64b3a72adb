//! Replaying dead letters, and canaries.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{ask, fail_calls, refused};
use crate::support::population::{deletable, user_id};
use crate::support::world::{DEAD, PATIENCE, World};
use crate::support::{eventually, ledger, list, promises, servers, status, trial};

const USERS: &str = "offboarding.users";
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

trial!(
    "a replay ends users at the step that failed, and takes nothing that arrives after it began",
    replaying
);

fn replaying(place: usize) {
    let world = dead_in_their_archive(place);

    // One every two seconds.
    let mut replay = world.start(&[
        "dead-letters",
        "replay",
        "--all",
        "--anyway",
        "--rate",
        "30/m",
        "--why",
        "fixed",
        "--output",
        "json",
    ]);
    eventually(PATIENCE, || match world.depth("offboarding.archive") {
        Some(1..) => Ok(()),
        depth => Err(format!("{depth:?} replayed: {}", replay.errors())),
    });
    let worker = world.start(&["worker"]);
    let late = user_id(place, 99);
    world.publish(&[json!({ "body": late })]);
    let status = replay.end(PATIENCE);
    assert_eq!(status.code(), Some(0), "{}", replay.errors());
    let report: Value = serde_json::from_str(&replay.output()).expect("JSON");
    assert_eq!(list(&report["moved"]).len(), 4, "{report:#}");

    world.await_dead_letters(1);
    let left = ask(&world, &["list"], 0);
    assert_eq!(left["letters"][0]["userId"], late);
    assert_eq!(left["letters"][0]["replays"], 0, "{left:#}");
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);

    promises::assert_manifests(&world, &servers::shared());
    assert_nothing_done_again(&world);
    assert_in_audit_log(&world);
    assert_published_as_it_was(&world, place);
}

/// Four users whose conversations could not be read, each with a message of an upstream system.
fn dead_in_their_archive(place: usize) -> World {
    let mut world = World::with_topology(place, deletable(place, 4, 9));
    world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", "2");
    (0..4).for_each(|user| fail_calls(&world, user, "query_conversations", &status(500)));
    let messages = world.users.iter().map(|user| {
        json!({
            "body": json!({ "userId": user.id, "ticket": 7 }).to_string(),
            "headers": { "traceparent": TRACE },
            "properties": { "message_id": user.id, "app_id": "hr" },
        })
    });

    let worker = world.start(&["worker"]);
    world.publish(&messages.collect::<Vec<_>>());
    world.await_dead_letters(4);
    World::drain(worker);
    world.end_faults();
    world
}

/// All users have as many writes as one whose off-boarding was never interrupted.
fn assert_nothing_done_again(world: &World) {
    let writes = |id: &str| ledger::writes_of(&world.simulator, id);
    let users = world.users.iter();
    let fewest = users.map(|user| writes(&user.id)).min().expect("users");
    for user in &world.users {
        assert_eq!(writes(&user.id), fewest, "{}", user.id);
    }
}

fn assert_in_audit_log(world: &World) {
    let entries = world.audit_log(&[]);
    let shown: Vec<_> = entries
        .iter()
        .map(|entry| [&entry["what"], &entry["count"]])
        .collect();
    assert_eq!(
        shown,
        [
            [&json!("dead-letters replay ended"), &json!(4)],
            [&json!("dead-letters replay"), &json!(4)]
        ]
    );
    assert_eq!(entries[1]["why"], "fixed");
}

/// What a replay publishes is the message that was, with nothing of the dead letter, and it counts
/// its replays.
fn assert_published_as_it_was(world: &World, place: usize) {
    let user = user_id(place, 77);
    let body = json!({ "userId": user, "ticket": 7 }).to_string();
    let headers = json!({ "traceparent": TRACE, "x-offboarder-revision": 1 });
    let properties = json!({ "message_id": "m-9", "correlation_id": "c-9", "app_id": "hr" });
    let worker = world.start(&["worker"]);
    world.publish(&[
        json!({ "body": body, "key": "users.urgent", "headers": headers, "properties": properties }),
    ]);
    world.await_dead_letters(2);
    World::drain(worker);

    ask(world, &["replay", "--anyway", "--user", &user], 0);
    let published = world.messages("offboarding.users.urgent");
    let [published] = published.as_slice() else {
        panic!("{published:#?}")
    };
    assert_eq!(published["body"], body);
    let properties = &published["properties"];
    assert_eq!(properties["message_id"], "m-9");
    assert_eq!(properties["correlation_id"], "c-9");
    assert_eq!(properties.get("app_id"), None, "it is not passed on");

    let headers = published["headers"].as_object().expect("headers");
    let names: BTreeSet<&str> = headers.keys().map(String::as_str).collect();
    let kept = [
        "traceparent",
        "x-offboarder-admitted",
        "x-offboarder-replayed-at",
        "x-offboarder-replayed-fault",
        "x-offboarder-replays",
        "x-offboarder-stand-in",
        "x-offboarder-trace-link",
    ];
    let names = names.into_iter().filter(|name| *name != "x-delivery-count");
    assert_eq!(names.collect::<Vec<_>>(), kept);

    let worker = world.start(&["worker"]);
    world.await_dead_letters(2);
    World::drain(worker);
    let again = ask(world, &["groups"], 0);
    assert_eq!(again["groups"][0]["replayedBefore"], 1, "{again:#}");
}

trial!(
    "a canary stops at the fault that comes back, and moves the rest once it is fixed",
    canary
);

fn canary(place: usize) {
    let world = refused(place, 15);
    let worker = world.start(&["worker"]);
    world.run(&["dead-letters", "replay"]).expect(2);
    ask(&world, &["replay", "--all"], 4);
    let stopped = ask(&world, &["replay", "--all", "--canary"], 1);
    assert_eq!(list(&stopped["moved"]).len(), 1, "{stopped:#}");
    assert_eq!(stopped["groups"][0]["cameBack"], 1, "{stopped:#}");
    assert_eq!(list(&stopped["skipped"]).len(), 14, "{stopped:#}");
    let why = stopped["stopped"].as_str().expect("why");
    assert!(why.contains("came back"), "{stopped:#}");
    world.await_dead_letters(15);

    // The first of the dead letters ends well now; one of the ten that follow does not.
    world.end_faults();
    let listed = ask(&world, &["list"], 0);
    let fifth = &listed["letters"][5]["userId"];
    let mut users = world.users.iter();
    let fifth = users.position(|user| *fifth == user.id.as_str());
    let fifth = fifth.expect("a user");
    fail_calls(&world, fifth, "get_routing_profile", &status(400));
    let stopped = ask(&world, &["replay", "--all", "--canary"], 1);
    assert_eq!(list(&stopped["moved"]).len(), 11, "{stopped:#}");
    world.await_dead_letters(5);

    world.end_faults();
    let moved = ask(
        &world,
        &["replay", "--all", "--canary", "--why", "fixed"],
        0,
    );
    assert_eq!(list(&moved["moved"]).len(), 5, "{moved:#}");
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    promises::assert_kept(&world, &servers::shared());

    assert_canary_ends_without_worker(&world, place);
}

fn assert_canary_ends_without_worker(world: &World, place: usize) {
    let unknown = (90..92).map(|number| json!({ "body": user_id(place, number) }));
    let worker = world.start(&["worker"]);
    world.publish(&unknown.collect::<Vec<_>>());
    world.await_dead_letters(2);
    World::drain(worker);

    let canary = [
        "replay",
        "--all",
        "--canary",
        "--anyway",
        "--canary-wait",
        "1s",
    ];
    let stopped = ask(world, &canary, 1);
    let why = stopped["stopped"].as_str().expect("why");
    assert!(why.contains("is a worker running?"), "{stopped:#}");
    assert_eq!(world.depth(DEAD), Some(1));
    assert_eq!(world.depth(USERS), Some(1));
}
