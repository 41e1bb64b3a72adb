//! A worker that dies before and after every effect, one user for each point at which it can die.

use std::time::Duration;

use serde_json::json;

use crate::support::failpoint::{die_at, died_at};
use crate::support::population::{Outcome, User};
use crate::support::process::Process;
use crate::support::world::World;
use crate::support::{eventually, promises, redis, servers, trial};

/// More than there are points.
const USERS: usize = 120;
const PATIENCE: Duration = Duration::from_mins(1);

/// The effects that every off-boarding has.
const EFFECTS: [&str; 10] = [
    "the claim",
    "the API write",
    "the S3 create",
    "the S3 part",
    "the S3 complete",
    "the S3 put",
    "the DELETE",
    "the save",
    "the publish",
    "the acknowledgement",
];

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

/// A worker dies at the first point at the work on the first user; the next one has to finish this
/// user and dies at the next point, with the next user. The archives are of two parts each. Points are
/// counted in the order in which a worker gets there, which is not always the same: those that were
/// missed are tried by name at the end.
fn die_everywhere(place: usize, mut after_the_kill: impl FnMut(&World, &str)) -> World {
    let user =
        |number| User::new(place, number, Outcome::Deleted, 6).with_large_conversations(1_100_000);
    let mut world = World::with_topology(place, (0..USERS).map(user).collect());
    world.set("OFFBOARDER_WORKER_LEASE", "1s");
    let mut died: Vec<String> = Vec::new();
    let mut by_name = None;

    for number in 0..USERS {
        let id = world.users[number].id.clone();
        let point = by_name
            .take()
            .unwrap_or_else(|| (died.len() + 1).to_string());
        let mut worker = world.start_with(&["worker"], &die_at(&id, &point));
        if let Some(before) = number.checked_sub(1) {
            await_end(&world, &world.users[before].id, &worker);
            // Points are counted in all work from then on: what is left of the users before must not be among it.
            eventually(PATIENCE, || match promises::busy_queues(&world) {
                busy if busy.is_empty() => Ok(()),
                busy => Err(format!("{busy:?}; {}", worker.errors())),
            });
        }
        world.publish(&[json!({ "body": id })]);
        if has_died(&world, &mut worker, &id) {
            let errors = worker.errors();
            let point = died_at(&errors);
            let point = point.unwrap_or_else(|| panic!("it ended by itself: {errors}"));
            died.push(point.to_owned());
            after_the_kill(&world, &id);
            continue;
        }

        promises::await_quiet(&world, PATIENCE);
        World::drain(worker);
        by_name = not_seen(&died).into_iter().next();
        if by_name.is_none() {
            world.users.truncate(number + 1);
            promises::assert_kept(&world, &servers::shared());
            return world;
        }
    }
    panic!("no worker died {:?}: {died:#?}", not_seen(&died));
}

/// Whether the worker dies at the work on a user, or ends it.
fn has_died(world: &World, worker: &mut Process, id: &str) -> bool {
    let mut quiet = 0;
    eventually(PATIENCE, || {
        // The last effects come after the user is deleted and the queues are empty.
        let is_done =
            world.user_now(id)["exists"] == false && promises::busy_queues(world).is_empty();
        quiet = if is_done { quiet + 1 } else { 0 };
        match worker.ended() {
            Some(_) => Ok(true),
            None if quiet == 10 => Ok(false),
            None => Err(format!("neither killed nor done: {}", worker.errors())),
        }
    })
}

fn not_seen(died: &[String]) -> Vec<String> {
    let points = EFFECTS
        .iter()
        .flat_map(|effect| ["before", "after"].map(|side| format!("{side} {effect}")));
    points.filter(|point| !died.contains(point)).collect()
}

/// Waits until the manifest of a user is stored.
fn await_end(world: &World, id: &str, worker: &Process) {
    let key = format!("{id}_audit.json");
    eventually(PATIENCE, || {
        let is_deleted = world.user_now(id)["exists"] == false;
        if is_deleted && world.objects().exists(&key) {
            Ok(())
        } else {
            Err(worker.errors())
        }
    });
}
