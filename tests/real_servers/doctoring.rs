//! What `doctor` finds, and that it finds nothing else.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::process::{Process, command};
use crate::support::proxy::{Proxy, Trick};
use crate::support::world::World;
use crate::support::{broker, eventually, http, ledger, redis, trial};

/// A port where nobody listens.
const NOBODY: &str = "127.0.0.1:9";

/// What is not well: finding and mending, by the check's name; several of one name are joined.
type Ills = BTreeMap<String, String>;

#[track_caller]
fn ills(world: &World, code: i32) -> Ills {
    let ended = world.run(&["doctor", "--output", "json"]);
    let report: Value = serde_json::from_str(&ended.output).expect("one JSON document");
    let mut ills = Ills::new();
    for finding in report["findings"].as_array().expect("findings") {
        let text = |member: &str| finding[member].as_str().unwrap_or_default();
        if finding["ok"] == false {
            assert_ne!(text("mend"), "", "it says how to mend it: {finding:#}");
            let told = ills.entry(text("check").to_owned()).or_default();
            *told = format!("{told}{}; {}\n", text("detail"), text("mend"));
        }
    }
    assert_eq!(ended.code, Some(code), "exit status; {ills:#?}");
    ills
}

/// Only this check fails, and says this.
#[track_caller]
fn assert_ill(world: &World, code: i32, check: &str, says: &[&str]) {
    let ills = ills(world, code);
    let names: Vec<&str> = ills.keys().map(String::as_str).collect();
    assert_eq!(names, [check], "{ills:#?}");
    for text in says {
        assert!(ills[check].contains(text), "{text} in {ills:#?}");
    }
}

trial!("doctor names what is wrong with the tenant, each by itself, and changes nothing there", the_tenant);

fn the_tenant(place: usize) {
    let mut world = World::with_topology(place, Vec::new());
    assert_eq!(ills(&world, 0), Ills::new());
    let all = [
        "user:read",
        "iam:write",
        "routing:read",
        "routing:write",
        "scim:read",
        "scim:write",
        "conversations:read",
        "analytics:read",
    ];
    let simulator = world.simulator.clone();
    let grant = |scopes: &[&str]| {
        http::request(
            "PUT",
            &simulator,
            "/_simulator/scopes",
            Some(&json!(scopes)),
        );
    };
    for missing in [
        &["user:read", "scim:write", "analytics:read"][..],
        &["routing:read", "scim:read"],
        &["routing:write", "iam:write", "conversations:read"],
    ] {
        grant(
            &all.iter()
                .copied()
                .filter(|scope| !missing.contains(scope))
                .collect::<Vec<_>>(),
        );
        let mut wanted: Vec<String> = missing
            .iter()
            .map(|scope| format!("scope {scope}"))
            .collect();
        wanted.sort();
        let ills = ills(&world, 1);
        assert_eq!(
            ills.keys().cloned().collect::<Vec<_>>(),
            wanted,
            "{ills:#?}"
        );
    }
    world.set("OFFBOARDER_GUARD_DELETE", "never");
    grant(
        &all.iter()
            .copied()
            .filter(|scope| *scope != "iam:write")
            .collect::<Vec<_>>(),
    );
    assert_eq!(
        ills(&world, 0),
        Ills::new(),
        "who deletes nobody needs no right to"
    );
    grant(&all);

    let status = |status: u16, headers: Value| json!({ "kind": "status", "status": status, "headers": headers });
    // Whatever the token says of itself.
    let unscoped = json!({ "kind": "status", "status": 403, "code": "insufficient_scope" });
    let html =
        json!({ "kind": "status", "status": 404, "body": "<html>", "contentType": "text/html" });
    // As CXone says that nobody has that ID.
    let missing = |headers: Value| json!({ "kind": "status", "status": 404, "code": "not_found", "headers": headers });
    let few = json!({ "X-RateLimit-Limit": "300", "X-RateLimit-Remaining": "12" });
    let old = json!({ "Date": "Wed, 21 Oct 2015 07:28:00 GMT" });
    for (operation, fault, check, says) in [
        ("get_scim_user", html.clone(), "SCIM", "enabled"),
        (
            "get_scim_user",
            missing(json!({})),
            "SCIM",
            "every user would be missing",
        ),
        ("get_user", html, "CXone API", "not as CXone answers"),
        (
            "get_scim_user",
            status(501, json!({})),
            "SCIM",
            "not offered",
        ),
        (
            "get_scim_user",
            status(403, json!({})),
            "SCIM",
            "refused (403)",
        ),
        (
            "query_conversations",
            status(429, json!({})),
            "quota analytics",
            "OFFBOARDER_CXONE_RATE_ANALYTICS",
        ),
        (
            "get_routing_profile",
            unscoped,
            "scope routing:read",
            "lacks the scope routing:read",
        ),
        ("get_user", missing(few), "quota routing", "12 calls of 300"),
        ("get_routing_profile", missing(old), "clock", "NTP"),
    ] {
        let rule = json!({ "operation": operation, "fault": fault });
        http::request("POST", &simulator, "/_simulator/faults", Some(&rule));
        assert_ill(&world, 1, check, &[says]);
        http::request("DELETE", &simulator, "/_simulator/faults", None);
    }
    for write in [
        "put_scim_user",
        "patch_routing_profile",
        "patch_queue",
        "delete_user",
    ] {
        assert_eq!(ledger::count(&simulator, write), 0, "{write}");
    }

    let elsewhere = World::new(place, Vec::new());
    world.set(
        "OFFBOARDER_CXONE_TOKEN_URI",
        &format!("{}/api/v2/oauth/token", elsewhere.simulator),
    );
    assert_ill(
        &world,
        1,
        "CXone API",
        &["region", "OFFBOARDER_CXONE_BASE_URI"],
    );
    world.set("OFFBOARDER_CXONE_CLIENT_SECRET", "another");
    assert_ill(
        &world,
        1,
        "CXone credentials",
        &["401", "region", "OFFBOARDER_CXONE_CLIENT_ID"],
    );
    world.set(
        "OFFBOARDER_CXONE_TOKEN_URI",
        &format!("http://{NOBODY}/token"),
    );
    assert_ill(&world, 3, "CXone credentials", &["firewall"]);
}

/// A Redis that evicts, and keeps nothing.
fn careless_redis(directory: &Path) -> (Process, String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener
        .local_addr()
        .expect("an address")
        .port()
        .to_string();
    drop(listener);
    let mut server = command(Path::new("redis-server"));
    server.args([
        "--port",
        &port,
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--maxmemory-policy",
        "allkeys-lru",
    ]);
    server.current_dir(directory);
    let mut process = Process::start(server, directory, "redis");
    eventually(Duration::from_mins(1), || match process.output() {
        output if output.contains("Ready to accept connections") => Ok(()),
        output => Err(format!("{:?}: {output}", process.ended())),
    });
    (process, format!("redis://127.0.0.1:{port}/0"))
}

trial!("doctor names what is wrong with the stores and the broker, each by itself", the_services);

fn the_services(place: usize) {
    let mut world = World::new(place, Vec::new());
    let missing = ills(&world, 1);
    assert_eq!(
        missing.keys().collect::<Vec<_>>(),
        ["RabbitMQ topology"],
        "{missing:#?}"
    );
    for what in [
        "exchange offboarding ",
        "queue offboarding.users ",
        "queue offboarding.dead ",
    ] {
        assert!(
            missing["RabbitMQ topology"].contains(what),
            "{what} in {missing:#?}"
        );
    }
    assert_eq!(
        world.depth("offboarding.users"),
        None,
        "looking made nothing"
    );
    world.run(&["topology"]).expect(0);
    assert_eq!(ills(&world, 0), Ills::new());
    world.delete_queue("offboarding.users");
    broker::declare_classic_queue(&world.queue_url(), "offboarding.users");
    assert_ill(
        &world,
        1,
        "RabbitMQ topology",
        &[
            "queue offboarding.users stands with other arguments",
            "delete it",
        ],
    );
    world.delete_queue("offboarding.users");
    world.run(&["topology"]).expect(0);

    let (server, careless) = careless_redis(world.directory.path());
    let orderly = world.setting("OFFBOARDER_CHECKPOINTS_URL").to_owned();
    world.set("OFFBOARDER_CHECKPOINTS_URL", &careless);
    let found = ills(&world, 1);
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        ["checkpoints eviction", "checkpoints persistence"],
        "{found:#?}"
    );
    redis::ask(
        &careless,
        &["CONFIG", "SET", "maxmemory-policy", "noeviction"],
    );
    assert_ill(&world, 1, "checkpoints persistence", &["appendonly yes"]);
    drop(server);
    assert_ill(&world, 3, "checkpoints", &["OFFBOARDER_CHECKPOINTS_URL"]);
    world.set("OFFBOARDER_CHECKPOINTS_URL", &orderly);

    let bucket = world.setting("OFFBOARDER_ARCHIVE_URL").to_owned();
    world.set("OFFBOARDER_ARCHIVE_RETENTION", "governance:1d");
    assert_eq!(ills(&world, 0), Ills::new(), "the bucket keeps locks");
    world.set("OFFBOARDER_ARCHIVE_URL", &format!("s3://no-locks-{place}/"));
    world.objects().make_bucket();
    assert_ill(&world, 1, "archive lock", &["Object Lock"]);
    world.set("OFFBOARDER_ARCHIVE_RETENTION", "off");
    assert_eq!(
        ills(&world, 0),
        Ills::new(),
        "and without retention nobody asks for locks"
    );
    world.set("OFFBOARDER_ARCHIVE_URL", "s3://no-such-bucket/");
    let found = ills(&world, 1);
    assert!(
        found["archive store"].contains("make the bucket"),
        "{found:#?}"
    );
    world.set("OFFBOARDER_ARCHIVE_URL", &bucket);

    let secret = world.setting("AWS_SECRET_ACCESS_KEY").to_owned();
    let access_key = world.setting("AWS_ACCESS_KEY_ID").to_owned();
    world.set("AWS_SECRET_ACCESS_KEY", "another");
    let found = ills(&world, 1);
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        ["archive listing", "archive store"],
        "{found:#?}"
    );
    assert!(
        found["archive store"].contains("s3:PutObject")
            && found["archive store"].contains(&access_key)
    );
    assert!(
        found.values().all(|text| !text.contains("another")),
        "no secret is shown: {found:#?}"
    );
    world.set("AWS_SECRET_ACCESS_KEY", &secret);

    let endpoint = world
        .setting("AWS_ENDPOINT_URL_S3")
        .trim_start_matches("http://")
        .to_owned();
    let proxy = Proxy::start(endpoint.trim_end_matches('/').parse().expect("an address"));
    world.set(
        "AWS_ENDPOINT_URL_S3",
        &format!("http://127.0.0.1:{}", proxy.port),
    );
    for _ in 0..2 {
        proxy.play(&Trick::take_condition_as_met("_offboarder_probe"));
    }
    assert_ill(&world, 1, "archive store", &["If-None-Match"]);

    // Everything at once: each is told, and none hides another.
    world.set("AWS_ENDPOINT_URL_S3", &format!("http://{NOBODY}"));
    world.set("OFFBOARDER_CHECKPOINTS_URL", &format!("redis://{NOBODY}/0"));
    world.set(
        "OFFBOARDER_QUEUE_URL",
        &format!("amqp://guest:guest@{NOBODY}/%2f"),
    );
    world.set("OFFBOARDER_CXONE_BASE_URI", &format!("http://{NOBODY}"));
    let found = ills(&world, 3);
    let all = [
        "CXone credentials",
        "RabbitMQ",
        "archive store",
        "checkpoints",
    ];
    assert_eq!(
        found.keys().map(String::as_str).collect::<Vec<_>>(),
        all,
        "{found:#?}"
    );
}
