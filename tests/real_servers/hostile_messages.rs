//! Messages of a publisher who means harm, or whose library does odd things.

use serde_json::{Value, json};

use crate::support::population::{Outcome, User, user_id};
use crate::support::process::{Process, tail};
use crate::support::servers::{self, vhost};
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, http, manifests, trial};

const DEAD: &str = "offboarding.dead";
/// As deep as a frame allows.
const DEEPEST: u32 = 26_000;
/// Deep enough to overflow a stack. RabbitMQ needs seconds for each look at the deepest.
const DEEP: u32 = 5_000;

fn await_queues(world: &World, worker: &Process, wanted: &[&str]) {
    eventually(PATIENCE, || match world.queues_in_use() {
        queues if queues == wanted => Ok(()),
        queues => Err(format!(
            "{queues:?} instead of {wanted:?}; {}",
            tail(&worker.errors())
        )),
    });
}

/// Publishes as another user of RabbitMQ, who says so in `user_id`.
fn publish_as_hr(world: &World, place: usize, messages: &[Value]) {
    let (name, servers) = (format!("hr-{place}"), servers::shared());
    servers.rabbitmqctl(&["add_user", &name, "secret"]);
    servers.rabbitmqctl(&[
        "set_permissions",
        "-p",
        &vhost(place),
        &name,
        "^$",
        "^offboarding$",
        "^$",
    ]);
    let url = world.queue_url();
    let (_, address) = url.split_once('@').expect("a user in the URL");
    let signed = |message: &Value| {
        let mut message = message.clone();
        message["properties"] = json!({ "user_id": name });
        message
    };
    world.publish_as(
        &format!("amqp://{name}:secret@{address}"),
        &messages.iter().map(signed).collect::<Vec<_>>(),
    );
}

fn letter<'a>(letters: &'a [Value], user: &str) -> &'a Value {
    let found = letters.iter().find(|letter| {
        letter["body"]
            .as_str()
            .is_some_and(|body| body.trim() == user)
    });
    found.unwrap_or_else(|| panic!("no dead letter of {user}: {letters:?}"))
}

trial!("messages that are too deep, too large, forged, copied or signed by their publisher stop nobody, and are dead letters or plain jobs", hostile);

fn hostile(place: usize) {
    let mut world = World::with_topology(
        place,
        (0..6)
            .map(|number| User::new(place, number, Outcome::Deleted, 2))
            .collect(),
    );
    world.set("HURRY_OFFBOARDER", "10");
    let waits = world.users.pop().expect("a user").id;
    let worker = world.start(&["worker"]);
    worker.await_ready();
    let id = |number: usize| world.users[number].id.clone();
    let nobody = |number: usize| user_id(place, 900 + number);

    // RabbitMQ itself routes this one to four queues.
    let later = json!({ "userId": waits, "deleteAfter": "2099-01-01T00:00:00Z" }).to_string();
    let copies = json!({ "CC": ["users.urgent", "archive", "archive.urgent"] });
    let forged = json!({ "x-offboarder-not-before": 32_500_000_000_000_i64, "x-offboarder-wait-left": 1_i64 << 60,
        "x-offboarder-revision": 2, "x-offboarder-deaths": 7, "x-delivery-count": 9, "tables": { "a": [1] } });
    let odd = json!({ "expiration": "86400000", "reply_to": "nowhere", "priority": 9 });
    world.publish(&[
        json!({ "body": later, "headers": copies }),
        json!({ "body": nobody(1), "nested": DEEPEST }),
        json!({ "body": id(0) }),
        json!({ "body": nobody(2), "header": 130_900 }),
        json!({ "body": nobody(3), "size": 1_000_000 }),
        json!({ "body": id(1), "notUtf8": true }),
        json!({ "body": id(2), "headers": forged }),
        json!({ "body": id(3), "properties": odd }),
    ]);
    publish_as_hr(
        &world,
        place,
        &[json!({ "body": id(4) }), json!({ "body": "no message" })],
    );

    manifests::assert_true(
        &world.simulator,
        world.setting("OFFBOARDER_ARCHIVE_URL"),
        &world.users,
        PATIENCE,
    );
    await_queues(
        &world,
        &worker,
        &["offboarding.dead: 4", "offboarding.wait.7200s: 1"],
    );
    let letters = world.dead_letters();
    for (user, why) in [
        (nobody(1), "its headers are nested over 16 deep"),
        (nobody(2), "its headers have 130911 bytes, over 8192"),
        (
            nobody(3),
            "its body has 1000000 bytes, over 262144, and is cut to that",
        ),
    ] {
        let headers = &letter(&letters, &user)["headers"];
        assert_eq!(headers["x-offboarder-reason"], "malformed_message");
        assert!(
            headers["x-offboarder-error"]
                .as_str()
                .is_some_and(|error| error.contains(why)),
            "{headers}"
        );
        assert!(
            headers.get("n").or_else(|| headers.get("h")).is_none(),
            "{headers}"
        );
    }
    assert_eq!(
        letter(&letters, &nobody(3))["body"].as_str().map(str::len),
        Some(262_144)
    );
    let signed = letter(&letters, "no message");
    assert_eq!(
        signed["headers"]["x-offboarder-published-by"],
        format!("hr-{place}")
    );

    // As if RabbitMQ had moved it, with all that it holds.
    world.publish(&[
        json!({ "body": nobody(4), "exchange": DEAD, "nested": DEEP }),
        json!({ "body": nobody(5), "exchange": DEAD, "header": 130_900, "size": 1_000_000 }),
    ]);
    for arguments in [
        &["list"][..],
        &["groups"],
        &["show", "--limit", "50"],
        &["replay", "--anyway", "--dry-run"],
        &["discard", "--all", "--dry-run"],
    ] {
        world
            .run(&[&["dead-letters"], arguments].concat())
            .expect(0);
    }
    let admin = worker.admin();
    eventually(PATIENCE, || {
        match http::sample(&admin, "offboarder_queue_depth{queue=\"offboarding.dead\"}") {
            Some(6.0) => Ok(()),
            depth => Err(format!("{depth:?} dead letters in the metrics")),
        }
    });
    await_queues(
        &world,
        &worker,
        &["offboarding.dead: 6", "offboarding.wait.7200s: 1"],
    );
    worker.await_ready();
    World::drain(worker);
}
