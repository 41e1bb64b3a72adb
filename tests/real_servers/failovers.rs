//! How long users wait after a server of Redis was killed or froze.

use std::time::{Duration, Instant};

use crate::support::ledger::{self, Repetition};
use crate::support::population::deletable;
use crate::support::process::Process;
use crate::support::redis_fleet::{Arrangement, RedisFleet};
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, promises, redis, servers, table, trial};

/// After the servers of Redis themselves did.
const CONTINUES_WITHIN: Duration = Duration::from_secs(10);
/// The same in the normal suite, on a machine that is busy with other things.
const AT_LAST: Duration = Duration::from_secs(30);

trial!(
    "a worker continues within seconds after sentinels with TLS and passwords replaced the master",
    |place| failover(
        place,
        Arrangement::Sentinel,
        "KILL",
        12,
        Duration::from_secs(1)
    ),
    seconds = 30
);

trial!(
    "a worker continues within seconds after sentinels replaced a master that froze",
    |place| failover(
        place,
        Arrangement::Sentinel,
        "STOP",
        12,
        Duration::from_secs(1)
    ),
    seconds = 40
);

/// By request, with a hundred users.
macro_rules! on_request {
    ($name:literal, $arrangement:ident, $signal:literal) => {
        inventory::submit! {
            crate::support::registry::Trial {
                name: $name,
                run: |place| {
                    failover(place, Arrangement::$arrangement, $signal, 100, Duration::from_secs(3));
                },
                seconds: 0,
                on_request: true,
            }
        }
    };
}

on_request!(
    "backends: a hundred users while the master is killed that sentinels watch",
    Sentinel,
    "KILL"
);
on_request!(
    "backends: a hundred users while the master freezes that sentinels watch",
    Sentinel,
    "STOP"
);
on_request!(
    "backends: a hundred users while a master of a cluster is killed",
    Cluster,
    "KILL"
);
on_request!(
    "backends: a hundred users while a master of a cluster freezes",
    Cluster,
    "STOP"
);

fn failover(
    place: usize,
    arrangement: Arrangement,
    signal: &str,
    users: usize,
    down_after: Duration,
) {
    let fleet = RedisFleet::start(arrangement, down_after);
    let flags = ["--latency", "50ms"];
    let mut world = World::on(servers::shared(), place, deletable(place, users, 4), &flags);
    // The fleet is of the same program.
    let release = redis::release(world.setting("OFFBOARDER_CHECKPOINTS_URL"));
    let nodes = match arrangement {
        Arrangement::Sentinel => "three sentinels",
        Arrangement::Cluster => "a cluster of six",
    };
    table::backend(format!("{release}, {nodes}, TLS"));
    fleet.serve(&mut world);
    world.declare();
    if arrangement == Arrangement::Sentinel {
        let doctor = world.run(&["doctor"]).output;
        let rule = "the server that was asked refuses writes 3 s after it lost its replicas";
        assert!(doctor.contains(rule), "{doctor}");
    }
    let workers: Vec<Process> = (0..2).map(|_| world.start(&["worker"])).collect();
    workers.iter().for_each(Process::await_ready);
    let of_master = fleet.users_of_master(&world.users);
    world.publish_all();
    eventually(PATIENCE, || {
        let deleted = world.deletions();
        (deleted > users / 10)
            .then_some(())
            .ok_or_else(|| format!("{deleted} deleted"))
    });

    fleet.signal_master(signal);
    let killed = Instant::now();
    fleet.await_failover();
    let replaced = Instant::now();
    let failed_over = replaced.duration_since(killed);
    // Workers may be faster than the trial sees the failover.
    let before = ledger::calls(&world.simulator).len();
    let within = if users < 100 {
        AT_LAST
    } else {
        CONTINUES_WITHIN
    };
    // In a cluster the users of the other masters prove nothing.
    eventually(within, || {
        let calls = ledger::calls(&world.simulator);
        let is_worked_on = |id: &str| calls[before..].iter().any(|call| call.user() == Some(id));
        let continues = world.deletions() == users || of_master.iter().any(|id| is_worked_on(id));
        continues
            .then_some(())
            .ok_or_else(|| "nobody whose keys it had continues".to_owned())
    });
    table::verdict(format!(
        "works; Redis itself failed over after {:.1} s, the users of the master continued {:.1} s later",
        failed_over.as_secs_f64(),
        replaced.elapsed().as_secs_f64()
    ));

    promises::await_quiet(&world, PATIENCE);
    workers.iter().for_each(assert_quiet_log);
    workers.into_iter().for_each(World::drain);
    promises::assert_kept(&world, &servers::shared());
    ledger::assert_histories(&world.simulator, &world.users, Repetition::AfterCrash);
}

/// No flood of the client library, and no password.
fn assert_quiet_log(worker: &Process) {
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
