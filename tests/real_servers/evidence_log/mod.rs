//! The evidence log of a deployment: what comes into it, and what a crash, another writer or a lost Redis does to it.

mod erasing;
#[cfg(feature = "kms")]
mod kms;
mod tampering;
mod witness;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::support::population::{deletable, user_id};
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, failpoint, list, promises, redis, trial};

const ORIGIN: &str = "example.com/trial";
/// The log is written every second at most.
pub(crate) const FAST: &str = "60";

/// Switches the log on. Processes that are started get the key; the answer is the verifier key.
pub(crate) fn switch_on(world: &mut World) -> String {
    let out = world.directory.path().join("evidence-key");
    let out = out.to_str().expect("a path").to_owned();
    let made = world.run(&["evidence", "key", ORIGIN, "--out", &out]);
    let verifier = made.expect(0).output;
    assert!(verifier.starts_with(&format!("{ORIGIN}+")), "{verifier}");
    world.set("OFFBOARDER_EVIDENCE_KEY_FILE", &out);
    name_log(world);
    verifier.trim().to_owned()
}

/// The log is on, and no process has a key of it yet.
fn name_log(world: &mut World) {
    world.set("OFFBOARDER_EVIDENCE_ORIGIN", ORIGIN);
    world.set("OFFBOARDER_INTEGRITY_KEY", &"k".repeat(32));
    world.set(failpoint::TIME_SCALE, FAST);
}

/// The records that the log has, by key, with what it says of each; from steps without a gap between them.
fn logged(world: &World) -> Result<BTreeMap<String, Value>, String> {
    let objects = world.objects();
    let mut records = BTreeMap::new();
    let mut size = 0;
    for number in 1.. {
        let Some(step) = objects.get(&format!("_log_step_{number}.json")) else {
            break;
        };
        let step: Value = serde_json::from_slice(&step).expect("JSON");
        let leaves = step["leaves"].as_array().expect("leaves");
        assert_eq!(leaves[0]["number"], number);
        size += leaves.len();
        let checkpoint = step["checkpoint"].as_str().expect("a checkpoint");
        assert!(
            checkpoint.starts_with(&format!("{ORIGIN}\n{size}\n")),
            "{checkpoint}"
        );
        for leaf in &leaves[1..] {
            let key = leaf["key"].as_str().expect("a key").to_owned();
            let known = records.get(&key);
            if known.is_some_and(|known: &Value| known["id"] == leaf["id"]) {
                return Err(format!("{key} came into the log twice: {leaf}"));
            }
            // A worker that continues after a crash announces its own manifest, and then finds the one that is stored.
            if known.is_none_or(|known| known["found"] != "same") {
                records.insert(key, leaf.clone());
            }
        }
    }
    Ok(records)
}

/// Waits until the log has a record under each key, as it is stored.
pub(crate) fn await_logged(world: &World, keys: &[String]) -> BTreeMap<String, Value> {
    let objects = world.objects();
    eventually(PATIENCE, || {
        let logged = logged(world)?;
        for key in keys {
            let leaf = logged
                .get(key)
                .ok_or_else(|| format!("{key} is not in the log"))?;
            let stored = objects.sha256(key);
            if leaf["found"] != "same" || leaf["sha256"].as_str() != stored.as_deref() {
                return Err(format!("{leaf}, and stored is {stored:?}"));
            }
        }
        Ok(logged)
    })
}

pub(crate) fn manifests(world: &World) -> Vec<String> {
    let users = world.users.iter();
    users
        .map(|user| format!("{}_audit.json", user.id))
        .collect()
}

trial!(
    "what users and operators end, order and do comes into the evidence log, from two workers, and Redis has no part in it",
    everything_is_logged
);

fn everything_is_logged(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 8, 4));
    let verifier = switch_on(&mut world);
    let workers = [world.start(&["worker"]), world.start(&["worker"])];
    world.publish_users(&world.users[..4]);
    promises::await_quiet(&world, PATIENCE);
    let first: Vec<String> = manifests(&world)[..4].to_vec();
    await_logged(&world, &first);

    redis::forget(world.setting("OFFBOARDER_CHECKPOINTS_URL"));
    let held = world.users[7].id.clone();
    world
        .run(&["hold", "add", &held, "--why", "case 4711", "--yes"])
        .expect(0);
    let leavers: Vec<&str> = world.users[4..7]
        .iter()
        .map(|user| user.id.as_str())
        .collect();
    world
        .run(&[&["submit", "--batch-id", "b"][..], &leavers].concat())
        .expect(0);
    promises::await_quiet(&world, PATIENCE);

    let mut wanted: Vec<String> = manifests(&world)[..7].to_vec();
    wanted.push(format!("_hold_{held}.1.json"));
    let logged = await_logged(&world, &wanted);
    for record in ["audit_entry", "order"] {
        let has = logged.values().any(|leaf| leaf["record"] == record);
        assert!(has, "{record} is missing in {logged:#?}");
    }
    for worker in workers {
        World::drain(worker);
    }
    let verify = ["verify", "--all", "--evidence-key", &verifier];
    let output = world.run(&verify).expect(0).output;
    assert!(output.contains(" 0 findings"), "{output}");
    assert_proved(&world, &verifier);
    assert_tampering_found(&mut world, &verifier);
}

/// Somebody who may do anything to the bucket removes a user without a trace, invents another, and changes a hold.
fn assert_tampering_found(world: &mut World, verifier: &str) {
    // What is older than a millisecond should be in the log.
    world.set(failpoint::TIME_SCALE, "1000000");
    let objects = world.objects();
    let id = |user: usize| world.users[user].id.clone();
    for kind in ["", "_sealed", "_audit"] {
        objects.destroy(&format!("{}{kind}.json", id(0)));
    }
    let stranger = user_id(99, 1);
    let invented = objects.text(&format!("{}_audit.json", id(1)));
    let invented = invented.replace(&id(1), &stranger);
    objects.put(&format!("{stranger}_audit.json"), invented);
    let hold = format!("_hold_{}.1.json", id(7));
    objects.destroy(&hold);
    objects.put(&hold, r#"{"held":false}"#);

    let wanted = [
        (format!("{}_audit.json", id(0)), "it was removed"),
        (format!("{stranger}_audit.json"), "it is not in the log"),
        (hold, "it was changed"),
    ];
    let folder = world.directory.path().join("download");
    eventually(PATIENCE, || {
        let verify = ["verify", "--all", "--evidence-key", verifier];
        let report = world.json(&verify, 1);
        let findings = list(&report["evidenceLog"]["findings"]);
        for (key, says) in &wanted {
            let names = |finding: &&Value| {
                let object = finding["object"].as_str().expect("an object");
                let text = finding["text"].as_str().expect("a text");
                object.ends_with(key.as_str()) && text.starts_with(says)
            };
            if !findings.iter().any(|finding| names(&finding)) {
                return Err(format!("{key}: {says} is missing in {findings:#?}"));
            }
        }
        assert_eq!(findings.len(), wanted.len(), "{findings:#?}");
        Ok(())
    });
    objects.download(&folder);
    let folder = folder.to_str().expect("a path");
    let verify = ["verify", "--folder", folder, "--evidence-key", verifier];
    let output = world.run(&verify).expect(1).output;
    for (key, says) in &wanted {
        let line = output
            .lines()
            .find(|line| line.contains(key.as_str()) && line.contains(says));
        assert!(line.is_some(), "{key}: {says} is missing in {output}");
    }
}

/// The evidence of a user leaves the deployment as one file, which somebody else checks without it.
fn assert_proved(world: &World, verifier: &str) {
    let export = |user: usize, out: &str| {
        let id = world.users[user].id.as_str();
        world.run(&[
            "evidence",
            "export",
            id,
            "--evidence-key",
            verifier,
            "--out",
            out,
        ])
    };
    export(2, "leaver.json").expect(0);
    export(7, "held.json").expect(1);

    let policy = world.write("policy", &format!("log {verifier}\nquorum none\n"));
    let verify = |file: &str| {
        let command = ["evidence", "verify", file, "--policy", &policy];
        world.run_under(&["env", "--ignore-environment"], &command)
    };
    let proved = verify("leaver.json").expect(0).output;
    assert!(proved.contains("Deleted"), "{proved}");
    let file = std::fs::read_to_string(world.directory.path().join("leaver.json"));
    let forged = file.expect("a file").replace("DELETED", "DEACTIVATED_ONLY");
    let forged = world.write("forged.json", &forged);
    let refused = verify(&forged).expect(1).output;
    assert!(refused.contains("another digest"), "{refused}");
}

trial!(
    "a worker that dies before or after a step of the evidence log leaves one that the next worker continues",
    dies_at_a_step
);

fn dies_at_a_step(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 4, 4));
    switch_on(&mut world);
    for (number, point) in ["before", "after"].iter().enumerate() {
        let point = format!("{point} a step of the evidence log");
        let users = 2 * number..2 * number + 2;
        let first = &world.users[users.start].id;
        let mut worker = world.start_with(&["worker"], &failpoint::die_at(first, &point));
        worker.await_ready();
        world.publish_users(&world.users[users]);
        worker.end(Duration::from_mins(1));
        assert_eq!(failpoint::died_at(&worker.errors()), Some(point.as_str()));

        let next = world.start(&["worker"]);
        promises::await_quiet(&world, PATIENCE);
        await_logged(&world, &manifests(&world)[..2 * number + 2]);
        World::drain(next);
    }
}
