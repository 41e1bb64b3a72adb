//! Upstream systems: what they publish, and which events they get.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::population::{Outcome, User, deletable};
use crate::support::process::{Process, command};
use crate::support::world::{Ended, PATIENCE, RESULTS, World};
use crate::support::{promises, python, repository, trial};

const DOCUMENT: &str = "docs/asyncapi.yaml";
/// A user that CXone does not have.
const NOBODY: &str = "0b8f9e1c-3d5a-4c57-9a55-5b1d0f6a7e21";

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

/// Checks what is in a queue against the `AsyncAPI` document; how many there are of each kind of
/// message.
fn checked(world: &World, queue: &str) -> Value {
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
    report["checked"].clone()
}

trial!(
    "what the examples of the documentation publish is off-boarded, and the events that they get are true",
    the_examples
);

fn the_examples(place: usize) {
    let mut users = deletable(place, 5, 4);
    users[3] = User::new(place, 3, Outcome::Refused(409), 4);
    let world = World::new(place, users);
    let id = |user: usize| world.users[user].id.as_str();
    let document = repository(DOCUMENT).display().to_string();
    node_example(&world, "check_asyncapi.mjs", &[&document]).expect(0);

    let early = python_example(&world, "publish.py", &[id(0)]).expect(1);
    assert!(early.errors.contains("404"), "{}", early.errors);
    node_example(&world, "publish.mjs", &[id(0)]).expect(1);
    world.declare();
    publish_by_examples(&world);

    let database = world.directory.path().join("results.db");
    let database = database.display().to_string();
    let consume = |count: &str| {
        let arguments = ["--queue", "hr.results", "--database", &database];
        let arguments = [&arguments[..], &["--count", count]].concat();
        python_example(&world, "consume_events.py", &arguments).expect(0)
    };
    consume("0");
    let worker = world.start(&["worker"]);
    promises::await_quiet(&world, PATIENCE);
    assert_eq!(
        checked(&world, RESULTS),
        json!({ "deleted": 3, "deactivatedOnly": 1, "deadLettered": 1 })
    );
    assert_consumed(&world, &consume("5").output);

    // The same user again: its event comes again, and is known to be the same.
    world.publish(&[json!({ "body": id(0) })]);
    promises::await_quiet(&world, PATIENCE);
    world.publish(&[json!({ "body": id(4) })]);
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    let again = consume("1");
    let lines: Vec<&str> = again.output.lines().collect();
    assert!(
        lines.len() == 1 && lines[0].contains(id(4)),
        "{}",
        again.output
    );
    let seen = format!("seen before: {}/1", id(0));
    assert!(again.errors.contains(&seen), "{}", again.errors);
}

/// Three users by one example, and an urgent and an unknown one by the other.
fn publish_by_examples(world: &World) {
    let id = |user: usize| world.users[user].id.as_str();
    let asked = ["--batch-id", "b-1", "--requested-by", "hr"];
    let correlated = ["--correlation-id", "c-1"];
    let three = [id(0), id(1), id(3)];
    let arguments = [&asked[..], &correlated, &three].concat();
    let published = python_example(world, "publish.py", &arguments).expect(0);
    assert_eq!(published.output.lines().collect::<Vec<_>>(), three);
    assert_eq!(checked(world, "offboarding.users"), json!({ "request": 3 }));

    let arguments = ["--urgent", id(2), NOBODY];
    let published = node_example(world, "publish.mjs", &arguments).expect(0);
    assert_eq!(
        published.output.lines().collect::<Vec<_>>(),
        [id(2), NOBODY]
    );
    let urgent = checked(world, "offboarding.users.urgent");
    assert_eq!(urgent, json!({ "request": 2 }));
}

/// What the example consumer printed is true.
fn assert_consumed(world: &World, printed: &str) {
    let events: Vec<Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let of = |user: &str| {
        let event = events.iter().find(|event| event["subject"] == user);
        event.expect("an event of the user")
    };

    for user in &world.users[..4] {
        let manifest = &of(&user.id)["data"]["manifest"];
        let key = manifest["key"].as_str().expect("a key");
        let key = key.rsplit_once('/').expect("a prefix").1;
        assert_eq!(
            world.objects().sha256(key).as_deref(),
            manifest["sha256"].as_str(),
            "{}",
            user.id
        );
    }

    let kept = of(&world.users[3].id);
    assert_eq!(kept["type"], "offboarding.user.deactivated-only");
    assert_eq!(kept["data"]["batchId"], "b-1");
    assert_eq!(kept["data"]["requestedBy"], "hr");
    assert_eq!(kept["data"]["correlationId"], "c-1");
    assert_eq!(of(NOBODY)["data"]["reason"], "user_not_found");
}
