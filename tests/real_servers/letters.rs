//! Looking at dead letters, judging and discarding them.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::replaying::{DEAD, ask, await_letters, json_of, mend, spoil, status};
use crate::support::population::{Outcome, User, user_id};
use crate::support::process::tail;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, promises, trial};

/// The letters as they are, but for the broker's count of looks, in any order.
fn letters(world: &World) -> BTreeSet<String> {
    let letters = world.dead_letters().into_iter().map(|mut letter| {
        letter["headers"]
            .as_object_mut()
            .expect("headers")
            .remove("x-delivery-count");
        letter.to_string()
    });
    letters.collect()
}

trial!("looking at dead letters leaves all of them, with body and headers", looking);

fn looking(place: usize) {
    let world = World::with_topology(place, Vec::new());
    let worker = world.start(&["worker"]);
    let rich =
        json!({ "userId": user_id(place, 900), "batchId": "b-9", "unknown": [1] }).to_string();
    let properties =
        json!({ "content_type": "application/json", "message_id": "m-7", "app_id": "hr" });
    let headers =
        json!({ "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "n": 7 });
    let mut messages: Vec<Value> = (0..40)
        .map(|number| json!({ "body": user_id(place, number) }))
        .collect();
    messages.push(json!({ "body": rich, "headers": headers, "properties": properties }));
    messages.push(json!({ "body": "no message" }));
    world.publish(&messages);
    await_letters(&world, 42);
    World::drain(worker);
    let before = letters(&world);
    assert_eq!(before.len(), 42);

    for _ in 0..3 {
        let listed = ask(&world, &["list"], 0);
        assert_eq!(
            listed["letters"].as_array().map(Vec::len),
            Some(42),
            "{listed:#}"
        );
        assert!(
            listed["letters"]
                .as_array()
                .expect("a list")
                .iter()
                .all(|one| one["leftOver"] == false)
        );
        ask(&world, &["groups"], 0);
        ask(&world, &["show", "--limit", "50"], 0);
        ask(&world, &["replay", "--anyway", "--dry-run"], 0);
        ask(&world, &["discard", "--all", "--dry-run"], 0);
    }
    assert_eq!(letters(&world), before);

    // Picked in each way, and shown whole.
    let listed = ask(&world, &["ls", "--batch", "b-9"], 0);
    let [letter] = listed["letters"].as_array().expect("a list").as_slice() else {
        panic!("{listed:#}")
    };
    assert_eq!(
        (&letter["code"], &letter["step"]),
        (&json!("user_not_found"), &json!("clear_queues"))
    );
    let shown = ask(&world, &["show", letter["id"].as_str().expect("an ID")], 0);
    let shown = &shown["letters"][0];
    assert_eq!(shown["body"], rich);
    assert_eq!(
        (&shown["headers"]["n"], &shown["properties"]["messageId"]),
        (&json!(7), &json!("m-7"))
    );
    assert_eq!(shown["headers"]["x-offboarder-code"], "user_not_found");
    let count = |arguments: &[&str]| {
        ask(&world, arguments, 0)["letters"]
            .as_array()
            .map(Vec::len)
    };
    assert_eq!(count(&["list", "--reason", "malformed_message"]), Some(1));
    assert_eq!(
        count(&["list", "--since", "1h", "--reason", "user_not_found"]),
        Some(41)
    );
    assert_eq!(
        count(&[
            "list",
            "--user",
            &user_id(place, 3),
            "--user",
            &user_id(place, 4)
        ]),
        Some(2)
    );
    assert_eq!(count(&["list", "--limit", "5"]), Some(5));
    ask(&world, &["list", "--user", &user_id(place, 999)], 1);
    let table = world.run(&["dlq", "ls", "--limit", "1"]).expect(0).output;
    assert!(
        table.contains("user_not_found") && table.contains("41 more"),
        "{table}"
    );
    world
        .run(&["dlq", "list", "--reason", "nonsense"])
        .expect(2);

    // Nobody's hands are left on them.
    assert_eq!(world.depth(DEAD), Some(42));
    assert_eq!(letters(&world), before);
}

trial!("dead letters are counted by fault, and a replay is called safe when it is", grouping);

fn grouping(place: usize) {
    let users: Vec<User> = (0..8)
        .map(|number| User::new(place, number, Outcome::Deleted, 4))
        .collect();
    let mut world = World::with_topology(place, users);
    world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", "2");
    let protected = world.directory.path().join("protected.txt");
    std::fs::write(&protected, &world.users[7].id).expect("the list is written");
    world.set(
        "OFFBOARDER_GUARD_PROTECTED",
        &protected.display().to_string(),
    );
    (0..3).for_each(|user| spoil(&world, user, "query_conversations", &status(500)));
    (3..5).for_each(|user| spoil(&world, user, "get_routing_profile", &status(400)));
    let worker = world.start(&["worker"]);
    world.publish_all();
    world.publish(&[
        json!({ "body": "no message" }),
        json!({ "body": user_id(place, 99) }),
    ]);
    await_letters(&world, 8);
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);

    let groups = ask(&world, &["groups"], 0);
    let told: BTreeSet<String> = groups["groups"]
        .as_array()
        .expect("groups")
        .iter()
        .map(|group| {
            assert!(
                group["firstSeen"].as_str() <= group["lastSeen"].as_str(),
                "{group:#}"
            );
            assert!(
                group["firstSeen"].is_string() && group["replayedBefore"] == 0,
                "{group:#}"
            );
            let text = |name: &str| group[name].as_str().expect("a word").to_owned();
            let verdict = group["judgement"]["verdict"].as_str().expect("a verdict");
            let (count, safe) = (&group["letters"], &group["safe"]);
            format!(
                "{count} {} {} {} {safe} {verdict}",
                text("reason"),
                text("code"),
                text("step")
            )
        })
        .collect();
    let expected = [
        "1 malformed_message malformed_message  false not_yet",
        "1 protected_user protected_user clear_queues false not_yet",
        "1 user_not_found user_not_found clear_queues false not_yet",
        "2 api_rejected cxone_rejected clear_queues false unproven",
        "3 retries_exhausted cxone_server_error archive true safe",
    ];
    assert_eq!(told, expected.map(str::to_owned).into(), "{groups:#}");

    // With CXone away nothing of it is safe, and what was mended is.
    std::fs::write(&protected, "# nobody\n").expect("the list is written");
    let simulator = std::mem::replace(&mut world.simulator, "http://127.0.0.1:9".to_owned());
    world.set("OFFBOARDER_CXONE_BASE_URI", "http://127.0.0.1:9");
    let verdict = |groups: &Value, reason: &str| {
        let mut groups = groups["groups"].as_array().expect("groups").iter();
        let group = groups
            .find(|group| group["reason"] == reason)
            .expect("the group");
        (
            group["safe"].clone(),
            group["judgement"]["why"].as_str().expect("why").to_owned(),
        )
    };
    let away = ask(&world, &["groups"], 0);
    let (safe, why) = verdict(&away, "retries_exhausted");
    assert!(safe == false && why.contains("cannot reach CXone"), "{why}");
    assert_eq!(verdict(&away, "protected_user").0, true, "{away:#}");
    // What is judged unsafe stays, and the command says so.
    let skipped = ask(&world, &["replay", "--reason", "retries_exhausted"], 4);
    assert_eq!(
        (skipped["moved"].as_array(), world.depth(DEAD)),
        (Some(&vec![]), Some(8)),
        "{skipped:#}"
    );
    world.simulator.clone_from(&simulator);
    world.set("OFFBOARDER_CXONE_BASE_URI", &simulator);

    // Somebody submitted one of them again meanwhile.
    mend(&world);
    let worker = world.start(&["worker"]);
    world.run(&["submit", &world.users[0].id]).expect(0);
    eventually(PATIENCE, || {
        let gone = world.user_now(&world.users[0].id)["exists"] == false;
        if gone {
            Ok(())
        } else {
            Err(tail(&worker.errors()))
        }
    });
    promises::await_quiet(&world, PATIENCE);
    let moved = ask(&world, &["replay", "--reason", "retries_exhausted"], 1);
    assert_eq!(
        moved["moved"].as_array().map(Vec::len),
        Some(2),
        "{moved:#}"
    );
    assert_eq!(moved["skipped"][0]["letter"]["userId"], world.users[0].id);
    assert!(
        moved["skipped"][0]["why"]
            .as_str()
            .is_some_and(|why| why.contains("went on since")),
        "{moved:#}"
    );
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    assert_eq!(world.depth(DEAD), Some(6));
}

trial!("what is discarded is kept in the archive store, also when killed in between", discarding);

fn discarding(place: usize) {
    let world = World::with_topology(place, Vec::new());
    let worker = world.start(&["worker"]);
    let ids: Vec<String> = (0..3).map(|number| user_id(place, number)).collect();
    let mut messages: Vec<Value> = ids.iter().map(|id| json!({ "body": id })).collect();
    messages.push(json!({
        "body": "no \u{1F600} message", "headers": { "n": 7 }, "properties": { "message_id": "m-7" },
    }));
    world.publish(&messages);
    await_letters(&world, 4);
    World::drain(worker);

    world.run(&["dead-letters", "discard"]).expect(2);
    assert_eq!(world.depth(DEAD), Some(4));
    let gone = ask(
        &world,
        &[
            "discard",
            "--reason",
            "malformed_message",
            "--why",
            "a test",
        ],
        0,
    );
    let [one] = gone["discarded"].as_array().expect("discarded").as_slice() else {
        panic!("{gone:#}")
    };
    let key = format!(
        "_dead_letter_{}.json",
        one["letter"]["id"].as_str().expect("an ID")
    );
    assert!(
        one["copy"]
            .as_str()
            .is_some_and(|copy| copy.ends_with(&key)),
        "{gone:#}"
    );
    let copy = world.objects().text(&key);
    let copy: Value = serde_json::from_str(&copy).expect("JSON");
    assert_eq!(copy["body"], "no \u{1F600} message");
    assert_eq!(
        (&copy["headers"]["n"], &copy["properties"]["messageId"]),
        (&json!(7), &json!("m-7"))
    );
    assert_eq!(copy["headers"]["x-offboarder-reason"], "malformed_message");
    assert_eq!(copy["discarded"]["why"], "a test");
    assert_eq!(world.depth(DEAD), Some(3));

    // Killed before it is taken off, the letter is there still; then it goes, and so do no others.
    for (id, at) in ids
        .iter()
        .zip(["before the S3 put", "before the acknowledgement"])
    {
        let kill = [("KILL_OFFBOARDER_AT".to_owned(), format!("{id}:{at}"))];
        let mut discard = world.start_with(&["dead-letters", "discard", "--user", id], &kill);
        assert_ne!(discard.end(PATIENCE).code(), Some(0));
        assert!(
            discard.errors().contains(&format!("KILLED AT {at}")),
            "{}",
            discard.errors()
        );
        let listed = eventually(Duration::from_secs(30), || {
            let listed = world.run(&["dlq", "list", "--user", id, "--output", "json"]);
            if listed.code == Some(0) {
                Ok(json_of(&listed))
            } else {
                Err(listed.output)
            }
        });
        let key = format!(
            "_dead_letter_{}.json",
            listed["letters"][0]["id"].as_str().expect("an ID")
        );
        assert_eq!(
            world.objects().exists(&key),
            at != "before the S3 put"
        );
        ask(&world, &["discard", "--user", id], 0);
        assert!(world.objects().exists(&key));
    }
    assert_eq!(world.depth(DEAD), Some(1));
    let listed = ask(&world, &["list"], 0);
    assert_eq!(listed["letters"][0]["userId"], ids[2]);
    let acts = world.run(&["acts", "list"]).expect(0).output;
    assert_eq!(acts.matches("dead-letters discard").count(), 5, "{acts}");
}
