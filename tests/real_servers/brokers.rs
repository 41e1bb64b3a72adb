//! Connections and queues that vanish under a worker.

use std::time::Duration;

use serde_json::json;

use crate::support::population::deletable;
use crate::support::process::{Process, tail};
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, promises, servers, trial};

fn off_board(world: &World, user: usize) {
    let id = &world.users[user].id;
    world.publish(&[json!({ "body": id })]);
    world.await_deleted(id);
}

/// Waits until the worker has logged this, and then until it is ready.
fn await_recovery(worker: &Process, complaint: &str) {
    worker.await_log(complaint);
    worker.await_readyz(200);
}

trial!(
    "a worker whose connections are closed and whose queue is deleted continues by itself, and says why",
    rebuilt
);

fn rebuilt(place: usize) {
    let users = deletable(place, 4, 4);
    let world = World::with_topology(place, users);
    let worker = world.start(&["worker"]);
    off_board(&world, 0);

    // Closing applies to those that the node lists, which it does a moment after they are made.
    eventually(PATIENCE, || {
        world.rabbitmqctl("close_all_connections", &["the operator says so"]);
        if worker.errors().contains("the intake broke") {
            Ok(())
        } else {
            Err(tail(&worker.errors()))
        }
    });

    await_recovery(&worker, "the intake broke");
    off_board(&world, 1);
    world.delete_queue("offboarding.users");
    await_recovery(&worker, "the queue may be gone");
    off_board(&world, 2);
    world.delete_queue("offboarding.archive");
    off_board(&world, 3);
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    promises::assert_kept(&world, &servers::shared());
}

trial!(
    "a full archive slot does not put the intake to sleep",
    archives_one_after_the_other
);

/// One slot: while an archive has it, the next waits, and has to wake up when it is free.
fn archives_one_after_the_other(place: usize) {
    let users = deletable(place, 8, 4);
    let mut world = World::with_topology(place, users);
    world.set("OFFBOARDER_WORKER_CONCURRENCY", "1");
    let worker = world.start(&["worker"]);
    world.publish_all();
    // The watchdog runs every 15 s; archives that waited for it would take two minutes.
    promises::await_quiet(&world, Duration::from_mins(1));
    World::drain(worker);
    promises::assert_kept(&world, &servers::shared());
}
