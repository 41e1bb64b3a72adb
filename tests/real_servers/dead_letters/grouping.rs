//! Dead letters by fault, and whether a replay of them is safe.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{ask, fail_calls};
use crate::support::population::{deletable, user_id};
use crate::support::world::{DEAD, PATIENCE, World};
use crate::support::{list, promises, status, trial};

trial!(
    "dead letters are counted by fault, and a replay is called safe only where something shows it",
    grouping
);

fn grouping(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 8, 4));
    world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", "2");
    let protected = world.write("protected.txt", &world.users[7].id);
    world.set("OFFBOARDER_GUARD_PROTECTED", &protected);
    (0..3).for_each(|user| fail_calls(&world, user, "query_conversations", &status(500)));
    (3..5).for_each(|user| fail_calls(&world, user, "get_routing_profile", &status(400)));
    let worker = world.start(&["worker"]);
    world.publish_all();
    world.publish(&[
        json!({ "body": "no message" }),
        json!({ "body": user_id(place, 99) }),
    ]);
    world.await_dead_letters(8);
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);

    assert_groups(&world);
    world.write("protected.txt", "# nobody\n");
    assert_nothing_is_safe_without_cxone(&mut world);
    assert_only_the_rest_is_replayed(&world);
}

fn assert_groups(world: &World) {
    let groups = ask(world, &["groups"], 0);
    let summary = |group: &Value| {
        let first = group["firstSeen"].as_str();
        assert!(first.is_some(), "{group:#}");
        assert!(first <= group["lastSeen"].as_str(), "{group:#}");
        assert_eq!(group["replayedBefore"], 0, "{group:#}");

        let text = |name: &str| group[name].as_str().expect("a word").to_owned();
        let assessment = group["judgement"]["verdict"].as_str().expect("a word");
        format!(
            "{} {} {} {} {} {assessment}",
            group["letters"],
            text("reason"),
            text("code"),
            text("step"),
            group["safe"]
        )
    };
    let found: BTreeSet<String> = list(&groups["groups"]).iter().map(summary).collect();

    let expected = [
        "1 malformed_message malformed_message  false not_yet",
        "1 protected_user protected_user clear_queues false not_yet",
        "1 user_not_found user_not_found clear_queues false not_yet",
        "2 api_rejected cxone_rejected clear_queues false unproven",
        "3 retries_exhausted cxone_server_error archive false unproven",
    ];
    assert_eq!(found, expected.map(str::to_owned).into(), "{groups:#}");
}

/// With CXone away nothing of it is safe, and what does not need CXone is: the user is no longer on
/// the protected list.
fn assert_nothing_is_safe_without_cxone(world: &mut World) {
    world.set("OFFBOARDER_CXONE_BASE_URI", "http://127.0.0.1:9");
    let groups = ask(world, &["groups"], 0);
    let group = |reason: &str| {
        let mut groups = list(&groups["groups"]).iter();
        groups
            .find(|group| group["reason"] == reason)
            .expect("the group")
    };
    let exhausted = group("retries_exhausted");
    assert_eq!(exhausted["safe"], false, "{groups:#}");
    let why = exhausted["judgement"]["why"].as_str().expect("why");
    assert!(why.contains("cannot reach the API"), "{why}");
    assert_eq!(group("protected_user")["safe"], true, "{groups:#}");

    // A dead letter that is not safe to replay stays, and the command says so.
    let skipped = ask(world, &["replay", "--reason", "retries_exhausted"], 4);
    assert_eq!(skipped["moved"], json!([]), "{skipped:#}");
    assert_eq!(world.depth(DEAD), Some(8));

    let simulator = world.simulator.clone();
    world.set("OFFBOARDER_CXONE_BASE_URI", &simulator);
}

/// One of the users was submitted again since.
fn assert_only_the_rest_is_replayed(world: &World) {
    world.end_faults();
    let worker = world.start(&["worker"]);
    let again = &world.users[0].id;
    world.run(&["submit", again]).expect(0);
    world.await_deleted(again);
    promises::await_quiet(world, PATIENCE);

    let replay = ["replay", "--reason", "retries_exhausted", "--canary"];
    let replayed = ask(world, &replay, 1);
    assert_eq!(list(&replayed["moved"]).len(), 2, "{replayed:#}");
    let skipped = &replayed["skipped"][0];
    assert_eq!(skipped["letter"]["userId"], *again);
    let why = skipped["why"].as_str().expect("why");
    assert!(why.contains("with another message"), "{why}");

    promises::await_quiet(world, PATIENCE);
    World::drain(worker);
    assert_eq!(world.depth(DEAD), Some(6));
}
