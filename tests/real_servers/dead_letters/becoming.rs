//! Messages that cannot be worked on become dead letters.

use serde_json::{Value, json};

use crate::support::failpoint::{IN_ITS_RUN, die_at};
use crate::support::population::{Outcome, User, deletable, user_id};
use crate::support::world::{DEAD, PATIENCE, World};
use crate::support::{eventually, manifests, promises, servers, trial};

trial!(
    "a user on whom workers die becomes a dead letter, and takes no neighbour along",
    a_poisonous_user
);

/// The worker that takes up the user dies, and is started again, as a supervisor would.
fn a_poisonous_user(place: usize) {
    let users = deletable(place, 30, 4);
    let mut world = World::on(servers::shared(), place, users, &["--latency", "20ms"]);
    world.declare();
    world.set("OFFBOARDER_WORKER_LEASE", "1s");
    let poison = world.users[7].id.clone();
    let die = die_at(&poison, IN_ITS_RUN);
    world.publish_all();

    let mut worker = world.start_with(&["worker"], &die);
    let mut deaths = 0;
    eventually(PATIENCE, || {
        if worker.ended().is_some() {
            deaths += 1;
            worker = world.start_with(&["worker"], &die);
        }
        match world.depth(DEAD) {
            Some(1) => Ok(()),
            depth => Err(format!(
                "{depth:?} dead letters after {deaths} deaths; {}",
                worker.errors()
            )),
        }
    });

    let dead_letters = world.await_dead_letters(1);
    assert_eq!(dead_letters[0]["body"], poison);
    assert_headers(&dead_letters[0], "poison");
    assert_eq!(deaths, 5, "workers that died on one user");

    world.users.remove(7);
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    assert_eq!(world.depth(DEAD), Some(1), "the neighbours are none");
    promises::assert_manifests(&world, &servers::shared());
}

fn assert_headers(dead_letter: &Value, reason: &str) {
    let headers = &dead_letter["headers"];
    assert_eq!(headers["x-offboarder-reason"], reason, "{dead_letter:#}");
    for name in ["error", "state", "attempts", "dead-lettered-at", "worker"] {
        let name = format!("x-offboarder-{name}");
        assert!(
            !headers[&name].is_null(),
            "{name} is missing: {dead_letter:#}"
        );
    }

    let at = headers["x-offboarder-dead-lettered-at"]
        .as_str()
        .expect("a time");
    assert!(
        at.len() >= 20 && at.ends_with('Z') && at.as_bytes()[10] == b'T',
        "RFC 3339 in UTC: {at}"
    );
}

trial!(
    "an unknown user becomes a dead letter that keeps body and properties and says why",
    an_unknown_user
);

fn an_unknown_user(place: usize) {
    let world = World::with_topology(place, vec![User::new(place, 0, Outcome::Deleted, 1)]);
    let body = json!({ "userId": user_id(place, 999), "batchId": "b1", "reason": "left", "unknown": [1, 2] })
        .to_string();
    let properties = json!({
        "content_type": "application/json",
        "correlation_id": "correlation-7",
        "message_id": "message-7",
    });
    let worker = world.start(&["worker"]);
    world.publish(&[
        json!({ "body": body, "headers": { "x-source": "hr", "n": 7 }, "properties": properties }),
    ]);

    let dead_letters = world.await_dead_letters(1);
    assert_headers(&dead_letters[0], "user_not_found");
    assert_eq!(dead_letters[0]["body"], body, "the body, to the byte");
    assert_eq!(dead_letters[0]["headers"]["x-source"], "hr");
    assert_eq!(dead_letters[0]["headers"]["n"], 7);
    for (name, value) in properties.as_object().expect("properties") {
        let kept = &dead_letters[0]["properties"][name];
        assert_eq!(kept, value, "property {name}");
    }

    World::drain(worker);
    assert_eq!(world.depth(DEAD), Some(1), "reading takes nothing away");
}

trial!(
    "malformed messages become dead letters and do not touch their neighbours",
    malformed_messages
);

fn malformed_messages(place: usize) {
    let users = vec![
        User::new(place, 0, Outcome::Deleted, 4),
        User::new(place, 1, Outcome::Refused(409), 0),
    ];
    let world = World::with_topology(place, users);
    let bodies = [
        "no JSON",
        "",
        "{\"userId\":",
        "{\"userId\":5}",
        "{}",
        "../../x",
        "{\"userId\":\"../../x\"}",
        "[\"a\"]",
    ];
    let mut messages: Vec<Value> = bodies.iter().map(|body| json!({ "body": body })).collect();
    messages.insert(0, json!({ "body": world.users[0].id }));
    messages.push(json!({ "body": world.users[1].id }));
    let worker = world.start(&["worker"]);
    world.publish(&messages);

    manifests::assert_true(
        &world.simulator,
        world.setting("OFFBOARDER_ARCHIVE_URL"),
        &world.users,
        PATIENCE,
    );
    let dead_letters = world.await_dead_letters(bodies.len());
    for dead_letter in &dead_letters {
        assert_headers(dead_letter, "malformed_message");
    }

    let mut kept: Vec<&str> = dead_letters
        .iter()
        .filter_map(|dead_letter| dead_letter["body"].as_str())
        .collect();
    kept.sort_unstable();
    let mut sent = bodies.to_vec();
    sent.sort_unstable();
    assert_eq!(kept, sent);
    assert!(
        !worker.errors().contains("../../x"),
        "a malformed body is not logged"
    );
    World::drain(worker);
}
