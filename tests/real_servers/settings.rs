//! What an operator sees: status, and the answer to wrong settings.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::support::population::{Outcome, User, user_id};
use crate::support::process::{Process, command};
use crate::support::world::World;
use crate::support::{eventually, trial};

/// The object with this user's state.
fn about<'a>(value: &'a Value, id: &str) -> Option<&'a Value> {
    match value {
        Value::Array(items) => items.iter().find_map(|item| about(item, id)),
        Value::Object(members) => {
            let own = members.contains_key("state") && members.values().any(|member| member == id);
            if own {
                Some(value)
            } else {
                members.values().find_map(|member| about(member, id))
            }
        }
        _ => None,
    }
}

trial!(
    "status shows the terminal state of each user as JSON",
    status_shows_the_terminal_state
);

fn status_shows_the_terminal_state(place: usize) {
    let world = World::new(
        place,
        vec![
            User::new(place, 0, Outcome::Deleted, 6),
            User::new(place, 1, Outcome::Refused(409), 0),
        ],
    );
    let [gone, kept] = [world.users[0].id.as_str(), world.users[1].id.as_str()];
    world.run(&["run", gone, kept]).expect(0);
    let ended = world
        .run(&["status", gone, kept, "--output", "json"])
        .expect(0);
    let status: Value =
        serde_json::from_str(&ended.output).expect("one JSON document on standard output");
    for (id, state) in [(gone, "Deleted"), (kept, "DeactivatedOnly")] {
        let shown = about(&status, id).unwrap_or_else(|| panic!("{id} in {status:#}"));
        assert_eq!(shown["state"], state, "{shown:#}");
    }

    world.run(&["status", &user_id(place, 999)]).expect(1);
}

trial!(
    "wrong settings end with status 2, name every fault and show no secret",
    wrong_settings_are_all_named
);

fn wrong_settings_are_all_named(place: usize) {
    let mut world = World::new(place, Vec::new());
    let secrets = [
        "hunter2-of-the-client",
        "hunter2-of-the-broker",
        "hunter2-of-the-store",
    ];
    world.set("OFFBOARDER_CXONE_CLIENT_SECRET", secrets[0]);
    world.set(
        "OFFBOARDER_QUEUE_URL",
        &format!("http://guest:{}@127.0.0.1/", secrets[1]),
    );
    world.set(
        "OFFBOARDER_CHECKPOINTS_URL",
        &format!("gopher://:{}@127.0.0.1/", secrets[2]),
    );
    world.set("OFFBOARDER_CXONE_BASE_URI", "http://api.tenant.example");
    world.set("OFFBOARDER_WORKER_CONCURRENCY", "many");
    world.set("OFFBOARDER_WORKER_RETRY_CAP", "soon");
    world.set("OFFBOARDER_CXONE_RATE_SCIM", "fast");
    world.unset("OFFBOARDER_CXONE_CLIENT_ID");
    let ended = world.run(&["worker"]).expect(2);
    for name in [
        "QUEUE_URL",
        "CHECKPOINTS_URL",
        "CXONE_BASE_URI",
        "CXONE_CLIENT_ID",
        "WORKER_CONCURRENCY",
        "WORKER_RETRY_CAP",
        "CXONE_RATE_SCIM",
    ] {
        assert!(
            ended.errors.contains(name),
            "{name} is named in: {}",
            ended.errors
        );
    }

    for secret in secrets {
        let shown = ended.errors.contains(secret) || ended.output.contains(secret);
        assert!(!shown, "a secret is shown: {}", ended.errors);
    }
}

trial!(
    "a URL that can be read in two ways is refused, and no output has its password",
    no_url_is_half_understood
);

fn no_url_is_half_understood(place: usize) {
    let mut world = World::new(place, Vec::new());
    let good = world.setting("OFFBOARDER_CHECKPOINTS_URL").to_owned();
    for (queue, checkpoints) in [
        (
            "amqp://offboarder:2024#Winter@mq-1.invalid:5671/%2f",
            "redis://:2024#Winter@redis-1.invalid:6379/0",
        ),
        (
            "amqp://offboarder:20@Winter@mq-1.invalid:5671/%2f",
            "redis://:20@Winter@redis-1.invalid:6379/0",
        ),
        (
            "amqps://offboarder:Winter@mq-1:5671/prod,amqps://offboarder:Winter@mq-2:5671/prod",
            "redis://:Winter@redis-1,redis-2/0",
        ),
        (
            "amqp://offboarder:Winter@[2001:db8::5:5672/%2f",
            "redis://:Winter@2001:db8::5:6379/0",
        ),
        (
            "amqp://offboarder:Winter@mq-1:5672/%2f?verify=no",
            "redis://:Winter@redis-1:6379/0?timeout=1",
        ),
        ("amqp:offboarder:Winter@mq-1", "Winter"),
    ] {
        world.set("OFFBOARDER_QUEUE_URL", queue);
        world.set("OFFBOARDER_CHECKPOINTS_URL", checkpoints);
        for (arguments, status) in [
            (&["worker"][..], 2),
            (&["topology"], 2),
            (&["doctor"], 2),
            (&["status", "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11"], 2),
            (&["doctor", "--show-settings"], 0),
        ] {
            let ended = world.run(arguments).expect(status);
            let shown = ended.errors.contains("Winter") || ended.output.contains("Winter");
            assert!(
                !shown,
                "the password is shown: {}{}",
                ended.output, ended.errors
            );
            let named =
                ended.errors.contains("_QUEUE_URL") && ended.errors.contains("_CHECKPOINTS_URL");
            assert!(status == 0 || named, "{}", ended.errors);
        }
    }

    world.set("OFFBOARDER_CHECKPOINTS_URL", &good);
}

/// A Redis, or a sentinel, on a free port.
fn redis_server(directory: &Path, name: &str, more: &[&str], settings: &str) -> (Process, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let file = directory.join(format!("{name}.conf"));
    let common = format!(
        "port {port}\nbind 127.0.0.1\nrequirepass s3cr3t\ndir {}\n",
        directory.display()
    );
    std::fs::write(&file, common + settings).expect("settings of Redis");
    let mut server = command(Path::new("redis-server"));
    server.arg(&file).args(more).current_dir(directory);
    let mut process = Process::start(server, directory, name);
    eventually(Duration::from_mins(1), || match process.output() {
        output if output.contains("Ready to accept connections") || output.contains("+monitor") => {
            Ok(())
        }
        output => Err(format!("{:?}: {output}", process.ended())),
    });

    (process, port)
}

trial!(
    "a sentinel that asks for a password gets that of its Redis, and is named when it refuses it",
    sentinels
);

fn sentinels(place: usize) {
    let mut world = World::new(place, Vec::new());
    let directory = world.directory.path().to_owned();
    let (_redis, master) = redis_server(&directory, "master", &[], "save \"\"\n");
    let monitor =
        format!("sentinel monitor main 127.0.0.1 {master} 1\nsentinel auth-pass main s3cr3t\n");
    let (_asks, asks) = redis_server(&directory, "asks", &["--sentinel"], &monitor);
    let open = format!("{monitor}requirepass \"\"\n");
    let (_open, open) = redis_server(&directory, "open", &["--sentinel"], &open);
    let mut status = |login: &str, sentinels: &str, code: i32| {
        world.set(
            "OFFBOARDER_CHECKPOINTS_URL",
            &format!("redis+sentinel://{login}{sentinels}/main/0"),
        );
        world
            .run(&["status", &user_id(place, 999)])
            .expect(code)
            .errors
    };

    // Status 1, since no such user is known: Redis was asked.
    status(":s3cr3t@", &format!("127.0.0.1:{asks}"), 1);
    status(":s3cr3t@", &format!("127.0.0.1:{open}"), 1);
    let asks = format!("127.0.0.1:{asks}");
    for login in [":another@", ""] {
        let errors = status(login, &asks, 3);
        assert!(
            errors.contains(&format!("sentinel {asks}"))
                && errors.contains("sentinel, or the master"),
            "{errors}"
        );
        assert!(!errors.contains("another"), "{errors}");
    }
}
