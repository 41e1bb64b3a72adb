//! A worker that dies before and after every effect, one user for each place.

use std::time::Duration;

use serde_json::json;

use crate::support::population::{Fate, User};
use crate::support::process::Process;
use crate::support::world::World;
use crate::support::{Test, eventually, ledger, promises, redis, servers};

pub(crate) const TESTS: &[Test] = &[
    (
        "killed before and after every effect, then Redis set back to each, a user ends right, and nothing is left over",
        with_redis_kept,
    ),
    ("the same with a Redis that forgot everything at each of the kills", with_redis_flushed),
];

/// More places than there are; the sweep ends at the first that no worker reaches.
const PLACES: usize = 120;
const PATIENCE: Duration = Duration::from_mins(1);

/// Once all are done, Redis gets back what it held at each of the kills, and every message comes again.
fn with_redis_kept(place: usize) {
    let mut snapshots = Vec::new();
    let world = sweep(place, |world, user_id| {
        snapshots.push(redis::snapshot(world.setting("OFFBOARDER_CHECKPOINTS_URL"), user_id));
    });
    assert!(snapshots.iter().any(|snapshot| !snapshot.is_empty()), "Redis held checkpoints");
    redis::forget(world.setting("OFFBOARDER_CHECKPOINTS_URL"));
    for snapshot in &snapshots {
        redis::restore(world.setting("OFFBOARDER_CHECKPOINTS_URL"), snapshot);
    }
    let deletions = ledger::count(&world.simulator, "delete_user");
    let worker = world.start(&["worker"]);
    world.publish_all();
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    promises::assert_kept(&world, &servers::shared());
    assert_eq!(ledger::count(&world.simulator, "delete_user"), deletions, "nobody is deleted again");
}

fn with_redis_flushed(place: usize) {
    sweep(place, |world, _| redis::forget(world.setting("OFFBOARDER_CHECKPOINTS_URL")));
}

/// The worker that takes up the user of one place dies there; the next one has to finish this user and dies
/// at the next place, with the next user. The archives are of three parts each.
fn sweep(place: usize, mut after_the_kill: impl FnMut(&World, &str)) -> World {
    let user = |number| User::new(place, number, Fate::Deleted, 14).with_large_conversations(1_300_000);
    let mut world = World::with_topology(place, (0..PLACES).map(user).collect());
    world.set("OFFBOARDER_WORKER_LEASE", "1s");
    let mut died_at: Vec<String> = Vec::new();
    let survivor = loop {
        let number = died_at.len();
        let id = world.users[number].id.clone();
        let kill = ("KILL_OFFBOARDER_AT".to_owned(), format!("{id}:{}", number + 1));
        let mut worker = world.start_with(&["worker"], &[kill]);
        if let Some(before) = number.checked_sub(1) {
            await_deletion(&world, &world.users[before].id, &worker);
        }
        world.publish(&[json!({ "body": id })]);
        let mut quiet = 0;
        let ended = eventually(PATIENCE, || {
            // The last effects come after the user is gone and the queues are empty.
            let gone = world.user_now(&id)["exists"] == false && promises::busy_queues(&world).is_empty();
            quiet = if gone { quiet + 1 } else { 0 };
            match worker.ended() {
                Some(_) => Ok(true),
                None if quiet == 10 => Ok(false),
                None => Err(format!("neither killed at place {} nor done: {}", number + 1, worker.errors())),
            }
        });
        if !ended {
            break worker;
        }
        let errors = worker.errors();
        let place = errors.lines().rev().find_map(|line| line.strip_prefix("KILLED AT "));
        died_at.push(place.unwrap_or_else(|| panic!("it ended by itself: {errors}")).to_owned());
        after_the_kill(&world, &id);
    };
    world.users.truncate(died_at.len() + 1);
    promises::await_quiet(&world, PATIENCE);
    World::drain(survivor);
    for effect in [
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
    ] {
        for side in ["before", "after"] {
            let place = format!("{side} {effect}");
            assert!(died_at.contains(&place), "no worker died {place}: {died_at:#?}");
        }
    }
    promises::assert_kept(&world, &servers::shared());
    world
}

fn await_deletion(world: &World, id: &str, worker: &Process) {
    eventually(
        PATIENCE,
        || {
            if world.user_now(id)["exists"] == false { Ok(()) } else { Err(worker.errors()) }
        },
    );
}
