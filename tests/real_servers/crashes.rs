//! Workers that end before their work does.

use std::time::Duration;

use crate::support::ledger::{self, Repetition};
use crate::support::population::mixed;
use crate::support::process::Process;
use crate::support::world::{PATIENCE, World};
use crate::support::{manifests, trial};

/// A worker that has begun to deactivate and is not done.
fn worker_in_the_middle(world: &World) -> Process {
    let worker = world.start(&["worker"]);
    world.publish_all();
    world.await_calls("put_scim_user", 5);
    worker
}

fn assert_unfinished(world: &World) {
    let deletions = world.deletions();
    assert!(
        deletions < world.users.len(),
        "all {deletions} users were done before the worker ended"
    );
}

trial!(
    "a worker killed in the middle and started again ends every user right, once",
    a_killed_worker_is_resumed
);

fn a_killed_worker_is_resumed(place: usize) {
    let mut world = World::with_topology(place, mixed(place, 60));
    world.set("OFFBOARDER_WORKER_CONCURRENCY", "4");
    let mut worker = worker_in_the_middle(&world);
    worker.signal("KILL");
    worker.end(Duration::from_secs(10));
    assert_unfinished(&world);

    let next = world.start(&["worker"]);
    manifests::assert_true(
        &world.simulator,
        world.setting("OFFBOARDER_ARCHIVE_URL"),
        &world.users,
        PATIENCE,
    );
    World::drain(next);
    ledger::assert_histories(&world.simulator, &world.users, Repetition::AfterCrash);
    assert_eq!(world.queues_in_use(), Vec::<String>::new());
}

trial!(
    "SIGTERM drains a worker within its grace, and the next one continues",
    sigterm_drains
);

fn sigterm_drains(place: usize) {
    let mut world = World::with_topology(place, mixed(place, 60));
    world.set("OFFBOARDER_WORKER_CONCURRENCY", "4");
    let worker = worker_in_the_middle(&world);
    World::drain(worker);
    assert_unfinished(&world);

    let next = world.start(&["worker"]);
    manifests::assert_true(
        &world.simulator,
        world.setting("OFFBOARDER_ARCHIVE_URL"),
        &world.users,
        PATIENCE,
    );
    World::drain(next);
    ledger::assert_histories(&world.simulator, &world.users, Repetition::None);
    assert_eq!(world.queues_in_use(), Vec::<String>::new());
}
