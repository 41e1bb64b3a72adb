//! Workers that are asked to end, or to pause.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::ledger::{self, Repetition};
use crate::support::population::{deletable, mixed};
use crate::support::process::{Process, tail};
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, http, promises, redis, servers, trial};

/// A worker whose only user hangs in the call that takes the access away.
fn worker_in_a_long_call(world: &World) -> Process {
    let hangs = json!({ "kind": "latency", "ms": 25_000 });
    world.strike(0, "put_scim_user", 0, 1, &hangs);

    let worker = world.start(&["worker"]);
    world.publish_all();
    world.await_calls("get_scim_user", 1);
    worker
}

fn attempts(world: &World, user: usize) -> Value {
    let url = world.setting("OFFBOARDER_CHECKPOINTS_URL");
    let body = redis::body(url, &world.users[user].id).expect("a checkpoint");
    let checkpoint: Value = serde_json::from_str(&body).expect("JSON");
    checkpoint["attempts"].clone()
}

trial!(
    "a drain names who is left, requeues in time what hangs in a call, and spends no attempt",
    a_call_that_hangs
);

fn a_call_that_hangs(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 1, 4));
    world.set("OFFBOARDER_WORKER_SHUTDOWN_GRACE", "12s");
    world.set("OFFBOARDER_WORKER_LEASE", "5m");
    let mut worker = worker_in_a_long_call(&world);
    let admin = worker.admin();
    assert_eq!(http::status(&admin, "/readyz"), 200);
    let begun = Instant::now();
    worker.signal("TERM");
    eventually(Duration::from_secs(3), || {
        match http::status(&admin, "/readyz") {
            503 => Ok(()),
            status => Err(format!("/readyz: {status}")),
        }
    });
    let status = worker.end(Duration::from_secs(20));
    let took = begun.elapsed();
    assert_eq!(status.code(), Some(0), "{}", tail(&worker.errors()));
    assert!(
        took <= Duration::from_secs(12),
        "it took {took:?}, longer than its grace"
    );
    let errors = worker.errors();
    let named = |line: &&str| line.contains("\"draining\"") && line.contains(&world.users[0].id);
    assert!(
        errors.lines().filter(named).count() >= 2,
        "every few seconds it says who is left: {errors}"
    );
    assert_eq!(
        world.depth("offboarding.users"),
        Some(1),
        "the message is back"
    );
    assert_eq!(attempts(&world, 0), 0);

    // The lease of five minutes was released, or the next worker would wait that long.
    let next = world.start(&["worker"]);
    promises::await_quiet(&world, Duration::from_mins(1));
    World::drain(next);
    promises::assert_kept(&world, &servers::shared());
}

trial!("a second signal ends a worker at once", a_second_signal);

fn a_second_signal(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 1, 4));
    world.set("OFFBOARDER_WORKER_LEASE", "1s");
    let mut worker = worker_in_a_long_call(&world);
    worker.signal("TERM");
    worker.await_log("\"draining\"");
    worker.signal("TERM");
    let status = worker.end(Duration::from_secs(1));
    assert_eq!(status.code(), Some(143), "{}", tail(&worker.errors()));
    assert_eq!(attempts(&world, 0), 0);

    let next = world.start(&["worker"]);
    promises::await_quiet(&world, PATIENCE);
    World::drain(next);
    promises::assert_kept(&world, &servers::shared());
}

trial!(
    "a worker drained again and again ends every user right, repeats nothing and spends no attempt",
    again_and_again
);

/// Each round ends after some more calls, wherever its users are then.
fn again_and_again(place: usize) {
    let mut world = World::on(
        servers::shared(),
        place,
        mixed(place, 16),
        &["--latency", "120ms"],
    );
    world.declare();
    world.set("OFFBOARDER_WORKER_CONCURRENCY", "2");
    world.publish_all();
    let gone = |world: &World| promises::busy_queues(world).is_empty();
    let mut rounds = 0;
    while !gone(&world) {
        let worker = world.start(&["worker"]);
        let before = ledger::calls(&world.simulator).len();
        eventually(PATIENCE, || {
            match ledger::calls(&world.simulator).len() - before {
                calls if calls >= 5 + rounds % 7 || gone(&world) => Ok(()),
                calls => Err(format!("{calls} calls; {}", tail(&worker.errors()))),
            }
        });
        World::drain(worker);
        rounds += 1;
    }
    assert!(rounds > 6, "{rounds} rounds are no test");
    promises::assert_kept(&world, &servers::shared());
    ledger::assert_histories(&world.simulator, &world.users, Repetition::None);

    for user in 0..world.users.len() {
        assert_eq!(attempts(&world, user), 0);
    }
}

trial!(
    "a pause stops all workers at their next checkpoint, outlives their restart, and spends no attempt",
    paused_by_an_operator
);

/// How many users are published before the pause.
const BEFORE: usize = 40;

fn paused_by_an_operator(place: usize) {
    let users = deletable(place, 60, 8);
    let mut world = World::on(servers::shared(), place, users, &["--latency", "50ms"]);
    world.declare();
    world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", "1");
    let mut workers = vec![world.start(&["worker"]), world.start(&["worker"])];
    world.publish_users(&world.users[..BEFORE]);
    world.await_calls("put_scim_user", 6);
    let why = "the tenant is being migrated";
    world.run(&["pause", "--why", why]).expect(0);
    for worker in &workers {
        worker.await_readyz(503);
        let paused = "offboarder_paused{cause=\"operator\"}";
        assert_eq!(http::sample(&worker.admin(), paused), Some(1.0));
        assert!(worker.errors().contains(why), "{}", tail(&worker.errors()));
    }
    // However fast the machine is, somebody is left for the time after the pause.
    world.publish_users(&world.users[BEFORE..]);
    // All that was taken is requeued.
    eventually(Duration::from_mins(1), || {
        match world.messages_in_flight() {
            0 => Ok(()),
            held => Err(format!("{held} messages are in flight though it is paused")),
        }
    });

    let calls = ledger::calls(&world.simulator).len();
    let ended = workers.pop().expect("two workers");
    World::drain(ended);
    workers.push(world.start(&["worker"]));
    workers[1].await_readyz(503);
    let since = ledger::calls(&world.simulator).split_off(calls);
    assert!(
        since.iter().all(|call| !call.is_write()),
        "writes during a pause"
    );
    let deactivated = ledger::count(&world.simulator, "put_scim_user");
    assert!(deactivated <= BEFORE, "{deactivated} deactivations");

    world.run(&["resume", "--why", "migrated"]).expect(0);
    promises::await_quiet(&world, PATIENCE);
    workers.into_iter().for_each(World::drain);
    promises::assert_kept(&world, &servers::shared());
    let entries = world.audit_log(&[]);
    let shown: Vec<_> = entries
        .iter()
        .map(|entry| [&entry["what"], &entry["why"]])
        .collect();
    assert_eq!(shown, [["resume", "migrated"], ["pause", why]]);
}
