//! One user, several workers.

use serde_json::json;

use crate::support::ledger::{self, Repetition};
use crate::support::population::{Outcome, User, mixed};
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, promises, redis, servers, trial};

trial!(
    "a hundred duplicates over three workers are one off-boarding",
    a_hundred_duplicates,
    seconds = 60
);

fn a_hundred_duplicates(place: usize) {
    let world = World::with_topology(place, vec![User::new(place, 0, Outcome::Deleted, 12)]);
    let workers: Vec<_> = (0..3).map(|_| world.start(&["worker"])).collect();
    let duplicate = json!({ "body": world.users[0].id });
    world.publish(&vec![duplicate; 100]);
    promises::await_quiet(&world, PATIENCE);
    workers.into_iter().for_each(World::drain);
    promises::assert_kept(&world, &servers::shared());
    ledger::assert_histories(&world.simulator, &world.users, Repetition::None);
}

trial!(
    "a worker that was paused until its lease ran out writes nothing more",
    a_paused_worker
);

/// Paused in its archive, while the next worker takes the user over and ends it.
fn a_paused_worker(place: usize) {
    let users = vec![User::new(place, 0, Outcome::Deleted, 60).with_large_conversations(1_300_000)];
    let flags = ["--latency-analytics", "300ms"];
    let mut world = World::on(servers::shared(), place, users, &flags);
    world.declare();
    world.set("OFFBOARDER_WORKER_LEASE", "1s");
    let paused = world.start(&["worker"]);
    let message = json!({ "body": world.users[0].id });
    world.publish(std::slice::from_ref(&message));
    world.await_calls("next_conversations", 4);
    paused.signal("STOP");
    let next = world.start(&["worker"]);

    // The first message is still in flight to a worker that does not move.
    world.publish(&[message]);
    world.await_deleted(&world.users[0].id);
    let url = world.setting("OFFBOARDER_CHECKPOINTS_URL");
    let finished = eventually(PATIENCE, || match redis::body(url, &world.users[0].id) {
        Some(body) if body.contains("_audit.json") => Ok(body),
        body => Err(format!("{body:?}")),
    });
    let deletions = world.deletions();
    paused.signal("CONT");
    paused.await_log("the lease is lost");
    promises::await_quiet(&world, PATIENCE);
    for worker in [paused, next] {
        World::drain(worker);
    }
    assert_eq!(
        redis::body(url, &world.users[0].id),
        Some(finished),
        "the late worker changed nothing"
    );
    assert_eq!(world.deletions(), deletions);
    promises::assert_kept(&world, &servers::shared());
}

trial!(
    "workers that know nothing of each other end every user well, in one manifest each",
    strangers
);

/// Each with checkpoints of its own, so that no lease keeps them apart: what is safe is safe without.
fn strangers(place: usize) {
    // A deletion that takes a while is accepted from both, which is harmless.
    let mut users = mixed(place, 40);
    users.retain(|user| user.outcome != Outcome::DeletedLater);

    // A worker that stored the seal and finds the user gone cannot know that the other continued from
    // it.
    for user in users
        .iter_mut()
        .filter(|user| user.outcome == Outcome::Deleted)
    {
        user.outcome = Outcome::DeletedByEither;
    }

    let world = World::with_topology(place, users);
    let one = world.start(&["worker"]);
    let another = world.start_with(&["worker"], &[other_checkpoints(&world)]);
    world.publish_all();
    world.publish_all();
    promises::await_quiet(&world, PATIENCE);
    World::drain(one);
    World::drain(another);
    promises::assert_kept(&world, &servers::shared());
}

/// The setting of a worker whose checkpoints no other has.
fn other_checkpoints(world: &World) -> (String, String) {
    let name = "OFFBOARDER_CHECKPOINTS_URL";
    let (server, _) = world.setting(name).rsplit_once('/').expect("a database");
    let url = format!("{server}/{}", servers::SPARE_DATABASE);
    (name.to_owned(), url)
}

trial!(
    "a worker whose user is deleted by another between its first look and its first call finds the manifest",
    overtaken
);

/// Where Redis forgot: nothing was stored when this worker looked, and the API does not know the user any more.
fn overtaken(place: usize) {
    let users = vec![User::new(place, 0, Outcome::DeletedByEither, 4)];
    let world = World::with_topology(place, users);
    let slow = json!({ "kind": "latency", "ms": 5_000 });
    world.strike(0, "*", 0, 1, &slow);
    let other = other_checkpoints(&world);
    let url = other.1.clone();
    let overtaken = world.start_with(&["worker"], &[other]);
    world.publish_all();
    let lease = format!("offboarder:{{{}}}:lease", world.users[0].id);
    eventually(PATIENCE, || match redis::expires_in_ms(&url, &lease) {
        -2 => Err("it is not claimed".to_owned()),
        _claimed => Ok(()),
    });
    let one = world.start(&["worker"]);
    // The broker gives some of them to each.
    world.publish(&vec![json!({ "body": world.users[0].id }); 8]);
    world.await_deleted(&world.users[0].id);
    promises::await_quiet(&world, PATIENCE);
    World::drain(overtaken);
    World::drain(one);
    promises::assert_kept(&world, &servers::shared());
}
