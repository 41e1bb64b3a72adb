//! What somebody has to mend by hand, with the steps of `docs/operations.md`.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::ledger::{self, Repetition};
use crate::support::population::mixed;
use crate::support::process::tail;
use crate::support::servers::Servers;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, promises, trial};

fn read(world: &World, arguments: &[&str]) -> Value {
    let answer = world
        .run(&[arguments, &["--output", "json"]].concat())
        .expect(0)
        .output;
    serde_json::from_str(&answer).expect("JSON")
}

trial!("of a RabbitMQ that lost everything the batch says who is left, and sent again they end right", rabbitmq_lost_everything);

fn rabbitmq_lost_everything(place: usize) {
    let servers = Arc::new(Servers::start(place..=place));
    let mut world = World::on(
        Arc::clone(&servers),
        place,
        mixed(place, 40),
        &["--latency", "100ms"],
    );
    world.set("OFFBOARDER_WORKER_CONCURRENCY", "4");
    world.set("OFFBOARDER_WORKER_LEASE", "2s");
    world.declare();
    let leavers = world.directory.path().join("leavers.txt");
    let ids: Vec<&str> = world.users.iter().map(|user| user.id.as_str()).collect();
    std::fs::write(&leavers, ids.join("\n")).expect("the file is written");
    let (leavers, count) = (leavers.display().to_string(), world.users.len());
    let submit =
        |batch: &str, file: &str| read(&world, &["submit", "--file", file, "--batch-id", batch]);
    assert_eq!(submit("leavers", &leavers)["sent"], count);
    let worker = world.start(&["worker"]);
    eventually(PATIENCE, || {
        match ledger::count(&world.simulator, "delete_user") {
            0..3 => Err(tail(&worker.errors())),
            _ => Ok(()),
        }
    });

    servers.lose_one("rabbitmq");
    servers.restart_one("rabbitmq");
    servers.make_vhosts(place..=place);
    world.declare();
    worker.await_ready();
    let told = read(&world, &["batch", "show", "leavers"]);
    assert!(
        told["finished"].as_u64() < Some(count as u64),
        "somebody was lost: {told}"
    );
    let again = submit("leavers", &leavers);
    assert_eq!(
        (&again["sent"], &again["alreadySent"]),
        (&json!(0), &json!(count)),
        "{again}"
    );

    let report = read(&world, &["batch", "report", "leavers"]);
    let rows = report["users"].as_array().expect("rows").iter();
    let left = rows
        .filter(|row| row["result"] != "finished")
        .filter_map(|row| row["userId"].as_str());
    let left: Vec<&str> = left.collect();
    let rest = world.directory.path().join("rest.txt");
    std::fs::write(&rest, left.join("\n")).expect("the file is written");
    assert_eq!(
        submit("leavers-again", &rest.display().to_string())["sent"],
        left.len()
    );
    promises::await_quiet(&world, PATIENCE);
    assert_eq!(
        read(&world, &["batch", "show", "leavers"])["finished"],
        count
    );
    World::drain(worker);
    promises::assert_manifests(&world, &servers);
    ledger::assert_histories(&world.simulator, &world.users, Repetition::AfterCrash);
    servers.stop();
}
