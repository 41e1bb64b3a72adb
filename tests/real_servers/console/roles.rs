//! Each role and each form: the page names what is missing, and the server refuses it.

use serde_json::json;

use super::{get, post, sign_in, with_ada_and};
use crate::support::http::authorized as api;
use crate::support::population::deletable;
use crate::support::trial;
use crate::support::world::World;

trial!(
    "each form names the permission that a role lacks and is refused for it, and no other role is",
    roles
);

/// What each role permits besides reading.
const ROLES: [(&str, &[&str]); 5] = [
    ("reader", &[]),
    ("auditor", &[]),
    ("operator", &["pause", "replay", "hold", "submit"]),
    ("approver", &["approve"]),
    (
        "admin",
        &[
            "pause",
            "replay",
            "discard",
            "hold",
            "lift_hold",
            "submit",
            "approve",
        ],
    ),
];

fn roles(place: usize) {
    let (mut world, key) = with_ada_and(World::with_topology(place, deletable(place, 1, 1)));
    world.set("OFFBOARDER_GUARD_APPROVAL", "always");
    let keys = ROLES.map(|role| match role.0 {
        "admin" => (role, "ada", key.clone()),
        name => (role, name, world.add_person(name, name)),
    });
    let worker = world.start(&["worker"]);
    let admin = worker.admin();
    worker.await_ready();
    let user = world.users[0].id.clone();
    // Its maker, the operator, may withdraw it.
    let new = json!({ "users": [user], "why": "leaves" });
    let saved = api(&keys[2].2, "POST", &admin, "/api/v1/plans", Some(&new)).expect(200);
    let plan = saved["digest"].as_str().expect("a digest");

    for ((role, permissions), name, key) in &keys {
        let cookie = sign_in(&admin, name, key);
        for (path, permission) in forms(&user, plan) {
            let may = permissions.contains(&permission);
            let shown = get(&admin, &path, &[("Cookie", &cookie)]).text();
            let lacks = shown.contains(&format!("needs the permission {permission}"))
                || shown.contains(&format!("Needs the permission {permission}."));
            assert_eq!(lacks, !may, "{role} {path}: {shown}");
            // The head of each page has forms for all.
            let content = shown.split_once("<main").expect("a main part").1;
            let has_button = content.contains("type=\"submit\"");
            assert!(may || !has_button, "{role} {path}: {shown}");
            // What is typed is wrong, so that a form that is permitted changes as little as possible.
            let form = [("why", "a trial"), ("confirm", "wrong"), ("users", "x")];
            let sent = post(&admin, &path, &cookie, &form);
            assert_eq!(sent.status == 403, !may, "{role} {path}: {}", sent.text());
        }
    }
    World::drain(worker);
}

/// Every form, and what it needs.
fn forms(user: &str, plan: &str) -> Vec<(String, &'static str)> {
    let fixed = [
        ("/pause", "pause"),
        ("/resume", "pause"),
        ("/batches/b-1/pause", "pause"),
        ("/batches/b-1/resume", "pause"),
        ("/batches/b-1/cancel", "submit"),
        ("/holds/add", "hold"),
        ("/holds/lift", "lift_hold"),
        ("/urgent", "submit"),
        ("/dead-letters/groups/2d1f5436374b/ignore", "replay"),
        ("/dead-letters/groups/2d1f5436374b/resolve", "replay"),
        ("/dead-letters/groups/2d1f5436374b/reopen", "replay"),
        ("/dead-letters/groups/2d1f5436374b/note", "replay"),
        ("/dead-letters/groups/2d1f5436374b/owner", "replay"),
        (
            "/operations/01890a5d-ac96-774b-bcce-b302099a8057/stop",
            "replay",
        ),
        ("/operations/new?batch=b-1", "replay"),
        ("/operations/discard?batch=b-1", "discard"),
    ];
    let mut forms: Vec<_> = fixed
        .into_iter()
        .map(|(path, permission)| (path.to_owned(), permission))
        .collect();
    for (word, permission) in [("cancel", "submit"), ("reactivate", "submit")] {
        forms.push((format!("/users/{user}/{word}"), permission));
    }
    for (word, permission) in [
        ("approve", "approve"),
        ("reject", "approve"),
        ("revoke", "approve"),
        ("withdraw", "submit"),
        ("apply", "submit"),
    ] {
        forms.push((format!("/plans/{plan}/{word}"), permission));
    }
    forms
}
