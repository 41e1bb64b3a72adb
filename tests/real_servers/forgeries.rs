//! What an intruder can do who may write to Redis or to the bucket, and does not have the integrity
//! key.

use serde_json::{Value, json};

use crate::support::population::{User, deletable};
use crate::support::world::{PATIENCE, RESULTS, World};
use crate::support::{promises, redis, trial};

const KEY: &str = "the integrity key of these trials";
const PAST: &str = "2026-01-01T00:00:00Z";

/// A checkpoint as an intruder makes it up: access is removed, and either the archive is still to be
/// made or more is done.
fn forged(user: &str, state: &Value, archive: &Value) -> String {
    let names = ["QueuesCleared", "Deactivated", "Archived", "Deleted"];
    let end = state["name"].as_str().expect("a name");
    let last = names.iter().position(|name| end.starts_with(name));
    let steps = &names[..=last.unwrap_or(3)];
    let step = |state: &&str| {
        json!({
            "state": state, "startedAt": PAST, "completedAt": PAST, "attempts": 1, "calls": [],
        })
    };
    json!({
        "schema": 1, "userId": user, "revision": 1, "set": 1, "previous": null, "answered": [],
        "request": {
            "action": "delete", "requestedBy": "ceo@example.com", "receivedAt": PAST,
            "messageSha256": "00",
        },
        "state": state,
        "steps": steps.iter().map(step).collect::<Vec<_>>(),
        "step": {
            "startedAt": PAST, "failed": 0, "calls": [], "archive": archive, "converging": null,
        },
        "attempts": 0, "lastFailure": null, "waitingUntil": null, "deadLetter": null,
        "updatedAt": PAST,
    })
    .to_string()
}

/// The access of a user who was deactivated.
fn forged_access() -> Value {
    json!({ "queues": { "confirmed": true, "residual": [] }, "scimActive": false, "at": PAST })
}

/// A state at the end, with an archive that does not exist.
fn forged_end(world: &World, name: &str, user: &str, recording: &Value) -> Value {
    let url = world.setting("OFFBOARDER_ARCHIVE_URL");
    let rest = url.trim_start_matches("s3://");
    let (bucket, prefix) = rest.split_once('/').expect("a prefix");
    json!({
        "name": name,
        "access": forged_access(),
        "archive": {
            "location": format!("s3://{bucket}"), "key": format!("{prefix}{user}.json"),
            "versionId": null, "bytes": 4, "conversations": 0, "pages": 1,
            "sha256": "0".repeat(64), "dateFrom": PAST, "dateTo": PAST, "retention": null,
        },
        "deletion": {
            "outcome": "deleted", "status": 204, "code": null, "at": PAST, "confirmedAt": PAST,
        },
        "recording": recording,
    })
}

/// A forged checkpoint for each user.
fn forge_checkpoints(world: &World) {
    let deactivated = json!({ "name": "Deactivated", "access": forged_access() });
    let instant = json!({
        "dateFrom": PAST, "dateTo": "2026-01-01T00:00:00.001Z", "windowDays": null,
        "upload": null,
    });
    let unrecorded = json!({ "phase": "Unrecorded" });
    let manifest = json!({ "key": "k", "sha256": "0".repeat(64) });
    let recorded = json!({ "phase": "Recorded", "manifest": manifest });
    let end = |name: &str, user: usize, recording: &Value| {
        forged_end(world, name, &world.users[user].id, recording)
    };

    let states = [
        (deactivated.clone(), instant),
        (deactivated, Value::Null),
        (end("Deleted", 2, &recorded), Value::Null),
        (end("DeactivatedOnly", 3, &unrecorded), Value::Null),
        (end("Deleted", 4, &unrecorded), Value::Null),
    ];
    let url = world.setting("OFFBOARDER_CHECKPOINTS_URL");
    for (user, (state, archive)) in world.users.iter().zip(&states) {
        redis::set_body(url, &user.id, &forged(&user.id, state, archive));
    }
}

trial!(
    "forged checkpoints delete nobody who was not archived, and publish nothing, with the key",
    |place| checkpoints(place, true)
);
trial!(
    "forged checkpoints delete nobody who was not archived, and publish nothing, without a key",
    |place| checkpoints(place, false)
);

fn checkpoints(place: usize, with_key: bool) {
    let mut world = World::with_topology(place, deletable(place, 5, 7));
    if with_key {
        world.set("OFFBOARDER_INTEGRITY_KEY", KEY);
    }
    forge_checkpoints(&world);
    let message = |user: &User| json!({ "userId": user.id, "requestedBy": "hr" });
    let mut messages: Vec<Value> = world.users.iter().map(message).collect();
    messages[1]["action"] = json!("deactivate");
    let messages = messages
        .iter()
        .map(|body| json!({ "body": body.to_string() }));

    let worker = world.start(&["worker"]);
    world.publish(&messages.collect::<Vec<_>>());
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);

    for user in &world.users {
        assert_archived_if_deleted(&world, &user.id, with_key);
    }
    if !with_key {
        assert_no_hearsay(&world);
    }
    world.assert_exist(&[(1, true)]);
    if with_key {
        // Each begins again and ends well.
        assert_eq!(world.dead_letters().len(), 0);
        assert_eq!(
            manifest(&world, &world.users[1].id)["status"],
            "DEACTIVATED_ONLY"
        );
        assert_eq!(world.deletions(), 4);
    }
    world.run(&["verify", "--all"]).expect(0);
}

/// What the forged checkpoints say of the access is in no event.
fn assert_no_hearsay(world: &World) {
    for event in world.messages(RESULTS) {
        let event: Value =
            serde_json::from_str(event["body"].as_str().expect("a body")).expect("JSON");
        let is_access = event["type"] == "offboarding.user.access-removed";
        assert!(!is_access || event["time"] != PAST, "{event}");
    }
}

fn manifest(world: &World, id: &str) -> Value {
    let text = world.objects().text(&format!("{id}_audit.json"));
    serde_json::from_str(&text).expect("JSON")
}

/// No user keeps access, and one who does not exist any more has a manifest that is true.
fn assert_archived_if_deleted(world: &World, id: &str, with_key: bool) {
    let now = world.user_now(id);
    let exists = now["exists"] == true;
    assert!(
        !(exists && now["active"] == true),
        "{id} keeps access: {now}"
    );
    if exists {
        return;
    }

    let manifest = manifest(world, id);
    assert_eq!(manifest["archive"]["conversations"], 7, "{id}: {manifest}");
    // Without a key a worker cannot know whether it worked on another message before.
    let by = &manifest["request"]["requestedBy"];
    assert!(
        by == "hr" || (!with_key && by == "ceo@example.com"),
        "{id}: {by}"
    );
    let deactivated = manifest["steps"][1]["completedAt"]
        .as_str()
        .expect("a time");
    assert!(deactivated > "2026-02", "{id}: {deactivated}");
}

trial!(
    "forged seals delete nobody, and no forged, hidden or vanished object lifts a hold",
    objects_of_strangers
);

fn objects_of_strangers(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 6, 3));
    world.set("OFFBOARDER_INTEGRITY_KEY", KEY);
    let ids: Vec<String> = world.users.iter().map(|user| user.id.clone()).collect();
    let put = |key: &str, text: &str| world.objects().put(key, text);
    // An archive and a seal, made up of an active user.
    put(&format!("{}.json", ids[0]), "[ ]\n");
    let seal = json!({ "schemaVersion": 1, "userId": ids[0] });
    put(&format!("{}_sealed.json", ids[0]), &seal.to_string());

    for held in &ids[1..5] {
        world
            .run(&["hold", "add", held, "--why", "case 4711"])
            .expect(0);
    }
    let lifted = json!({ "held": false, "who": "eve", "at": PAST }).to_string();
    put(&format!("_hold_{}.2.json", ids[1]), &lifted);
    put(&format!("_hold_{}.4294967295.json", ids[2]), &lifted);
    world.objects().delete(&format!("_hold_{}.1.json", ids[3]));
    world.objects().destroy(&format!("_hold_{}.1.json", ids[4]));

    // A pause never fails, and its end comes, whatever is put beside it.
    let resumed = json!({ "paused": false, "who": "eve", "at": PAST });
    put("_pause.4294967295.json", &resumed.to_string());
    world.run(&["pause", "--why", "to see it"]).expect(0);
    world.run(&["resume", "--why", "seen"]).expect(0);

    let worker = world.start(&["worker"]);
    world.publish_all();
    promises::await_quiet(&world, PATIENCE);
    let dead_letters = world.await_dead_letters(1);
    let headers = &dead_letters[0]["headers"];
    assert_eq!(headers["x-offboarder-reason"], "archive_conflict");
    World::drain(worker);

    let only_the_last = [true, true, true, true, true, false];
    let expected: Vec<_> = only_the_last.into_iter().enumerate().collect();
    world.assert_exist(&expected);
    assert_eq!(world.deletions(), 1);
    for id in &ids[1..5] {
        let status = world.json(&["status", id], 0).to_string();
        assert!(status.contains("DeactivatedOnly"), "{status}");
        assert!(status.contains("\"held\""), "{status}");
    }
}
