//! Discarding dead letters.

use std::time::Duration;

use serde_json::{Value, json};

use super::ask;
use crate::support::failpoint::{die_at, died_at};
use crate::support::population::user_id;
use crate::support::world::{DEAD, PATIENCE, World};
use crate::support::{eventually, list, trial};

const BODY: &str = "no \u{1F600} message";

trial!(
    "what is discarded is kept in the archive store, also when killed in between",
    discarding
);

fn discarding(place: usize) {
    let world = World::with_topology(place, Vec::new());
    let ids: Vec<String> = (0..3).map(|number| user_id(place, number)).collect();
    let mut messages: Vec<Value> = ids.iter().map(|id| json!({ "body": id })).collect();
    messages.push(json!({
        "body": BODY, "headers": { "n": 7 }, "properties": { "message_id": "m-7" },
    }));
    let worker = world.start(&["worker"]);
    world.publish(&messages);
    world.await_dead_letters(4);
    World::drain(worker);

    world.run(&["dead-letters", "discard"]).expect(2);
    assert_eq!(world.depth(DEAD), Some(4));
    assert_copied(&world);
    assert_eq!(world.depth(DEAD), Some(3));

    discard_killed(&world, &ids[0], "before the S3 put", false);
    discard_killed(&world, &ids[1], "before the acknowledgement", true);
    assert_eq!(world.depth(DEAD), Some(1));
    let listed = ask(&world, &["list"], 0);
    assert_eq!(listed["letters"][0]["userId"], ids[2]);

    let entries = world.audit_log(&[]);
    let discards = entries
        .iter()
        .filter(|entry| entry["what"] == "dead-letters discard");
    assert_eq!(discards.count(), 5, "{entries:#?}");
}

/// The copy of the one malformed message holds all of it.
fn assert_copied(world: &World) {
    let discard = [
        "discard",
        "--reason",
        "malformed_message",
        "--why",
        "a test",
    ];
    let discarded = ask(world, &discard, 0);
    let [one] = list(&discarded["discarded"]).as_slice() else {
        panic!("{discarded:#}")
    };
    let key = copy_of(&one["letter"]);
    let copy = one["copy"].as_str().expect("a key");
    assert!(copy.ends_with(&key), "{discarded:#}");

    let copy: Value = serde_json::from_str(&world.objects().text(&key)).expect("JSON");
    assert_eq!(copy["body"], BODY);
    assert_eq!(copy["headers"]["n"], 7);
    assert_eq!(copy["properties"]["messageId"], "m-7");
    assert_eq!(copy["headers"]["x-offboarder-reason"], "malformed_message");
    assert_eq!(copy["discarded"]["why"], "a test");
}

/// The key of the copy of a discarded dead letter.
fn copy_of(dead_letter: &Value) -> String {
    let id = dead_letter["id"].as_str().expect("an ID");
    format!("_dead_letter_{id}.json")
}

/// Killed before it is removed, the dead letter is there still; the next command removes it, and no
/// other.
fn discard_killed(world: &World, id: &str, point: &str, is_copied: bool) {
    let mut discard = world.start_with(
        &["dead-letters", "discard", "--user", id],
        &die_at(id, point),
    );
    assert_ne!(discard.end(PATIENCE).code(), Some(0));
    assert_eq!(died_at(&discard.errors()), Some(point));

    let listed = eventually(Duration::from_secs(30), || {
        let listed = world.run(&["dlq", "list", "--user", id, "--output", "json"]);
        if listed.code == Some(0) {
            Ok(listed.json())
        } else {
            Err(listed.output)
        }
    });
    let key = copy_of(&listed["letters"][0]);
    assert_eq!(world.objects().exists(&key), is_copied);

    ask(world, &["discard", "--user", id], 0);
    assert!(world.objects().exists(&key));
}
