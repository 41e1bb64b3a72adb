//! What programs read: the JSON of every command that answers.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::support::population::{Outcome, User};
use crate::support::world::{PATIENCE, World};
use crate::support::{promises, repository, trial};

const SHAPES: &str = "tests/real_servers/output_shapes.txt";

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

trial!("the JSON of every reading command has the shape that programs rely on", the_shapes);

/// Users who end in each way, so that every member is there. To accept a change: `UPDATE_SHAPES=1`.
fn the_shapes(place: usize) {
    let outcome = |number| {
        if number == 1 {
            Outcome::Refused(409)
        } else {
            Outcome::Deleted
        }
    };
    let users = (0..3)
        .map(|number| User::new(place, number, outcome(number), 4))
        .collect();
    let world = World::with_topology(place, users);
    let id = |user: usize| world.users[user].id.as_str();
    let nobody = "0b8f9e1c-3d5a-4c57-9a55-5b1d0f6a7e21";
    world
        .run(&["hold", "add", id(2), "--why", "case 4711"])
        .expect(0);
    let submit = [
        "submit",
        id(0),
        id(1),
        id(2),
        nobody,
        "--batch-id",
        "b-1",
        "--requested-by",
        "hr",
        "--reason",
        "left",
    ];
    world.run(&submit).expect(0);
    let worker = world.start(&["worker"]);
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);

    let letters = world
        .run(&["dead-letters", "list", "--output", "json"])
        .expect(0)
        .output;
    let letters: Value = serde_json::from_str(&letters).expect("JSON");
    assert_eq!(
        letters["letters"].as_array().map(Vec::len),
        Some(1),
        "{letters}"
    );
    let commands: [(&[&str], i32); 11] = [
        (&["status", id(0), id(1), id(2), nobody], 0),
        (&["batch", "show", "b-1"], 0),
        (&["batch", "list"], 0),
        (&["dead-letters", "list"], 0),
        (&["dead-letters", "groups"], 0),
        (&["dead-letters", "show", "--user", nobody], 0),
        (&["plan", id(0), nobody], 1),
        (&["verify", "--all"], 0),
        (&["hold", "list"], 0),
        (&["acts", "list"], 0),
        (&["doctor"], 0),
    ];
    let mut told = String::new();
    for (command, code) in commands {
        let ended = world.run(&[command, &["--output", "json"]].concat());
        assert_eq!(
            ended.code,
            Some(code),
            "{command:?}: {}\n{}",
            ended.output,
            ended.errors
        );
        let answer: Value = serde_json::from_str(&ended.output).unwrap_or_else(|error| {
            panic!(
                "{command:?} prints no JSON document: {error}\n{}",
                ended.output
            )
        });
        let mut paths = BTreeSet::new();
        shape(&answer, "", &mut paths);
        let words: Vec<&str> = command
            .iter()
            .copied()
            .filter(|word| !word.contains("-4") && *word != nobody)
            .collect();
        writeln!(told, "{}", words.join(" ")).expect("a line");
        for path in paths {
            writeln!(told, "  {path}").expect("a line");
        }
    }
    let file = repository(SHAPES);
    if std::env::var("UPDATE_SHAPES").is_ok_and(|wanted| !wanted.is_empty()) {
        std::fs::write(&file, &told).expect("the shapes are written");
    }
    let known = std::fs::read_to_string(&file).expect("the shapes");
    let (known, told): (BTreeSet<&str>, BTreeSet<&str>) =
        (known.lines().collect(), told.lines().collect());
    let changed = json!({
        "missing": known.difference(&told).collect::<Vec<_>>(),
        "new": told.difference(&known).collect::<Vec<_>>(),
    });
    assert_eq!(
        changed,
        json!({ "missing": [], "new": [] }),
        "{SHAPES} says otherwise"
    );
}

/// A window's title, an empty screen, C1, text from right to left, a line that looks like one of ours.
const ATTACK: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}rh\u{200b}\nNOT OK: all users";

trial!("what strangers wrote is shown by every command, and no terminal obeys it", the_strangers);

fn the_strangers(place: usize) {
    let world = World::with_topology(place, vec![User::new(place, 0, Outcome::Deleted, 1)]);
    let id = world.users[0].id.as_str();
    let nobody = "0b8f9e1c-3d5a-4c57-9a55-5b1d0f6a7e21";
    let message = |user: &str| {
        let body =
            json!({ "userId": user, "batchId": "b-1", "requestedBy": ATTACK, "reason": ATTACK });
        json!({ "body": body.to_string() })
    };
    world.publish(&[
        message(id),
        message(nobody),
        json!({ "body": format!("no JSON {ATTACK}") }),
    ]);
    let worker = world.start(&["worker"]);
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    // From a store that another program writes to.
    let act = uuid::Uuid::now_v7();
    let who = |extra: Value| {
        let mut object = json!({ "who": ATTACK, "why": ATTACK, "at": "2026-11-01T00:00:00Z" });
        object
            .as_object_mut()
            .expect("an object")
            .extend(extra.as_object().expect("an object").clone());
        object.to_string()
    };
    let act_object =
        who(json!({ "id": act, "what": ATTACK, "count": 1, "details": { ATTACK: ATTACK } }));
    world.objects().put(&format!("_act_{act}.json"), &act_object);
    let hold = who(json!({ "held": true }));
    world.objects().put(&format!("_hold_{nobody}.1.json"), &hold);

    world.run(&["pause", "--why", ATTACK]).expect(2);
    let commands: [(&[&str], i32); 12] = [
        (&["status", id], 0),
        (&["status", id, nobody], 0),
        (&["dead-letters", "list"], 0),
        (&["dead-letters", "show"], 0),
        (&["dead-letters", "groups"], 0),
        (&["batch", "show", "b-1"], 0),
        (&["batch", "report", "b-1"], 0),
        (&["hold", "list"], 0),
        (&["acts", "list"], 0),
        (&["plan", nobody], 1),
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
    let told = world.run(&["status", id]).expect(0).output;
    assert!(told.contains(r"by \u{1b}]0;owned\u{7}"), "{told}");
}
