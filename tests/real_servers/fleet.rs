//! What keeps users waiting, and who still has access: the same facts in every answer.

use serde_json::{Value, json};

use crate::support::http;
use crate::support::population::{deletable, user_id};
use crate::support::redis;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, list, promises, status, trial};

trial!(
    "no worker, a pause and stopped workers are above every answer that would mislead without them",
    the_banner
);

fn the_banner(place: usize) {
    let world = World::with_topology(place, deletable(place, 2, 4));
    let one = world.users[0].id.as_str();
    let sent = world
        .run(&["submit", one, "--batch-id", "b-1"])
        .expect(0)
        .output;
    let nobody = "! no worker is alive, and 1 message waits";
    assert!(sent.contains(nobody), "{sent}");
    assert_shown(&world, one, nobody);

    // It is not unknown: it waits.
    let status = world.run(&["status", one]).expect(0).output;
    assert!(
        status.contains("not begun, in batch b-1 since "),
        "{status}"
    );
    assert!(status.contains("still there, for "), "{status}");
    world.run(&["status", &user_id(place, 99)]).expect(1);
    let late = ["batch", "show", "b-1", "--watch", "--timeout", "1s"];
    let late = world.run(&late).expect(1);
    assert!(
        late.errors.contains("1 users are left to do"),
        "{}",
        late.errors
    );

    world.run(&["pause", "--why", "a migration"]).expect(0);
    let kept = world.run(&["pause", "--why", "another"]).expect(0).output;
    assert!(
        kept.contains("already paused") && kept.contains("a migration"),
        "{kept}"
    );
    let worker = world.start(&["worker"]);
    worker.await_not_ready("a migration");
    eventually(PATIENCE, || {
        let shown = world.run(&["workers"]).output;
        if shown.contains("no: paused by ") {
            Ok(())
        } else {
            Err(shown)
        }
    });
    assert_shown(&world, one, ": a migration");

    world.run(&["resume"]).expect(0);
    let nothing = world.run(&["resume"]).expect(0).output;
    assert!(nothing.contains("nothing was paused"), "{nothing}");
    promises::await_quiet(&world, PATIENCE);
    let batch = world.run(&["batch", "show", "b-1"]).expect(0).output;
    assert!(!batch.contains("! "), "all is well: {batch}");
    eventually(PATIENCE, || match world.run(&["workers"]).code {
        Some(0) => Ok(()),
        code => Err(format!("{code:?}")),
    });
    let workers = world.json(&["workers"], 0);
    let lanes = &workers["workers"][0]["lanes"];
    assert_eq!(lanes["access"], json!({ "slots": 12, "inUse": 0 }));
    let fleet = http::answer(&worker.admin(), "/api/v1/fleet").1;
    assert_eq!(fleet["workersReady"], 1, "{fleet}");
    World::drain(worker);
}

/// Each command says it on top, in both forms.
fn assert_shown(world: &World, user: &str, text: &str) {
    for command in [
        &["batch", "show", "b-1"][..],
        &["status", user],
        &["dead-letters", "groups"],
        &["workers"],
        &["doctor"],
    ] {
        let shown = world.run(command).output;
        let plain = text.trim_start_matches("! ");
        assert!(shown.contains(plain), "{command:?}: {shown}");
        if command != ["doctor"] {
            assert!(shown.starts_with("! "), "{command:?}: {shown}");
            let document = world.run(&[command, &["--output", "json"]].concat()).json();
            let notice = document["fleet"]["notices"][0]["text"].as_str();
            assert!(
                notice.is_some_and(|notice| notice.contains(plain)),
                "{document}"
            );
        }
    }
}

trial!(
    "a pause with an end lets the workers continue by itself",
    a_pause_ends
);

fn a_pause_ends(place: usize) {
    let world = World::with_topology(place, deletable(place, 1, 2));
    world
        .run(&["pause", "--for", "8s", "--why", "a window"])
        .expect(0);
    let worker = world.start(&["worker"]);
    worker.await_not_ready("a window");
    world.run(&["submit", &world.users[0].id]).expect(0);
    world.await_deleted(&world.users[0].id);
    let resumed = world.run(&["resume"]).expect(0).output;
    assert!(
        resumed.contains("nothing was paused: the pause by "),
        "{resumed}"
    );
    World::drain(worker);
}

trial!(
    "who still has access is known from the submission to the deactivation, and after Redis forgot",
    who_has_access
);

fn who_has_access(place: usize) {
    let world = World::with_topology(place, deletable(place, 3, 4));
    let ids: Vec<&str> = world.users.iter().map(|user| user.id.as_str()).collect();
    world.strike(0, "get_routing_profile", 0, 1_000_000, &status(400));
    world
        .run(&[&["submit", "--batch-id", "b-1"], &ids[..]].concat())
        .expect(0);
    let page = access(&world, &[]);
    assert_eq!(page["access"]["users"], 3, "{page}");
    assert_eq!(page["users"][0]["standing"], "not_begun", "{page}");
    assert_eq!(page["users"][0]["batchId"], "b-1", "{page}");
    let shown = world.run(&["users", "list", "--access"]).expect(0).output;
    assert!(
        shown.starts_with("still have access  3, the longest for "),
        "{shown}"
    );
    assert!(shown.contains("\nnot known: "), "{shown}");

    let worker = world.start(&["worker"]);
    promises::await_quiet(&world, PATIENCE);
    assert_eq!(world.dead_letters().len(), 1);
    let dead = access(&world, &[]);
    assert_only(&dead, ids[0]);
    assert_eq!(dead["users"][0]["deadLetter"], "api_rejected", "{dead}");
    assert_only(&access(&world, &["--batch", "b-1"]), ids[0]);
    let listed = world.json(&["users", "list", "--state", "Deleted"], 0);
    assert_eq!(list(&listed["users"]).len(), 2, "{listed}");
    let of_api = http::answer(&worker.admin(), "/api/v1/users?access=true").1;
    assert_eq!(of_api["users"], dead["users"]);
    assert_eq!(of_api["access"], dead["access"]);
    let batch = world.json(&["batch", "show", "b-1"], 1);
    assert_eq!(batch["stillHaveAccess"]["users"], 1, "{batch}");

    // The index is lost, the checkpoints are not: the next list rebuilds it.
    let redis = world.setting("OFFBOARDER_CHECKPOINTS_URL");
    redis::ask(redis, &["DEL", "offboarder:access"]);
    assert_only(&access(&world, &[]), ids[0]);

    // Pages hold one user each, and name each user once.
    world.run(&["status", ids[0]]).expect(1);
    let first = world.json(&["users", "list", "--limit", "1"], 0);
    let next = first["nextCursor"].as_str().expect("a cursor");
    let rest = world.json(&["users", "list", "--cursor", next], 0);
    assert_eq!(list(&rest["users"]).len(), 2, "{first} {rest}");
    let missing = ["users", "list", "--batch", "no-such-batch"];
    world.run(&missing).expect(1);
    let wrong = ["users", "list", "--access", "--cursor", next];
    world.run(&wrong).expect(2);
    World::drain(worker);
}

fn access(world: &World, more: &[&str]) -> Value {
    let command = [&["users", "list", "--access"], more].concat();
    world.json(&command, 0)
}

fn assert_only(page: &Value, user: &str) {
    let users = list(&page["users"]).iter();
    let users: Vec<&str> = users.filter_map(|user| user["userId"].as_str()).collect();
    assert_eq!(users, [user], "{page}");
}
