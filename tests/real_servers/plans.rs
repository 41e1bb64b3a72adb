//! Plans by commands and over HTTP: made, approved by another person, submitted.

use serde_json::{Value, json};

use crate::support::http::{Answer, authorized as ask};
use crate::support::population::deletable;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, list, trial};

const KEY: &str = "OFFBOARDER_PERSON_KEY";

/// ada asks for deletions, and bob and eve may approve them.
struct Keys {
    ada: String,
    bob: String,
    eve: String,
}

fn people(world: &mut World) -> Keys {
    let file = world.directory.path().join("people.toml");
    world.set("OFFBOARDER_ADMIN_PEOPLE", &file.display().to_string());
    world.set("OFFBOARDER_GUARD_APPROVAL", "always");
    let root = world.add_person("root", "admin");
    world.set(KEY, &root);
    Keys {
        ada: world.add_person("ada", "operator"),
        bob: world.add_person("bob", "approver"),
        eve: world.add_person("eve", "approver"),
    }
}

/// Makes a plan of these users, and answers with its digest.
fn save(world: &World, users: &[&str]) -> String {
    let mut arguments = vec!["plan", "--save", "--reason", "leave in November"];
    arguments.extend(users);
    let made = world.json(&arguments, 0);
    assert_eq!(made["stored"]["state"], "waiting", "{made:#}");
    let digest = made["stored"]["digest"].as_str().expect("a digest");
    digest.to_owned()
}

fn approve(world: &World, digest: &str, count: &str, status: i32) {
    let why = "HR confirms the list";
    let arguments = ["plan", "approve", digest, "--count", count, "--why", why];
    world.run(&arguments).expect(status);
}

trial!(
    "the users of a plan lose their access at once, and only those are deleted whose plan another person approved",
    approved
);

fn approved(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 3, 1));
    let keys = people(&mut world);
    let ids: Vec<String> = world.users.iter().map(|user| user.id.clone()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    world.set(KEY, &keys.ada);
    let good = save(&world, &ids[..2]);
    let other = save(&world, &ids[2..]);
    approve(&world, &good, "2", 4);
    world.set(KEY, &keys.bob);
    approve(&world, &good, "3", 4);
    approve(&world, &good[..12], "2", 0);
    world.run(&["submit", "--plan", &good]).expect(4);

    world.set(KEY, &keys.ada);
    let worker = world.start(&["worker"]);
    world.run(&["submit", "--plan", &good]).expect(0);
    world.run(&["submit", "--plan", &other]).expect(0);
    let mut entries = world.audit_log(&[]);
    entries.retain(|entry| entry["what"] == "submit");
    let whys: Vec<&Value> = entries.iter().map(|entry| &entry["why"]).collect();
    assert_eq!(whys, ["leave in November"; 2]);
    world.await_deleted(ids[0]);
    world.await_deleted(ids[1]);
    await_waiting(&world, ids[2]);
    assert_eq!(world.user_now(ids[2])["active"], false);
    assert_eq!(world.deletions(), 2);
    let manifest = await_manifest(&world, ids[0]);
    assert_eq!(manifest["request"]["plan"], good);
    let approvals = list(&manifest["request"]["approvals"]);
    let by: Vec<&Value> = approvals
        .iter()
        .map(|approval| &approval["person"])
        .collect();
    assert_eq!(by, ["bob"]);

    assert_shown(&world, &good, &other);
    world.set(KEY, &keys.eve);
    let why = "the wrong list";
    world
        .run(&["plan", "reject", &other, "--why", why])
        .expect(0);
    approve(&world, &other, "1", 4);
    let plans = world.json(&["plan", "list", "--state", "rejected"], 0);
    assert_eq!(list(&plans["plans"]).len(), 1);
    assert_eq!(world.deletions(), 2);
    World::drain(worker);
}

fn await_manifest(world: &World, id: &str) -> Value {
    eventually(PATIENCE, || {
        let stored = world.objects().get(&format!("{id}_audit.json"));
        let stored = stored.ok_or("there is no manifest yet")?;
        serde_json::from_slice(&stored).map_err(|error| error.to_string())
    })
}

fn await_waiting(world: &World, id: &str) {
    eventually(PATIENCE, || {
        let shown = world.json(&["status", id], 0).to_string();
        let waits = shown.contains("not_approved");
        waits.then_some(()).ok_or(shown)
    });
}

fn assert_shown(world: &World, good: &str, other: &str) {
    let shown = world.json(&["plan", "show", good], 0);
    assert_eq!(shown["plan"]["state"], "approved");
    assert_eq!(shown["plan"]["totals"]["delete"], 2);
    assert!(shown["plan"]["appliedAt"].is_string(), "{shown:#}");
    assert_eq!(list(&shown["users"]).len(), 2);
    let plans = world.json(&["plan", "list"], 0);
    assert_eq!(list(&plans["plans"]).len(), 2);
    let differ = world.json(&["plan", "diff", good, other], 1);
    assert_eq!(list(&differ["differences"]).len(), 3, "{differ:#}");
    // The user lost its access since, and ends as planned.
    let now = world.json(&["plan", "diff", other], 0);
    assert_eq!(list(&now["differences"]).len(), 0, "{now:#}");
}

trial!(
    "over HTTP a plan is made, approved by another person and submitted, and no token decides about it",
    over_http
);

fn over_http(place: usize) {
    const TOKEN: &str = "operators-token-0123456789abcdef";
    let mut world = World::with_topology(place, deletable(place, 1, 1));
    let keys = people(&mut world);
    world.set("OFFBOARDER_ADMIN_TOKEN", TOKEN);
    let id = world.users[0].id.clone();
    let worker = world.start(&["worker"]);
    let admin = worker.admin();
    let post = |key: &str, path: &str, body: Value| ask(key, "POST", &admin, path, Some(&body));

    let new = json!({ "users": [id], "why": "leaves", "who": "ada" });
    post(TOKEN, "/api/v1/plans", new.clone()).expect(403);
    post(
        &keys.bob,
        "/api/v1/plans",
        json!({ "users": [id], "why": "leaves" }),
    )
    .expect(403);
    let made = post(&keys.ada, "/api/v1/plans", new).expect(200);
    let digest = made["digest"].as_str().expect("a digest");
    let path = format!("/api/v1/plans/{digest}");

    let approvals = format!("{path}/approvals");
    let approval = |count: u64| json!({ "count": count, "why": "HR confirms" });
    assert_code(&post(TOKEN, &approvals, approval(1)), 403, "forbidden");
    assert_code(&post(&keys.ada, &approvals, approval(1)), 403, "forbidden");
    assert_code(
        &post(&keys.bob, &approvals, approval(2)),
        409,
        "count_changed",
    );
    let unknown = format!("/api/v1/plans/{}/approvals", "0".repeat(64));
    assert_code(&post(&keys.bob, &unknown, approval(1)), 404, "no_such_plan");
    let mut emergency = approval(1);
    emergency["breakGlassKey"] = json!(keys.bob);
    assert_code(&post(&keys.bob, &approvals, emergency), 403, "wrong_key");
    post(&keys.bob, &approvals, approval(1)).expect(200);
    let again = post(&keys.bob, &approvals, approval(1));
    assert_code(&again, 409, "already_approved");

    let apply = format!("{path}/apply");
    assert_code(
        &post(&keys.bob, &apply, json!({ "why": "leaves" })),
        403,
        "forbidden",
    );
    post(&keys.ada, &apply, json!({ "why": "leaves" })).expect(200);
    world.await_deleted(&id);
    let shown = ask(&keys.bob, "GET", &admin, &path, None).expect(200);
    assert_eq!(shown["plan"]["state"], "approved");
    let revoked = post(
        &keys.eve,
        &format!("{path}/revocations"),
        json!({ "why": "late" }),
    );
    assert_eq!(revoked.expect(200)["state"], "revoked");
    let listed = ask(
        &keys.eve,
        "GET",
        &admin,
        "/api/v1/plans?state=revoked",
        None,
    );
    assert_eq!(list(&listed.expect(200)["plans"]).len(), 1);
    World::drain(worker);
}

fn assert_code(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.expect(status)["code"], code);
}
