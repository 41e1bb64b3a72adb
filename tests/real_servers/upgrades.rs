//! Workers that are replaced one by one by those of another release, and back, while users are off-boarded.

use std::path::PathBuf;

use crate::support::population::{Outcome, User, mixed};
use crate::support::process::{Process, tail};
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, promises, servers, trial};

/// `make upgrade FROM=COMMIT` names another; else it is this one, which has to work with itself.
fn other_release() -> PathBuf {
    let named = std::env::var_os("OFFBOARDER_OTHER_RELEASE").filter(|path| !path.is_empty());
    named.map_or_else(|| env!("CARGO_BIN_EXE_offboarder").into(), PathBuf::from)
}

trial!(
    "workers replaced one by one by another release, and back, change no outcome",
    forth_and_back,
    seconds = 70
);

/// Two workers of the other release begin, both are replaced by this one, and both again by the other.
fn forth_and_back(place: usize) {
    let this = PathBuf::from(env!("CARGO_BIN_EXE_offboarder"));
    let other = other_release();
    let mut users = mixed(place, 90);
    users.extend((90..94).map(|number| {
        User::new(place, number, Outcome::Deleted, 60).with_large_conversations(350_000)
    }));
    let mut world = World::on(servers::shared(), place, users, &["--latency", "150ms"]);
    world.set("OFFBOARDER_WORKER_CONCURRENCY", "4");
    world.declare();
    let start = |release: &PathBuf| -> Process {
        let worker = world.start_release(release, &["worker"]);
        eventually(PATIENCE, || match worker.errors() {
            errors if errors.contains("consuming") => Ok(()),
            errors => Err(tail(&errors)),
        });
        worker
    };

    let done = || world.deletions();
    let mut fleet = vec![start(&other), start(&other)];
    world.publish_all();
    for (turn, release) in [&this, &this, &other, &other].into_iter().enumerate() {
        // Each meets work that the one before it began.
        let before = done();
        eventually(PATIENCE, || match done() {
            now if now >= before + 8 => Ok(()),
            now => Err(format!("{now} deletions at turn {turn}")),
        });
        World::drain(fleet.remove(0));
        assert!(
            done() < world.users.len(),
            "nothing is left for turn {turn}"
        );
        fleet.push(start(release));
    }

    promises::await_quiet(&world, PATIENCE);
    for worker in fleet {
        World::drain(worker);
    }
    promises::assert_kept(&world, &servers::shared());
}
