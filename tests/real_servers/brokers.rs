//! Connections and queues that vanish under a worker.

use std::time::Duration;

use serde_json::json;

use crate::support::population::{Outcome, User};
use crate::support::process::{Process, tail};
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, http, promises, servers, trial};

fn off_board(world: &World, user: usize, worker: &Process) {
    let id = &world.users[user].id;
    world.publish(&[json!({ "body": id })]);
    eventually(Duration::from_mins(1), || {
        if world.user_now(id)["exists"] == false {
            Ok(())
        } else {
            Err(tail(&worker.errors()))
        }
    });
}

/// Waits until the worker says so, and then until it is ready.
fn await_recovery(worker: &Process, complaint: &str) {
    eventually(Duration::from_secs(30), || match worker.errors() {
        errors if errors.contains(complaint) => Ok(()),
        errors => Err(tail(&errors)),
    });
    let admin = worker.admin();
    eventually(Duration::from_secs(30), || {
        match http::status(&admin, "/readyz") {
            200 => Ok(()),
            _ => Err(tail(&worker.errors())),
        }
    });
}

trial!("a worker whose connections are closed and whose queue is deleted goes on by itself, and says why", rebuilt);

fn rebuilt(place: usize) {
    let users = (0..4)
        .map(|number| User::new(place, number, Outcome::Deleted, 4))
        .collect();
    let world = World::with_topology(place, users);
    let worker = world.start(&["worker"]);
    off_board(&world, 0, &worker);
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
    off_board(&world, 1, &worker);
    world.delete_queue("offboarding.users");
    await_recovery(&worker, "the queue may be gone");
    off_board(&world, 2, &worker);
    world.delete_queue("offboarding.archive");
    off_board(&world, 3, &worker);
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    promises::assert_kept(&world, &servers::shared());
}

trial!("a full archive slot does not put the intake to sleep", archives_one_after_the_other);

/// One slot: while an archive has it, the next waits, and has to be woken when it is free.
fn archives_one_after_the_other(place: usize) {
    let users = (0..8)
        .map(|number| User::new(place, number, Outcome::Deleted, 4))
        .collect();
    let mut world = World::with_topology(place, users);
    world.set("OFFBOARDER_WORKER_CONCURRENCY", "1");
    let worker = world.start(&["worker"]);
    world.publish_all();
    // The watchdog looks every 15 s; archives that waited for it would take two minutes.
    promises::await_quiet(&world, Duration::from_mins(1));
    World::drain(worker);
    promises::assert_kept(&world, &servers::shared());
}
