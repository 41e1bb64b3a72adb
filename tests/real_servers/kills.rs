//! A worker that dies before and after every effect, one user for each place.

use std::time::Duration;

use serde_json::json;

use crate::support::population::{Outcome, User};
use crate::support::process::Process;
use crate::support::world::World;
use crate::support::{eventually, ledger, promises, redis, servers, trial};

/// More than there are places.
const USERS: usize = 120;
const PATIENCE: Duration = Duration::from_mins(1);

trial!("killed before and after every effect, then Redis set back to each, a user ends right, and nothing is left over", with_redis_kept);

/// Once all are done, Redis gets back what it held at each of the kills, and every message comes again.
fn with_redis_kept(place: usize) {
    let mut snapshots = Vec::new();
    let world = sweep(place, |world, user_id| {
        snapshots.push(redis::snapshot(
            world.setting("OFFBOARDER_CHECKPOINTS_URL"),
            user_id,
        ));
    });
    assert!(
        snapshots.iter().any(|snapshot| !snapshot.is_empty()),
        "Redis held checkpoints"
    );
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
    assert_eq!(
        ledger::count(&world.simulator, "delete_user"),
        deletions,
        "nobody is deleted again"
    );
}

trial!("the same with a Redis that forgot everything at each of the kills", with_redis_flushed);

fn with_redis_flushed(place: usize) {
    sweep(place, |world, _| {
        redis::forget(world.setting("OFFBOARDER_CHECKPOINTS_URL"))
    });
}

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

fn not_seen(died_at: &[String]) -> Vec<String> {
    let places = EFFECTS
        .iter()
        .flat_map(|effect| ["before", "after"].map(|side| format!("{side} {effect}")));
    places.filter(|place| !died_at.contains(place)).collect()
}

/// The worker that takes up the user of one place dies there; the next one has to finish this user and dies
/// at the next place, with the next user. The archives are of two parts each. Places are counted in
/// the order in which a worker meets them, which is not always the same: what was missed is tried by name
/// at the end.
fn sweep(place: usize, mut after_the_kill: impl FnMut(&World, &str)) -> World {
    let user =
        |number| User::new(place, number, Outcome::Deleted, 6).with_large_conversations(1_100_000);
    let mut world = World::with_topology(place, (0..USERS).map(user).collect());
    world.set("OFFBOARDER_WORKER_LEASE", "1s");
    let mut died_at: Vec<String> = Vec::new();
    let (mut number, mut count, mut by_name) = (0, 1, None);
    loop {
        assert!(
            number < USERS,
            "no worker died {:?}: {died_at:#?}",
            not_seen(&died_at)
        );
        let id = world.users[number].id.clone();
        let at = by_name.take().unwrap_or_else(|| count.to_string());
        let kill = ("KILL_OFFBOARDER_AT".to_owned(), format!("{id}:{at}"));
        let mut worker = world.start_with(&["worker"], &[kill]);
        if let Some(before) = number.checked_sub(1) {
            await_end(&world, &world.users[before].id, &worker);
        }
        world.publish(&[json!({ "body": id })]);
        number += 1;
        let mut quiet = 0;
        let ended = eventually(PATIENCE, || {
            // The last effects come after the user is gone and the queues are empty.
            let gone =
                world.user_now(&id)["exists"] == false && promises::busy_queues(&world).is_empty();
            quiet = if gone { quiet + 1 } else { 0 };
            match worker.ended() {
                Some(_) => Ok(true),
                None if quiet == 10 => Ok(false),
                None => Err(format!(
                    "neither killed at place {at} nor done: {}",
                    worker.errors()
                )),
            }
        });
        if ended {
            let errors = worker.errors();
            let place = errors
                .lines()
                .rev()
                .find_map(|line| line.strip_prefix("KILLED AT "));
            died_at.push(
                place
                    .unwrap_or_else(|| panic!("it ended by itself: {errors}"))
                    .to_owned(),
            );
            after_the_kill(&world, &id);
            count += 1;
            continue;
        }
        promises::await_quiet(&world, PATIENCE);
        World::drain(worker);
        by_name = not_seen(&died_at).into_iter().next();
        if by_name.is_none() {
            break;
        }
    }
    world.users.truncate(number);
    promises::assert_kept(&world, &servers::shared());
    world
}

/// The user is done with: the manifest is stored.
fn await_end(world: &World, id: &str, worker: &Process) {
    let key = format!("{id}_audit.json");
    eventually(PATIENCE, || {
        let gone = world.user_now(id)["exists"] == false;
        let ended = gone && world.objects().exists(&key);
        if ended { Ok(()) } else { Err(worker.errors()) }
    });
}
