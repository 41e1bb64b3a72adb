//! What companies have behind the worker. These trials run on request (`--include-ignored 'backends: '`).

use std::time::{Duration, Instant};

use crate::support::cluster::Cluster;
use crate::support::ledger;
use crate::support::population::{User, deletable};
use crate::support::process::{Process, tail};
use crate::support::registry::Trial;
use crate::support::world::{PATIENCE, World};
use crate::support::{broker, eventually, servers};

/// After the death of its node.
const CONTINUES_WITHIN: Duration = Duration::from_secs(15);

inventory::submit! {
    Trial {
        name: "backends: a worker in a cluster of three outlives the death of its own node in mid-batch, and a majority lost and back",
        run: a_cluster_of_three,
        seconds: 120,
        on_request: true,
    }
}

fn a_cluster_of_three(place: usize) {
    let mut cluster = Cluster::start();
    let users = deletable(place, 120, 4);
    let mut world = World::on(servers::shared(), place, users, &["--latency", "50ms"]);
    let url = format!("amqp://guest:guest@{}/%2f", cluster.hosts());
    world.set("OFFBOARDER_QUEUE_URL", &url);
    world.set("OFFBOARDER_WORKER_CONCURRENCY", "4");
    world.run(&["topology"]).expect(0);
    let worker = world.start(&["worker"]);
    worker.await_ready();
    let message = |user: &User| serde_json::json!({ "body": user.id });
    let messages: Vec<_> = world.users.iter().map(message).collect();
    World::publish_to(&cluster.url(0), &messages);

    let own = lose_its_node(&mut cluster, &world, &worker);
    cluster.restart(own);

    // Two of three: nothing can be settled until one is back.
    let other = (own + 1) % 3;
    cluster.kill(own);
    cluster.kill(other);
    worker.await_readyz(503);
    for node in [own, other] {
        cluster.begin(node);
    }
    for node in [own, other] {
        cluster.await_running(node);
    }
    let back = Instant::now();
    worker.await_ready();
    for user in &world.users {
        world.await_deleted(&user.id);
    }
    eprintln!(
        "all were done {:.1} s after the majority was back",
        back.elapsed().as_secs_f64()
    );
    eventually(PATIENCE, || {
        let waiting = ["users", "archive"]
            .map(|lane| broker::depth(&cluster.url(own), &format!("offboarding.{lane}")));
        if waiting == [Some(0), Some(0)] {
            Ok(())
        } else {
            Err(format!("{waiting:?} wait"))
        }
    });
    World::drain(worker);
    assert_once(&world);
    world.run(&["verify", "--all"]).expect(0);
}

/// Kills the node that the worker consumes from (its publisher may be at another), and waits until it continues; which
/// node that was.
fn lose_its_node(cluster: &mut Cluster, world: &World, worker: &Process) -> usize {
    world.await_calls("put_scim_user", 10);
    let consuming = cluster.with_consumers();
    let own = *consuming.first().expect("the worker consumes");
    cluster.kill(own);
    let died = Instant::now();
    let before = world.changes();
    eventually(PATIENCE, || match world.changes() {
        now if now > before + 12 => Ok(()),
        now => Err(format!("{now} changes; {}", tail(&worker.errors()))),
    });
    let took = died.elapsed();
    eprintln!(
        "the worker's node died; after {:.1} s it was going on",
        took.as_secs_f64()
    );
    assert!(took < CONTINUES_WITHIN, "it continued after {took:?}");
    own
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
