//! What programs read: the JSON of every command that answers.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::support::population::{Outcome, User, deletable};
use crate::support::world::{AUDIT_LOG, PATIENCE, World};
use crate::support::{promises, trial};

/// A user that CXone does not have.
const NOBODY: &str = "0b8f9e1c-3d5a-4c57-9a55-5b1d0f6a7e21";

trial!(
    "the JSON of every reading command has the shape that programs rely on",
    the_shapes
);

/// Users who end in each way, so that every member is there. To accept a change of the snapshot:
/// `INSTA_UPDATE=always cargo test --test real_servers -- 'the JSON of every'`.
fn the_shapes(place: usize) {
    let mut users = deletable(place, 3, 4);
    users[1] = User::new(place, 1, Outcome::Refused(409), 4);
    let world = World::with_topology(place, users);
    off_board(&world);

    let id = |user: usize| world.users[user].id.as_str();
    let audit_log = [AUDIT_LOG[0], "list"];
    let commands: [(&[&str], i32); 14] = [
        (&["status", id(0), id(1), id(2), NOBODY], 1),
        (&["batch", "show", "b-1"], 1),
        (&["batch", "list"], 0),
        (&["workers"], 1),
        (&["users", "list"], 0),
        (&["users", "list", "--access"], 0),
        (&["dead-letters", "list"], 0),
        (&["dead-letters", "groups"], 0),
        (&["dead-letters", "show", "--user", NOBODY], 0),
        (&["plan", id(0), NOBODY], 1),
        (&["verify", "--all"], 0),
        (&["hold", "list"], 0),
        (&audit_log, 0),
        (&["doctor"], 0),
    ];
    let mut shapes = String::new();
    for (command, code) in commands {
        let mut paths = BTreeSet::new();
        shape(&world.json(command, code), "", &mut paths);
        // IDs of users are left out.
        let words = command.iter().filter(|word| !word.contains("-4"));
        let words: Vec<&str> = words.copied().collect();
        writeln!(shapes, "{}", words.join(" ")).expect("a line");
        for path in paths {
            writeln!(shapes, "  {path}").expect("a line");
        }
    }
    insta::assert_snapshot!("output_shapes", shapes);
}

/// One user on hold, one refused, one deleted, and one unknown, who is a dead letter.
fn off_board(world: &World) {
    let [one, two, held] = [0, 1, 2].map(|user| world.users[user].id.as_str());
    world
        .run(&["hold", "add", held, "--why", "case 4711"])
        .expect(0);
    let users = ["submit", one, two, held, NOBODY];
    let asked = ["--batch-id", "b-1", "--requested-by", "hr"];
    world
        .run(&[&users[..], &asked, &["--reason", "left"]].concat())
        .expect(0);

    let worker = world.start(&["worker"]);
    promises::await_quiet(world, PATIENCE);
    World::drain(worker);
    world.await_dead_letters(1);
}

/// Every path to a value, with its type; the members of a list are one.
fn shape(value: &Value, path: &str, paths: &mut BTreeSet<String>) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(members) => {
            for member in members {
                shape(member, &format!("{path}[]"), paths);
            }
            "list"
        }
        Value::Object(members) => {
            for (name, member) in members {
                shape(member, &format!("{path}.{name}"), paths);
            }
            "object"
        }
    };

    paths.insert(format!("{path}: {kind}"));
}

/// A window's title, an empty screen, C1, text from right to left, a line that looks like one of
/// ours.
const ATTACK: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}rh\u{200b}\nNOT OK: all users";

trial!(
    "what strangers wrote is shown by every command, and no terminal obeys it",
    the_strangers
);

fn the_strangers(place: usize) {
    let world = World::with_topology(place, deletable(place, 1, 1));
    let id = world.users[0].id.as_str();
    attack(&world);
    world.run(&["pause", "--why", ATTACK]).expect(2);

    let audit_log = [AUDIT_LOG[0], "list"];
    let commands: [(&[&str], i32); 12] = [
        (&["status", id], 0),
        (&["status", id, NOBODY], 1),
        (&["dead-letters", "list"], 0),
        (&["dead-letters", "show"], 0),
        (&["dead-letters", "groups"], 0),
        (&["batch", "show", "b-1"], 1),
        (&["batch", "report", "b-1"], 1),
        (&["hold", "list"], 0),
        (&audit_log, 0),
        (&["plan", NOBODY], 1),
        (&["verify", "--all"], 0),
        (&["doctor"], 0),
    ];
    for (command, code) in commands {
        for form in [&[][..], &["--output", "json"]] {
            let ended = world.run(&[command, form].concat()).expect(code);
            let text = [ended.output, ended.errors].concat();
            for wrong in [
                "\u{1b}",
                "\u{7}",
                "\u{9b}",
                "\u{202e}",
                "\u{200b}",
                "\nNOT OK: all users",
            ] {
                assert!(
                    !text.contains(wrong),
                    "{command:?} {form:?} shows {wrong:?}:\n{text}"
                );
            }
        }
    }
    let status = world.run(&["status", id]).expect(0).output;
    assert!(status.contains(r"by \u{1b}]0;owned\u{7}"), "{status}");
}

/// Messages of a publisher, and objects that another program put into the archive store.
fn attack(world: &World) {
    let message = |user: &str| {
        let body = json!({
            "userId": user, "batchId": "b-1", "requestedBy": ATTACK, "reason": ATTACK,
        });
        json!({ "body": body.to_string() })
    };
    world.publish(&[
        message(&world.users[0].id),
        message(NOBODY),
        json!({ "body": format!("no JSON {ATTACK}") }),
    ]);
    let worker = world.start(&["worker"]);
    promises::await_quiet(world, PATIENCE);
    World::drain(worker);

    let id = uuid::Uuid::now_v7();
    let at = "2026-11-01T00:00:00Z";
    let entry = json!({
        "id": id, "what": ATTACK, "count": 1, "details": { ATTACK: ATTACK },
        "who": ATTACK, "why": ATTACK, "at": at,
    });
    let hold = json!({ "held": true, "who": ATTACK, "why": ATTACK, "at": at });
    let objects = world.objects();
    objects.put(&format!("_act_{id}.json"), entry.to_string());
    objects.put(&format!("_hold_{NOBODY}.1.json"), hold.to_string());
}
