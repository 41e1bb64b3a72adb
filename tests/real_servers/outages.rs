//! Servers that are away, frozen, read-only, full, damaged or ahead of their time.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::support::ledger;
use crate::support::population::deletable;
use crate::support::process::{Process, tail};
use crate::support::redis::{self, ask};
use crate::support::servers::Servers;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, http, promises, servers, status, trial};

const NEWER: &str = r#"{"schema":999,"news":true}"#;

trial!(
    "a damaged checkpoint counts as absent, and one of a later release is not touched",
    damaged_and_newer_checkpoints
);

fn damaged_and_newer_checkpoints(place: usize) {
    let users = deletable(place, 4, 4);
    let mut world = World::with_topology(place, users);
    let url = world.setting("OFFBOARDER_CHECKPOINTS_URL").to_owned();
    redis::set_body(&url, &world.users[0].id, "{\"schema\":1,\"state\":");
    redis::set_body(&url, &world.users[1].id, "\u{1}\u{2}not even JSON");
    redis::set_body(&url, &world.users[2].id, NEWER);
    let worker = world.start(&["worker"]);
    world.publish_all();
    let dead_letters = world.await_dead_letters(1);
    let newer = world.users.remove(2);
    assert_eq!(dead_letters[0]["body"], newer.id);
    let headers = &dead_letters[0]["headers"];
    assert_eq!(headers["x-offboarder-reason"], "poison");
    let error = headers["x-offboarder-error"].as_str().expect("a text");
    assert!(
        error.contains("schema 999") && error.contains("upgrade this worker"),
        "{error}"
    );
    assert_eq!(redis::body(&url, &newer.id).as_deref(), Some(NEWER));
    assert_eq!(ledger::queries_of(&world.simulator, &newer.id), 0);
    let user = world.user_now(&newer.id);
    assert_eq!(user["active"], true, "nothing was done to the user");

    promises::await_quiet(&world, PATIENCE);
    let errors = worker.errors();
    for user in &world.users[..2] {
        let named = errors.lines().any(|line| {
            line.contains("the checkpoint is damaged and counts as absent")
                && line.contains(&user.id)
        });
        assert!(named, "{errors}");
    }
    World::drain(worker);
    promises::assert_manifests(&world, &servers::shared());
}

/// What fails, how, and how it is repaired.
type Failing = (&'static str, fn(&Servers, &str), fn(&Servers, &str));

const FAILINGS: [Failing; 7] = [
    (
        "Redis is read-only",
        |_, url| ask(url, &["REPLICAOF", "127.0.0.1", "1"]),
        |_, url| ask(url, &["REPLICAOF", "NO", "ONE"]),
    ),
    (
        "Redis is full",
        |_, url| ask(url, &["CONFIG", "SET", "maxmemory", "1"]),
        |_, url| ask(url, &["CONFIG", "SET", "maxmemory", "0"]),
    ),
    (
        "Redis is frozen",
        |servers, _| servers.signal_one("redis", "STOP"),
        |servers, _| servers.signal_one("redis", "CONT"),
    ),
    (
        "Redis is killed",
        |servers, _| servers.kill_one("redis"),
        |servers, _| servers.restart_one("redis"),
    ),
    (
        "S3 is killed",
        |servers, _| servers.kill_one("s3"),
        |servers, _| servers.restart_one("s3"),
    ),
    (
        "RabbitMQ is killed",
        |servers, _| servers.kill_one("rabbitmq"),
        |servers, _| servers.restart_one("rabbitmq"),
    ),
    (
        "RabbitMQ is frozen",
        |servers, _| servers.signal_one("rabbitmq", "STOP"),
        |servers, _| servers.signal_one("rabbitmq", "CONT"),
    ),
];

/// After two that are missing the worker notices that a broker is frozen.
const HEARTBEAT: &str = "heartbeat=2";

trial!(
    "servers that are read-only, full, frozen and killed make work wait, which continues by itself, and spend no attempt",
    servers_that_fail,
    seconds = 70
);

/// Each time the worker has users in flight, and is not ready until all is repaired.
fn servers_that_fail(place: usize) {
    let servers = Arc::new(Servers::start(place..=place));
    let users = deletable(place, 105, 4);
    let mut world = World::on(Arc::clone(&servers), place, users, &["--latency", "20ms"]);
    world.set("OFFBOARDER_WORKER_LEASE", "2s");
    let broker = format!("{}?{HEARTBEAT}", world.setting("OFFBOARDER_QUEUE_URL"));
    world.set("OFFBOARDER_QUEUE_URL", &broker);
    // A single failure that spends an attempt would be a dead letter.
    world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", "1");
    world.declare();
    let worker = world.start(&["worker"]);
    let url = world.setting("OFFBOARDER_CHECKPOINTS_URL");

    for (batch, (failing, fail, repair)) in world.users.chunks(15).zip(FAILINGS) {
        let before = ledger::count(&world.simulator, "put_scim_user");
        world.publish_users(batch);
        world.await_calls("put_scim_user", before + 1);
        fail(&servers, url);
        await_paused(&worker, true, failing);
        repair(&servers, url);
        await_paused(&worker, false, failing);
    }
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    promises::assert_kept(&world, &servers);
    servers.stop();
}

/// Waits until a worker takes no users, as `/readyz` and the metrics say, or takes them again.
fn await_paused(worker: &Process, wanted: bool, failing: &str) {
    let admin = worker.admin();
    let status = if wanted { 503 } else { 200 };
    eventually(Duration::from_secs(30), || {
        let found = (http::status(&admin, "/readyz"), is_paused(&admin));
        if found == (status, wanted) {
            Ok(())
        } else {
            let log = tail(&worker.errors());
            Err(format!("{failing}; /readyz and metrics: {found:?}; {log}"))
        }
    });
}

/// Whether the metrics say of any cause that no users are taken.
fn is_paused(admin: &str) -> bool {
    let metrics = http::text(admin, "/metrics");
    metrics
        .lines()
        .any(|line| line.starts_with("offboarder_paused{") && line.ends_with(" 1"))
}

trial!(
    "an outage of CXone and a scope that is lost stop the work, spend no attempt, and end by themselves",
    an_outage_of_cxone,
    seconds = 120
);

/// Every call to CXone fails for half a minute, and the token's too; then the OAuth client loses a
/// scope.
fn an_outage_of_cxone(place: usize) {
    // Enough users that some are left for what comes last, at a pace that no machine is faster than.
    let users = deletable(place, 160, 4);
    let mut world = World::on(servers::shared(), place, users, &["--latency", "100ms"]);
    world.declare();
    world.set("OFFBOARDER_WORKER_CONCURRENCY", "8");
    world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", "1");
    let worker = world.start(&["worker"]);
    world.publish_all();
    world.await_calls("put_scim_user", 6);

    let server_error = "offboarder_paused{cause=\"cxone_server_error\"}";
    world.strike_all("*", &status(503));
    worker.await_readyz(503);
    assert_eq!(http::sample(&worker.admin(), server_error), Some(1.0));
    assert_calls_are_rare(&world, &worker);
    world.end_faults();
    worker.await_readyz(200);
    assert_eq!(http::sample(&worker.admin(), server_error), Some(0.0));

    let deactivated = ledger::count(&world.simulator, "put_scim_user");
    assert!(
        deactivated < 120,
        "{deactivated} users are done before the scope is lost"
    );
    grant(&world, &OTHER_SCOPES);
    worker.await_readyz(503);
    let named = worker.errors().contains("lack the scope scim:write");
    assert!(named, "{}", tail(&worker.errors()));
    let missing_scope = "offboarder_paused{cause=\"cxone_missing_scope\"}";
    assert_eq!(http::sample(&worker.admin(), missing_scope), Some(1.0));

    grant(&world, &[&OTHER_SCOPES[..], &["scim:write"]].concat());
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    promises::assert_kept(&world, &servers::shared());
}

/// The worker holds no user whom others could take, and only probes the service, ever more rarely.
fn assert_calls_are_rare(world: &World, worker: &Process) {
    eventually(Duration::from_secs(30), || {
        match world.depth("offboarding.users") {
            Some(100..) => Ok(()),
            depth => Err(format!("{depth:?} users wait in the queue")),
        }
    });
    // Those that were in progress when it began have come to their end.
    eventually(Duration::from_secs(30), || {
        match http::sample(&worker.admin(), "offboarder_in_flight") {
            Some(0.0) => Ok(()),
            in_flight => Err(format!("{in_flight:?} users in progress")),
        }
    });

    let before = ledger::calls(&world.simulator).len();
    std::thread::sleep(Duration::from_secs(10));
    let calls = ledger::calls(&world.simulator).len() - before;
    assert!(
        (1..=10).contains(&calls),
        "{calls} calls in 10 s of an outage"
    );
}

/// All scopes but `scim:write`.
const OTHER_SCOPES: [&str; 7] = [
    "user:read",
    "iam:write",
    "routing:read",
    "routing:write",
    "scim:read",
    "conversations:read",
    "analytics:read",
];

/// The OAuth client has these scopes from its next token on, which it has to get at once.
fn grant(world: &World, scopes: &[&str]) {
    let path = "/_simulator/scopes";
    http::request("PUT", &world.simulator, path, Some(&json!(scopes)));
    let revoke = json!({ "operation": "*", "times": 1, "fault": { "kind": "revoke_token" } });
    let path = "/_simulator/faults";
    http::request("POST", &world.simulator, path, Some(&revoke));
}
