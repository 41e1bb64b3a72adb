//! Messages of a publisher who means harm, or whose library does odd things.

use serde_json::{Value, json};

use crate::support::failpoint::TIME_SCALE;
use crate::support::population::{User, deletable, user_id};
use crate::support::process::{Process, tail};
use crate::support::world::{DEAD, PATIENCE, World};
use crate::support::{eventually, http, manifests, trial};

/// As deep as a frame allows.
const DEEPEST: u32 = 26_000;
/// Deep enough to overflow a stack. RabbitMQ needs seconds each time that it reads the deepest.
const DEEP: u32 = 5_000;
const DELAYED: &str = "offboarding.wait.7200s: 1";

trial!(
    "messages that are too deep, too large, forged, copied or signed by their publisher stop nobody, and are dead letters or plain jobs",
    hostile
);

fn hostile(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 6, 2));
    world.set(TIME_SCALE, "10");
    let waits = world.users.pop().expect("a user");
    let worker = world.start(&["worker"]);
    worker.await_ready();
    let unknown = |number: usize| user_id(place, 900 + number);
    world.publish(&hostile_messages(&world, &waits, unknown));
    publish_as_hr(&world);

    manifests::assert_true(
        &world.simulator,
        world.setting("OFFBOARDER_ARCHIVE_URL"),
        &world.users,
        PATIENCE,
    );
    await_queues(&world, &worker, &["offboarding.dead: 4", DELAYED]);
    let dead_letters = world.await_dead_letters(4);
    assert_reasons(&dead_letters, unknown);
    let signed = dead_letter_of(&dead_letters, "no message");
    assert_eq!(
        signed["headers"]["x-offboarder-published-by"],
        format!("hr-{place}")
    );

    // As if RabbitMQ had moved it, with all that it holds.
    world.publish(&[
        json!({ "body": unknown(4), "exchange": DEAD, "nested": DEEP }),
        json!({ "body": unknown(5), "exchange": DEAD, "header": 130_900, "size": 1_000_000 }),
    ]);
    assert_commands_bear_them(&world);
    let admin = worker.admin();
    eventually(PATIENCE, || {
        let depth = "offboarder_queue_depth{queue=\"offboarding.dead\"}";
        match http::sample(&admin, depth) {
            Some(6.0) => Ok(()),
            depth => Err(format!("{depth:?} dead letters in the metrics")),
        }
    });
    await_queues(&world, &worker, &["offboarding.dead: 6", DELAYED]);
    worker.await_ready();
    World::drain(worker);
}

/// One for each user, and three for unknown users. RabbitMQ itself routes the first to four queues.
fn hostile_messages(world: &World, waits: &User, unknown: impl Fn(usize) -> String) -> [Value; 8] {
    let id = |number: usize| world.users[number].id.as_str();
    let later = json!({ "userId": waits.id, "deleteAfter": "2099-01-01T00:00:00Z" });
    let copies = json!({ "CC": ["users.urgent", "archive", "archive.urgent"] });
    let forged = json!({
        "x-offboarder-not-before": 32_500_000_000_000_i64,
        "x-offboarder-wait-left": 1_i64 << 60,
        "x-offboarder-revision": 2, "x-offboarder-deaths": 7, "x-delivery-count": 9,
        "tables": { "a": [1] },
    });

    let odd = json!({ "expiration": "86400000", "reply_to": "nowhere", "priority": 9 });
    [
        json!({ "body": later.to_string(), "headers": copies }),
        json!({ "body": unknown(1), "nested": DEEPEST }),
        json!({ "body": id(0) }),
        json!({ "body": unknown(2), "header": 130_900 }),
        json!({ "body": unknown(3), "size": 1_000_000 }),
        json!({ "body": id(1), "notUtf8": true }),
        json!({ "body": id(2), "headers": forged }),
        json!({ "body": id(3), "properties": odd }),
    ]
}

/// Publishes as another user of RabbitMQ, who says so in `user_id`.
fn publish_as_hr(world: &World) {
    let (name, url) = world.add_publisher();
    let signed = json!({ "user_id": name });
    World::publish_to(
        &url,
        &[
            json!({ "body": world.users[4].id, "properties": signed }),
            json!({ "body": "no message", "properties": signed }),
        ],
    );
}

fn await_queues(world: &World, worker: &Process, wanted: &[&str]) {
    eventually(PATIENCE, || match world.queues_in_use() {
        queues if queues == wanted => Ok(()),
        queues => Err(format!(
            "{queues:?} instead of {wanted:?}; {}",
            tail(&worker.errors())
        )),
    });
}

fn dead_letter_of<'a>(dead_letters: &'a [Value], user: &str) -> &'a Value {
    let is_of_user = |dead_letter: &&Value| {
        let body = dead_letter["body"].as_str();
        body.is_some_and(|body| body.trim() == user)
    };
    let found = dead_letters.iter().find(is_of_user);
    found.unwrap_or_else(|| panic!("no dead letter of {user}: {dead_letters:?}"))
}

fn assert_reasons(dead_letters: &[Value], unknown: impl Fn(usize) -> String) {
    for (number, why) in [
        (1, "its headers are nested over 16 deep"),
        (2, "its headers have 130911 bytes, over 8192"),
        (
            3,
            "its body has 1000000 bytes, over 262144, and is cut to that",
        ),
    ] {
        let headers = &dead_letter_of(dead_letters, &unknown(number))["headers"];
        assert_eq!(headers["x-offboarder-reason"], "malformed_message");
        let error = headers["x-offboarder-error"].as_str().expect("a text");
        assert!(error.contains(why), "{headers}");
        let theirs = headers.get("n").or_else(|| headers.get("h"));
        assert!(theirs.is_none(), "{headers}");
    }

    let large = dead_letter_of(dead_letters, &unknown(3));
    let body = large["body"].as_str().expect("a body");
    assert_eq!(body.len(), 262_144);
}

fn assert_commands_bear_them(world: &World) {
    for arguments in [
        &["list"][..],
        &["groups"],
        &["show", "--limit", "50"],
        &["replay", "--all", "--anyway", "--dry-run"],
        &["discard", "--all", "--dry-run"],
    ] {
        world
            .run(&[&["dead-letters"], arguments].concat())
            .expect(0);
    }
}
