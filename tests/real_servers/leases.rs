//! One user, several workers.

use std::time::Duration;

use serde_json::json;

use crate::support::ledger::{self, Repetition};
use crate::support::population::{Outcome, User, mixed};
use crate::support::process::tail;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, promises, redis, servers, trial};

trial!("a hundred duplicates over three workers are one off-boarding", a_hundred_duplicates);

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

trial!("a worker that was paused until its lease ran out writes nothing more", a_paused_worker);

/// Paused in its archive, while the next worker takes the user over and ends it.
fn a_paused_worker(place: usize) {
    let users = vec![User::new(place, 0, Outcome::Deleted, 60).with_large_conversations(1_300_000)];
    let mut world = World::on(
        servers::shared(),
        place,
        users,
        &["--latency-analytics", "300ms"],
    );
    world.declare();
    world.set("OFFBOARDER_WORKER_LEASE", "1s");
    let paused = world.start(&["worker"]);
    let message = json!({ "body": world.users[0].id });
    world.publish(std::slice::from_ref(&message));
    eventually(PATIENCE, || {
        match ledger::count(&world.simulator, "next_conversations") {
            0..4 => Err(tail(&paused.errors())),
            _ => Ok(()),
        }
    });
    paused.signal("STOP");
    let next = world.start(&["worker"]);
    // The first is still in a hand that does not move.
    world.publish(&[message]);
    eventually(
        PATIENCE,
        || match &world.user_now(&world.users[0].id)["exists"] {
            exists if exists == false => Ok(()),
            _ => Err(tail(&next.errors())),
        },
    );
    let url = world.setting("OFFBOARDER_CHECKPOINTS_URL");
    let finished = eventually(PATIENCE, || match redis::body(url, &world.users[0].id) {
        Some(body) if body.contains("_audit.json") => Ok(body),
        body => Err(format!("{body:?}")),
    });
    let deletions = ledger::count(&world.simulator, "delete_user");
    paused.signal("CONT");
    eventually(Duration::from_secs(30), || match paused.errors() {
        errors if errors.contains("the lease is lost") => Ok(()),
        errors => Err(tail(&errors)),
    });
    promises::await_quiet(&world, PATIENCE);
    for worker in [paused, next] {
        World::drain(worker);
    }
    assert_eq!(
        redis::body(url, &world.users[0].id),
        Some(finished),
        "the late worker changed nothing"
    );
    assert_eq!(ledger::count(&world.simulator, "delete_user"), deletions);
    promises::assert_kept(&world, &servers::shared());
}

trial!("workers that know nothing of each other end every user well, in one manifest each", strangers);

/// Each with checkpoints of its own, so that no lease keeps them apart: what is safe is safe without.
fn strangers(place: usize) {
    // A deletion that takes a while is accepted from both, which is harmless.
    let mut users = mixed(place, 40);
    users.retain(|user| user.outcome != Outcome::DeletedLater);
    // Who stored the seal and finds the user gone cannot know that the other one went on from it.
    for user in users.iter_mut().filter(|user| user.outcome == Outcome::Deleted) {
        user.outcome = Outcome::DeletedByEither;
    }
    let world = World::with_topology(place, users);
    let other = world
        .setting("OFFBOARDER_CHECKPOINTS_URL")
        .rsplit_once('/')
        .expect("a database")
        .0
        .to_owned();
    let other = (
        "OFFBOARDER_CHECKPOINTS_URL".to_owned(),
        format!("{other}/{}", servers::SPARE_DATABASE),
    );
    let one = world.start(&["worker"]);
    let another = world.start_with(&["worker"], &[other]);
    world.publish_all();
    world.publish_all();
    promises::await_quiet(&world, PATIENCE);
    World::drain(one);
    World::drain(another);
    promises::assert_kept(&world, &servers::shared());
}
