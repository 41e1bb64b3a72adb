//! Archives that take longer than a broker, a tenant or a process allows at once.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::support::ledger;
use crate::support::population::{Outcome, User, deletable};
use crate::support::process::tail;
use crate::support::servers::Servers;
use crate::support::world::{PATIENCE, World};
use crate::support::{erlang, eventually, manifests, promises, servers, trial};

trial!(
    "windows cover the history, each conversation once, also over a kill within one",
    windows_over_a_kill
);

fn windows_over_a_kill(place: usize) {
    // Each lasts half a day, and is given in every window that it reaches into.
    let users = vec![User::new(place, 0, Outcome::Deleted, 900).with_large_conversations(60_000)];
    let flags = [
        "--max-interval",
        "31d",
        "--overlapping",
        "--conversation-length",
        "12h",
    ];
    let mut world = World::on(servers::shared(), place, users, &flags);
    world.declare();
    world.set("OFFBOARDER_CXONE_WINDOW", "31d");
    world.set("OFFBOARDER_WORKER_LEASE", "1s");
    let mut worker = world.start(&["worker"]);
    world.publish_all();
    world.await_calls("query_conversations", 6);
    worker.signal("KILL");
    worker.end(Duration::from_secs(10));
    assert_eq!(world.deletions(), 0, "it was killed in the middle");

    let next = world.start(&["worker"]);
    manifests::assert_true(
        &world.simulator,
        world.setting("OFFBOARDER_ARCHIVE_URL"),
        &world.users,
        PATIENCE,
    );
    World::drain(next);
    let windows = ledger::count(&world.simulator, "query_conversations");
    assert!(
        (12..=15).contains(&windows),
        "{windows} windows were begun; a year has twelve or thirteen"
    );
    promises::assert_kept(&world, &servers::shared());
}

trial!(
    "a slow archive outlives the consumer timeout of the broker",
    a_slow_archive
);

/// The node closes channels that hold a delivery for five seconds; the archive takes half a minute.
fn a_slow_archive(place: usize) {
    let servers = Arc::new(Servers::start(place..=place));
    erlang::shorten_consumer_timeout(&servers);
    let users = deletable(place, 3, 150);
    let mut world = World::on(
        Arc::clone(&servers),
        place,
        users,
        &["--latency-analytics", "1s"],
    );
    world.set("OFFBOARDER_WORKER_SLICE", "3s");
    world.set("OFFBOARDER_WORKER_LEASE", "2s");

    // Two of the three wait for the only archive slot.
    world.set("OFFBOARDER_WORKER_CONCURRENCY", "1");
    world.set("OFFBOARDER_CXONE_PAGE_SIZE", "15");
    world.declare();
    let worker = world.start(&["worker"]);
    world.publish(&[
        json!({ "body": world.users[0].id }),
        json!({ "body": world.users[1].id }),
    ]);
    world.publish(&[json!({ "body": world.users[2].id })]);
    let archive = world.setting("OFFBOARDER_ARCHIVE_URL");
    manifests::assert_true_on(&servers, &world.simulator, archive, &world.users, PATIENCE);

    eventually(PATIENCE, || {
        match promises::busy_queues(&world).as_slice() {
            [] => Ok(()),
            busy => Err(format!("{busy:?}")),
        }
    });
    assert!(
        !worker.errors().contains("the intake broke"),
        "{}",
        tail(&worker.errors())
    );

    World::drain(worker);
    for user in &world.users {
        assert_eq!(
            ledger::queries_of(&world.simulator, &user.id),
            1,
            "archived without a break"
        );
    }

    servers.stop();
}

trial!(
    "many archives with pages of 20 MB share a small memory, wait for room, and all end right",
    a_small_memory
);

/// Without the bound, 24 of them hold over 600 MiB.
fn a_small_memory(place: usize) {
    const MEMORY_MIB: u64 = 64;
    // What the process needs besides: connections, threads, and what the allocator keeps.
    const BESIDES_MIB: u64 = 64;
    let users: Vec<User> = (0..24)
        .map(|number| {
            User::new(place, number, Outcome::Deleted, 500).with_large_conversations(40_000)
        })
        .collect();
    let mut world = World::on(servers::shared(), place, users, &[]);
    world.declare();
    world.set("OFFBOARDER_CXONE_PAGE_SIZE", "500");
    world.set("OFFBOARDER_WORKER_CONCURRENCY", "24");
    world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", "1");
    world.set("OFFBOARDER_WORKER_MEMORY", &format!("{MEMORY_MIB}MiB"));
    let worker = world.start(&["worker"]);
    worker.await_ready();
    let idle = worker.peak_mib();
    world.publish_all();
    promises::await_quiet(&world, PATIENCE);

    let peak = worker.peak_mib();
    assert!(
        peak <= idle + MEMORY_MIB + BESIDES_MIB,
        "{peak} MiB, {idle} MiB when idle"
    );
    assert!(
        worker.errors().contains("\"trace_id\""),
        "the log names traces although nobody receives their spans"
    );
    World::drain(worker);
    manifests::assert_true(
        &world.simulator,
        world.setting("OFFBOARDER_ARCHIVE_URL"),
        &world.users,
        Duration::ZERO,
    );
    assert_eq!(world.dead_letters(), Vec::<serde_json::Value>::new());
}
