//! Reading dead letters.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::ask;
use crate::support::population::user_id;
use crate::support::world::{DEAD, World};
use crate::support::{list, trial};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

trial!(
    "reading dead letters leaves all of them, with body and headers",
    reading
);

fn reading(place: usize) {
    let world = World::with_topology(place, Vec::new());
    let rich = rich_message(place);
    let mut messages: Vec<Value> = (0..40)
        .map(|number| json!({ "body": user_id(place, number) }))
        .collect();
    messages.push(rich.clone());
    messages.push(json!({ "body": "no message" }));
    let worker = world.start(&["worker"]);
    world.publish(&messages);
    world.await_dead_letters(42);
    World::drain(worker);

    let before = as_published(&world);
    assert_eq!(before.len(), 42);
    for _ in 0..3 {
        let listed = ask(&world, &["list"], 0);
        let dead_letters = list(&listed["letters"]);
        assert_eq!(dead_letters.len(), 42, "{listed:#}");
        assert!(dead_letters.iter().all(|one| one["leftOver"] == false));

        ask(&world, &["groups"], 0);
        ask(&world, &["show", "--limit", "50"], 0);
        ask(&world, &["replay", "--all", "--anyway", "--dry-run"], 0);
        ask(&world, &["discard", "--all", "--dry-run"], 0);
    }
    assert_eq!(as_published(&world), before);

    assert_shown_whole(&world, &rich);
    assert_filters(&world, place);

    // None is left in flight.
    assert_eq!(world.depth(DEAD), Some(42));
    assert_eq!(as_published(&world), before);
}

/// A message with everything that a publisher may send.
fn rich_message(place: usize) -> Value {
    let body = json!({ "userId": user_id(place, 900), "batchId": "b-9", "unknown": [1] });
    json!({
        "body": body.to_string(),
        "headers": { "traceparent": TRACE, "n": 7 },
        "properties": { "content_type": "application/json", "message_id": "m-7", "app_id": "hr" },
    })
}

/// The dead letters in any order, without the broker's count of how often each was fetched.
fn as_published(world: &World) -> BTreeSet<String> {
    let dead_letters = world.dead_letters().into_iter().map(|mut dead_letter| {
        dead_letter["headers"]
            .as_object_mut()
            .expect("headers")
            .remove("x-delivery-count");
        dead_letter.to_string()
    });
    dead_letters.collect()
}

fn assert_shown_whole(world: &World, rich: &Value) {
    let listed = ask(world, &["ls", "--batch", "b-9"], 0);
    let [dead_letter] = list(&listed["letters"]).as_slice() else {
        panic!("{listed:#}")
    };
    assert_eq!(dead_letter["code"], "user_not_found");
    assert_eq!(dead_letter["step"], "clear_queues");

    let id = dead_letter["id"].as_str().expect("an ID");
    let shown = ask(world, &["show", id], 0);
    let shown = &shown["letters"][0];
    assert_eq!(shown["body"], rich["body"]);
    assert_eq!(shown["headers"]["n"], 7);
    assert_eq!(shown["properties"]["messageId"], "m-7");
    assert_eq!(shown["headers"]["x-offboarder-code"], "user_not_found");
}

fn assert_filters(world: &World, place: usize) {
    let count = |arguments: &[&str]| list(&ask(world, arguments, 0)["letters"]).len();
    let [one, other] = [user_id(place, 3), user_id(place, 4)];
    assert_eq!(count(&["list", "--reason", "malformed_message"]), 1);
    assert_eq!(
        count(&["list", "--since", "1h", "--reason", "user_not_found"]),
        41
    );
    assert_eq!(count(&["list", "--user", &one, "--user", &other]), 2);
    assert_eq!(count(&["list", "--limit", "5"]), 5);

    ask(world, &["list", "--user", &user_id(place, 999)], 1);
    let table = world.run(&["dlq", "ls", "--limit", "1"]).expect(0).output;
    assert!(
        table.contains("user_not_found") && table.contains("41 more"),
        "{table}"
    );
    world
        .run(&["dlq", "list", "--reason", "nonsense"])
        .expect(2);
}
