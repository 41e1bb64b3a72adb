//! Messages that cannot be worked on.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::population::{Outcome, User, user_id};
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, manifests, promises, servers, trial};

const DEAD: &str = "offboarding.dead";

trial!("a user on whom workers die becomes a dead letter, and takes no neighbour along", a_poisonous_user);

/// Whoever takes the user up dies, and is started again, as a supervisor would.
fn a_poisonous_user(place: usize) {
    let users = (0..30)
        .map(|number| User::new(place, number, Outcome::Deleted, 4))
        .collect();
    let mut world = World::on(servers::shared(), place, users, &["--latency", "20ms"]);
    world.declare();
    world.set("OFFBOARDER_WORKER_LEASE", "1s");
    let poison = world.users[7].id.clone();
    let kill = [(
        "KILL_OFFBOARDER_AT".to_owned(),
        format!("{poison}:in its visit"),
    )];
    world.publish_all();
    let (mut worker, mut deaths) = (world.start_with(&["worker"], &kill), 0);
    eventually(PATIENCE, || {
        if worker.ended().is_some() {
            deaths += 1;
            worker = world.start_with(&["worker"], &kill);
        }
        match world.depth(DEAD) {
            Some(1) => Ok(()),
            depth => Err(format!(
                "{depth:?} dead letters after {deaths} deaths; {}",
                worker.errors()
            )),
        }
    });
    let letters = world.dead_letters();
    assert_eq!(letters[0]["body"], poison);
    assert_headers(&letters[0], "poison");
    assert_eq!(deaths, 5, "workers that died on one user");
    world.users.remove(7);
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    assert_eq!(world.depth(DEAD), Some(1), "the neighbours are none");
    promises::assert_manifests(&world, &servers::shared());
}

fn await_letters(world: &World, count: usize) -> Vec<Value> {
    eventually(Duration::from_mins(1), || match world.depth(DEAD) {
        Some(depth) if depth == count as u64 => Ok(()),
        depth => Err(format!("{depth:?} dead letters instead of {count}")),
    });
    world.dead_letters()
}

fn assert_headers(letter: &Value, reason: &str) {
    let headers = &letter["headers"];
    assert_eq!(headers["x-offboarder-reason"], reason, "{letter:#}");
    for name in ["error", "state", "attempts", "dead-lettered-at", "worker"] {
        let name = format!("x-offboarder-{name}");
        assert!(!headers[&name].is_null(), "{name} is missing: {letter:#}");
    }
    let at = headers["x-offboarder-dead-lettered-at"]
        .as_str()
        .expect("a time");
    assert!(
        at.len() >= 20 && at.ends_with('Z') && at.as_bytes()[10] == b'T',
        "RFC 3339 in UTC: {at}"
    );
}

trial!("an unknown user becomes a dead letter that keeps body and properties and says why", an_unknown_user_becomes_a_dead_letter);

fn an_unknown_user_becomes_a_dead_letter(place: usize) {
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
    let letters = await_letters(&world, 1);
    assert_headers(&letters[0], "user_not_found");
    assert_eq!(letters[0]["body"], body, "the body, to the byte");
    assert_eq!(letters[0]["headers"]["x-source"], "hr");
    assert_eq!(letters[0]["headers"]["n"], 7);
    for (name, value) in properties.as_object().expect("properties") {
        assert_eq!(&letters[0]["properties"][name], value, "property {name}");
    }
    World::drain(worker);
    assert_eq!(world.depth(DEAD), Some(1), "looking takes nothing away");
}

trial!("malformed messages become dead letters and leave their neighbours alone", malformed_messages_become_dead_letters);

fn malformed_messages_become_dead_letters(place: usize) {
    let world = World::with_topology(
        place,
        vec![
            User::new(place, 0, Outcome::Deleted, 4),
            User::new(place, 1, Outcome::Refused(409), 0),
        ],
    );
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
    let letters = await_letters(&world, bodies.len());
    for letter in &letters {
        assert_headers(letter, "malformed_message");
    }
    let mut kept: Vec<&str> = letters
        .iter()
        .filter_map(|letter| letter["body"].as_str())
        .collect();
    let mut sent = bodies.to_vec();
    kept.sort_unstable();
    sent.sort_unstable();
    assert_eq!(kept, sent);
    assert!(
        !worker.errors().contains("../../x"),
        "a malformed body is not logged"
    );
    World::drain(worker);
}
