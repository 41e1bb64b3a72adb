//! Several hosts in the broker's URL.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use crate::broker_faults::broker_address;
use crate::support::population::deletable;
use crate::support::process::Process;
use crate::support::proxy::Proxy;
use crate::support::servers::{self, vhost};
use crate::support::world::{PATIENCE, World};
use crate::support::{promises, trial};

/// A port on which no program listens.
const CLOSED: &str = "127.0.0.1:9";
/// Less than the pause between two tries of a host that is away for long.
const SOON: Duration = Duration::from_secs(15);
/// A host that answers nothing is missed after some heartbeats only.
const LATER: Duration = Duration::from_secs(30);

trial!(
    "with several hosts in the URL every command passes over the one that is away, and a worker whose host dies or freezes continues at the next within seconds",
    the_next_host
);

fn the_next_host(place: usize) {
    let users = deletable(place, 26, 4);
    let mut world = World::on(servers::shared(), place, users, &["--latency", "50ms"]);
    let broker: SocketAddr = broker_address(&world)
        .to_socket_addrs()
        .ok()
        .and_then(|mut addresses| addresses.next())
        .expect("an address");
    let one = Proxy::start(broker);
    let other = Proxy::start(broker);
    let url = |hosts: &str| format!("amqp://guest:guest@{hosts}/{}?heartbeat=2", vhost(place));

    let away = format!("{CLOSED},127.0.0.1:1");
    world.set(
        "OFFBOARDER_QUEUE_URL",
        &url(&away).replace(":guest@", ":hunter2@"),
    );
    let ended = world.run(&["topology"]).expect(3);
    for host in [CLOSED, "127.0.0.1:1: "] {
        assert!(ended.errors.contains(host), "no {host} in {}", ended.errors);
    }
    assert!(!ended.errors.contains("hunter2"), "{}", ended.errors);

    let hosts = format!("{CLOSED},127.0.0.1:{},127.0.0.1:{}", one.port, other.port);
    world.set("OFFBOARDER_QUEUE_URL", &url(&hosts));
    // Which host is the first is random.
    for _ in 0..3 {
        world.run(&["topology"]).expect(0);
    }
    world.declare();
    let doctor = world.run(&["doctor"]).expect(0);
    for says in [
        "(2 of 3 hosts: ",
        &format!("the host {CLOSED} cannot be reached"),
    ] {
        assert!(doctor.output.contains(says), "{}", doctor.output);
    }
    world.set("OFFBOARDER_WORKER_CONCURRENCY", "2");
    let worker = world.start(&["worker"]);
    worker.await_ready();
    world.publish_all();

    // Each host of the two dies once, whichever the worker uses; then the one that is left freezes.
    for (dies, lives, calls) in [(&one, &other, 3), (&other, &one, 9)] {
        world.await_calls("put_scim_user", calls);
        lives.be_away(false);
        dies.be_away(true);
        assert_continues(&world, &worker, calls, SOON);
    }
    world.await_calls("put_scim_user", 15);
    other.be_away(false);
    one.stall(true);
    assert_continues(&world, &worker, 15, LATER);
    one.stall(false);
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    promises::assert_kept(&world, &servers::shared());
}

/// Takes more users after a host is gone.
#[track_caller]
fn assert_continues(world: &World, worker: &Process, calls: usize, within: Duration) {
    let gone = Instant::now();
    // One user of each slot may be under way without RabbitMQ.
    world.await_calls("put_scim_user", calls + 4);
    worker.await_ready();
    let took = gone.elapsed();
    assert!(took < within, "it continued after {took:?}");
}
