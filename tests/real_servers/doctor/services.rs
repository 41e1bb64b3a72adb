//! What is wrong with the stores and the broker.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;

use super::{CLOSED, assert_failure, assert_failures, failures};
use crate::support::process::{Process, command};
use crate::support::proxy::{Proxy, Trick};
use crate::support::world::World;
use crate::support::{broker, eventually, redis, trial};

trial!(
    "doctor names what is wrong with the stores and the broker, each by itself",
    the_services
);

fn the_services(place: usize) {
    let mut world = World::new(place, Vec::new());
    assert_topology(&world);
    assert_careless_redis(&mut world);
    assert_bucket(&mut world, place);
    assert_wrong_secret(&mut world);
    assert_ignored_condition(&mut world);

    // Everything at once: each is reported, and none hides another.
    world.set("AWS_ENDPOINT_URL_S3", &format!("http://{CLOSED}"));
    let redis = format!("redis://{CLOSED}/0");
    world.set("OFFBOARDER_CHECKPOINTS_URL", &redis);
    let amqp = format!("amqp://guest:guest@{CLOSED}/%2f");
    world.set("OFFBOARDER_QUEUE_URL", &amqp);
    world.set("OFFBOARDER_CXONE_BASE_URI", &format!("http://{CLOSED}"));
    let all = [
        "CXone credentials",
        "RabbitMQ",
        "archive store",
        "checkpoints",
    ];
    assert_failures(&world, 3, &all);
}

fn assert_topology(world: &World) {
    let users = "offboarding.users";
    let says = ["exchanges and queues do not exist", "exchange offboarding "];
    assert_failure(world, 1, "RabbitMQ topology", &says);
    let shown = world.run(&["doctor"]).expect(1);
    let lines = shown.output.matches("RabbitMQ topology").count();
    assert_eq!(lines, 1, "{}", shown.output);
    assert!(shown.output.contains("\n1 of "), "{}", shown.output);
    assert!(!shown.errors.contains("lapin"), "{}", shown.errors);
    assert_eq!(world.depth(users), None, "doctor declares nothing");
    world.run(&["topology"]).expect(0);
    assert_failures(world, 0, &[]);

    world.delete_queue(users);
    broker::declare_classic_queue(&world.queue_url(), users);
    let says = ["queue offboarding.users ", "other arguments", "delete it"];
    assert_failure(world, 1, "RabbitMQ topology", &says);
    world.delete_queue(users);
    world.run(&["topology"]).expect(0);
}

fn assert_careless_redis(world: &mut World) {
    let setting = "OFFBOARDER_CHECKPOINTS_URL";
    let orderly = world.setting(setting).to_owned();
    let (server, careless) = careless_redis(world.directory.path());
    world.set(setting, &careless);
    assert_failures(world, 1, &["checkpoints eviction"]);

    let no_eviction = ["CONFIG", "SET", "maxmemory-policy", "noeviction"];
    redis::ask(&careless, &no_eviction);
    assert_failures(world, 0, &[]);
    let findings = world.json(&["doctor"], 0);
    let hint = findings.to_string();
    assert!(hint.contains("the append-only file is off"), "{hint}");
    assert_users_with_less(world, &careless);
    world.set(setting, &careless);
    drop(server);
    assert_failure(world, 3, "checkpoints", &[setting]);
    world.set(setting, &orderly);
}

/// A managed service lets nobody ask INFO, which is no fault; a user without scripts can do nothing.
fn assert_users_with_less(world: &mut World, redis: &str) {
    let all = ["~offboarder:*", "+@all", "-@admin", "-@dangerous"];
    for (user, less) in [("managed", ""), ("scriptless", "-@scripting")] {
        let rights = [&["ACL", "SETUSER", user, "on", ">pw"][..], &all].concat();
        let rights: Vec<&str> = rights
            .into_iter()
            .chain((!less.is_empty()).then_some(less))
            .collect();
        redis::ask(redis, &rights);
        let url = redis.replace("redis://", &format!("redis://{user}:pw@"));
        world.set("OFFBOARDER_CHECKPOINTS_URL", &url);
        if less.is_empty() {
            assert_failures(world, 0, &[]);
            let findings = world.json(&["doctor"], 0).to_string();
            assert!(
                findings.contains("could not see maxmemory-policy"),
                "{findings}"
            );
        } else {
            assert_failure(world, 1, "checkpoints", &["no permissions", "evalsha"]);
        }
    }
}

/// A Redis that evicts, and keeps nothing.
fn careless_redis(directory: &Path) -> (Process, String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);

    let mut server = command(Path::new("redis-server"));
    server
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--maxmemory-policy", "allkeys-lru"])
        .current_dir(directory);
    let mut process = Process::start(server, directory, "redis");
    eventually(Duration::from_mins(1), || match process.output() {
        output if output.contains("Ready to accept connections") => Ok(()),
        output => Err(format!("{:?}: {output}", process.ended())),
    });
    (process, format!("redis://127.0.0.1:{port}/0"))
}

fn assert_bucket(world: &mut World, place: usize) {
    let bucket = world.setting("OFFBOARDER_ARCHIVE_URL").to_owned();
    world.set("OFFBOARDER_ARCHIVE_RETENTION", "governance:1d");
    assert_failures(world, 0, &[]);

    let without_locks = format!("s3://no-locks-{place}/");
    world.set("OFFBOARDER_ARCHIVE_URL", &without_locks);
    world.objects().make_bucket();
    assert_failure(world, 1, "archive lock", &["Object Lock"]);
    // Without retention nothing needs locks.
    world.set("OFFBOARDER_ARCHIVE_RETENTION", "off");
    assert_failures(world, 0, &[]);

    world.set("OFFBOARDER_ARCHIVE_URL", "s3://no-such-bucket/");
    let found = failures(world, 1);
    let says = &found["archive store"];
    assert!(says.contains("no such bucket"), "{found:#?}");
    world.set("OFFBOARDER_ARCHIVE_URL", &bucket);
}

fn assert_wrong_secret(world: &mut World) {
    let secret = world.setting("AWS_SECRET_ACCESS_KEY").to_owned();
    let access_key = world.setting("AWS_ACCESS_KEY_ID").to_owned();
    world.set("AWS_SECRET_ACCESS_KEY", "another");
    let found = assert_failures(world, 1, &["archive listing", "archive store"]);
    let says = &found["archive store"];
    assert!(
        says.contains("the secret does not belong to the access key"),
        "{found:#?}"
    );
    assert!(says.contains(&access_key), "{found:#?}");
    assert!(
        found.values().all(|text| !text.contains("another")),
        "no secret is shown: {found:#?}"
    );
    world.set("AWS_SECRET_ACCESS_KEY", &secret);
}

/// An S3 that writes though the condition is not met.
fn assert_ignored_condition(world: &mut World) {
    let endpoint = world.setting("AWS_ENDPOINT_URL_S3");
    let endpoint = endpoint.trim_start_matches("http://");
    let endpoint = endpoint.trim_end_matches('/').parse();
    let proxy = Proxy::start(endpoint.expect("an address"));
    let behind = format!("http://127.0.0.1:{}", proxy.port);
    world.set("AWS_ENDPOINT_URL_S3", &behind);
    for _ in 0..2 {
        proxy.play(&Trick::take_condition_as_met("/_offboarder_probe"));
    }
    assert_failure(world, 1, "archive store", &["If-None-Match"]);
}
