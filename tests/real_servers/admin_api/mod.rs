//! `/api/v1` of the admin HTTP: who may use it, what it does, and what it answers when it cannot.

mod access;
mod actions;
mod overview;
mod reading;
mod schema;
mod submitting;
mod unavailable;
mod urgent;

use serde_json::{Value, json};
pub(crate) use unavailable::put_behind_proxy;

use crate::dead_letters::fail_calls;
use crate::support::failpoint::MANY_DEAD_LETTERS;
use crate::support::http::{Answer, authorized as ask};
use crate::support::population::deletable;
use crate::support::process::Process;
use crate::support::world::{AUDIT_LOG_ENTRIES, PATIENCE, World};
use crate::support::{eventually, list, status};

pub(crate) const OPERATOR: &str = "operators-token-0123456789abcdef";
const READER: &str = "readers-token-0123456789abcdef01";
const AUDIT_LOG: &str = "/api/v1/audit-log";
const OPERATIONS: &str = "/api/v1/operations";
/// An ID that no dead letter has.
const NO_DEAD_LETTER: &str = "0123456789abcdef";

/// Both tokens are set.
fn with_tokens(mut world: World) -> World {
    world.set("OFFBOARDER_ADMIN_TOKEN", OPERATOR);
    world.set("OFFBOARDER_ADMIN_READ_TOKEN", READER);
    world
}

fn get(admin: &str, path: &str) -> Value {
    ask(OPERATOR, "GET", admin, path, None).expect(200)
}

fn post(admin: &str, path: &str, body: &Value) -> Value {
    ask(OPERATOR, "POST", admin, path, Some(body)).expect(200)
}

/// The entries of the audit log, the newest first.
fn audit_log(admin: &str, query: &str) -> Vec<Value> {
    let log = get(admin, &format!("{AUDIT_LOG}{query}"));
    list(&log[AUDIT_LOG_ENTRIES]).clone()
}

/// A request, with who makes it and why.
fn signed(mut request: Value) -> Value {
    request["who"] = json!("ada");
    request["why"] = json!("fixed");
    request
}

/// Asserts that an answer is a problem after RFC 9457; its code.
#[track_caller]
fn code(answer: &Answer, status: u16) -> String {
    let problem = answer.expect(status);
    assert_eq!(
        answer.header("content-type").as_deref(),
        Some("application/problem+json"),
        "{problem}"
    );
    assert_eq!(problem["type"], "about:blank", "{problem}");
    assert_eq!(problem["status"], status, "{problem}");
    assert!(problem["title"].is_string(), "{problem}");
    assert!(problem["detail"].is_string(), "{problem}");
    problem["code"].as_str().expect("a code").to_owned()
}

/// Users of whom the first ones are dead letters, refused at their first step; the worker runs.
pub(crate) fn with_dead_letters(
    place: usize,
    users: usize,
    dead_letters: usize,
) -> (World, Process) {
    let mut world = with_tokens(World::with_topology(place, deletable(place, users, 4)));
    world.set(MANY_DEAD_LETTERS.0, MANY_DEAD_LETTERS.1);
    for user in 0..dead_letters {
        fail_calls(&world, user, "get_routing_profile", &status(400));
    }
    let message = |id: &str| json!({ "userId": id, "batchId": "b-1" }).to_string();
    let messages = world
        .users
        .iter()
        .map(|user| json!({ "body": message(&user.id) }));

    let worker = world.start(&["worker"]);
    world.publish(&messages.collect::<Vec<_>>());
    world.await_dead_letters(dead_letters);
    for user in &world.users[dead_letters..] {
        await_end(&world, &user.id);
    }
    world.end_faults();
    (world, worker)
}

/// Waits until a user is done, and the status says so.
pub(crate) fn await_end(world: &World, user: &str) {
    eventually(PATIENCE, || {
        let status = world.run(&["status", user, "--output", "json"]).output;
        if status.contains("\"finished\": true") {
            Ok(())
        } else {
            Err(status)
        }
    });
}

fn ids(dead_letters: &Value) -> Vec<String> {
    let ids = list(dead_letters).iter().map(|one| one["id"].as_str());
    ids.map(|id| id.expect("an ID").to_owned()).collect()
}

/// Begins an operation; its path.
fn begin(admin: &str, order: &Value) -> String {
    let answer = ask(OPERATOR, "POST", admin, OPERATIONS, Some(order));
    let begun = answer.expect(202);
    let location = answer.header("location").expect("a location");
    let id = begun["id"].as_str().expect("an ID");
    assert_eq!(location, format!("{OPERATIONS}/{id}"));
    location
}

/// Waits until an operation has ended; the operation.
fn await_operation(admin: &str, path: &str) -> Value {
    eventually(PATIENCE, || match get(admin, path) {
        shown if shown["endedAt"].is_string() => Ok(shown),
        shown => Err(format!("{shown:#}")),
    })
}
