//! What somebody can do who may write to Redis or to the bucket, and does not have the integrity key.

use serde_json::{Value, json};

use crate::support::population::{Outcome, User};
use crate::support::process::tail;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, ledger, promises, redis, trial};

const DEAD: &str = "offboarding.dead";
const KEY: &str = "the integrity key of these trials";
const PAST: &str = "2026-01-01T00:00:00Z";

/// A checkpoint as somebody makes it up: the access is gone, and only the archive is still to be made or more is done.
fn forged(world: &World, user: &str, state: &Value, archive: &Value) -> String {
    let step = |state: &str| json!({ "state": state, "startedAt": PAST, "completedAt": PAST, "attempts": 1, "calls": [] });
    let request = json!({ "action": "delete", "requestedBy": "ceo@example.com", "receivedAt": PAST, "messageSha256": "00" });
    let names = ["QueuesCleared", "Deactivated", "Archived", "Deleted"];
    let end = state["name"].as_str().expect("a name");
    let until = names
        .iter()
        .position(|name| end.starts_with(name))
        .unwrap_or(3);
    assert!(!world.users.is_empty());
    json!({
        "schema": 1, "userId": user, "revision": 1, "set": 1, "previous": null, "answered": [], "request": request,
        "state": state, "steps": names[..=until].iter().map(|name| step(name)).collect::<Vec<_>>(),
        "step": { "startedAt": PAST, "failed": 0, "calls": [], "archive": archive, "converging": null },
        "attempts": 0, "lastFailure": null, "waitingUntil": null, "deadLetter": null, "updatedAt": PAST,
    })
    .to_string()
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
    let users = (0..5)
        .map(|number| User::new(place, number, Outcome::Deleted, 7))
        .collect();
    let mut world = World::with_topology(place, users);
    if with_key {
        world.set("OFFBOARDER_INTEGRITY_KEY", KEY);
    }
    let redis_url = world.setting("OFFBOARDER_CHECKPOINTS_URL").to_owned();
    let access =
        json!({ "queues": { "confirmed": true, "residual": [] }, "scimActive": false, "at": PAST });
    let archive = |user: &str| {
        let url = world.setting("OFFBOARDER_ARCHIVE_URL");
        let (bucket, prefix) = url
            .trim_start_matches("s3://")
            .split_once('/')
            .expect("a prefix");
        json!({
            "location": format!("s3://{bucket}"), "key": format!("{prefix}{user}.json"), "versionId": null, "bytes": 4,
            "conversations": 0, "pages": 1, "sha256": "0".repeat(64), "dateFrom": PAST, "dateTo": PAST,
            "retention": null,
        })
    };
    let deletion = json!({ "outcome": "deleted", "status": 204, "code": null, "at": PAST, "confirmedAt": PAST });
    let ended = |name: &str, user: &str, recording: Value| json!({ "name": name, "access": access, "archive": archive(user), "deletion": deletion, "recording": recording });
    let deactivated = json!({ "name": "Deactivated", "access": access });
    let instant = json!({ "dateFrom": PAST, "dateTo": "2026-01-01T00:00:00.001Z", "windowDays": null, "upload": null });
    let unrecorded = json!({ "phase": "Unrecorded" });
    let recorded =
        json!({ "phase": "Recorded", "manifest": { "key": "k", "sha256": "0".repeat(64) } });
    let ids: Vec<String> = world.users.iter().map(|user| user.id.clone()).collect();
    for (user, state, progress) in [
        (0, deactivated.clone(), instant),
        (1, deactivated, Value::Null),
        (2, ended("Deleted", &ids[2], recorded), Value::Null),
        (
            3,
            ended("DeactivatedOnly", &ids[3], unrecorded.clone()),
            Value::Null,
        ),
        (4, ended("Deleted", &ids[4], unrecorded), Value::Null),
    ] {
        redis::set_body(
            &redis_url,
            &ids[user],
            &forged(&world, &ids[user], &state, &progress),
        );
    }
    let worker = world.start(&["worker"]);
    let asked = |user: usize| json!({ "body": json!({ "userId": ids[user], "requestedBy": "hr" }).to_string() });
    let mut messages: Vec<Value> = (0..5).map(asked).collect();
    messages[1] = json!({ "body": json!({
        "userId": ids[1], "action": "deactivate", "requestedBy": "hr" }).to_string() });
    world.publish(&messages);
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);

    let manifest = |user: usize| -> Value {
        let key = format!("{}_audit.json", ids[user]);
        let text = world.objects().text(&key);
        serde_json::from_str(&text).expect("JSON")
    };
    let letters = world.dead_letters().len();
    for (user, id) in ids.iter().enumerate() {
        let now = world.user_now(id);
        assert_ne!(
            (&now["exists"], &now["active"]),
            (&json!(true), &json!(true)),
            "user {user} keeps access: {now}"
        );
        if now["exists"] == json!(false) {
            let manifest = manifest(user);
            assert_eq!(
                manifest["archive"]["conversations"], 7,
                "user {user}: {manifest}"
            );
            // Without a key nobody knows whether another message was worked on before.
            let by = &manifest["request"]["requestedBy"];
            assert!(
                by == "hr" || (!with_key && by == "ceo@example.com"),
                "user {user}: {by}"
            );
            assert!(
                manifest["steps"][1]["completedAt"]
                    .as_str()
                    .expect("a time")
                    > "2026-02",
                "user {user}"
            );
        }
    }
    assert_eq!(
        world.user_now(&ids[1])["exists"],
        true,
        "the message asked to deactivate"
    );
    if with_key {
        assert_eq!(letters, 0, "each begins anew and ends well");
        assert_eq!(manifest(1)["status"], "DEACTIVATED_ONLY");
        assert_eq!(ledger::count(&world.simulator, "delete_user"), 4);
    }
    world.run(&["verify", "--all"]).expect(0);
}

trial!("forged seals delete nobody, and no forged, hidden or vanished object lifts a hold", objects_of_strangers);

fn objects_of_strangers(place: usize) {
    let users = (0..6)
        .map(|number| User::new(place, number, Outcome::Deleted, 3))
        .collect();
    let mut world = World::with_topology(place, users);
    world.set("OFFBOARDER_INTEGRITY_KEY", KEY);
    let ids: Vec<String> = world.users.iter().map(|user| user.id.clone()).collect();
    let put = |key: &str, text: &str| world.objects().put(key, text);
    let lifted = json!({ "held": false, "who": "eve", "at": PAST }).to_string();
    // An archive and a seal, made up of an active user.
    put(&format!("{}.json", ids[0]), "[ ]\n");
    put(
        &format!("{}_sealed.json", ids[0]),
        &json!({ "schemaVersion": 1, "userId": ids[0] }).to_string(),
    );
    for held in &ids[1..5] {
        world
            .run(&["hold", "add", held, "--why", "case 4711"])
            .expect(0);
    }
    put(&format!("_hold_{}.2.json", ids[1]), &lifted);
    put(&format!("_hold_{}.4294967295.json", ids[2]), &lifted);
    world.objects().delete(&format!("_hold_{}.1.json", ids[3]));
    world.objects().destroy(&format!("_hold_{}.1.json", ids[4]));
    // A pause never fails, and its end comes, whatever is put beside it.
    put(
        "_pause.4294967295.json",
        r#"{"paused":false,"who":"eve","at":"2026-01-01T00:00:00Z"}"#,
    );
    world.run(&["pause", "--why", "to see it"]).expect(0);
    world.run(&["resume", "--why", "seen"]).expect(0);

    let worker = world.start(&["worker"]);
    world.publish_all();
    promises::await_quiet(&world, PATIENCE);
    let letters = eventually(PATIENCE, || match world.dead_letters() {
        letters if letters.len() == 1 => Ok(letters),
        letters => Err(format!(
            "{} dead letters; {}",
            letters.len(),
            tail(&worker.errors())
        )),
    });
    assert_eq!(
        letters[0]["headers"]["x-offboarder-reason"],
        "archive_conflict"
    );
    World::drain(worker);
    for id in &ids[..5] {
        assert_eq!(world.user_now(id)["exists"], true, "{id}");
    }
    for id in &ids[1..5] {
        let status = world
            .run(&["status", id, "--output", "json"])
            .expect(0)
            .output;
        assert!(
            status.contains("DeactivatedOnly") && status.contains("\"held\""),
            "{status}"
        );
    }
    assert_eq!(
        world.user_now(&ids[5])["exists"],
        false,
        "nobody holds this one"
    );
    assert_eq!(ledger::count(&world.simulator, "delete_user"), 1);
}
