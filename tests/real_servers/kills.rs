//! A worker that dies before and after every effect, one user for each failpoint.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::evidence_log;
use crate::support::population::{Outcome, User};
use crate::support::sweep::{self, DELETION, EFFECTS};
use crate::support::world::World;
use crate::support::{failpoint, list, promises, redis, servers, trial};

/// More than there are failpoints.
const USERS: usize = 120;
const PATIENCE: Duration = Duration::from_mins(1);

trial!(
    "killed before and after every effect, then Redis set back to each, a user ends right, and nothing is left over",
    with_redis_kept,
    seconds = 200
);

/// Once all are done, Redis gets back what it held at each of the kills, and every message comes
/// again.
fn with_redis_kept(place: usize) {
    let mut snapshots = Vec::new();
    let mut taken = Vec::new();
    let log = |world: &mut World| {
        evidence_log::switch_on(world);
        // Watchdogs keep their times until the log is read at the end.
        world.unset(failpoint::TIME_SCALE);
    };
    let mut world = die_everywhere(place, log, |world, user_id| {
        let url = world.setting("OFFBOARDER_CHECKPOINTS_URL");
        let snapshot = redis::snapshot(url, user_id);
        let manifest = format!("{user_id}_audit.json");
        if !snapshot.is_empty() && !world.objects().exists(&manifest) {
            taken.push(manifest);
        }
        snapshots.push(snapshot);
    });
    assert_names_the_dead(&world, &taken);
    let are_empty = snapshots.iter().all(Vec::is_empty);
    assert!(!are_empty, "Redis held checkpoints");

    let url = world.setting("OFFBOARDER_CHECKPOINTS_URL");
    redis::forget(url);
    for snapshot in &snapshots {
        redis::restore(url, snapshot);
    }
    let deletions = world.deletions();
    let worker = world.start(&["worker"]);
    world.publish_all();
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    promises::assert_kept(&world, &servers::shared());
    assert_eq!(world.deletions(), deletions, "nobody is deleted again");

    world.set(failpoint::TIME_SCALE, evidence_log::FAST);
    let worker = world.start(&["worker"]);
    evidence_log::await_logged(&world, &evidence_log::manifests(&world));
    World::drain(worker);
}

/// Each of these manifests names the worker that died, and the one that continued.
fn assert_names_the_dead(world: &World, manifests: &[String]) {
    assert!(manifests.len() > 20, "{manifests:?}");
    for key in manifests {
        let manifest: Value = serde_json::from_str(&world.objects().text(key)).expect("JSON");
        let names: BTreeSet<_> = list(&manifest["workers"])
            .iter()
            .map(Value::to_string)
            .collect();
        assert!(names.len() > 1, "{manifest:#}");
        assert_eq!(
            list(&manifest["workers"]).last(),
            Some(&manifest["actor"]["worker"])
        );
    }
}

trial!(
    "the same with a Redis that forgot everything at each of the kills",
    with_redis_flushed,
    seconds = 200
);

fn with_redis_flushed(place: usize) {
    die_everywhere(
        place,
        |_| {},
        |world, _| {
            redis::forget(world.setting("OFFBOARDER_CHECKPOINTS_URL"));
        },
    );
}

/// The archives are of two parts each.
fn die_everywhere(
    place: usize,
    prepare: impl FnOnce(&mut World),
    after_the_kill: impl FnMut(&World, &str),
) -> World {
    let user =
        |number| User::new(place, number, Outcome::Deleted, 6).with_large_conversations(1_100_000);
    let mut world = World::with_topology(place, (0..USERS).map(user).collect());
    world.set("OFFBOARDER_WORKER_LEASE", "1s");
    prepare(&mut world);
    let wanted = sweep::around(&[&EFFECTS[..], &[DELETION]].concat());
    sweep::die_everywhere(&mut world, &wanted, after_the_kill);
    promises::assert_kept(&world, &servers::shared());
    world
}
