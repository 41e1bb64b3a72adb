//! What `doctor` sees of the broker beyond its topology.

use std::net::TcpListener;
use std::sync::Arc;

use serde_json::Value;

use super::{assert_failure, assert_failures};
use crate::broker_faults::broker_address;
use crate::support::population::deletable;
use crate::support::servers::{self, Servers, vhost};
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, list, trial};

/// A `doctor` that believes the first confirm was wrong 11 times of 40.
const LOOKS: usize = 5;
const MANAGEMENT: &str = "OFFBOARDER_QUEUE_MANAGEMENT_URL";

trial!(
    "doctor names the broker's alarms, and with the management API policies that limit queues",
    alarms_and_policies,
    seconds = 40
);

/// The details of a check.
fn details(world: &World, check: &str) -> Vec<String> {
    let report = world.run(&["doctor", "--output", "json"]).json();
    let findings = list(&report["findings"]).iter();
    let of_check = findings.filter(|finding| finding["check"] == check);
    let detail = |finding: &Value| finding["detail"].as_str().unwrap_or_default().to_owned();
    of_check.map(detail).collect()
}

#[track_caller]
fn await_detail(world: &World, says: &str) {
    // The management collects what it shows every few seconds.
    await_detail_of(world, "RabbitMQ queues", says);
}

#[track_caller]
fn await_detail_of(world: &World, check: &str, says: &str) {
    eventually(PATIENCE, || {
        let found = details(world, check);
        if found.iter().any(|detail| detail.contains(says)) {
            Ok(())
        } else {
            Err(format!("no {says:?} in {found:?}"))
        }
    });
}

fn alarms_and_policies(place: usize) {
    let servers = Arc::new(Servers::start(place..=place));
    let mut world = World::on(Arc::clone(&servers), place, Vec::new(), &[]);
    world.declare();
    assert_failures(&world, 0, &[]);
    let without = details(&world, "RabbitMQ queues");
    assert!(without[0].contains(MANAGEMENT), "{without:?}");

    policies(&mut world, start_management(&servers));
    for (command, reached, free, says) in [
        ("set_vm_memory_high_watermark", "0", "0.8", "low on memory"),
        ("set_disk_free_limit", "1000000GB", "1MB", "low on disk"),
    ] {
        servers.rabbitmqctl(&[command, reached]);
        await_detail_of(&world, "RabbitMQ alarms", says);
        assert_failure(
            &world,
            1,
            "RabbitMQ alarms",
            &[says, "free memory or disk space"],
        );
        // RabbitMQ confirms the first message of a connection all the same, now and then before it reports the alarm.
        // A busy machine may not answer in time, and then it is unknown.
        for _look in 0..LOOKS {
            let alarms = details(&world, "RabbitMQ alarms");
            let is_unknown = alarms[0].contains("no answer within");
            assert!(is_unknown || alarms[0].contains(says), "{alarms:?}");
        }
        servers.rabbitmqctl(&[command, free]);
        eventually(PATIENCE, || {
            match details(&world, "RabbitMQ alarms")[0].as_str() {
                "none: it takes messages" => Ok(()),
                detail => Err(detail.to_owned()),
            }
        });
    }
    servers.stop();
}

fn policies(world: &mut World, port: u16) {
    world.set(
        MANAGEMENT,
        &format!("http://guest:hunter2@127.0.0.1:{port}"),
    );
    assert_failure(
        world,
        1,
        "RabbitMQ queues",
        &["401", "to the user guest", MANAGEMENT],
    );
    world.set(MANAGEMENT, &format!("http://127.0.0.1:{port}/api/"));
    assert_failures(world, 0, &[]);
    await_detail(world, "have all members online");
    let set_policy = |definition: &str| {
        world.rabbitmqctl(
            "set_policy",
            &[
                "small",
                "^offboarding[.]users$",
                definition,
                "--apply-to",
                "queues",
            ],
        );
    };
    set_policy(r#"{"max-length":5}"#);
    await_detail(
        world,
        "the policy small limits offboarding.users: max-length 5",
    );
    assert_failures(world, 0, &[]);
    set_policy(r#"{"message-ttl":60000}"#);
    await_detail(world, "limits offboarding.users: message-ttl 60000");
    assert_failures(world, 1, &["RabbitMQ queues"]);
    set_policy(r#"{"max-length":5,"overflow":"drop-head"}"#);
    await_detail(world, "sets overflow drop-head for offboarding.users");
    assert_failures(world, 1, &["RabbitMQ queues"]);
    world.rabbitmqctl("clear_policy", &["small"]);
    let definition = r#"{"dead-letter-routing-key":"my-key"}"#;
    let waiting = "^offboarding[.]wait";
    let reroute = ["small", waiting, definition, "--apply-to", "queues"];
    world.rabbitmqctl("set_policy", &reroute);
    await_detail(
        world,
        "sets dead-letter-routing-key my-key for offboarding.wait.",
    );
    assert_failures(world, 1, &["RabbitMQ queues"]);
    world.rabbitmqctl("clear_policy", &["small"]);
    world.unset(MANAGEMENT);
}

/// Starts the management plugin under the node; its port.
fn start_management(servers: &Servers) -> u16 {
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port")
        .port();
    servers.eval(&format!(
        "File = os:getenv(\"RABBITMQ_ENABLED_PLUGINS_FILE\"), \
         ok = file:write_file(File, \"[rabbitmq_auth_mechanism_ssl,rabbitmq_management].\"), \
         application:load(rabbitmq_management), \
         ok = application:set_env(rabbitmq_management, tcp_config, [{{port, {port}}}, {{ip, \"127.0.0.1\"}}]), \
         {{ok, _, _}} = rabbit_plugins:ensure(File), ok."
    ));
    port
}

trial!(
    "a worker without the right to configure runs on a topology that is there, and says what to do while it is not",
    without_the_right_to_configure
);

/// Until the worker's heartbeat says that it takes users: it comes once a second, and its users may be done before.
fn await_running(world: &World) {
    eventually(PATIENCE, || {
        let workers = world.run(&["workers", "--output", "json"]).json();
        let is_running = workers["workers"][0]["ready"] == Value::Bool(true);
        is_running.then_some(()).ok_or_else(|| workers.to_string())
    });
}

fn without_the_right_to_configure(place: usize) {
    let mut world = World::new(place, deletable(place, 2, 4));
    let servers = servers::shared();
    let full = world.setting("OFFBOARDER_QUEUE_URL").to_owned();
    let name = format!("least-{place}");
    let ours = "^offboarding.*";
    servers.rabbitmqctl(&["add_user", &name, "secret"]);
    world.rabbitmqctl("set_permissions", &[&name, "^$", ours, ours]);
    let least = format!(
        "amqp://{name}:secret@{}/{}",
        broker_address(&world),
        vhost(place)
    );
    world.set("OFFBOARDER_QUEUE_URL", &least);
    let worker = world.start(&["worker"]);
    worker.await_not_ready(
        "find the exchange offboarding (this login may not declare it: run `offboarder topology`",
    );

    world.set("OFFBOARDER_QUEUE_URL", &full);
    world.declare();
    world.set("OFFBOARDER_QUEUE_URL", &least);
    worker.await_ready();
    world.publish_all();
    for user in &world.users {
        world.await_deleted(&user.id);
    }
    await_running(&world);
    assert_failures(&world, 0, &[]);
    let topology = details(&world, "RabbitMQ topology");
    assert!(
        topology[0].contains("no right to configure"),
        "{topology:?}"
    );
    World::drain(worker);

    // One who may declare, and may not bind.
    let reads = "^offboarding[.].*";
    world.rabbitmqctl("set_permissions", &[&name, ours, ours, reads]);
    let worker = world.start(&["worker"]);
    worker.await_not_ready("bind the queue offboarding.");
    let ended = world.run(&["topology"]).expect(3);
    assert!(ended.errors.contains("bind the queue"), "{}", ended.errors);
}
