//! Replaying dead letters.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::ledger::{self, Repetition};
use crate::support::population::{Outcome, User, user_id};
use crate::support::world::{Ended, PATIENCE, World};
use crate::support::{eventually, http, promises, servers, trial};

pub(crate) const DEAD: &str = "offboarding.dead";
const USERS: &str = "offboarding.users";

pub(crate) fn status(status: u16) -> Value {
    json!({ "kind": "status", "status": status })
}

/// Makes every call of an operation fail for a user, until [`mend`].
pub(crate) fn spoil(world: &World, user: usize, operation: &str, fault: &Value) {
    world.strike(user, operation, 0, 1_000_000, fault);
}

pub(crate) fn mend(world: &World) {
    http::request("DELETE", &world.simulator, "/_simulator/faults", None);
}

pub(crate) fn await_letters(world: &World, count: u64) {
    eventually(PATIENCE, || match world.depth(DEAD) {
        Some(depth) if depth == count => Ok(()),
        depth => Err(format!("{depth:?} dead letters instead of {count}")),
    });
}

/// Users who are all dead letters, refused at their first step; no worker runs.
fn refused(place: usize, count: usize) -> World {
    let users: Vec<User> = (0..count)
        .map(|number| User::new(place, number, Outcome::Deleted, 4))
        .collect();
    let world = World::with_topology(place, users);
    (0..count).for_each(|user| spoil(&world, user, "get_routing_profile", &status(400)));
    let worker = world.start(&["worker"]);
    world.publish_all();
    await_letters(&world, count as u64);
    World::drain(worker);
    world
}

pub(crate) fn json_of(ended: &Ended) -> Value {
    serde_json::from_str(&ended.output).unwrap_or_else(|error| panic!("{error}: {}", ended.output))
}

pub(crate) fn ask(world: &World, arguments: &[&str], code: i32) -> Value {
    json_of(
        &world
            .run(&[&["dead-letters"], arguments, &["--output", "json"]].concat())
            .expect(code),
    )
}

trial!("a replay ends users at the step that failed, and takes nothing that arrives meanwhile", replaying);

fn replaying(place: usize) {
    let users: Vec<User> = (0..4)
        .map(|number| User::new(place, number, Outcome::Deleted, 9))
        .collect();
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
    let replay = [
        "dead-letters",
        "replay",
        "--anyway",
        "--rate",
        "30/m",
        "--why",
        "mended",
        "--output",
        "json",
    ];
    let mut replay = world.start(&replay);
    eventually(PATIENCE, || match world.depth("offboarding.archive") {
        Some(1..) => Ok(()),
        depth => Err(format!("{depth:?} replayed: {}", replay.errors())),
    });
    let worker = world.start(&["worker"]);
    world.publish(&[json!({ "body": user_id(place, 99) })]);
    let report = eventually(PATIENCE, || {
        replay.ended().ok_or_else(|| "it still runs".to_owned())
    });
    assert_eq!(report.code(), Some(0), "{}", replay.errors());
    let report: Value = serde_json::from_str(&replay.output()).expect("JSON");
    assert_eq!(
        report["moved"].as_array().map(Vec::len),
        Some(4),
        "{report:#}"
    );
    await_letters(&world, 1);
    let left = ask(&world, &["list"], 0);
    assert_eq!(left["letters"][0]["userId"], user_id(place, 99));
    assert_eq!(
        left["letters"][0]["replays"], 0,
        "it was never replayed: {left:#}"
    );
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    promises::assert_manifests(&world, &servers::shared());
    // Nothing that was completed is done again.
    for user in &world.users {
        assert_eq!(
            ledger::writes_of(&world.simulator, &user.id),
            writes_of_one(&world),
            "{}",
            user.id
        );
    }
    let acts = json_of(&world.run(&["acts", "list", "--output", "json"]).expect(0));
    let told: Vec<_> = acts["acts"]
        .as_array()
        .expect("acts")
        .iter()
        .map(|act| [&act["what"], &act["count"]])
        .collect();
    assert_eq!(
        told,
        [
            [&json!("dead-letters replay ended"), &json!(4)],
            [&json!("dead-letters replay"), &json!(4)]
        ]
    );
    assert_eq!(acts["acts"][1]["why"], "mended");

    // What a replay publishes is the message that was, and nothing of the letter; and it counts its replays.
    let headers = json!({ "traceparent": trace, "x-offboarder-revision": 1 });
    let properties = json!({ "message_id": "m-9", "correlation_id": "c-9", "app_id": "hr" });
    let body = json!({ "userId": user_id(place, 77), "ticket": 7 }).to_string();
    let worker = world.start(&["worker"]);
    world.publish(&[
        json!({ "body": body, "key": "users.urgent", "headers": headers, "properties": properties }),
    ]);
    await_letters(&world, 2);
    World::drain(worker);
    ask(
        &world,
        &["replay", "--anyway", "--user", &user_id(place, 77)],
        0,
    );
    let [published] = world
        .messages("offboarding.users.urgent")
        .try_into()
        .expect("one message");
    assert_eq!(published["body"], body);
    assert_eq!(
        (
            &published["properties"]["message_id"],
            &published["properties"]["correlation_id"]
        ),
        (&json!("m-9"), &json!("c-9"))
    );
    assert_eq!(
        published["properties"].get("app_id"),
        None,
        "not on the list of what goes on"
    );
    let names: BTreeSet<&str> = published["headers"]
        .as_object()
        .expect("headers")
        .keys()
        .map(String::as_str)
        .collect();
    let kept = [
        "traceparent",
        "x-offboarder-replays",
        "x-offboarder-stand-in",
        "x-offboarder-trace-link",
    ];
    assert_eq!(
        names
            .into_iter()
            .filter(|name| *name != "x-delivery-count")
            .collect::<Vec<_>>(),
        kept
    );
    let worker = world.start(&["worker"]);
    await_letters(&world, 2);
    World::drain(worker);
    let again = ask(&world, &["groups"], 0);
    assert_eq!(again["groups"][0]["replayedBefore"], 1, "{again:#}");
}

/// The writes of an off-boarding that was never interrupted.
fn writes_of_one(world: &World) -> usize {
    let users = world.users.iter();
    users
        .map(|user| ledger::writes_of(&world.simulator, &user.id))
        .min()
        .expect("users")
}

/// Around which effects a replay has to be killed.
const EFFECTS: [&str; 3] = ["the note", "the publish", "the acknowledgement"];

trial!("a replay killed before and after every effect loses and doubles no letter", killed);

fn killed(place: usize) {
    let world = refused(place, 16);
    // This one fails again, after both copies of it.
    let stubborn = world.users[15].id.clone();
    replay_killed(&world, &stubborn, "after the publish");
    ask(&world, &["replay", "--anyway", "--user", &stubborn], 0);
    assert_eq!(
        world.depth(USERS),
        Some(2),
        "killed before it could note that it was published"
    );
    let worker = world.start(&["worker"]);
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    let letters = ask(&world, &["list", "--user", &stubborn], 0);
    assert_eq!(
        letters["letters"].as_array().map(Vec::len),
        Some(1),
        "one job, one letter: {letters:#}"
    );

    mend(&world);
    let (mut died_at, mut published) = (BTreeSet::new(), 0);
    for number in 0..world.users.len() {
        let id = world.users[number].id.clone();
        let Some(place) = replay_killed(&world, &id, &(number + 1).to_string()) else {
            break;
        };
        // The last acknowledgement may or may not have reached the broker. What comes then is the log of acts.
        let acknowledged = place == "after the acknowledgement" || place.contains("S3");
        let listed = eventually(Duration::from_secs(30), || {
            let listed = json_of(&world.run(&["dlq", "list", "--user", &id, "--output", "json"]));
            let there = listed["letters"]
                .as_array()
                .is_some_and(|letters| !letters.is_empty());
            if there || acknowledged {
                Ok(listed)
            } else {
                Err(format!("lost at {place}"))
            }
        });
        let sure = place == "before the acknowledgement" || acknowledged;
        let letters = listed["letters"].as_array().expect("letters");
        assert!(
            letters
                .iter()
                .all(|one| one["leftOver"] == sure || place == "after the note"),
            "{place}"
        );
        let again = world.run(&[
            "dlq", "replay", "--anyway", "--user", &id, "--output", "json",
        ]);
        assert!(
            again.code == Some(0) || acknowledged,
            "{place}: {}{}",
            again.output,
            again.errors
        );
        assert_eq!(json_of(&again)["skipped"], json!([]), "{place}");
        assert_eq!(
            ask(&world, &["list", "--user", &id], 1)["letters"],
            json!([]),
            "{place}: it stays"
        );
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
    let wanted = EFFECTS
        .iter()
        .flat_map(|effect| ["before", "after"].map(|side| format!("{side} {effect}")));
    assert!(
        died_at.is_superset(&wanted.collect()),
        "places: {died_at:?}"
    );
    let rest = ask(&world, &["replay", "--anyway"], 0);
    assert!(
        !rest["moved"].as_array().expect("moved").is_empty(),
        "{rest:#}"
    );
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
    let place = errors
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("KILLED AT "));
    assert!(place.is_some() || ended.code() == Some(0), "{errors}");
    place.map(str::to_owned)
}

trial!("a canary stops at the fault that comes back, and goes on to the rest when it is mended", canary);

fn canary(place: usize) {
    let world = refused(place, 15);
    let worker = world.start(&["worker"]);
    ask(&world, &["replay"], 4);
    let stopped = ask(&world, &["replay", "--canary"], 1);
    assert_eq!(
        stopped["moved"].as_array().map(Vec::len),
        Some(1),
        "{stopped:#}"
    );
    assert_eq!(
        stopped["skipped"].as_array().map(Vec::len),
        Some(14),
        "{stopped:#}"
    );
    assert!(
        stopped["stopped"]
            .as_str()
            .is_some_and(|why| why.contains("came back")),
        "{stopped:#}"
    );
    await_letters(&world, 15);

    // The first of the letters goes through now; one of the ten that follow does not.
    mend(&world);
    let listed = ask(&world, &["list"], 0);
    let fifth = &listed["letters"][5]["userId"];
    let fifth = world
        .users
        .iter()
        .position(|user| *fifth == user.id.as_str())
        .expect("a user");
    spoil(&world, fifth, "get_routing_profile", &status(400));
    let stopped = ask(&world, &["replay", "--canary"], 1);
    assert_eq!(
        stopped["moved"].as_array().map(Vec::len),
        Some(11),
        "{stopped:#}"
    );
    await_letters(&world, 5);

    mend(&world);
    let moved = ask(&world, &["replay", "--canary", "--why", "mended"], 0);
    assert_eq!(
        moved["moved"].as_array().map(Vec::len),
        Some(5),
        "{moved:#}"
    );
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    promises::assert_kept(&world, &servers::shared());

    // Without a worker a canary does not wait for ever.
    let worker = world.start(&["worker"]);
    let unknown: Vec<Value> = (90..92)
        .map(|number| json!({ "body": user_id(place, number) }))
        .collect();
    world.publish(&unknown);
    await_letters(&world, 2);
    World::drain(worker);
    let stopped = ask(
        &world,
        &["replay", "--canary", "--anyway", "--canary-wait", "1s"],
        1,
    );
    assert!(
        stopped["stopped"]
            .as_str()
            .is_some_and(|why| why.contains("is a worker running?")),
        "{stopped:#}"
    );
    assert_eq!((world.depth(DEAD), world.depth(USERS)), (Some(1), Some(1)));
}
