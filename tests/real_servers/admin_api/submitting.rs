//! Users are submitted and planned over the admin API.

use serde_json::{Value, json};

use super::{OPERATOR, READER, ask, audit_log, code, get, post, with_tokens};
use crate::support::population::deletable;
use crate::support::trial;
use crate::support::world::World;

const SUBMIT: &str = "/api/v1/submit";

trial!(
    "users are submitted over HTTP as by the command, and a plan of them changes nothing",
    submitted_and_planned
);

fn submitted_and_planned(place: usize) {
    let mut world = with_tokens(World::with_topology(place, deletable(place, 4, 4)));
    let protected = world.write("protected.txt", &world.users[3].id);
    world.set("OFFBOARDER_GUARD_PROTECTED", &protected);
    let ids: Vec<String> = world.users.iter().map(|user| user.id.clone()).collect();
    let worker = world.start(&["worker"]);
    let admin = worker.admin();
    world
        .run(&["pause", "--why", "a look before the work"])
        .expect(0);
    worker.await_not_ready("a look before the work");

    let plan = get(&admin, &format!("/api/v1/users/{}/plan", ids[0]));
    assert_eq!(plan["end"], "delete", "{plan}");
    let of_command = world.json(&["plan", &ids[0]], 0);
    assert_eq!(plan, of_command["users"][0], "{of_command}");
    let held_back = get(
        &admin,
        &format!("/api/v1/users/{}/plan?action=deactivate", ids[0]),
    );
    assert_eq!(held_back["end"], "deactivateOnly", "{held_back}");

    let order = |users: &[String]| json!({ "users": users, "batchId": "b-1", "who": "ada", "why": "they leave" });
    let refused = ask(OPERATOR, "POST", &admin, SUBMIT, Some(&order(&ids)));
    assert_eq!(code(&refused, 409), "protected_user");
    let by_reader = ask(READER, "POST", &admin, SUBMIT, Some(&order(&ids[..3])));
    assert_eq!(code(&by_reader, 403), "forbidden");
    assert_eq!(get(&admin, "/api/v1/batches")["batches"], json!([]));
    world
        .run(&["hold", "add", &ids[2], "--why", "case 4711"])
        .expect(0);

    // The last one is named twice.
    let twice = [&ids[..3], &ids[2..3]].concat();
    let sent = post(&admin, SUBMIT, &order(&twice));
    assert_eq!(sent["sent"], 3, "{sent}");
    assert_eq!(sent["total"], 3, "{sent}");
    assert_eq!(sent["held"][0]["userId"], ids[2].as_str(), "{sent}");
    let again = post(&admin, SUBMIT, &order(&ids[..3]));
    assert_eq!(
        (&again["sent"], &again["alreadySent"]),
        (&json!(0), &json!(3))
    );
    let entry: &Value = &audit_log(&admin, "")[0];
    assert_eq!(
        (&entry["what"], &entry["count"]),
        (&json!("submit"), &json!(3))
    );

    world.run(&["resume", "--why", "looked"]).expect(0);
    for id in &ids[..2] {
        world.await_deleted(id);
    }
    let status = get(&admin, &format!("/api/v1/users/{}", ids[0]));
    assert_eq!(status["request"]["requestedBy"], "ada", "{status}");
    assert_eq!(status["request"]["reason"], "they leave", "{status}");
    World::drain(worker);
}
