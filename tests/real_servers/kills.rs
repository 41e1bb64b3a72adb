//! A worker that dies before and after every effect, one user for each failpoint.

use std::time::Duration;

use crate::support::population::{Outcome, User};
use crate::support::sweep::{self, DELETION, EFFECTS};
use crate::support::world::World;
use crate::support::{promises, redis, servers, trial};

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
    let world = die_everywhere(place, |world, user_id| {
        let url = world.setting("OFFBOARDER_CHECKPOINTS_URL");
        snapshots.push(redis::snapshot(url, user_id));
    });
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
}

trial!(
    "the same with a Redis that forgot everything at each of the kills",
    with_redis_flushed,
    seconds = 200
);

fn with_redis_flushed(place: usize) {
    die_everywhere(place, |world, _| {
        redis::forget(world.setting("OFFBOARDER_CHECKPOINTS_URL"));
    });
}

/// The archives are of two parts each.
fn die_everywhere(place: usize, after_the_kill: impl FnMut(&World, &str)) -> World {
    let user =
        |number| User::new(place, number, Outcome::Deleted, 6).with_large_conversations(1_100_000);
    let mut world = World::with_topology(place, (0..USERS).map(user).collect());
    world.set("OFFBOARDER_WORKER_LEASE", "1s");
    let wanted = sweep::around(&[&EFFECTS[..], &[DELETION]].concat());
    sweep::die_everywhere(&mut world, &wanted, after_the_kill);
    promises::assert_kept(&world, &servers::shared());
    world
}
