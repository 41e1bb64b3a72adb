//! A broker that takes no messages, has no room for them, or does not let the worker in.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::support::certificates::Authority;
use crate::support::population::deletable;
use crate::support::process::{Process, tail};
use crate::support::servers::{Servers, vhost};
use crate::support::world::{DEAD, PATIENCE, World};
use crate::support::{eventually, http, ledger, promises, servers, throttle, trial};

trial!(
    "a memory alarm of the broker makes only publishing wait, and work continues by itself after it",
    a_memory_alarm
);

/// With the alarm on, jobs in flight get as far as they can without a message being published, and
/// wait there.
fn a_memory_alarm(place: usize) {
    let servers = Arc::new(Servers::start(place..=place));
    let mut world = World::on(
        Arc::clone(&servers),
        place,
        deletable(place, 45, 4),
        &["--latency", "100ms"],
    );
    world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", "1");
    world.set("OFFBOARDER_WORKER_CONCURRENCY", "4");
    world.declare();
    let worker = world.start(&["worker"]);
    world.publish_all();
    world.await_calls("put_scim_user", 3);

    servers.rabbitmqctl(&["set_vm_memory_high_watermark", "0"]);
    worker.await_not_ready("RabbitMQ takes no messages (low on memory)");
    let mut seen = 0;
    eventually(PATIENCE, || {
        let before = std::mem::replace(&mut seen, ledger::calls(&world.simulator).len());
        std::thread::sleep(Duration::from_secs(1));
        if seen == before {
            Ok(())
        } else {
            Err(format!("{before} calls, and then {seen}"))
        }
    });
    let waiting = world.depth("offboarding.users");
    assert!(
        waiting.is_some_and(|waiting| waiting > 0),
        "{waiting:?} users wait in the queue"
    );
    servers.rabbitmqctl(&["set_vm_memory_high_watermark", "0.8"]);
    worker.await_ready();
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    promises::assert_kept(&world, &servers);
    servers.stop();
}

trial!(
    "a missing queue for delayed or dead messages keeps the delivery until it is there",
    queues_that_take_nothing
);

fn queues_that_take_nothing(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 14, 4));
    world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", "1");
    for user in 0..14 {
        // They are delayed for three seconds at their first call.
        world.strike(user, "get_routing_profile", 0, 1, &throttle(3));
    }
    let worker = world.start(&["worker"]);
    worker.await_ready();

    // One after the other: while one cannot be settled no other is taken.
    world.delete_queue(DEAD);
    world.publish(&[json!({ "body": "nobody" })]);
    await_refused_by_queue(&worker, DEAD);
    world.declare();
    world.await_dead_letters(1);
    worker.await_ready();

    world.delete_queue("offboarding.wait.3s");
    world.delete_queue("offboarding.wait.1s");
    world.publish_users(&world.users[..1]);
    await_refused_by_queue(&worker, "offboarding.wait.");
    world.declare();
    worker.await_ready();

    world.publish_users(&world.users[1..]);
    promises::await_quiet(&world, PATIENCE);
    worker.await_ready();
    World::drain(worker);
    promises::assert_manifests(&world, &servers::shared());
}

/// Waits until the worker says that no queue took a message, and what to do about it.
fn await_refused_by_queue(worker: &Process, queue: &str) {
    worker.await_log(&format!("no queue took the message for {queue}"));
    worker.await_not_ready("run `offboarder topology` first");
}

/// Host and port of the broker.
pub(crate) fn broker_address(world: &World) -> String {
    let url = world.setting("OFFBOARDER_QUEUE_URL");
    let (_, rest) = url.split_once('@').expect("a user");
    rest.split_once('/').expect("a virtual host").0.to_owned()
}

trial!(
    "wrong credentials, virtual host or certificate of the broker keep a worker waiting, end other commands with status 3, and say what to do",
    not_let_in
);

fn not_let_in(place: usize) {
    let mut world = World::new(place, Vec::new());
    let address = broker_address(&world);
    let vhost = vhost(place);
    let mut refused = |url: String, says: &[&str]| {
        world.set("OFFBOARDER_QUEUE_URL", &url);
        let ended = world.run(&["topology"]).expect(3);
        let worker = world.start(&["worker"]);
        for text in says {
            assert!(
                ended.errors.contains(text),
                "no {text:?} in: {}",
                ended.errors
            );
            worker.await_not_ready(text);
        }
        let causes = http::not_ready_because(&worker.admin()).expect("causes");
        for shown in [&ended.errors, &worker.errors(), &causes] {
            assert!(!shown.contains("hunter2"), "a secret is shown: {shown}");
        }
        World::drain(worker);
    };

    refused(
        format!("amqp://guest:hunter2@{address}/{vhost}"),
        &[
            "refused to let us in",
            "ACCESS_REFUSED",
            "check user, password, virtual host",
            "OFFBOARDER_QUEUE_URL",
        ],
    );
    refused(
        format!("amqp://guest:guest@{address}/elsewhere"),
        &[
            "refused to let us in",
            "elsewhere",
            "check user, password, virtual host",
            "OFFBOARDER_QUEUE_URL",
        ],
    );
    let authority = Authority::new();
    let secure = authority.listen(&servers::shared(), "");
    let unknown = ["unknown issuer", "OFFBOARDER_QUEUE_CA_FILE"];
    refused(
        format!("amqps://guest:guest@localhost:{secure}/{vhost}"),
        &unknown,
    );
    world.set("OFFBOARDER_QUEUE_CA_FILE", &authority.file("ca.pem"));
    world.declare();
}

trial!(
    "a password changed under a worker stops it, and it continues by itself once it is let in again",
    a_password_changed
);

fn a_password_changed(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 6, 4));
    let servers = servers::shared();
    let name = format!("worker-{place}");
    let vhost = vhost(place);
    let all_of_ours = ["^offboarding.*"; 3];
    servers.rabbitmqctl(&["add_user", &name, "first"]);
    servers.rabbitmqctl(&[&["set_permissions", "-p", &vhost, &name], &all_of_ours[..]].concat());
    world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", "1");
    world.set("OFFBOARDER_WORKER_LEASE", "2s");
    world.set(
        "OFFBOARDER_QUEUE_URL",
        &format!("amqp://{name}:first@{}/{vhost}", broker_address(&world)),
    );
    let worker = world.start(&["worker"]);
    worker.await_ready();
    world.publish_users(&world.users[..3]);

    servers.rabbitmqctl(&["change_password", &name, "second"]);
    // Closing applies to those that the node lists, which it does a moment after they are made.
    eventually(PATIENCE, || {
        world.rabbitmqctl("close_all_connections", &["the password was changed"]);
        if worker.errors().contains("no intake yet") {
            Ok(())
        } else {
            Err(tail(&worker.errors()))
        }
    });
    worker.await_not_ready("not consuming from RabbitMQ");
    worker.await_log("ACCESS_REFUSED");

    world.publish_users(&world.users[3..]);
    servers.rabbitmqctl(&["change_password", &name, "first"]);
    worker.await_ready();
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    promises::assert_kept(&world, &servers);
}
