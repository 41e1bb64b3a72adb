//! `topology` and `submit`.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::erlang::HangingQueue;
use crate::support::failpoint::TIME_SCALE;
use crate::support::ledger::{self, Repetition};
use crate::support::population::{deletable, mixed, user_id};
use crate::support::process::tail;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, list, manifests, redis, servers, trial};

trial!(
    "submit takes IDs, a list, CSV and JSON Lines, and a worker finishes them",
    submit_takes_every_form
);

fn submit_takes_every_form(place: usize) {
    let world = World::with_topology(place, mixed(place, 12));
    let ids: Vec<&str> = world.users.iter().map(|user| user.id.as_str()).collect();
    let text = world.write("users.txt", &format!("{}\n{}\n", ids[3], ids[4]));
    let rows = format!("A,{},left\n\"B, C\",{},\"\"\n", ids[5], ids[6]);
    let csv = world.write("users.csv", &format!("name,userId,reason\n{rows}"));
    let asked = json!({ "userId": ids[7], "requestedBy": "hr" });
    let plain = json!({ "userId": ids[8] });
    let json_lines = world.write("users.jsonl", &format!("{asked}\n{plain}\n"));
    let urgent = world.write("urgent.txt", &format!("{}\n", ids[11]));
    for arguments in [
        &[ids[0], ids[1], ids[2], "--batch-id", "forms"][..],
        &["--file", &text, "--batch-id", "forms"],
        &["--file", &csv, "--requested-by", "hr", "--reason", "left"],
        &["--file", &json_lines],
        &[ids[9], ids[10], "--file", &urgent, "--urgent"],
    ] {
        world.run(&[&["submit"], arguments].concat()).expect(0);
    }
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
    let world = World::with_topology(place, deletable(place, 1, 1));
    world
        .run(&["submit", &world.users[0].id, "--dry-run"])
        .expect(0);
    world
        .run(&["submit", &world.users[0].id, "--dry-run", "--urgent"])
        .expect(0);
    assert_eq!(world.queues_in_use(), Vec::<String>::new());
}

trial!(
    "submit sends nothing of a file with a fault, and names each with its line",
    faults_send_nothing
);

fn faults_send_nothing(place: usize) {
    let world = World::with_topology(place, Vec::new());
    let good = user_id(place, 1);
    let rows = format!("A,{good},delete\nB,nonsense,\nC,{good},destroy\n");
    let faulty = world.write("faulty.csv", &format!("name,userId,action\n{rows}"));
    for dry_run in [&[][..], &["--dry-run"]] {
        let submit = [&["submit", "--file", &faulty], dry_run].concat();
        let ended = world.run(&submit).expect(2);
        for named in ["2 faults", "line 3: \"nonsense\"", "line 4: action "] {
            assert!(ended.errors.contains(named), "{named} in {}", ended.errors);
        }
    }

    let spaces = format!("userId,Delete After\n{good},2026-12-31T00:00:00Z\n");
    for (name, text, says) in [
        (
            "header.csv",
            "userId,room\n",
            "the file has no users: it has a header and no rows",
        ),
        ("empty.csv", "", "the file has no users: it is empty"),
        ("10-spaces.csv", &spaces, "rename it to deleteAfter"),
    ] {
        let file = world.write(name, text);
        let ended = world.run(&["submit", &good, "--file", &file]).expect(2);
        assert!(ended.errors.contains(says), "{says} in {}", ended.errors);
    }

    // What is no fault and not read either is listed; lines may end in CR, as Excel for Mac writes
    // them.
    let file = world.write("23-cr.csv", &format!("userId,room\r{good},12\r"));
    let dry_run = ["submit", "--file", &file, "--dry-run"];
    let ended = world.run(&dry_run).expect(0);
    assert!(ended.output.contains("ignored: room"), "{}", ended.output);
    let answer = world.json(&dry_run, 0);
    assert_eq!(answer["ignored"], json!(["room"]));
    assert_eq!(answer["total"], 1);
    assert_eq!(world.queues_in_use(), Vec::<String>::new());
}

trial!(
    "submit refuses a protected user with the whole file, and shows who is on hold",
    guards_are_shown
);

fn guards_are_shown(place: usize) {
    let mut world = World::with_topology(place, Vec::new());
    let ids: Vec<String> = (0..3).map(|number| user_id(place, number)).collect();
    let protected = format!("svc-*@example.com\n{}\n", ids[1]);
    let protected = world.write("protected.txt", &protected);
    world.set("OFFBOARDER_GUARD_PROTECTED", &protected);
    let leavers = world.write("leavers.txt", &ids.join("\n"));
    let ended = world.run(&["submit", "--file", &leavers]).expect(4);
    let named = ended.errors.contains(&format!("line 2: {}", ids[1]));
    assert!(named, "{}", ended.errors);
    assert_eq!(world.queues_in_use(), Vec::<String>::new());

    world
        .run(&["hold", "add", &ids[0], &ids[2], "--why", "case 4711"])
        .expect(0);
    world.run(&["hold", "remove", &ids[2]]).expect(0);
    for dry_run in [&["--dry-run"][..], &[]] {
        let submit = [&["submit", &ids[0], &ids[2]], dry_run].concat();
        let answer = world.json(&submit, 0);
        let [held] = list(&answer["held"]).as_slice() else {
            panic!("{answer}")
        };
        assert_eq!(held["userId"], ids[0]);
        assert_eq!(held["why"], "case 4711");
    }
    assert_eq!(world.depth("offboarding.users"), Some(2));
}

trial!(
    "submit with a batch ID sends only what is missing, interrupted or killed",
    what_is_missing
);

const MANY: usize = 5000;

fn what_is_missing(place: usize) {
    let world = World::with_topology(place, Vec::new());
    let ids: Vec<String> = (0..MANY).map(|number| user_id(place, number)).collect();
    let file = world.write("many.csv", &format!("userId\n{}\n", ids.join("\n")));
    let submit = ["submit", "--file", &file, "--batch-id", "many"];
    assert_interrupted(&world, &submit);
    // Killed after some more.
    end_at(&world, &submit, remembered(&world) + 400, "KILL");

    let so_far = remembered(&world);
    let dry_run = world.json(&[&submit[..], &["--dry-run"]].concat(), 0);
    assert_eq!(dry_run["alreadySent"], so_far);
    assert_eq!(list(&dry_run["messages"]).len(), MANY - so_far);
    let last = world.json(&submit, 0);
    assert_eq!(last["alreadySent"], so_far);
    assert_eq!(last["sent"], MANY - so_far);
    assert_all_sent(&world);

    let again = world.json(&submit, 0);
    assert_eq!(again["sent"], 0);
    assert_eq!(again["alreadySent"], MANY);
    redis::forget(world.setting("OFFBOARDER_CHECKPOINTS_URL"));
    assert_sends_without_redis(&world, &submit);
    let forgotten = world.json(&["submit", &ids[0], "--batch-id", "many"], 0);
    assert_eq!(forgotten["sent"], 1, "what Redis forgot is sent again");
}

/// How many users of the batch Redis remembers as sent.
fn remembered(world: &World) -> usize {
    let url = world.setting("OFFBOARDER_CHECKPOINTS_URL");
    redis::members(url, "offboarder:batch:many:users")
}

/// Sends the signal once this many users are sent; exit status and output.
fn end_at(world: &World, submit: &[&str], count: usize, signal: &str) -> (Option<i32>, String) {
    let mut submit = world.start(&[submit, &["--output", "json"]].concat());
    eventually(PATIENCE, || match remembered(world) {
        sent if sent >= count => Ok(()),
        sent => Err(format!(
            "{sent} are sent, not {count}; {}",
            tail(&submit.errors())
        )),
    });
    submit.signal(signal);
    let status = submit.end(PATIENCE);
    (status.code(), submit.output())
}

/// The answer of an interrupted command counts all that was in flight.
fn assert_interrupted(world: &World, submit: &[&str]) {
    let (status, output) = end_at(world, submit, 200, "INT");
    let answer: Value = serde_json::from_str(&output).expect("JSON");
    assert_eq!(status, Some(1), "{answer}");
    assert_eq!(answer["interrupted"], true, "{answer}");

    let sent = answer["sent"].as_u64().expect("a number");
    assert_eq!(world.depth("offboarding.users"), Some(sent));
    assert_eq!(remembered(world) as u64, sent);
}

/// No user is missing, and few are there twice.
fn assert_all_sent(world: &World) {
    let messages = world.messages("offboarding.users");
    let user = |message: &Value| {
        let body = message["body"].as_str().expect("text");
        let body: Value = serde_json::from_str(body).expect("JSON");
        body["userId"].as_str().expect("an ID").to_owned()
    };
    let users: HashSet<String> = messages.iter().map(user).collect();
    assert_eq!(users.len(), MANY);
    assert!(messages.len() <= MANY + 300, "{} messages", messages.len());
}

fn assert_sends_without_redis(world: &World, submit: &[&str]) {
    let nowhere = "redis://127.0.0.1:1/0".to_owned();
    let without = ("OFFBOARDER_CHECKPOINTS_URL".to_owned(), nowhere);
    let mut submit = world.start_with(submit, &[without]);
    let ended = submit.end(Duration::from_mins(1));
    let errors = submit.errors();
    assert_eq!(ended.code(), Some(0), "{errors}");
    assert_eq!(errors.matches("not remembered").count(), 1, "{errors}");
}

trial!(
    "submit reports messages that no queue takes",
    unroutable_messages_are_reported
);

fn unroutable_messages_are_reported(place: usize) {
    let world = World::new(place, deletable(place, 1, 1));
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

trial!(
    "topology a second time changes nothing",
    topology_twice_changes_nothing
);

fn topology_twice_changes_nothing(place: usize) {
    let world = World::with_topology(place, Vec::new());
    let sorted = |listed: String| {
        let mut lines: Vec<String> = listed.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let declared = || {
        [
            world.rabbitmqctl("list_queues", &["name", "durable", "arguments"]),
            world.rabbitmqctl("list_exchanges", &["name", "type", "durable", "arguments"]),
            world.rabbitmqctl("list_bindings", &[]),
        ]
        .map(sorted)
    };

    let once = declared();
    let has = |lines: &[String], name: &str| {
        let mut names = lines.iter().map(|line| line.split('\t').next());
        names.any(|listed| listed == Some(name))
    };
    for queue in [
        "offboarding.users",
        "offboarding.users.urgent",
        "offboarding.dead",
    ] {
        assert!(has(&once[0], queue), "{queue} in {:?}", once[0]);
    }
    for exchange in ["offboarding", "offboarding.dead", "offboarding.events"] {
        assert!(has(&once[1], exchange), "{exchange} in {:?}", once[1]);
    }
    world.run(&["topology"]).expect(0);
    assert_eq!(declared(), once);
}

trial!(
    "submit does not wait for a confirm that never comes: it publishes once more, and then ends with status 3",
    a_lost_confirm
);

fn a_lost_confirm(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 1, 1));
    world.set(TIME_SCALE, "60");
    let submit = ["submit", &world.users[0].id];

    let hanging = HangingQueue::suspend(servers::shared(), place, "offboarding.users");
    let ended = world.run(&submit).expect(3);
    for says in ["published again", "RabbitMQ confirms nothing"] {
        assert!(ended.errors.contains(says), "{}", ended.errors);
    }

    let mut sending = world.start(&submit);
    sending.await_log("published again");
    drop(hanging);
    assert!(sending.end(PATIENCE).success(), "{}", sending.errors());
    assert!(world.depth("offboarding.users") > Some(0));
}
