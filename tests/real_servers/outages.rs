//! Servers that are away, frozen, read-only, full, damaged or ahead of their time.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::support::ledger;
use crate::support::population::{Outcome, User};
use crate::support::process::tail;
use crate::support::redis::{self, ask};
use crate::support::servers::Servers;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, http, promises, servers, trial};

trial!("a damaged checkpoint counts as absent, and one of a later release is left alone", damaged_and_newer_checkpoints);

fn damaged_and_newer_checkpoints(place: usize) {
    let users = (0..4)
        .map(|number| User::new(place, number, Outcome::Deleted, 4))
        .collect();
    let mut world = World::with_topology(place, users);
    let url = world.setting("OFFBOARDER_CHECKPOINTS_URL").to_owned();
    redis::set_body(&url, &world.users[0].id, "{\"schema\":1,\"state\":");
    redis::set_body(&url, &world.users[1].id, "\u{1}\u{2}not even JSON");
    redis::set_body(&url, &world.users[2].id, "{\"schema\":999,\"news\":true}");
    let worker = world.start(&["worker"]);
    world.publish_all();
    let letters = eventually(PATIENCE, || match world.dead_letters() {
        letters if letters.len() == 1 => Ok(letters),
        letters => Err(format!(
            "{} dead letters; {}",
            letters.len(),
            tail(&worker.errors())
        )),
    });
    let newer = world.users.remove(2);
    assert_eq!(letters[0]["body"], newer.id);
    assert_eq!(letters[0]["headers"]["x-offboarder-reason"], "poison");
    let error = letters[0]["headers"]["x-offboarder-error"]
        .as_str()
        .expect("a text");
    assert!(
        error.contains("schema 999") && error.contains("upgrade this worker"),
        "{error}"
    );
    assert_eq!(
        redis::body(&url, &newer.id).as_deref(),
        Some("{\"schema\":999,\"news\":true}")
    );
    assert_eq!(ledger::queries_of(&world.simulator, &newer.id), 0);
    assert_eq!(
        world.user_now(&newer.id)["active"],
        true,
        "nothing was done to the user"
    );

    promises::await_quiet(&world, PATIENCE);
    let errors = worker.errors();
    assert_eq!(
        errors
            .matches("the checkpoint is damaged and counts as absent")
            .count(),
        2,
        "{errors}"
    );
    World::drain(worker);
    promises::assert_manifests(&world, &servers::shared());
}

/// What Redis suffers, and how it is mended.
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

/// Two of which the worker notices that a broker is frozen.
const HEARTBEAT: &str = "heartbeat=2";

trial!("servers that are read-only, full, frozen and killed make work wait, which goes on by itself, and spend no attempt", servers_that_fail);

/// Each time the worker is in the midst of users, and not ready until all is mended.
fn servers_that_fail(place: usize) {
    let servers = Arc::new(Servers::start(place..=place));
    let users = (0..105)
        .map(|number| User::new(place, number, Outcome::Deleted, 4))
        .collect();
    let mut world = World::on(Arc::clone(&servers), place, users, &["--latency", "20ms"]);
    world.set("OFFBOARDER_WORKER_LEASE", "2s");
    let broker = format!("{}?{HEARTBEAT}", world.setting("OFFBOARDER_QUEUE_URL"));
    world.set("OFFBOARDER_QUEUE_URL", &broker);
    // A single failure that spends an attempt would be a dead letter.
    world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", "1");
    world.declare();
    let worker = world.start(&["worker"]);
    let url = world.setting("OFFBOARDER_CHECKPOINTS_URL").to_owned();
    let messages: Vec<_> = world
        .users
        .iter()
        .map(|user| json!({ "body": user.id }))
        .collect();
    for (batch, (failing, fail, mend)) in messages.chunks(15).zip(FAILINGS) {
        let before = ledger::count(&world.simulator, "put_scim_user");
        world.publish(batch);
        eventually(PATIENCE, || {
            match ledger::count(&world.simulator, "put_scim_user") {
                now if now > before => Ok(()),
                _ => Err(format!(
                    "nobody is taken up before {failing}; {}",
                    tail(&worker.errors())
                )),
            }
        });
        fail(&servers, &url);
        let admin = worker.admin();
        eventually(Duration::from_secs(30), || {
            match (http::status(&admin, "/readyz"), is_paused(&admin)) {
                (503, true) => Ok(()),
                (status, told) => Err(format!(
                    "/readyz answers {status} though {failing}; in the metrics: {told}"
                )),
            }
        });
        mend(&servers, &url);
        eventually(Duration::from_secs(30), || {
            match (http::status(&admin, "/readyz"), is_paused(&admin)) {
                (200, false) => Ok(()),
                (status, told) => {
                    let errors = worker.errors();
                    Err(format!(
                        "{status}, and no longer: {failing}; in the metrics: {told}; {}",
                        tail(&errors)
                    ))
                }
            }
        });
    }
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    promises::assert_kept(&world, &servers);
    servers.stop();
}

/// Whether the metrics say of any cause that no users are taken.
fn is_paused(admin: &str) -> bool {
    let metrics = http::text(admin, "/metrics");
    metrics
        .lines()
        .any(|line| line.starts_with("offboarder_paused{") && line.ends_with(" 1"))
}

trial!("an outage of CXone and a scope that is lost stop the work, spend no attempt, and end by themselves", an_outage_of_cxone);

/// Every call to CXone fails for half a minute, and the token's too; then the OAuth client loses a scope.
fn an_outage_of_cxone(place: usize) {
    let users = (0..160)
        .map(|number| User::new(place, number, Outcome::Deleted, 4))
        .collect();
    // So many that some are left for what comes last, at a pace that no machine is faster than.
    let mut world = World::on(servers::shared(), place, users, &["--latency", "100ms"]);
    world.declare();
    world.set("OFFBOARDER_WORKER_CONCURRENCY", "8");
    world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", "1");
    let worker = world.start(&["worker"]);
    let admin = worker.admin();
    let wait_for = |wanted: u16, why: &str| {
        eventually(Duration::from_secs(30), || {
            match http::status(&admin, "/readyz") {
                status if status == wanted => Ok(()),
                status => Err(format!(
                    "/readyz answers {status}, {why}; {}",
                    tail(&worker.errors())
                )),
            }
        });
    };
    let deactivated = || ledger::count(&world.simulator, "put_scim_user");
    world.publish_all();
    eventually(PATIENCE, || {
        if deactivated() > 5 {
            Ok(())
        } else {
            Err(tail(&worker.errors()))
        }
    });
    let fault = json!({ "operation": "*", "fault": { "kind": "status", "status": 503 } });
    http::request("POST", &world.simulator, "/_simulator/faults", Some(&fault));
    wait_for(503, "though CXone answers 503 to all");
    let paused =
        |code: &str| http::sample(&admin, &format!("offboarder_paused{{cause=\"{code}\"}}"));
    assert_eq!(paused("cxone_server_error"), Some(1.0));
    // Nobody holds what others could take, and the service alone is asked, ever more rarely.
    eventually(Duration::from_secs(30), || {
        match world.depth("offboarding.users") {
            Some(100..) => Ok(()),
            depth => Err(format!("{depth:?} users wait in the queue")),
        }
    });
    // Those who were in progress when it began have come to their end.
    eventually(Duration::from_secs(30), || {
        match http::sample(&admin, "offboarder_in_flight") {
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
    http::request("DELETE", &world.simulator, "/_simulator/faults", None);
    wait_for(200, "though CXone is back");
    assert_eq!(paused("cxone_server_error"), Some(0.0));

    let all = "user:read iam:write routing:read routing:write scim:read scim:write conversations:read analytics:read";
    let scopes: Vec<&str> = all
        .split(' ')
        .filter(|scope| *scope != "scim:write")
        .collect();
    let set = |scopes: &[&str]| {
        http::request(
            "PUT",
            &world.simulator,
            "/_simulator/scopes",
            Some(&json!(scopes)),
        );
        let revoke = json!({ "operation": "*", "times": 1, "fault": { "kind": "revoke_token" } });
        http::request(
            "POST",
            &world.simulator,
            "/_simulator/faults",
            Some(&revoke),
        );
    };
    let before = deactivated();
    assert!(
        before < 120,
        "{before} users are done before the scope is lost"
    );
    set(&scopes);
    wait_for(503, "though scim:write is missing");
    assert!(
        worker.errors().contains("lacks the scope scim:write"),
        "{}",
        tail(&worker.errors())
    );
    assert_eq!(paused("cxone_missing_scope"), Some(1.0));
    set(&all.split(' ').collect::<Vec<_>>());
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    promises::assert_kept(&world, &servers::shared());
}
