//! Systems around: what they publish, and what they hear.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::population::{Outcome, User};
use crate::support::process::{Process, command};
use crate::support::world::{Ended, PATIENCE, RESULTS, World};
use crate::support::{promises, python, repository, trial};

const DOCUMENT: &str = "docs/asyncapi.yaml";

/// A program of the documentation, with its interpreter.
fn example(world: &World, interpreter: &str, program: &str, arguments: &[&str]) -> Ended {
    let mut run = command(&repository(interpreter));
    run.arg(repository(&format!("docs/examples/{program}")))
        .args(arguments);
    run.env("OFFBOARDER_QUEUE_URL", world.queue_url());
    ended(run, world.directory.path(), program)
}

fn ended(run: Command, directory: &Path, name: &str) -> Ended {
    let mut process = Process::start(run, directory, name);
    let code = process.end(PATIENCE).code();
    Ended {
        code,
        output: process.output(),
        errors: process.errors(),
    }
}

fn python_example(world: &World, program: &str, arguments: &[&str]) -> Ended {
    example(world, ".venv/bin/python", program, arguments)
}

fn node_example(world: &World, program: &str, arguments: &[&str]) -> Ended {
    example(world, ".venv/bin/node", program, arguments)
}

/// Holds what is in a queue to the `AsyncAPI` document; how many there were of each kind of message.
fn judged(world: &World, queue: &str) -> Value {
    let messages = json!(world.messages(queue)).to_string();
    let report = python::answer(
        "check_asyncapi.py",
        &[repository(DOCUMENT)],
        &BTreeMap::new(),
        &messages,
    );
    assert_eq!(report["violations"], json!([]), "{queue}");
    assert!(
        report["examples"].as_u64() > Some(3),
        "the document's own examples: {report}"
    );
    report["judged"].clone()
}

trial!("what the examples of the documentation publish is off-boarded, and what they hear of it is true", the_examples);

fn the_examples(place: usize) {
    let outcome = |number| {
        if number == 3 {
            Outcome::Refused(409)
        } else {
            Outcome::Deleted
        }
    };
    let users = (0..5)
        .map(|number| User::new(place, number, outcome(number), 4))
        .collect();
    let world = World::new(place, users);
    let id = |user: usize| world.users[user].id.as_str();
    let nobody = "0b8f9e1c-3d5a-4c57-9a55-5b1d0f6a7e21";

    node_example(
        &world,
        "check_asyncapi.mjs",
        &[&repository(DOCUMENT).display().to_string()],
    )
    .expect(0);
    let early = python_example(&world, "publish.py", &[id(0)]).expect(1);
    assert!(early.errors.contains("404"), "{}", early.errors);
    node_example(&world, "publish.mjs", &[id(0)]).expect(1);

    world.declare();
    let asked = [
        "--batch-id",
        "b-1",
        "--requested-by",
        "hr",
        "--correlation-id",
        "c-1",
    ];
    let published = python_example(
        &world,
        "publish.py",
        &[&asked, &[id(0), id(1), id(3)][..]].concat(),
    )
    .expect(0);
    assert_eq!(
        published.output.lines().collect::<Vec<_>>(),
        [id(0), id(1), id(3)]
    );
    let published = node_example(&world, "publish.mjs", &["--urgent", id(2), nobody]).expect(0);
    assert_eq!(
        published.output.lines().collect::<Vec<_>>(),
        [id(2), nobody]
    );
    assert_eq!(judged(&world, "offboarding.users"), json!({ "request": 3 }));
    assert_eq!(
        judged(&world, "offboarding.users.urgent"),
        json!({ "request": 2 })
    );

    let database = world
        .directory
        .path()
        .join("results.db")
        .display()
        .to_string();
    let consume = |count: &str| {
        let arguments = [
            "--queue",
            "hr.results",
            "--database",
            &database,
            "--count",
            count,
        ];
        python_example(&world, "consume_events.py", &arguments).expect(0)
    };
    consume("0");
    let worker = world.start(&["worker"]);
    promises::await_quiet(&world, PATIENCE);
    let judged = judged(&world, RESULTS);
    assert_eq!(
        judged,
        json!({ "deleted": 3, "deactivatedOnly": 1, "deadLettered": 1 })
    );

    let heard = consume("5").output;
    let heard: Vec<Value> = heard
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let of = |user: &str| {
        heard
            .iter()
            .find(|event| event["subject"] == user)
            .expect("an event of the user")
    };
    for user in 0..4 {
        let data = &of(id(user))["data"];
        let key = data["manifest"]["key"].as_str().expect("a key");
        let key = key.rsplit_once('/').expect("a prefix").1;
        assert_eq!(
            world.objects().sha256(key).as_deref(),
            data["manifest"]["sha256"].as_str(),
            "user {user}"
        );
    }
    let asked = &of(id(3))["data"];
    assert_eq!(
        (
            &asked["batchId"],
            &asked["requestedBy"],
            &asked["correlationId"]
        ),
        (&json!("b-1"), &json!("hr"), &json!("c-1"))
    );
    assert_eq!(of(id(3))["type"], "offboarding.user.deactivated-only");
    assert_eq!(of(nobody)["data"]["reason"], "user_not_found");

    // The same user again: told again, and known to be the same.
    world.publish(&[json!({ "body": id(0) })]);
    promises::await_quiet(&world, PATIENCE);
    world.publish(&[json!({ "body": id(4) })]);
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    let again = consume("1");
    assert!(
        again.output.contains(id(4)) && again.output.lines().count() == 1,
        "{}",
        again.output
    );
    assert!(
        again.errors.contains(&format!("seen before: {}/1", id(0))),
        "{}",
        again.errors
    );
}
