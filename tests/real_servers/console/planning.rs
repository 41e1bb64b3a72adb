//! Plans that a second person approves by forms.

use serde_json::json;

use super::{get, post, sign_in, with_ada_and};
use crate::support::http::authorized as api;
use crate::support::population::deletable;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, trial};

trial!(
    "a plan is approved by a form of another person who types its deletions, sent, and revoked",
    planning
);

fn planning(place: usize) {
    let users = deletable(place, 2, 2);
    let (mut world, ada) = with_ada_and(World::with_topology(place, users));
    world.set("OFFBOARDER_GUARD_APPROVAL", "always");
    let olga = world.add_person("olga", "operator");
    let bob = world.add_person("bob", "approver");
    let worker = world.start(&["worker"]);
    let admin = worker.admin();
    worker.await_ready();
    let users: Vec<&str> = world.users.iter().map(|user| user.id.as_str()).collect();
    let new = json!({ "users": users, "batchId": "b-1", "why": "<b>leave</b>" });
    let save = |key: &str| {
        let saved = api(key, "POST", &admin, "/api/v1/plans", Some(&new)).expect(200);
        saved["digest"].as_str().expect("a digest").to_owned()
    };
    let plan = save(&olga);
    let of_ada = save(&ada);
    let people = [("ada", ada), ("olga", olga), ("bob", bob)];
    let [ada, olga, bob] = people.map(|person| sign_in(&admin, person.0, &person.1));
    let page = |cookie: &str, path: &str| get(&admin, path, &[("Cookie", cookie)]).text();
    let path = format!("/plans/{plan}");

    eventually(PATIENCE, || {
        let text = page(&bob, "/");
        let waits = text.contains("2 plans of 4 deletions");
        waits.then_some(()).ok_or(text)
    });
    let list = page(&bob, "/plans?state=waiting");
    assert!(list.contains("2 users: 2 deletions"), "{list}");
    assert!(page(&olga, &path).contains("You asked for this, so you cannot approve it."));
    let typed = [("why", "HR confirms"), ("confirm", "2")];
    let own = post(&admin, &format!("/plans/{of_ada}/approve"), &ada, &typed);
    own.expect_status(403);
    assert!(own.text().contains("own_plan"), "{}", own.text());
    post(&admin, &format!("{path}/approve"), &olga, &typed).expect_status(403);

    let shown = page(&bob, &path);
    for expected in [
        "2 users: 2 deletions.",
        "&lt;b&gt;leave",
        users[0],
        "/approve\"",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    let approve = format!("{path}/approve");
    assert!(page(&bob, &approve).contains("Type the number of deletions, 2"));
    let wrong = post(&admin, &approve, &bob, &[typed[0], ("confirm", "3")]);
    wrong.expect_status(409);
    assert!(
        wrong
            .text()
            .contains("2 deletions, and not 3; nothing was approved"),
        "{}",
        wrong.text()
    );
    assert!(page(&bob, &path).contains("Waits for an approval"));
    let approved = post(&admin, &approve, &bob, &typed);
    approved.expect_status(200);
    assert!(approved.text().contains("Approved."), "{}", approved.text());

    post(&admin, &format!("{path}/apply"), &bob, &typed).expect_status(403);
    post(&admin, &format!("{path}/apply"), &olga, &typed).expect_status(200);
    for user in &users {
        world.await_deleted(user);
    }
    post(&admin, &format!("{path}/revoke"), &bob, &typed[..1]).expect_status(200);
    assert!(page(&bob, &path).contains("Revoked."));
    World::drain(worker);
}
