//! `reactivate`: a user who was off-boarded by mistake gets everything back while the deletion has not happened, and never
//! both happen.

use serde_json::{Value, json};

use crate::support::failpoint::{die_at, died_at};
use crate::support::population::deletable;
use crate::support::process::{Process, tail};
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, http, list, promises, trial};

const GRACE: &str = "OFFBOARDER_GUARD_DELETE_GRACE";
const WHY: [&str; 2] = ["--why", "HR sent a wrong list"];

/// A user as the tenant has it, in an order that does not change.
fn now(world: &World, user: usize) -> Value {
    let mut now = world.user_now(&world.users[user].id);
    for member in ["owns", "supervises", "queues", "groups", "accessKeys"] {
        if let Some(values) = now[member].as_array_mut() {
            values.sort_by_key(Value::to_string);
        }
    }
    // It counts changes.
    now["version"] = Value::Null;
    now
}

/// What the command says of one user, whose end has this status.
#[track_caller]
fn reactivate(world: &World, user: usize, code: i32) -> Value {
    let id = world.users[user].id.as_str();
    let report = world.json(&[&["reactivate", id], &WHY[..]].concat(), code);
    let users = list(&report["users"]);
    assert_eq!(users.len(), 1, "{report:#}");
    users[0].clone()
}

fn submit(world: &World, user: usize) {
    world.run(&["submit", &world.users[user].id]).expect(0);
}

fn await_archived(world: &World, user: usize) {
    eventually(PATIENCE, || {
        let status = world.run(&["status", &world.users[user].id, "--output", "json"]);
        let status = status.json()["users"][0].clone();
        if status["waitsFor"] == "not_due" {
            Ok(())
        } else {
            Err(status.to_string())
        }
    });
}

trial!(
    "who is off-boarded by mistake gets everything back within the grace, and a later request off-boards again",
    within_the_grace,
    seconds = 30
);

fn within_the_grace(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 2, 4));
    world.set(GRACE, "1h");
    let before = [now(&world, 0), now(&world, 1)];
    let worker = world.start(&["worker"]);
    for user in [0, 1] {
        submit(&world, user);
    }
    for user in [0, 1] {
        await_archived(&world, user);
        assert_eq!(now(&world, user)["active"], false, "user {user}");
        assert_eq!(now(&world, user)["queues"], json!([]), "user {user}");
    }

    let back = reactivate(&world, 0, 0);
    assert_eq!(back["outcome"], "reactivated", "{back:#}");
    assert_eq!(now(&world, 0), before[0]);
    assert_eq!(reactivate(&world, 0, 0)["outcome"], "already_reactivated");
    let status = world.run(&["status", &world.users[0].id]).expect(0).output;
    for says in ["cancelled by", "reactivated at", "_reactivated.json"] {
        assert!(status.contains(says), "{says}: {status}");
    }
    let log = world.audit_log(&[]);
    let entry = log.iter().find(|entry| entry["what"] == "reactivate");
    assert_eq!(entry.expect("an entry")["why"], WHY[1]);

    let path = format!("/api/v1/users/{}/reactivate", world.users[1].id);
    let signed = json!({ "who": "ada", "why": WHY[1] });
    let back = http::request("POST", &worker.admin(), &path, Some(&signed));
    assert_eq!(back["outcome"], "reactivated", "{back:#}");
    assert_eq!(now(&world, 1), before[1]);
    World::drain(worker);

    world.unset(GRACE);
    let worker = world.start(&["worker"]);
    submit(&world, 0);
    world.await_deleted(&world.users[0].id);
    World::drain(worker);
    assert_eq!(reactivate(&world, 0, 4)["refusal"], "deleted");
    world.assert_exist(&[(0, false), (1, true)]);
    world.run(&["verify", &world.users[0].id]).expect(0);
}

/// Waits until this worker has died at this point.
fn await_death(mut worker: Process, place: &str) {
    worker.end(PATIENCE);
    let errors = worker.errors();
    assert_eq!(died_at(&errors), Some(place), "{}", tail(&errors));
}

trial!(
    "a worker that dies before its decision deletes nobody who was reactivated, and after it nobody is reactivated",
    the_race,
    seconds = 40
);

fn the_race(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 2, 4));
    world.set(GRACE, "1s");
    world.set("OFFBOARDER_WORKER_LEASE", "2s");
    let before = now(&world, 0);
    // One after the other: the next worker takes the message of the one that died.
    let ends = [
        ("before the fate", 0, "outcome", "reactivated"),
        ("after the fate", 4, "refusal", "deletion_decided"),
    ];
    for (user, (point, code, member, end)) in ends.into_iter().enumerate() {
        let worker = world.start_with(&["worker"], &die_at(&world.users[user].id, point));
        submit(&world, user);
        await_death(worker, point);
        let back = reactivate(&world, user, code);
        assert_eq!(back[member], end, "{back:#}");
    }

    let worker = world.start(&["worker"]);
    world.await_deleted(&world.users[1].id);
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    assert_eq!(now(&world, 0), before);
    assert_eq!(world.deletions(), 1);
}

trial!(
    "a reactivation that dies after its decision is finished by the same command, and no worker deletes the user before",
    the_command_dies,
    seconds = 30
);

fn the_command_dies(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 1, 4));
    world.set(GRACE, "1h");
    let before = now(&world, 0);
    let worker = world.start(&["worker"]);
    submit(&world, 0);
    await_archived(&world, 0);
    let taken = now(&world, 0);

    let id = world.users[0].id.clone();
    world.set("OFFBOARDER_WORKER_LEASE", "2s");
    let arguments = [&["reactivate", id.as_str()], &WHY[..]].concat();
    let command = world.start_with(&arguments, &die_at(&id, "after the fate"));
    await_death(command, "after the fate");
    assert_eq!(now(&world, 0), taken);

    let back = reactivate(&world, 0, 0);
    assert_eq!(back["outcome"], "reactivated", "{back:#}");
    assert_eq!(now(&world, 0), before);
    World::drain(worker);
    assert_eq!(world.deletions(), 0);
}

trial!(
    "what could not be given back is listed and given back later, and without a before-image nothing is touched",
    not_given_back,
    seconds = 20
);

fn not_given_back(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 2, 4));
    world.set("OFFBOARDER_GUARD_DELETE", "never");
    world
        .run(&["run", &world.users[1].id, "--action", "deactivate"])
        .expect(0);
    let without_image = now(&world, 1);
    world.set(GRACE, "1h");
    let before = now(&world, 0);
    world.run(&["run", &world.users[0].id]).expect(0);

    let gone = json!({ "kind": "status", "status": 404, "code": "not_found" });
    world.strike_all("get_queue", &gone);
    let back = reactivate(&world, 0, 1);
    assert_eq!(back["outcome"], "incomplete", "{back:#}");
    let missing = list(&back["notGivenBack"]);
    assert!(!missing.is_empty(), "{back:#}");
    for one in missing {
        assert_eq!(one["why"], "the queue does not exist any more", "{one}");
    }
    assert_eq!(now(&world, 0)["active"], true);
    world.end_faults();
    assert_eq!(reactivate(&world, 0, 0)["outcome"], "reactivated");
    assert_eq!(now(&world, 0), before);

    let refused = reactivate(&world, 1, 1);
    assert_eq!(refused["refusal"], "no_before_image", "{refused:#}");
    assert_eq!(now(&world, 1), without_image);
}
