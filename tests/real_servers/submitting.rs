//! `topology` and `submit`.

use std::collections::HashSet;
use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::ledger::{self, Repetition};
use crate::support::population::{Outcome, User, mixed, user_id};
use crate::support::process::tail;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, manifests, redis, trial};

trial!("submit takes IDs, a list, CSV and JSON Lines, and a worker finishes them", submit_takes_every_form);

fn submit_takes_every_form(place: usize) {
    let world = World::with_topology(place, mixed(place, 12));
    let ids: Vec<&str> = world.users.iter().map(|user| user.id.as_str()).collect();
    let write = |name: &str, text: String| write(&world, name, &text);
    let list = write("users.txt", format!("{}\n{}\n", ids[3], ids[4]));
    let csv = write(
        "users.csv",
        format!(
            "name,userId,reason\nA,{},left\n\"B, C\",{},\"\"\n",
            ids[5], ids[6]
        ),
    );
    let lines = write(
        "users.jsonl",
        format!(
            "{}\n{}\n",
            json!({ "userId": ids[7], "requestedBy": "hr" }),
            json!({ "userId": ids[8] })
        ),
    );
    let urgent = write("urgent.txt", format!("{}\n", ids[11]));
    world
        .run(&["submit", ids[0], ids[1], ids[2], "--batch-id", "forms"])
        .expect(0);
    world
        .run(&["submit", "--file", &list, "--batch-id", "forms"])
        .expect(0);
    world
        .run(&[
            "submit",
            "--file",
            &csv,
            "--requested-by",
            "hr",
            "--reason",
            "left",
        ])
        .expect(0);
    world.run(&["submit", "--file", &lines]).expect(0);
    world
        .run(&["submit", ids[9], ids[10], "--file", &urgent, "--urgent"])
        .expect(0);
    assert_eq!(world.depth("offboarding.users"), Some(9));
    assert_eq!(world.depth("offboarding.users.urgent"), Some(3));

    let worker = world.start(&["worker"]);
    manifests::assert_true(
        &world.simulator,
        world.setting("OFFBOARDER_ARCHIVE_URL"),
        &world.users,
        PATIENCE,
    );
    World::drain(worker);
    ledger::assert_histories(&world.simulator, &world.users, Repetition::None);
    assert_eq!(world.queues_in_use(), Vec::<String>::new());
}

trial!("submit --dry-run sends nothing", dry_run_sends_nothing);

fn dry_run_sends_nothing(place: usize) {
    let world = World::with_topology(place, vec![User::new(place, 0, Outcome::Deleted, 1)]);
    world
        .run(&["submit", &world.users[0].id, "--dry-run"])
        .expect(0);
    world
        .run(&["submit", &world.users[0].id, "--dry-run", "--urgent"])
        .expect(0);
    assert_eq!(world.queues_in_use(), Vec::<String>::new());
}

trial!("submit sends nothing of a file with a fault, and names each with its line", faults_send_nothing);

fn faults_send_nothing(place: usize) {
    let world = World::with_topology(place, Vec::new());
    let good = user_id(place, 1);
    let text = format!("name,userId,action\nA,{good},delete\nB,nonsense,\nC,{good},destroy\n");
    let file = write(&world, "faulty.csv", &text);
    for dry_run in [&[][..], &["--dry-run"]] {
        let ended = world
            .run(&[&["submit", "--file", &file], dry_run].concat())
            .expect(2);
        for named in [
            "2 fault(s)",
            "line 3: \"nonsense\"",
            "line 4: action has to be delete or deactivate",
        ] {
            assert!(ended.errors.contains(named), "{named} in {}", ended.errors);
        }
    }
    for (name, text, says) in [
        (
            "header.csv",
            "userId,room\n",
            "the file holds no users: a header, and no row under it",
        ),
        ("empty.csv", "", "the file holds no users: it is empty"),
        (
            "10-spaces.csv",
            &format!("userId,Delete After\n{good},2026-12-31T00:00:00Z\n"),
            "rename it to deleteAfter",
        ),
    ] {
        let file = write(&world, name, text);
        let ended = world.run(&["submit", &good, "--file", &file]).expect(2);
        assert!(ended.errors.contains(says), "{says} in {}", ended.errors);
    }
    // What is no fault and not read either is listed; lines may end in CR, as Excel for Mac writes them.
    let file = write(&world, "23-cr.csv", &format!("userId,room\r{good},12\r"));
    let ended = world
        .run(&["submit", "--file", &file, "--dry-run"])
        .expect(0);
    assert!(ended.output.contains("not read: room"), "{}", ended.output);
    let ended = world
        .run(&["submit", "--file", &file, "--dry-run", "--output", "json"])
        .expect(0);
    let answer: Value = serde_json::from_str(&ended.output).expect("one JSON document");
    assert_eq!(
        (&answer["ignored"], &answer["total"]),
        (&json!(["room"]), &json!(1))
    );
    assert_eq!(world.queues_in_use(), Vec::<String>::new());
}

trial!("submit refuses a protected user with the whole file, and shows who is on hold", guards_are_shown);

fn guards_are_shown(place: usize) {
    let mut world = World::with_topology(place, Vec::new());
    let ids: Vec<String> = (0..3).map(|number| user_id(place, number)).collect();
    let list = write(
        &world,
        "protected.txt",
        &format!("svc-*@example.com\n{}\n", ids[1]),
    );
    world.set("OFFBOARDER_GUARD_PROTECTED", &list);
    let file = write(&world, "leavers.txt", &ids.join("\n"));
    let ended = world.run(&["submit", "--file", &file]).expect(4);
    assert!(
        ended.errors.contains(&format!("line 2: {}", ids[1])),
        "{}",
        ended.errors
    );
    assert_eq!(world.queues_in_use(), Vec::<String>::new());

    world
        .run(&["hold", "add", &ids[0], &ids[2], "--why", "case 4711"])
        .expect(0);
    world.run(&["hold", "remove", &ids[2]]).expect(0);
    for dry_run in [&["--dry-run"][..], &[]] {
        let arguments = [&["submit", &ids[0], &ids[2], "--output", "json"], dry_run].concat();
        let answer: Value =
            serde_json::from_str(&world.run(&arguments).expect(0).output).expect("JSON");
        assert_eq!(answer["held"].as_array().map(Vec::len), Some(1), "{answer}");
        assert_eq!(
            (&answer["held"][0]["userId"], &answer["held"][0]["why"]),
            (&json!(ids[0]), &json!("case 4711"))
        );
    }
    assert_eq!(world.depth("offboarding.users"), Some(2));
}

trial!("submit with a batch ID sends only what is missing, interrupted or killed", what_is_missing);

fn what_is_missing(place: usize) {
    const USERS: usize = 5000;
    let world = World::with_topology(place, Vec::new());
    let ids: Vec<String> = (0..USERS).map(|number| user_id(place, number)).collect();
    let file = write(&world, "many.csv", &format!("userId\n{}\n", ids.join("\n")));
    let arguments = [
        "submit",
        "--file",
        &file,
        "--batch-id",
        "many",
        "--output",
        "json",
    ];
    let url = world.setting("OFFBOARDER_CHECKPOINTS_URL").to_owned();
    let remembered = || redis::members(&url, "offboarder:batch:many:users");
    let end_at = |count: usize, signal: &str| {
        let mut submit = world.start(&arguments);
        eventually(PATIENCE, || match remembered() {
            sent if sent >= count => Ok(()),
            sent => Err(format!(
                "{sent} are sent, not {count}; {}",
                tail(&submit.errors())
            )),
        });
        submit.signal(signal);
        let status = submit.end(PATIENCE);
        (status.code(), submit.output())
    };
    let answer = |output: &str| serde_json::from_str::<Value>(output).expect("JSON");

    let (status, output) = end_at(200, "INT");
    let first = answer(&output);
    assert_eq!(
        (status, &first["interrupted"]),
        (Some(1), &json!(true)),
        "{first}"
    );
    let sent = first["sent"].as_u64().expect("a number");
    assert_eq!(
        world.depth("offboarding.users"),
        Some(sent),
        "all that was in flight is told"
    );

    let so_far = remembered();
    assert_eq!(so_far as u64, sent);
    end_at(so_far + 400, "KILL");

    let so_far = remembered();
    let dry_run = answer(
        &world
            .run(&[&arguments[..], &["--dry-run"]].concat())
            .expect(0)
            .output,
    );
    assert_eq!(dry_run["alreadySent"], so_far);
    assert_eq!(
        dry_run["messages"].as_array().map(Vec::len),
        Some(USERS - so_far)
    );
    let last = answer(&world.run(&arguments).expect(0).output);
    assert_eq!(
        (&last["alreadySent"], &last["sent"]),
        (&json!(so_far), &json!(USERS - so_far))
    );
    let letters = world.messages("offboarding.users");
    let bodies: Vec<Value> = letters
        .iter()
        .map(|letter| answer(letter["body"].as_str().expect("text")))
        .collect();
    let users: HashSet<&str> = bodies
        .iter()
        .filter_map(|body| body["userId"].as_str())
        .collect();
    assert_eq!(users.len(), USERS, "nobody is missing");
    assert!(
        letters.len() <= USERS + 300,
        "{} messages for {USERS} users",
        letters.len()
    );

    let again = answer(&world.run(&arguments).expect(0).output);
    assert_eq!(
        (&again["sent"], &again["alreadySent"]),
        (&json!(0), &json!(USERS))
    );
    redis::forget(&url);
    // Nor does sending depend on it.
    let deaf = (
        "OFFBOARDER_CHECKPOINTS_URL".to_owned(),
        "redis://127.0.0.1:1/0".to_owned(),
    );
    let mut alone = world.start_with(&arguments[..5], &[deaf]);
    assert_eq!(
        alone.end(Duration::from_mins(1)).code(),
        Some(0),
        "{}",
        alone.errors()
    );
    assert_eq!(
        alone.errors().matches("is not remembered").count(),
        1,
        "{}",
        alone.errors()
    );
    let forgotten = answer(
        &world
            .run(&["submit", &ids[0], "--batch-id", "many", "--output", "json"])
            .expect(0)
            .output,
    );
    assert_eq!(forgotten["sent"], 1, "what Redis forgot is sent again");
}

fn write(world: &World, name: &str, text: &str) -> String {
    let path = world.directory.path().join(name);
    fs::write(&path, text).expect("the file is written");
    path.display().to_string()
}

trial!("submit reports messages that no queue takes", unroutable_messages_are_reported);

fn unroutable_messages_are_reported(place: usize) {
    let world = World::new(place, vec![User::new(place, 0, Outcome::Deleted, 1)]);
    let assert_reported = |when: &str| {
        let ended = world.run(&["submit", &world.users[0].id]);
        assert!(
            matches!(ended.code, Some(1 | 3)),
            "{when}: exit status {:?}: {}",
            ended.code,
            ended.errors
        );
        assert!(!ended.errors.trim().is_empty(), "{when}: it says why");
    };
    assert_reported("without a topology");
    world.run(&["topology"]).expect(0);
    world.delete_queue("offboarding.users");
    assert_reported("with an exchange that leads nowhere");
}

trial!("topology a second time changes nothing", topology_twice_changes_nothing);

fn topology_twice_changes_nothing(place: usize) {
    let world = World::with_topology(place, Vec::new());
    let declared = || {
        let sorted = |listed: String| {
            let mut lines: Vec<String> = listed.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        [
            sorted(world.rabbitmqctl("list_queues", &["name", "durable", "arguments"])),
            sorted(world.rabbitmqctl("list_exchanges", &["name", "type", "durable", "arguments"])),
            sorted(world.rabbitmqctl("list_bindings", &[])),
        ]
    };
    let once = declared();
    let queues = once[0].join("\n");
    for queue in [
        "offboarding.users",
        "offboarding.users.urgent",
        "offboarding.dead",
    ] {
        assert!(
            queues
                .lines()
                .any(|line| line.split('\t').next() == Some(queue)),
            "{queue} in {queues}"
        );
    }
    let exchanges = once[1].join("\n");
    for exchange in ["offboarding", "offboarding.dead", "offboarding.events"] {
        assert!(
            exchanges
                .lines()
                .any(|line| line.split('\t').next() == Some(exchange)),
            "{exchange} in {exchanges}"
        );
    }
    world.run(&["topology"]).expect(0);
    assert_eq!(declared(), once);
}
