//! Looking at dead letters, replaying and discarding them.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::ledger::{self, Repetition};
use crate::support::objects::objects;
use crate::support::population::{Fate, User, user_id};
use crate::support::process::tail;
use crate::support::world::{Ended, PATIENCE, World};
use crate::support::{Test, eventually, http, promises, servers};

pub(crate) const TESTS: &[Test] = &[
    ("looking at dead letters leaves all of them, with body and headers", looking),
    ("dead letters are counted by fault, and a replay is called safe when it is", grouping),
    ("a replay ends users at the step that failed, and takes nothing that arrives meanwhile", replaying),
    ("a replay killed before and after every effect loses and doubles no letter", killed),
    ("a canary stops at the fault that comes back, and goes on to the rest when it is mended", canary),
    ("what is discarded is kept in the archive store, also when killed in between", discarding),
];

const DEAD: &str = "offboarding.dead";
const USERS: &str = "offboarding.users";

fn status(status: u16) -> Value {
    json!({ "kind": "status", "status": status })
}

/// Makes every call of an operation fail for a user, until [`mend`].
fn spoil(world: &World, user: usize, operation: &str, fault: &Value) {
    world.strike(user, operation, 0, 1_000_000, fault);
}

fn mend(world: &World) {
    http::request("DELETE", &world.simulator, "/_simulator/faults", None);
}

fn await_letters(world: &World, count: u64) {
    eventually(PATIENCE, || match world.depth(DEAD) {
        Some(depth) if depth == count => Ok(()),
        depth => Err(format!("{depth:?} dead letters instead of {count}")),
    });
}

/// Users who are all dead letters, refused at their first step; no worker runs.
fn refused(place: usize, count: usize) -> World {
    let users: Vec<User> = (0..count).map(|number| User::new(place, number, Fate::Deleted, 4)).collect();
    let world = World::with_topology(place, users);
    (0..count).for_each(|user| spoil(&world, user, "get_routing_profile", &status(400)));
    let worker = world.start(&["worker"]);
    world.publish_all();
    await_letters(&world, count as u64);
    World::drain(worker);
    world
}

/// The letters as they are, but for the broker's count of looks, in any order.
fn letters(world: &World) -> BTreeSet<String> {
    let letters = world.letters(DEAD).into_iter().map(|mut letter| {
        letter["headers"].as_object_mut().expect("headers").remove("x-delivery-count");
        letter.to_string()
    });
    letters.collect()
}

fn json_of(ended: &Ended) -> Value {
    serde_json::from_str(&ended.output).unwrap_or_else(|error| panic!("{error}: {}", ended.output))
}

fn ask(world: &World, arguments: &[&str], code: i32) -> Value {
    json_of(&world.run(&[&["dead-letters"], arguments, &["--output", "json"]].concat()).expect(code))
}

fn looking(place: usize) {
    let world = World::with_topology(place, Vec::new());
    let worker = world.start(&["worker"]);
    let rich = json!({ "userId": user_id(place, 900), "batchId": "b-9", "unknown": [1] }).to_string();
    let properties = json!({ "content_type": "application/json", "message_id": "m-7", "app_id": "hr" });
    let headers = json!({ "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "n": 7 });
    let mut messages: Vec<Value> = (0..40).map(|number| json!({ "body": user_id(place, number) })).collect();
    messages.push(json!({ "body": rich, "headers": headers, "properties": properties }));
    messages.push(json!({ "body": "no message" }));
    world.publish(&messages);
    await_letters(&world, 42);
    World::drain(worker);
    let before = letters(&world);
    assert_eq!(before.len(), 42);

    for _ in 0..3 {
        let listed = ask(&world, &["list"], 0);
        assert_eq!(listed["letters"].as_array().map(Vec::len), Some(42), "{listed:#}");
        assert!(listed["letters"].as_array().expect("a list").iter().all(|one| one["leftOver"] == false));
        ask(&world, &["groups"], 0);
        ask(&world, &["show", "--limit", "50"], 0);
        ask(&world, &["replay", "--anyway", "--dry-run"], 0);
        ask(&world, &["discard", "--all", "--dry-run"], 0);
    }
    assert_eq!(letters(&world), before);

    // Picked in each way, and shown whole.
    let listed = ask(&world, &["ls", "--batch", "b-9"], 0);
    let [letter] = listed["letters"].as_array().expect("a list").as_slice() else { panic!("{listed:#}") };
    assert_eq!((&letter["code"], &letter["step"]), (&json!("user_not_found"), &json!("clear_queues")));
    let shown = ask(&world, &["show", letter["id"].as_str().expect("an ID")], 0);
    let shown = &shown["letters"][0];
    assert_eq!(shown["body"], rich);
    assert_eq!((&shown["headers"]["n"], &shown["properties"]["messageId"]), (&json!(7), &json!("m-7")));
    assert_eq!(shown["headers"]["x-offboarder-code"], "user_not_found");
    let count = |arguments: &[&str]| ask(&world, arguments, 0)["letters"].as_array().map(Vec::len);
    assert_eq!(count(&["list", "--reason", "malformed_message"]), Some(1));
    assert_eq!(count(&["list", "--since", "1h", "--reason", "user_not_found"]), Some(41));
    assert_eq!(count(&["list", "--user", &user_id(place, 3), "--user", &user_id(place, 4)]), Some(2));
    assert_eq!(count(&["list", "--limit", "5"]), Some(5));
    ask(&world, &["list", "--user", &user_id(place, 999)], 1);
    let table = world.run(&["dlq", "ls", "--limit", "1"]).expect(0).output;
    assert!(table.contains("user_not_found") && table.contains("41 more"), "{table}");
    world.run(&["dlq", "list", "--reason", "nonsense"]).expect(2);

    // Nobody's hands are left on them.
    assert_eq!(world.depth(DEAD), Some(42));
    assert_eq!(letters(&world), before);
}

fn grouping(place: usize) {
    let users: Vec<User> = (0..8).map(|number| User::new(place, number, Fate::Deleted, 4)).collect();
    let mut world = World::with_topology(place, users);
    world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", "2");
    let protected = world.directory.path().join("protected.txt");
    std::fs::write(&protected, &world.users[7].id).expect("the list is written");
    world.set("OFFBOARDER_GUARD_PROTECTED", &protected.display().to_string());
    (0..3).for_each(|user| spoil(&world, user, "query_conversations", &status(500)));
    (3..5).for_each(|user| spoil(&world, user, "get_routing_profile", &status(400)));
    let worker = world.start(&["worker"]);
    world.publish_all();
    world.publish(&[json!({ "body": "no message" }), json!({ "body": user_id(place, 99) })]);
    await_letters(&world, 8);
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);

    let groups = ask(&world, &["groups"], 0);
    let told: BTreeSet<String> = groups["groups"]
        .as_array()
        .expect("groups")
        .iter()
        .map(|group| {
            assert!(group["firstSeen"].as_str() <= group["lastSeen"].as_str(), "{group:#}");
            assert!(group["firstSeen"].is_string() && group["replayedBefore"] == 0, "{group:#}");
            let text = |name: &str| group[name].as_str().expect("a word").to_owned();
            let verdict = group["judgement"]["verdict"].as_str().expect("a verdict");
            let (count, safe) = (&group["letters"], &group["safe"]);
            format!("{count} {} {} {} {safe} {verdict}", text("reason"), text("code"), text("step"))
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
    std::fs::write(&protected, "").expect("the list is written");
    let simulator = std::mem::replace(&mut world.simulator, "http://127.0.0.1:9".to_owned());
    world.set("OFFBOARDER_CXONE_BASE_URI", "http://127.0.0.1:9");
    let verdict = |groups: &Value, reason: &str| {
        let mut groups = groups["groups"].as_array().expect("groups").iter();
        let group = groups.find(|group| group["reason"] == reason).expect("the group");
        (group["safe"].clone(), group["judgement"]["why"].as_str().expect("why").to_owned())
    };
    let away = ask(&world, &["groups"], 0);
    let (safe, why) = verdict(&away, "retries_exhausted");
    assert!(safe == false && why.contains("cannot reach CXone"), "{why}");
    assert_eq!(verdict(&away, "protected_user").0, true, "{away:#}");
    // What is judged unsafe stays, and the command says so.
    let skipped = ask(&world, &["replay", "--reason", "retries_exhausted"], 4);
    assert_eq!((skipped["moved"].as_array(), world.depth(DEAD)), (Some(&vec![]), Some(8)), "{skipped:#}");
    world.simulator.clone_from(&simulator);
    world.set("OFFBOARDER_CXONE_BASE_URI", &simulator);

    // Somebody submitted one of them again meanwhile.
    mend(&world);
    let worker = world.start(&["worker"]);
    world.run(&["submit", &world.users[0].id]).expect(0);
    eventually(PATIENCE, || {
        let gone = world.user_now(&world.users[0].id)["exists"] == false;
        if gone { Ok(()) } else { Err(tail(&worker.errors())) }
    });
    promises::await_quiet(&world, PATIENCE);
    let moved = ask(&world, &["replay", "--reason", "retries_exhausted"], 1);
    assert_eq!(moved["moved"].as_array().map(Vec::len), Some(2), "{moved:#}");
    assert_eq!(moved["skipped"][0]["letter"]["userId"], world.users[0].id);
    assert!(
        moved["skipped"][0]["why"].as_str().is_some_and(|why| why.contains("went on since")),
        "{moved:#}"
    );
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    assert_eq!(world.depth(DEAD), Some(6));
}

fn replaying(place: usize) {
    let users: Vec<User> = (0..4).map(|number| User::new(place, number, Fate::Deleted, 9)).collect();
    let mut world = World::with_topology(place, users);
    world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", "2");
    (0..4).for_each(|user| spoil(&world, user, "query_conversations", &status(500)));
    let worker = world.start(&["worker"]);
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let messages = world.users.iter().map(|user| {
        json!({
            "body": json!({ "userId": user.id, "ticket": 7 }).to_string(),
            "headers": { "traceparent": trace }, "properties": { "message_id": user.id, "app_id": "hr" },
        })
    });
    world.publish(&messages.collect::<Vec<_>>());
    await_letters(&world, 4);
    World::drain(worker);
    mend(&world);

    // One every two seconds; what arrives meanwhile stays.
    let replay =
        ["dead-letters", "replay", "--anyway", "--rate", "30/m", "--why", "mended", "--output", "json"];
    let mut replay = world.start(&replay);
    eventually(PATIENCE, || match world.depth("offboarding.archive") {
        Some(1..) => Ok(()),
        depth => Err(format!("{depth:?} replayed: {}", replay.errors())),
    });
    let worker = world.start(&["worker"]);
    world.publish(&[json!({ "body": user_id(place, 99) })]);
    let report = eventually(PATIENCE, || replay.ended().ok_or_else(|| "it still runs".to_owned()));
    assert_eq!(report.code(), Some(0), "{}", replay.errors());
    let report: Value = serde_json::from_str(&replay.output()).expect("JSON");
    assert_eq!(report["moved"].as_array().map(Vec::len), Some(4), "{report:#}");
    await_letters(&world, 1);
    let left = ask(&world, &["list"], 0);
    assert_eq!(left["letters"][0]["userId"], user_id(place, 99));
    assert_eq!(left["letters"][0]["replays"], 0, "it was never replayed: {left:#}");
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    promises::assert_manifests(&world, &servers::shared());
    // Nothing that was completed is done again.
    for user in &world.users {
        assert_eq!(ledger::writes_of(&world.simulator, &user.id), writes_of_one(&world), "{}", user.id);
    }
    let acts = json_of(&world.run(&["acts", "list", "--output", "json"]).expect(0));
    let told: Vec<_> =
        acts["acts"].as_array().expect("acts").iter().map(|act| [&act["what"], &act["count"]]).collect();
    assert_eq!(
        told,
        [[&json!("dead-letters replay ended"), &json!(4)], [&json!("dead-letters replay"), &json!(4)]]
    );
    assert_eq!(acts["acts"][1]["why"], "mended");

    // What a replay publishes is the message that was, and nothing of the letter; and it counts its replays.
    let headers = json!({ "traceparent": trace, "x-offboarder-revision": 1 });
    let properties = json!({ "message_id": "m-9", "app_id": "hr" });
    let body = json!({ "userId": user_id(place, 77), "ticket": 7 }).to_string();
    let worker = world.start(&["worker"]);
    world.publish(&[
        json!({ "body": body, "key": "users.urgent", "headers": headers, "properties": properties }),
    ]);
    await_letters(&world, 2);
    World::drain(worker);
    ask(&world, &["replay", "--anyway", "--user", &user_id(place, 77)], 0);
    let [published] = world.letters("offboarding.users.urgent").try_into().expect("one message");
    assert_eq!(published["body"], body);
    assert_eq!(
        (&published["properties"]["message_id"], &published["properties"]["app_id"]),
        (&json!("m-9"), &json!("hr"))
    );
    let names: BTreeSet<&str> =
        published["headers"].as_object().expect("headers").keys().map(String::as_str).collect();
    let kept = ["traceparent", "x-offboarder-replays", "x-offboarder-revision", "x-offboarder-stand-in"];
    assert_eq!(names.into_iter().filter(|name| *name != "x-delivery-count").collect::<Vec<_>>(), kept);
    let worker = world.start(&["worker"]);
    await_letters(&world, 2);
    World::drain(worker);
    let again = ask(&world, &["groups"], 0);
    assert_eq!(again["groups"][0]["replayedBefore"], 1, "{again:#}");
}

/// The writes of an off-boarding that was never interrupted.
fn writes_of_one(world: &World) -> usize {
    let users = world.users.iter();
    users.map(|user| ledger::writes_of(&world.simulator, &user.id)).min().expect("users")
}

/// Around which effects a replay has to be killed.
const EFFECTS: [&str; 3] = ["the note", "the publish", "the acknowledgement"];

fn killed(place: usize) {
    let world = refused(place, 16);
    // This one fails again, after both copies of it.
    let stubborn = world.users[15].id.clone();
    replay_killed(&world, &stubborn, "after the publish");
    ask(&world, &["replay", "--anyway", "--user", &stubborn], 0);
    assert_eq!(world.depth(USERS), Some(2), "killed before it could note that it was published");
    let worker = world.start(&["worker"]);
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    let letters = ask(&world, &["list", "--user", &stubborn], 0);
    assert_eq!(letters["letters"].as_array().map(Vec::len), Some(1), "one job, one letter: {letters:#}");

    mend(&world);
    let (mut died_at, mut published) = (BTreeSet::new(), 0);
    for number in 0..world.users.len() {
        let id = world.users[number].id.clone();
        let Some(place) = replay_killed(&world, &id, &(number + 1).to_string()) else { break };
        // The last acknowledgement may or may not have reached the broker. What comes then is the log of acts.
        let acknowledged = place == "after the acknowledgement" || place.contains("S3");
        let listed = eventually(Duration::from_secs(30), || {
            let listed = json_of(&world.run(&["dlq", "list", "--user", &id, "--output", "json"]));
            let there = listed["letters"].as_array().is_some_and(|letters| !letters.is_empty());
            if there || acknowledged { Ok(listed) } else { Err(format!("lost at {place}")) }
        });
        let sure = place == "before the acknowledgement" || acknowledged;
        let letters = listed["letters"].as_array().expect("letters");
        assert!(letters.iter().all(|one| one["leftOver"] == sure || place == "after the note"), "{place}");
        let again = world.run(&["dlq", "replay", "--anyway", "--user", &id, "--output", "json"]);
        assert!(again.code == Some(0) || acknowledged, "{place}: {}{}", again.output, again.errors);
        assert_eq!(json_of(&again)["skipped"], json!([]), "{place}");
        assert_eq!(ask(&world, &["list", "--user", &id], 1)["letters"], json!([]), "{place}: it stays");
        let now = world.depth(USERS).expect("a depth");
        let copies = now - published;
        let doubtful = ["after the publish", "before the note"].contains(&place.as_str());
        assert!(
            copies == 1 || (doubtful && copies == 2),
            "{copies} copies of one that was killed at {place}"
        );
        published = now;
        died_at.insert(place);
    }
    let wanted = EFFECTS.iter().flat_map(|effect| ["before", "after"].map(|side| format!("{side} {effect}")));
    assert!(died_at.is_superset(&wanted.collect()), "places: {died_at:?}");
    let rest = ask(&world, &["replay", "--anyway"], 0);
    assert!(!rest["moved"].as_array().expect("moved").is_empty(), "{rest:#}");
    let worker = world.start(&["worker"]);
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    promises::assert_kept(&world, &servers::shared());
    ledger::assert_histories(&world.simulator, &world.users, Repetition::AfterCrash);
}

/// Where a replay of one user's letter died; `None` when it came to its end.
fn replay_killed(world: &World, id: &str, at: &str) -> Option<String> {
    let kill = [("KILL_OFFBOARDER_AT".to_owned(), format!("{id}:{at}"))];
    let mut replay = world.start_with(&["dead-letters", "replay", "--anyway", "--user", id], &kill);
    let ended = replay.end(PATIENCE);
    let errors = replay.errors();
    let place = errors.lines().rev().find_map(|line| line.strip_prefix("KILLED AT "));
    assert!(place.is_some() || ended.code() == Some(0), "{errors}");
    place.map(str::to_owned)
}

fn canary(place: usize) {
    let world = refused(place, 15);
    let worker = world.start(&["worker"]);
    ask(&world, &["replay"], 4);
    let stopped = ask(&world, &["replay", "--canary"], 1);
    assert_eq!(stopped["moved"].as_array().map(Vec::len), Some(1), "{stopped:#}");
    assert_eq!(stopped["skipped"].as_array().map(Vec::len), Some(14), "{stopped:#}");
    assert!(stopped["stopped"].as_str().is_some_and(|why| why.contains("came back")), "{stopped:#}");
    await_letters(&world, 15);

    // The first of the letters goes through now; one of the ten that follow does not.
    mend(&world);
    let listed = ask(&world, &["list"], 0);
    let fifth = &listed["letters"][5]["userId"];
    let fifth = world.users.iter().position(|user| *fifth == user.id.as_str()).expect("a user");
    spoil(&world, fifth, "get_routing_profile", &status(400));
    let stopped = ask(&world, &["replay", "--canary"], 1);
    assert_eq!(stopped["moved"].as_array().map(Vec::len), Some(11), "{stopped:#}");
    await_letters(&world, 5);

    mend(&world);
    let moved = ask(&world, &["replay", "--canary", "--why", "mended"], 0);
    assert_eq!(moved["moved"].as_array().map(Vec::len), Some(5), "{moved:#}");
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    promises::assert_kept(&world, &servers::shared());

    // Without a worker a canary does not wait for ever.
    let worker = world.start(&["worker"]);
    let unknown: Vec<Value> = (90..92).map(|number| json!({ "body": user_id(place, number) })).collect();
    world.publish(&unknown);
    await_letters(&world, 2);
    World::drain(worker);
    let stopped = ask(&world, &["replay", "--canary", "--anyway", "--canary-wait", "1s"], 1);
    assert!(
        stopped["stopped"].as_str().is_some_and(|why| why.contains("is a worker running?")),
        "{stopped:#}"
    );
    assert_eq!((world.depth(DEAD), world.depth(USERS)), (Some(1), Some(1)));
}

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
    let gone = ask(&world, &["discard", "--reason", "malformed_message", "--why", "a test"], 0);
    let [one] = gone["discarded"].as_array().expect("discarded").as_slice() else { panic!("{gone:#}") };
    let key = format!("_dead_letter_{}.json", one["letter"]["id"].as_str().expect("an ID"));
    assert!(one["copy"].as_str().is_some_and(|copy| copy.ends_with(&key)), "{gone:#}");
    let copy = objects(&world, &["text", &key])["text"].as_str().expect("a copy").to_owned();
    let copy: Value = serde_json::from_str(&copy).expect("JSON");
    assert_eq!(copy["body"], "no \u{1F600} message");
    assert_eq!((&copy["headers"]["n"], &copy["properties"]["messageId"]), (&json!(7), &json!("m-7")));
    assert_eq!(copy["headers"]["x-offboarder-reason"], "malformed_message");
    assert_eq!(copy["discarded"]["why"], "a test");
    assert_eq!(world.depth(DEAD), Some(3));

    // Killed before it is taken off, the letter is there still; then it goes, and so do no others.
    for (id, at) in ids.iter().zip(["before the S3 put", "before the acknowledgement"]) {
        let kill = [("KILL_OFFBOARDER_AT".to_owned(), format!("{id}:{at}"))];
        let mut discard = world.start_with(&["dead-letters", "discard", "--user", id], &kill);
        assert_ne!(discard.end(PATIENCE).code(), Some(0));
        assert!(discard.errors().contains(&format!("KILLED AT {at}")), "{}", discard.errors());
        let listed = eventually(Duration::from_secs(30), || {
            let listed = world.run(&["dlq", "list", "--user", id, "--output", "json"]);
            if listed.code == Some(0) { Ok(json_of(&listed)) } else { Err(listed.output) }
        });
        let key = format!("_dead_letter_{}.json", listed["letters"][0]["id"].as_str().expect("an ID"));
        assert_eq!(objects(&world, &["sha256", &key])["sha256"].is_string(), at != "before the S3 put");
        ask(&world, &["discard", "--user", id], 0);
        assert!(objects(&world, &["sha256", &key])["sha256"].is_string());
    }
    assert_eq!(world.depth(DEAD), Some(1));
    let listed = ask(&world, &["list"], 0);
    assert_eq!(listed["letters"][0]["userId"], ids[2]);
    let acts = world.run(&["acts", "list"]).expect(0).output;
    assert_eq!(acts.matches("dead-letters discard").count(), 5, "{acts}");
}
