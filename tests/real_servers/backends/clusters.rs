//! Three RabbitMQ nodes with quorum queues, and a worker whose URL names all three.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{FAULT_AFTER, USERS};
use crate::support::cluster::{Cluster, NODES, TICK_TIME};
use crate::support::network::Network;
use crate::support::population::{User, deletable};
use crate::support::process::{Process, tail};
use crate::support::random::Random;
use crate::support::world::{DEAD, PATIENCE, World};
use crate::support::{broker, eventually, ledger, manifests, parts, servers, table, trial};

/// After the death of its node.
const CONTINUES_WITHIN: Duration = Duration::from_secs(15);
/// How long a worker waits for a confirm.
const UNCONFIRMED: Duration = Duration::from_secs(30);
/// How often the majority is lost, unless `MAJORITIES` says it.
const TIMES: usize = 20;
/// What a node does that lost the others, as RabbitMQ calls it: it lets nobody in.
const PAUSES: &str = "pause_minority";
/// It continues, and confirms nothing.
const IGNORES: &str = "ignore";
const USERS_OF_A_LOSS: usize = 12;
/// After the majority is back.
const DONE_WITHIN: Duration = Duration::from_mins(1);

/// Where RabbitMQ keeps its users, queues and bindings.
#[derive(Clone, Copy, Debug)]
enum Store {
    Mnesia,
    Khepri,
}

/// Registers a trial for each release.
macro_rules! releases {
    ($name:literal, $run:expr) => {
        trial!(
            concat!("backends: three nodes of RabbitMQ 3: ", $name),
            |place| $run(place, None, Store::Mnesia),
            on_request
        );
        trial!(
            concat!("backends: three nodes of RabbitMQ 4: ", $name),
            |place| on_release_4(place, Store::Mnesia, $run),
            on_request
        );
        trial!(
            concat!("backends: three nodes of RabbitMQ 4 on Khepri: ", $name),
            |place| on_release_4(place, Store::Khepri, $run),
            on_request
        );
    };
}

releases!(
    "a hundred users, the node that the worker consumes from killed in mid-batch",
    own_node
);
releases!("the majority lost and back in mid-batch", majority);
releases!(
    "the worker's node cut off from both others, and back",
    partition
);
releases!(
    "the node that the worker publishes to cut off, which stays up and confirms nothing",
    silent_node
);

/// Where it could be had; the row says so if not.
fn on_release_4(place: usize, store: Store, run: fn(usize, Option<PathBuf>, Store)) {
    if let Some(root) = parts::root_with("rabbitmq") {
        run(place, Some(root), store);
    }
}

fn own_node(place: usize, root: Option<PathBuf>, store: Store) {
    let mut cluster = Cluster::start(root, Network::loopback(), PAUSES);
    let (world, worker) = begin(place, &cluster, store, USERS);
    let own = cluster.node_of("consume");
    publish(&cluster, own, &world.users);
    world.await_calls("delete_user", FAULT_AFTER);

    let before = worker.errors().len();
    cluster.kill(own);
    let took = await_going_on(&world, &worker, before, CONTINUES_WITHIN);
    await_deleted(&world.users, &world, PATIENCE, &worker);
    cluster.restart(own);
    end(&world, worker, &cluster);
    table::verdict(format!("works; going on after {:.1} s", took.as_secs_f64()));
}

/// Two of three die, and nothing can be settled until one is back: whatever was in flight then must not hang for good.
fn majority(place: usize, root: Option<PathBuf>, store: Store) {
    let asked = std::env::var("OFFBOARDER_MAJORITIES").unwrap_or_default();
    let times = asked.parse().unwrap_or(TIMES);
    let mut cluster = Cluster::start(root, Network::loopback(), PAUSES);
    let (world, worker) = begin(place, &cluster, store, times * USERS_OF_A_LOSS);
    let mut random = Random::new(1);
    let mut took = Vec::new();

    for (round, users) in world.users.chunks(USERS_OF_A_LOSS).enumerate() {
        publish(&cluster, round % NODES, users);
        let begun = world.deletions();
        eventually(PATIENCE, || match world.deletions() {
            now if now > begun + 2 => Ok(()),
            now => Err(format!("{now} deleted")),
        });
        let lives = random.below(NODES);
        let dead = [(lives + 1) % NODES, (lives + 2) % NODES];
        for node in dead {
            cluster.kill(node);
        }
        worker.await_readyz(503);
        for node in dead {
            cluster.begin(node);
        }
        for node in dead {
            cluster.await_running(node);
        }
        let back = Instant::now();
        await_deleted(users, &world, DONE_WITHIN, &worker);
        let seconds = back.elapsed().as_secs_f64();
        eprintln!(
            "majority {} of {times}: done {seconds:.1} s after both nodes answered again",
            round + 1
        );
        took.push(seconds);
    }
    end(&world, worker, &cluster);
    let worst = took.iter().copied().fold(0.0, f64::max);
    let again = cluster.gave_up_starts;
    table::verdict(format!(
        "works {times} times of {times}; done {worst:.1} s at most after both nodes answered again; \
         a node ended during its own start, and was started again, {again} times"
    ));
}

/// On Mnesia RabbitMQ pauses the node once it misses the others; only then can the worker know. On Khepri it does not, and
/// where the worker publishes to the same node, only the confirms that do not come show it.
fn partition(place: usize, root: Option<PathBuf>, store: Store) {
    let Some(network) = Network::of_namespaces() else {
        table::verdict("not tried: network namespaces need root");
        return;
    };
    let mut cluster = Cluster::start(root, network, PAUSES);
    let (world, worker) = begin(place, &cluster, store, USERS);
    let own = cluster.node_of("consume");
    publish(&cluster, own, &world.users);
    world.await_calls("delete_user", FAULT_AFTER);

    let before = worker.errors().len();
    cluster.network.isolate(own, true);
    let missed = Duration::from_secs(TICK_TIME + TICK_TIME / 4);
    let noticed = match store {
        Store::Mnesia => missed,
        Store::Khepri => missed + UNCONFIRMED,
    };
    let took = await_going_on(&world, &worker, before, noticed + CONTINUES_WITHIN);
    await_deleted(&world.users, &world, PATIENCE, &worker);
    cluster.network.isolate(own, false);
    cluster.await_running(own);
    end(&world, worker, &cluster);
    table::verdict(format!(
        "works; going on {:.1} s after the cut, with a net_ticktime of {TICK_TIME} s",
        took.as_secs_f64()
    ));
}

/// Only the confirms that do not come show the worker that its node is cut off.
fn silent_node(place: usize, root: Option<PathBuf>, store: Store) {
    let Some(network) = Network::of_namespaces() else {
        table::verdict("not tried: network namespaces need root");
        return;
    };
    let mut cluster = Cluster::start(root, network, IGNORES);
    let (world, mut worker) = begin(place, &cluster, store, USERS);
    // The consumer's node would be left by itself.
    while cluster.node_of("publish") == cluster.node_of("consume") {
        World::drain(worker);
        worker = world.start(&["worker"]);
        worker.await_ready();
    }
    let own = cluster.node_of("publish");
    publish(&cluster, cluster.node_of("consume"), &world.users);
    world.await_calls("delete_user", FAULT_AFTER);

    cluster.network.isolate(own, true);
    let cut = Instant::now();
    await_deleted(&world.users, &world, PATIENCE, &worker);
    let took = cut.elapsed().as_secs_f64();
    let log = worker.errors();
    assert!(log.contains("RabbitMQ confirms nothing"), "{}", tail(&log));
    // A node that ignored a partition has to be restarted.
    cluster.kill(own);
    cluster.network.isolate(own, false);
    cluster.restart(own);
    end(&world, worker, &cluster);
    table::verdict(format!("works; all users done {took:.0} s after the cut"));
}

/// A world at the cluster, and a worker that is ready.
fn begin(place: usize, cluster: &Cluster, store: Store, users: usize) -> (World, Process) {
    if let Store::Khepri = store {
        cluster.use_khepri();
    }
    table::backend(format!("{}, {store:?}, three nodes", cluster.release()));
    let users = deletable(place, users, 4);
    let mut world = World::on(servers::shared(), place, users, &["--latency", "50ms"]);
    let url = format!("amqp://guest:guest@{}/%2f", cluster.hosts());
    world.set("OFFBOARDER_QUEUE_URL", &url);
    world.run(&["topology"]).expect(0);
    let worker = world.start(&["worker"]);
    worker.await_ready();
    (world, worker)
}

fn publish(cluster: &Cluster, node: usize, users: &[User]) {
    let message = |user: &User| json!({ "body": user.id });
    let messages: Vec<_> = users.iter().map(message).collect();
    World::publish_to(&cluster.url(node), &messages);
}

/// Waits until a worker has lost its node, consumes from another, and has begun with further users since; how long that took.
/// `before` is the length of its log before the fault.
fn await_going_on(world: &World, worker: &Process, before: usize, within: Duration) -> Duration {
    let since = Instant::now();
    let noticed = |log: &str| log[before..].contains("the intake broke");
    eventually(within, || match worker.errors() {
        log if noticed(&log) => Ok(()),
        log => Err(tail(&log)),
    });
    worker.await_ready();
    let begun = ledger::count(&world.simulator, "put_scim_user");
    eventually(within, || {
        match ledger::count(&world.simulator, "put_scim_user") {
            now if now > begun || now == world.users.len() => Ok(()),
            now => Err(format!("{now} deactivated; {}", tail(&worker.errors()))),
        }
    });
    let took = since.elapsed();
    assert!(took < within, "it continued after {took:?}");
    took
}

fn await_deleted(users: &[User], world: &World, within: Duration, worker: &Process) {
    eventually(within, || {
        let exists = |user: &&User| world.user_now(&user.id)["exists"] != false;
        match users.iter().find(exists) {
            None => Ok(()),
            Some(user) => Err(format!("{} exists; {}", user.id, tail(&worker.errors()))),
        }
    });
}

/// Everything is done, once, and shown to be.
fn end(world: &World, worker: Process, cluster: &Cluster) {
    let archive = world.setting("OFFBOARDER_ARCHIVE_URL");
    manifests::assert_true(&world.simulator, archive, &world.users, PATIENCE);
    eventually(PATIENCE, || {
        let url = cluster.url(0);
        let depths = ["offboarding.users", "offboarding.archive", DEAD]
            .map(|queue| broker::depth(&url, queue));
        if depths == [Some(0); 3] {
            Ok(())
        } else {
            Err(format!("{depths:?} wait; {}", tail(&worker.errors())))
        }
    });
    worker.await_ready();
    World::drain(worker);
    assert_once(world);
    world.run(&["doctor"]).expect(0);
    world.run(&["verify", "--all"]).expect(0);
}

/// Each user was deactivated and deleted once.
fn assert_once(world: &World) {
    let calls = ledger::calls(&world.simulator);
    for user in &world.users {
        for operation in ["put_scim_user", "delete_user"] {
            let applied = |call: &&ledger::Call| {
                call.is(operation) && call.applied && call.user() == Some(&user.id)
            };
            let count = calls.iter().filter(applied).count();
            assert_eq!(count, 1, "{operation} of {}", user.id);
        }
    }
}
