//! What an operator has to repair by hand, by the steps of `docs/operations`.

use std::sync::Arc;

use crate::support::ledger::{self, Repetition};
use crate::support::population::mixed;
use crate::support::servers::Servers;
use crate::support::world::{PATIENCE, World};
use crate::support::{list, promises, trial};

trial!(
    "of a RabbitMQ that lost everything the batch says who is left, and sent again they end right",
    rabbitmq_lost_everything,
    seconds = 60
);

fn rabbitmq_lost_everything(place: usize) {
    let servers = Arc::new(Servers::start(place..=place));
    let users = mixed(place, 40);
    let count = users.len();
    let mut world = World::on(Arc::clone(&servers), place, users, &["--latency", "100ms"]);
    world.set("OFFBOARDER_WORKER_CONCURRENCY", "4");
    world.set("OFFBOARDER_WORKER_LEASE", "2s");
    world.declare();
    let ids: Vec<&str> = world.users.iter().map(|user| user.id.as_str()).collect();
    let leavers = world.write("leavers.txt", &ids.join("\n"));
    let submit =
        |batch: &str, file: &str| world.json(&["submit", "--file", file, "--batch-id", batch], 0);
    assert_eq!(submit("leavers", &leavers)["sent"], count);
    let worker = world.start(&["worker"]);
    world.await_calls("delete_user", 3);

    servers.lose_one("rabbitmq");
    servers.restart_one("rabbitmq");
    servers.make_vhosts(place..=place);
    world.declare();
    worker.await_ready();
    let finished = |world: &World| {
        let shown = world.json(&["batch", "show", "leavers"], 0);
        shown["finished"].as_u64().expect("a number")
    };
    assert!(finished(&world) < count as u64, "all had ended before");

    // What was sent is remembered as sent.
    let again = submit("leavers", &leavers);
    assert_eq!(again["sent"], 0, "{again}");
    assert_eq!(again["alreadySent"], count, "{again}");
    let report = world.json(&["batch", "report", "leavers"], 0);
    let left: Vec<&str> = list(&report["users"])
        .iter()
        .filter(|row| row["result"] != "finished")
        .filter_map(|row| row["userId"].as_str())
        .collect();
    let rest = world.write("rest.txt", &left.join("\n"));
    assert_eq!(submit("leavers-again", &rest)["sent"], left.len());

    promises::await_quiet(&world, PATIENCE);
    assert_eq!(finished(&world), count as u64);
    World::drain(worker);
    promises::assert_manifests(&world, &servers);
    ledger::assert_histories(&world.simulator, &world.users, Repetition::AfterCrash);
    servers.stop();
}
