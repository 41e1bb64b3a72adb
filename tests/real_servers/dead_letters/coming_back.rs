//! A fault of single users that is still there after a replay, although the service answers every probe.

use serde_json::{Value, json};

use super::{ask, fail_calls};
use crate::support::population::deletable;
use crate::support::world::{DEAD, PATIENCE, World};
use crate::support::{list, promises, servers, status, trial};

trial!(
    "a fault of single users is never called safe before something shows it, and a group that came back says so",
    came_back
);

fn came_back(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 5, 2));
    world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", "2");
    (0..3).for_each(|user| fail_calls(&world, user, "put_scim_user", &status(500)));
    (3..5).for_each(|user| fail_calls(&world, user, "query_conversations", &status(400)));
    let worker = world.start(&["worker"]);
    world.publish_all();
    world.await_dead_letters(5);

    // Every probe of the service succeeds, and proves nothing.
    let before = group(&world, "retries_exhausted");
    assert_eq!(before["judgement"]["verdict"], "unproven", "{before:#}");
    assert_eq!(before["safe"], false);
    assert_eq!(before["cameBack"], Value::Null);
    assert_eq!(
        before["access"],
        json!({ "stillThere": 3, "gone": 0, "unknown": 0 })
    );

    let name = before["fingerprint"].as_str().expect("a fingerprint");
    let replayed = ask(&world, &["replay", "--group", name, "--anyway"], 0);
    assert_eq!(list(&replayed["moved"]).len(), 3, "{replayed:#}");
    promises::await_quiet(&world, PATIENCE);
    world.await_dead_letters(5);
    assert_came_back(&world, name);
    assert_halt_of_one_group_holds_back_no_other(&world, name);

    // It is fixed: the canary shows it, and what it leaves is safe.
    world.end_faults();
    let canary = ["replay", "--group", name, "--canary", "--limit", "1"];
    let proved = ask(&world, &canary, 0);
    assert_eq!(list(&proved["moved"]).len(), 1, "{proved:#}");
    promises::await_quiet(&world, PATIENCE);
    let after = group(&world, "retries_exhausted");
    assert_eq!(after["judgement"]["verdict"], "safe", "{after:#}");
    assert_eq!(after["lastReplay"]["gotPast"], 1, "{after:#}");
    let rest = ask(&world, &["replay", "--group", name], 0);
    assert_eq!(list(&rest["moved"]).len(), 2, "{rest:#}");

    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    assert_eq!(world.depth(DEAD), Some(0));
    promises::assert_manifests(&world, &servers::shared());
}

/// The group with this reason.
fn group(world: &World, reason: &str) -> Value {
    let groups = ask(world, &["groups", "--reason", reason], 0);
    let [group] = list(&groups["groups"]).as_slice() else {
        panic!("{groups:#}")
    };
    group.clone()
}

fn assert_came_back(world: &World, name: &str) {
    let back = group(world, "retries_exhausted");
    assert_eq!(back["judgement"]["verdict"], "came_back", "{back:#}");
    let why = back["judgement"]["why"].as_str().expect("why");
    assert!(why.starts_with("came back for 3 of 3"), "{why}");
    assert_eq!(back["cameBack"]["count"], 3, "{back:#}");
    assert_eq!(back["cameBack"]["of"], 3, "{back:#}");
    assert!(back["cameBack"]["lastAt"].is_string(), "{back:#}");
    assert_eq!(back["lastReplay"]["cameBack"], 3, "{back:#}");

    let table = world.run(&["dlq", "groups", "--group", name]).expect(0);
    let table = table.output;
    for shown in [
        "no: came back for 3 of 3",
        "access    still there 3",
        "offboarder explain cxone_server_error",
        &format!("replay --group {name} --canary"),
    ] {
        assert!(table.contains(shown), "{shown}: {table}");
    }
    // Without a canary none of them goes.
    let refused = ask(world, &["replay", "--group", name], 4);
    assert_eq!(refused["moved"], json!([]), "{refused:#}");
}

/// One canary over both groups: one fault is still there, and the other one is fixed.
fn assert_halt_of_one_group_holds_back_no_other(world: &World, name: &str) {
    world.end_faults();
    (0..3).for_each(|user| fail_calls(world, user, "put_scim_user", &status(500)));
    let canary = ["replay", "--all", "--canary", "--why", "both"];
    let halted = ask(world, &canary, 1);
    let groups = list(&halted["groups"]);
    let of = |is_wanted: bool| {
        let mut found = groups.iter();
        let found = found.find(|group| (group["group"] == name) == is_wanted);
        found.unwrap_or_else(|| panic!("{halted:#}"))
    };
    let stopped = of(true);
    assert_eq!(stopped["moved"], 1, "{halted:#}");
    assert_eq!(stopped["skipped"], 2, "{halted:#}");
    assert!(stopped["stopped"].is_string(), "{halted:#}");
    let other = of(false);
    assert_eq!(other["moved"], 2, "{halted:#}");
    assert_eq!(other["stopped"], Value::Null, "{halted:#}");
    promises::await_quiet(world, PATIENCE);
    world.await_dead_letters(3);
}
