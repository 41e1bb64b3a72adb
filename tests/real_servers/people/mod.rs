//! People with roles and keys: what they may do over HTTP and by commands.

mod jwt;

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::http::{self, authorized as ask, exchange};
use crate::support::population::user_id;
use crate::support::process::tail;
use crate::support::world::World;
use crate::support::{eventually, trial};

const OPERATOR: &str = "operators-token-0123456789abcdef";
const READER: &str = "readers-token-0123456789abcdef01";
const KEY: &str = "OFFBOARDER_PERSON_KEY";
const PEOPLE: &str = "OFFBOARDER_ADMIN_PEOPLE";
const ROLES: [&str; 4] = ["reader", "auditor", "operator", "approver"];
/// A person who was removed has no access after 10 s; the rest is for a slow machine.
const FOLLOWS: Duration = Duration::from_secs(30);

fn denied(admin: &str, permission: &str) -> Option<f64> {
    let series = format!("offboarder_denied_total{{permission=\"{permission}\"}}");
    http::sample(admin, &series)
}

trial!(
    "people do over HTTP and by commands what their role permits, and nothing once they are removed",
    roles
);

fn roles(place: usize) {
    let mut world = World::with_topology(place, Vec::new());
    world.set("OFFBOARDER_ADMIN_TOKEN", OPERATOR);
    world.set("OFFBOARDER_ADMIN_READ_TOKEN", READER);
    let file = world.directory.path().join("people.toml");
    world.set(PEOPLE, &file.display().to_string());
    // The first person has to be an admin, and is added without a key.
    world
        .run(&["people", "add", "bob", "--role", "operator"])
        .expect(4);
    let admin_key = world.add_person("root", "admin");
    world
        .run(&["people", "add", "bob", "--role", "operator"])
        .expect(4);
    world.set(KEY, &admin_key);
    let mut keys = ROLES
        .map(|role| (role, world.add_person(&format!("a-{role}"), role)))
        .to_vec();
    keys.push(("admin", admin_key.clone()));

    let worker = world.start(&["worker"]);
    let admin = worker.admin();
    let user = user_id(place, 1);
    assert_roles_over_http(&admin, &keys, &user);
    assert_tokens_have_the_role_of_their_name(&admin, &user);
    assert_roles_by_commands(&mut world, &keys, &user);

    world.set(KEY, &admin_key);
    let people = world.json(&["people", "list"], 0);
    assert_eq!(people["people"].as_array().map(Vec::len), Some(5));
    for (_, key) in &keys {
        assert!(!people.to_string().contains(key));
        assert!(!worker.errors().contains(key), "{}", tail(&worker.errors()));
    }
    assert_removed_person_is_refused(&world, &admin, &keys[2].1);

    // A file that cannot be used admits nobody, and tokens still work.
    std::fs::write(&file, "[[people]]\nname = 'root'\nrole = 'king'\n").expect("it is written");
    eventually(FOLLOWS, || {
        let answer = ask(&admin_key, "GET", &admin, "/api/v1/me", None);
        if answer.status == 503 {
            Ok(())
        } else {
            Err(answer.text())
        }
    });
    let unreadable = http::sample(&admin, "offboarder_people_unreadable");
    assert_eq!(unreadable, Some(1.0));
    assert!(worker.errors().contains("line 3: role is none of"));
    ask(OPERATOR, "GET", &admin, "/api/v1/me", None).expect(200);
    let doctor = world.run(&["doctor"]);
    assert!(
        doctor.output.contains("role is none of"),
        "{}",
        doctor.output
    );
    World::drain(worker);
}

/// Each role, and what of the API it may use.
fn assert_roles_over_http(admin: &str, keys: &[(&str, String)], user: &str) {
    let hold = json!({ "users": [user], "why": "case 4711" });
    let why = json!({ "why": "a test" });
    let discard = json!({ "kind": "discard", "letter": ["0123456789abcdef"], "why": "a test" });
    let body = "/api/v1/dead-letters/0123456789abcdef";
    let acts = [
        (
            "look",
            "GET",
            "/api/v1/pause",
            &Value::Null,
            "reader auditor operator approver admin",
        ),
        (
            "look_bodies",
            "GET",
            body,
            &Value::Null,
            "auditor approver admin",
        ),
        ("pause", "POST", "/api/v1/pause", &why, "operator admin"),
        ("pause", "POST", "/api/v1/resume", &why, "operator admin"),
        ("hold", "POST", "/api/v1/holds", &hold, "operator admin"),
        ("lift_hold", "POST", "/api/v1/holds/remove", &hold, "admin"),
        ("discard", "POST", "/api/v1/operations", &discard, "admin"),
        (
            "submit",
            "POST",
            "/api/v1/batches/none/cancel",
            &why,
            "operator admin",
        ),
    ];
    for (permission, method, path, request, may) in acts {
        for (role, key) in keys {
            let before = denied(admin, permission).expect("the counter begins at 0");
            let answer = ask(
                key,
                method,
                admin,
                path,
                (method == "POST").then_some(request),
            );
            if may.split(' ').any(|word| word == *role) {
                assert!(
                    answer.status != 403 && answer.status != 401,
                    "{role} {path}: {}",
                    answer.text()
                );
                assert_eq!(denied(admin, permission), Some(before), "{role} {path}");
                continue;
            }
            let problem = answer.expect(403);
            let detail = problem["detail"].as_str().expect("a detail");
            let missing = format!("needs the permission {permission}; your role is {role}");
            assert!(detail.contains(&missing), "{detail}");
            assert_eq!(
                denied(admin, permission),
                Some(before + 1.0),
                "{role} {path}"
            );
        }
    }
    assert_the_person_is_recorded(admin, &keys[2].1);
}

fn assert_the_person_is_recorded(admin: &str, operator: &str) {
    let me = ask(operator, "GET", admin, "/api/v1/me", None).expect(200);
    assert_eq!(
        (&me["person"], &me["role"]),
        (&json!("a-operator"), &json!("operator"))
    );
    // The entry names the person, whatever the request says.
    let log = ask(operator, "GET", admin, "/api/v1/audit-log?limit=100", None).expect(200);
    let log = log.to_string();
    assert!(
        log.contains("a-operator, by the admin API of") && log.contains("(key)"),
        "{log}"
    );
    let other = json!({ "who": "ada", "why": "a test" });
    ask(operator, "POST", admin, "/api/v1/pause", Some(&other)).expect(422);
}

/// Where there are people, a token is no way around them.
fn assert_tokens_have_the_role_of_their_name(admin: &str, user: &str) {
    let hold = json!({ "users": [user], "who": "ada", "why": "case 4711" });
    ask(OPERATOR, "POST", admin, "/api/v1/holds", Some(&hold)).expect(200);
    ask(OPERATOR, "POST", admin, "/api/v1/holds/remove", Some(&hold)).expect(403);
    ask(READER, "GET", admin, "/api/v1/pause", None).expect(200);
    ask(READER, "POST", admin, "/api/v1/holds", Some(&hold)).expect(403);
    let none = exchange("GET", admin, "/api/v1/pause", &[], b"");
    assert_eq!(none.status, 401);
}

fn assert_roles_by_commands(world: &mut World, keys: &[(&str, String)], user: &str) {
    let acts = [
        (&["pause", "--why", "a test"][..], "operator admin"),
        (&["resume", "--why", "a test"], "operator admin"),
        (
            &["batch", "pause", "none", "--why", "a test"],
            "operator admin",
        ),
        (&["hold", "add", user, "--why", "a test"], "operator admin"),
        (&["hold", "remove", user, "--why", "a test"], "admin"),
        (
            &["cancel", "--batch", "none", "--why", "a test"],
            "operator admin",
        ),
        (&["submit", user, "--batch-id", "none"], "operator admin"),
        (&["people", "remove", "eve"], ""),
    ];
    for (act, may) in acts {
        for (role, key) in keys {
            world.set(KEY, key);
            let ended = world.run(act);
            let is_allowed = may.split(' ').any(|word| word == *role);
            let says_no = ended.errors.contains("that needs the permission");
            assert_eq!(
                ended.code == Some(4),
                !is_allowed,
                "{role} {act:?}: {}",
                ended.errors
            );
            let is_unknown = ended.errors.contains("not in the people file");
            assert_eq!(
                says_no || is_unknown,
                !is_allowed,
                "{role} {act:?}: {}",
                ended.errors
            );
        }
    }
    let log = json!(world.audit_log(&["--limit", "100"])).to_string();
    for entry in [
        "a-operator, by the command line of",
        "\"what\":\"submit\"",
        "\"what\":\"people add\"",
    ] {
        assert!(log.contains(entry), "{entry}: {log}");
    }

    world.set(KEY, &"x".repeat(40));
    let stranger = world.run(&["pause", "--why", "a test"]).expect(4);
    assert!(
        stranger.errors.contains("belongs to nobody"),
        "{}",
        stranger.errors
    );
    world.unset(KEY);
    let nobody = world.run(&["pause", "--why", "a test"]).expect(4);
    assert!(
        nobody.errors.contains("OFFBOARDER_PERSON_KEY_FILE"),
        "{}",
        nobody.errors
    );
    // Who only looks needs no key.
    world.run(&["hold", "list"]).expect(0);
}

fn assert_removed_person_is_refused(world: &World, admin: &str, key: &str) {
    ask(key, "GET", admin, "/api/v1/me", None).expect(200);
    world
        .run(&["people", "remove", "a-operator", "--why", "left"])
        .expect(0);
    eventually(FOLLOWS, || {
        let answer = ask(key, "GET", admin, "/api/v1/me", None);
        if answer.status == 401 {
            Ok(())
        } else {
            Err(answer.text())
        }
    });
}

trial!(
    "of changes that are made to the people in a bucket at the same time none is lost",
    in_a_bucket
);

fn in_a_bucket(place: usize) {
    let mut world = World::new(place, Vec::new());
    let archive = world
        .setting("OFFBOARDER_ARCHIVE_URL")
        .trim_end_matches('/');
    let object = format!("{archive}-people.json");
    world.set(PEOPLE, &object);
    let root = world.add_person("root", "admin");
    world.set(KEY, &root);

    let names: Vec<String> = (0..6).map(|number| format!("p{number}")).collect();
    let mut running: Vec<_> = names
        .iter()
        .map(|name| world.start(&["people", "add", name, "--role", "reader"]))
        .collect();
    let mut added = Vec::new();
    for (name, process) in names.iter().zip(&mut running) {
        if process.end(Duration::from_mins(1)).code() == Some(0) {
            added.push(name);
        }
    }
    let people = world.json(&["people", "list"], 0).to_string();
    for name in &names {
        let is_there = people.contains(&format!("\"{name}\""));
        assert_eq!(is_there, added.contains(&name), "{name}: {people}");
    }
    assert!(!added.is_empty(), "one of them is the first");
    world.run(&["people", "remove", "root"]).expect(4);
    world.run(&["people", "remove", added[0]]).expect(0);
    assert!(
        !world
            .json(&["people", "list"], 0)
            .to_string()
            .contains(&format!("\"{}\"", added[0]))
    );
}
