//! How long users wait after a worker, or a server of Redis, was killed.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::ledger::{self, Repetition};
use crate::support::population::{Outcome, User, deletable};
use crate::support::process::{Process, tail};
use crate::support::redis_fleet::{Arrangement, RedisFleet};
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, promises, servers, trial};

/// After a failover of Redis, and after the death of a worker.
const CONTINUES_WITHIN: Duration = Duration::from_secs(10);

trial!(
    "the users of a worker that was killed are taken up within seconds, with the default settings",
    a_killed_worker,
    seconds = 20
);

fn a_killed_worker(place: usize) {
    let users = (0..4).map(|number| {
        User::new(place, number, Outcome::Deleted, 60).with_large_conversations(1_300_000)
    });
    let flags = ["--latency-analytics", "300ms"];
    let world = World::on(servers::shared(), place, users.collect(), &flags);
    world.declare();
    let killed = world.start(&["worker"]);
    killed.await_ready();
    world.publish_all();
    world.await_calls("next_conversations", 8);
    let next = world.start(&["worker"]);
    next.await_ready();

    killed.signal("KILL");
    let begun = Instant::now();
    eventually(CONTINUES_WITHIN, || {
        let log = next.errors();
        let taken = log.matches("taken over from a worker that is gone").count();
        (taken == world.users.len())
            .then_some(())
            .ok_or_else(|| format!("{taken} taken over: {}", tail(&log)))
    });
    let after = begun.elapsed();
    eprintln!("all users of a killed worker were taken over after {after:?}");
    assert!(after < CONTINUES_WITHIN, "{after:?}");
    promises::await_quiet(&world, PATIENCE);
    World::drain(next);
    promises::assert_kept(&world, &servers::shared());
    ledger::assert_histories(&world.simulator, &world.users, Repetition::AfterCrash);
}

trial!(
    "a worker continues within seconds after sentinels with TLS and passwords replaced the master",
    |place| failover(place, Arrangement::Sentinel, 12, Duration::from_secs(1)),
    seconds = 30
);

inventory::submit! {
    crate::support::registry::Trial {
        name: "backends: a hundred users while the master is killed that sentinels watch",
        run: |place| failover(place, Arrangement::Sentinel, 100, Duration::from_secs(3)),
        seconds: 0,
        on_request: true,
    }
}

inventory::submit! {
    crate::support::registry::Trial {
        name: "backends: a hundred users while a master of a cluster is killed",
        run: |place| failover(place, Arrangement::Cluster, 100, Duration::from_secs(3)),
        seconds: 0,
        on_request: true,
    }
}

fn failover(place: usize, arrangement: Arrangement, users: usize, down_after: Duration) {
    let fleet = RedisFleet::start(arrangement, down_after);
    let flags = ["--latency", "50ms"];
    let mut world = World::on(servers::shared(), place, deletable(place, users, 4), &flags);
    fleet.serve(&mut world);
    world.declare();
    let workers: Vec<Process> = (0..2).map(|_| world.start(&["worker"])).collect();
    workers.iter().for_each(Process::await_ready);
    let messages: Vec<_> = world
        .users
        .iter()
        .map(|user| json!({ "body": user.id }))
        .collect();
    world.publish(&messages);
    eventually(PATIENCE, || {
        let deleted = world.deletions();
        (deleted > users / 10)
            .then_some(())
            .ok_or_else(|| format!("{deleted} deleted"))
    });

    fleet.kill_master();
    let killed = Instant::now();
    fleet.await_failover();
    let failed_over = killed.elapsed();
    // Workers may be faster than the trial sees the failover.
    let changes = world.changes();
    eventually(CONTINUES_WITHIN, || {
        let continues = world.changes() > changes || world.deletions() == users;
        continues
            .then_some(())
            .ok_or_else(|| "nothing continues".to_owned())
    });
    eprintln!(
        "failover after {failed_over:?}, users after {:?}",
        killed.elapsed()
    );

    promises::await_quiet(&world, PATIENCE);
    eprintln!("all users after {:?}", killed.elapsed());
    for worker in &workers {
        let log = worker.errors();
        let of_library = log
            .lines()
            .filter(|line| line.contains("\"target\":\"redis"));
        assert_eq!(of_library.count(), 0, "the client library is silent");
        assert!(
            !log.contains("of-sentinels") && !log.contains(":secret@"),
            "{log}"
        );
    }
    workers.into_iter().for_each(World::drain);
    promises::assert_kept(&world, &servers::shared());
    ledger::assert_histories(&world.simulator, &world.users, Repetition::AfterCrash);
}
