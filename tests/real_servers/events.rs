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
    example_at(world, &world.queue_url(), interpreter, program, arguments)
}

/// The same with the URL of another user of RabbitMQ.
fn example_at(
    world: &World,
    url: &str,
    interpreter: &str,
    program: &str,
    arguments: &[&str],
) -> Ended {
    let mut run = command(&repository(interpreter));
    run.arg(repository(&format!("docs/examples/{program}")))
        .args(arguments);
    run.env("OFFBOARDER_QUEUE_URL", url);
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
    let mut received = checked(&world, RESULTS);
    // A worker knows only the users of a batch whom messages have named so far.
    let batches = received["batchFinished"].take().as_u64();
    assert!(batches.is_some_and(|count| count >= 1), "{batches:?}");
    assert_eq!(
        received,
        json!({
            "accessRemoved": 4, "deleted": 3, "deactivatedOnly": 1, "deadLettered": 1,
            "batchFinished": null,
        })
    );
    assert_batch(&world);
    assert_consumed(&world, &consume("9").output);

    // The same user again: its event comes again, and is known to be the same.
    world.publish(&[json!({ "body": id(0) })]);
    promises::await_quiet(&world, PATIENCE);
    world.publish(&[json!({ "body": id(4) })]);
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    let again = consume("2");
    let lines: Vec<&str> = again.output.lines().collect();
    assert!(
        lines.len() == 2 && lines.iter().all(|line| line.contains(id(4))),
        "{}",
        again.output
    );
    for of in ["", "/access-removed"] {
        let seen = format!("seen before: {}/1{of}\n", id(0));
        assert!(again.errors.contains(&seen), "{}", again.errors);
    }
}

/// The last event of the batch has all of its users.
fn assert_batch(world: &World) {
    let events = world.messages(RESULTS).into_iter();
    let mut batches = events.filter(|event| event["routingKey"] == "batch.finished");
    let last = batches.next_back().expect("an event of the batch");
    let event: Value = serde_json::from_str(last["body"].as_str().expect("a body")).expect("JSON");
    assert_eq!(
        event["data"],
        json!({ "batchId": "b-1", "users": 3, "deleted": 2, "deactivatedOnly": 1, "deadLettered": 0, "cancelled": 0 })
    );
    assert_eq!(event["id"], "b-1/finished/2-1-0");
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
    let of_type = |user: &str, is_end: bool| {
        let mut events = events.iter();
        let event = events.find(|event| {
            let is_access = event["type"] == "offboarding.user.access-removed";
            event["subject"] == user && is_access != is_end
        });
        event.expect("an event of the user")
    };
    let of = |user: &str| of_type(user, true);

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
        let seconds = &of_type(&user.id, false)["data"]["secondsSinceRequest"];
        assert!(
            seconds.as_f64().is_some_and(|seconds| seconds < 600.0),
            "{seconds}"
        );
    }

    let kept = of(&world.users[3].id);
    assert_eq!(kept["type"], "offboarding.user.deactivated-only");
    assert_eq!(kept["data"]["deletion"]["outcome"], "refused");
    assert_eq!(kept["data"]["deletion"]["status"], 409);
    assert_eq!(kept["data"]["batchId"], "b-1");
    assert_eq!(kept["data"]["requestedBy"], "hr");
    assert_eq!(kept["data"]["correlationId"], "c-1");
    assert_eq!(of(NOBODY)["data"]["reason"], "user_not_found");
}

trial!(
    "what Kombu and Celery publish is understood, and what their defaults publish is answered",
    kombu_and_celery
);

fn kombu_and_celery(place: usize) {
    let world = World::with_topology(place, deletable(place, 2, 0));
    let id = |user: usize| world.users[user].id.as_str();
    // As a publisher, who may declare nothing.
    let (_, url) = world.add_publisher();
    for (user, arguments) in [(0, vec![]), (1, vec!["--celery"])] {
        let arguments = [&arguments[..], &[id(user)]].concat();
        let python = ".venv/bin/python";
        let published = example_at(&world, &url, python, "publish_kombu.py", &arguments).expect(0);
        assert_eq!(published.output.trim(), id(user));
    }
    assert_eq!(
        checked(&world, "offboarding.users"),
        json!({ "request": 2 })
    );

    let url = [world.queue_url()];
    let input = id(0);
    python::answer("kombu_defaults.py", &url, &BTreeMap::new(), input);
    let worker = world.start(&["worker"]);
    let dead_letters = world.await_dead_letters(3);
    let mut errors: Vec<&str> = dead_letters
        .iter()
        .filter_map(|dead_letter| dead_letter["headers"]["x-offboarder-error"].as_str())
        .filter_map(|error| error.split_once("schema.json: "))
        .map(|(_, error)| error)
        .collect();
    errors.sort_unstable();
    assert_eq!(
        errors,
        [
            "requestedAt: has to be a time with an offset, such as 2026-01-31T08:00:00Z, and is an object",
            "this is a Celery task: publish the raw JSON, with the producer of Kombu",
            "userId: has to be a UUID, and is an object",
        ]
    );
    World::drain(worker);
}
