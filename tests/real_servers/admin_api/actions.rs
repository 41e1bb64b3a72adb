//! What is done over the admin API.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    OPERATIONS, OPERATOR, ask, audit_log, await_end, await_operation, begin, code, get, ids, post,
    signed, with_dead_letters, with_tokens,
};
use crate::support::process::Process;
use crate::support::world::{DEAD, PATIENCE, World};
use crate::support::{eventually, list, trial};

trial!(
    "what is done over HTTP is what the commands do, and is in the audit log",
    like_the_commands
);

fn like_the_commands(place: usize) {
    let (world, worker) = with_dead_letters(place, 5, 3);
    let admin = worker.admin();
    assert_reads_like_commands(&world, &admin);
    pause_and_resume(&worker);
    hold(&world, &admin);
    discard_and_replay(&world, &admin);

    let entries = world.audit_log(&[]);
    let shown: Vec<_> = entries
        .iter()
        .map(|entry| [&entry["what"], &entry["count"], &entry["why"]])
        .collect();
    let expected = [
        ("dead-letters replay ended", 2, "fixed"),
        ("dead-letters replay", 2, "fixed"),
        ("dead-letters discard ended", 1, "a test"),
        ("dead-letters discard", 1, "a test"),
        ("hold remove", 1, "closed"),
        ("hold add", 2, "case 4711"),
        ("resume", 1, "done"),
        ("pause", 1, "a migration"),
    ]
    .map(|(what, count, why)| [json!(what), json!(count), json!(why)]);
    assert_eq!(shown, expected.each_ref().map(<[Value; 3]>::each_ref));

    for entry in &entries {
        let who = entry["who"].as_str().expect("who");
        assert!(who.starts_with("ada, "), "{who}");
        assert!(who.ends_with("(operator token)"), "{who}");
        assert!(who.contains("by the admin API of "), "{who}");
    }
    assert_eq!(audit_log(&admin, ""), entries);
    World::drain(worker);
}

/// An answer of the API and of a command, without the members that change from one to the next.
fn assert_same(world: &World, admin: &str, path: &str, command: &[&str], changing: &[&str]) {
    let answer = world.run(&[command, &["--output", "json"]].concat());
    let mut answers = [get(admin, path), answer.json()];
    for answer in &mut answers {
        for pointer in changing {
            *answer.pointer_mut(pointer).expect("the member") = Value::Null;
        }
    }
    assert_eq!(answers[0], answers[1], "{path}");
}

fn assert_reads_like_commands(world: &World, admin: &str) {
    let user = &world.users[4].id;
    let status = world.run(&["status", user, "--output", "json"]).json();
    let shown = get(admin, &format!("/api/v1/users/{user}"));
    assert_eq!(shown, status["users"][0]);

    // Who reads through the worker shares what it read, also of its own start, for two seconds.
    eventually(PATIENCE, || {
        let fleet = get(admin, "/api/v1/batches/b-1")["fleet"].clone();
        let is_ready = fleet["workersReady"] == 1 && fleet["stopped"] == false;
        is_ready.then_some(()).ok_or_else(|| fleet.to_string())
    });
    let same = |path: &str, command: &[&str], changing: &[&str]| {
        assert_same(world, admin, &format!("/api/v1/{path}"), command, changing);
    };
    same("batches", &["batch", "list"], &["/batches/0/progress/asOf"]);
    same("dead-letters", &["dead-letters", "list"], &[]);
    // The error is that of one dead letter of the group, whichever comes first.
    same(
        "dead-letter-groups?reason=api_rejected",
        &["dead-letters", "groups"],
        &["/groups/0/error", "/fleet"],
    );
    same(
        "batches/b-1",
        &["batch", "show", "b-1"],
        &[
            "/asOf",
            "/finishedPerMinute",
            "/fleet/asOf",
            "/stillHaveAccess",
        ],
    );

    let dead_letters = ids(&get(admin, "/api/v1/dead-letters")["letters"]);
    let [one, other] = [&dead_letters[0], &dead_letters[1]];
    let whole = get(admin, &format!("/api/v1/dead-letters/{one}"));
    assert_eq!(whole["headers"]["x-offboarder-reason"], "api_rejected");
    let two = format!("/api/v1/dead-letters?letter={one}&letter={other}");
    assert_eq!(ids(&get(admin, &two)["letters"]).len(), 2);
}

fn pause_and_resume(worker: &Process) {
    let admin = worker.admin();
    let pause = json!({ "who": "ada", "why": "a migration" });
    let paused = post(&admin, "/api/v1/pause", &pause);
    assert_eq!(paused["paused"], true);
    assert_eq!(paused["changed"], true);
    assert_eq!(paused["why"], "a migration");
    let shown = get(&admin, "/api/v1/pause");
    for member in ["paused", "who", "why", "at", "until"] {
        assert_eq!(shown[member], paused[member], "{member}");
    }

    // A second one keeps the first.
    let other = json!({ "who": "bob", "why": "another", "for": "2h" });
    let kept = post(&admin, "/api/v1/pause", &other);
    assert_eq!(kept["changed"], false, "{kept}");
    assert_eq!(kept["why"], "a migration", "{kept}");
    worker.await_not_ready("a migration");

    let resume = json!({ "who": "ada", "why": "done" });
    post(&admin, "/api/v1/resume", &resume);
    worker.await_ready();
}

fn hold(world: &World, admin: &str) {
    let [one, other] = [&world.users[0].id, &world.users[1].id];
    let hold = json!({ "users": [one, other], "who": "ada", "why": "case 4711" });
    assert_eq!(post(admin, "/api/v1/holds", &hold)["held"], true);
    assert_same(world, admin, "/api/v1/holds", &["hold", "list"], &[]);
    let path = format!("/api/v1/holds/{other}");
    let shown = get(admin, &path);
    assert_eq!(shown["userId"], *other);
    assert_eq!(shown["why"], "case 4711");

    let removal = json!({ "users": [other], "who": "ada", "why": "closed" });
    let removed = post(admin, "/api/v1/holds/remove", &removal);
    assert_eq!(removed["held"], false);
    let missing = ask(OPERATOR, "GET", admin, &path, None);
    assert_eq!(code(&missing, 404), "not_on_hold");
    world.run(&["hold", "list", other]).expect(1);
}

/// First as a dry run.
fn discard_and_replay(world: &World, admin: &str) {
    let dead_letters = ids(&get(admin, "/api/v1/dead-letters")["letters"]);
    let [first, third] = [&dead_letters[0], &dead_letters[2]];
    let discard = signed(json!({ "kind": "discard", "letter": [third], "dryRun": true }));
    let discarded = post(admin, OPERATIONS, &discard);
    assert_eq!(discarded["letters"][0]["id"], *third);
    let replay = json!({ "kind": "replay", "batch": "b-1", "anyway": true, "dryRun": true });
    let replay = post(admin, OPERATIONS, &signed(replay));
    assert_eq!(list(&replay["letters"]).len(), 3);
    assert_eq!(world.depth(DEAD), Some(3));

    // No probe can show that a refusal would not come again.
    let careful = signed(json!({ "kind": "replay", "letter": [first] }));
    let refused = ask(OPERATOR, "POST", admin, OPERATIONS, Some(&careful));
    assert_eq!(code(&refused, 409), "nothing_to_do");

    let discard = json!({ "kind": "discard", "letter": [third], "who": "ada", "why": "a test" });
    let discarded = await_operation(admin, &begin(admin, &discard));
    assert_eq!(discarded["state"], "done", "{discarded}");
    assert_eq!(discarded["results"][0]["letter"], *third, "{discarded}");
    let again = ask(OPERATOR, "POST", admin, OPERATIONS, Some(&discard));
    assert_eq!(code(&again, 404), "no_such_letter");

    let replay =
        json!({ "kind": "replay", "reason": ["api_rejected"], "canary": true, "rate": "30/m" });
    let path = begin(admin, &signed(replay));
    let replayed = await_operation(admin, &path);
    let results = list(&replayed["results"]);
    assert_eq!(results.len(), 2, "{replayed}");
    assert_eq!(replayed["canary"], true, "{replayed}");
    assert_eq!(replayed["groups"][0]["moved"], 2, "{replayed}");
    for result in results {
        assert_eq!(result["became"], "moved", "{replayed}");
        await_end(world, result["userId"].as_str().expect("an ID"));
    }
    assert_eq!(world.depth(DEAD), Some(0));
    let page = get(admin, &format!("{path}?limit=1&cursor=1"));
    assert_eq!(page["results"], json!([results[1]]), "{page}");
    assert_eq!(page["nextCursor"], Value::Null, "{page}");

    let listed = get(admin, &format!("{OPERATIONS}?limit=1"));
    assert_eq!(listed["operations"][0]["kind"], "replay", "{listed}");
    let cursor = listed["nextCursor"].as_str().expect("a cursor");
    let listed = get(admin, &format!("{OPERATIONS}?cursor={cursor}"));
    assert_eq!(list(&listed["operations"]).len(), 1, "{listed}");
    assert_eq!(listed["operations"][0]["kind"], "discard", "{listed}");
}

trial!(
    "every worker is listed while it lives, and one that was killed soon is not",
    workers
);

fn workers(place: usize) {
    let world = with_tokens(World::with_topology(place, Vec::new()));
    let living = world.start(&["worker"]);
    let mut dying = world.start(&["worker"]);
    let admin = living.admin();
    let listed = || list(&get(&admin, "/api/v1/workers")["workers"]).clone();
    let both = eventually(PATIENCE, || {
        let listed = listed();
        let are_ready = listed.iter().all(|worker| worker["ready"] == true);
        if listed.len() == 2 && are_ready {
            Ok(listed)
        } else {
            Err(json!(listed).to_string())
        }
    });
    for worker in &both {
        assert_eq!(worker["concurrency"], 16, "{worker}");
        assert_eq!(worker["inFlight"], 0, "{worker}");
        assert_eq!(worker["draining"], false, "{worker}");
        assert_eq!(worker["causes"], json!([]), "{worker}");
        assert_eq!(worker["version"], env!("CARGO_PKG_VERSION"));
    }
    let url = |worker: &Value| format!("http://{}", worker["listen"].as_str().unwrap_or_default());
    let urls: Vec<String> = both.iter().map(url).collect();
    assert!(
        urls.contains(&admin) && urls.contains(&dying.admin()),
        "{urls:?}"
    );

    dying.signal("KILL");
    dying.end(PATIENCE);
    eventually(Duration::from_secs(20), || match listed().as_slice() {
        [one] if url(one) == admin => Ok(()),
        listed => Err(json!(listed).to_string()),
    });
    World::drain(living);
}
