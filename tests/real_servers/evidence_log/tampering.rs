//! What somebody with all rights to the bucket does to what is stored, in a bucket without versions, in one with versions, in one
//! whose versions are purged, and in a download: each is found and named.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{await_logged, manifests, switch_on};
use crate::support::failpoint;
use crate::support::objects::Objects;
use crate::support::population::{deletable, user_id};
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, list, promises, trial};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bucket {
    Plain,
    Versioned,
    /// With versions, of which the older ones are removed.
    Purged,
}

trial!(
    "tampering is found without versions: manifests, archives, revisions, whole users, inventions, entries, holds and the log",
    plain,
    seconds = 35
);
trial!(
    "the same tampering is found in a bucket with versions",
    versioned,
    seconds = 35
);
trial!(
    "the same tampering is found where the older versions were purged",
    purged,
    seconds = 35
);

fn plain(place: usize) {
    tampered(place, Bucket::Plain);
}

fn versioned(place: usize) {
    tampered(place, Bucket::Versioned);
}

fn purged(place: usize) {
    tampered(place, Bucket::Purged);
}

fn tampered(place: usize, bucket: Bucket) {
    let mut world = World::with_topology(place, deletable(place, 8, 20));
    if bucket == Bucket::Plain {
        world.set(
            "OFFBOARDER_ARCHIVE_URL",
            &format!("s3://plain-{place}/here/"),
        );
        world.objects().make_bucket();
    }
    let key = switch_on(&mut world);
    off_board(&world);
    world.set(failpoint::TIME_SCALE, "1000000");
    let good = verify(&world, &["--all", "--evidence-key", &key], 0);
    assert_eq!(named(&good), BTreeSet::new());

    let wanted = tamper(&world, bucket);
    for object in &wanted {
        eventually(PATIENCE, || {
            let report = verify(&world, &["--all", "--evidence-key", &key], 1);
            if named(&report).contains(object) {
                Ok(())
            } else {
                Err(format!("{object} is not named: {report:#}"))
            }
        });
    }
    let folder = world.directory.path().join("download");
    world.objects().download(&folder);
    let folder = folder.to_str().expect("a path");
    let report = verify(&world, &["--folder", folder, "--evidence-key", &key], 1);
    assert!(named(&report).is_superset(&wanted), "{report:#}");

    tamper_with_log(&world, bucket, &key);
}

/// Users of whom the first one has two revisions, and one on hold.
fn off_board(world: &World) {
    let id = |user: usize| world.users[user].id.as_str();
    let worker = world.start(&["worker"]);
    let first = ["submit", "--action", "deactivate", "--batch-id", "a", id(0)];
    world.run(&first).expect(0);
    promises::await_quiet(world, PATIENCE);
    // So that the log has two steps.
    await_logged(world, &manifests(world)[..1]);
    world
        .run(&["hold", "add", id(7), "--why", "case 4711", "--yes"])
        .expect(0);
    world.run(&["pause", "--why", "a look", "--yes"]).expect(0);
    world.run(&["resume", "--yes"]).expect(0);
    let all: Vec<&str> = (0..8).map(id).collect();
    world
        .run(
            &[
                &["submit", "--action", "delete", "--batch-id", "b"][..],
                &all,
            ]
            .concat(),
        )
        .expect(0);
    promises::await_quiet(world, PATIENCE);
    let mut wanted = manifests(world);
    wanted.push(format!("{}_audit.r2.json", id(0)));
    await_logged(world, &wanted);
    World::drain(worker);
}

fn verify(world: &World, arguments: &[&str], code: i32) -> Value {
    world.json(&[&["verify"], arguments].concat(), code)
}

/// The names of the objects of all findings.
fn named(report: &Value) -> BTreeSet<String> {
    let users = list(&report["users"]);
    let of_users = users.iter().flat_map(|user| list(&user["findings"]));
    let findings = of_users.chain(list(&report["evidenceLog"]["findings"]));
    let name = |finding: &Value| {
        let object = finding["object"].as_str().expect("an object");
        object.rsplit('/').next().unwrap_or(object).to_owned()
    };
    findings.map(name).collect()
}

/// Puts other bytes in the place of an object.
fn exchange(objects: &Objects, bucket: Bucket, key: &str, bytes: impl AsRef<[u8]>) {
    if bucket == Bucket::Purged {
        objects.destroy(key);
    }
    objects.put(key, bytes);
}

fn rewrite(objects: &Objects, bucket: Bucket, key: &str, change: impl Fn(&str) -> String) {
    let before = objects.text(key);
    let after = change(&before);
    assert_ne!(after, before, "{key}");
    exchange(objects, bucket, key, after);
}

fn remove(objects: &Objects, bucket: Bucket, key: &str) {
    if bucket == Bucket::Versioned {
        objects.delete(key);
    } else {
        objects.destroy(key);
    }
}

/// Does each thing of the table at H4 to another user; the objects that have to be named.
fn tamper(world: &World, bucket: Bucket) -> BTreeSet<String> {
    let objects = world.objects();
    let key = |user: usize, end: &str| format!("{}{end}", world.users[user].id);
    let mut wanted = BTreeSet::new();

    // Another reason in seal and manifest.
    for end in ["_sealed.json", "_audit.json"] {
        rewrite(&objects, bucket, &key(1, end), |text| {
            text.replace("\"batchId\": \"b\"", "\"batchId\": \"c\"")
        });
    }
    wanted.insert(key(1, "_audit.json"));
    // A shorter archive, with its digest in seal and manifest.
    let digest = objects.sha256(&key(2, ".json")).expect("an archive");
    exchange(&objects, bucket, &key(2, ".json"), "[\n]\n");
    let new = objects.sha256(&key(2, ".json")).expect("an archive");
    for end in ["_sealed.json", "_audit.json"] {
        rewrite(&objects, bucket, &key(2, end), |text| {
            text.replace(&digest, &new)
        });
    }
    wanted.insert(key(2, "_audit.json"));
    // A whole user.
    for end in [".json", "_sealed.json", "_audit.json"] {
        remove(&objects, bucket, &key(3, end));
    }
    wanted.insert(key(3, "_audit.json"));
    // The archives of two users, exchanged.
    let archives = [4, 5].map(|user| objects.text(&key(user, ".json")));
    exchange(&objects, bucket, &key(4, ".json"), &archives[1]);
    exchange(&objects, bucket, &key(5, ".json"), &archives[0]);
    wanted.extend([4, 5].map(|user| key(user, ".json")));
    // A later revision.
    remove(&objects, bucket, &key(0, "_audit.r2.json"));
    wanted.insert(key(0, "_audit.r2.json"));
    // Somebody who never left.
    let stranger = user_id(99, 1);
    for end in [".json", "_sealed.json", "_audit.json"] {
        let text = objects.text(&key(6, end));
        objects.put(
            &format!("{stranger}{end}"),
            text.replace(&world.users[6].id, &stranger),
        );
    }
    wanted.insert(format!("{stranger}_audit.json"));
    // The audit log and the hold.
    let names: Vec<String> = objects.first_written().into_keys().collect();
    let acts: Vec<&String> = names
        .iter()
        .filter(|name| name.starts_with("_act_"))
        .collect();
    rewrite(&objects, bucket, acts[0], |text| {
        text.replacen("\"who\"", "\"whom\"", 1)
    });
    remove(&objects, bucket, acts[1]);
    wanted.extend([acts[0].clone(), acts[1].clone()]);
    let hold = format!("_hold_{}.1.json", world.users[7].id);
    remove(&objects, bucket, &hold);
    wanted.insert(hold);
    wanted
}

/// The log itself: a leaf changed, two steps exchanged, the tail cut off.
fn tamper_with_log(world: &World, bucket: Bucket, key: &str) {
    let objects = world.objects();
    let kept = world.run(&["evidence", "checkpoint", "--evidence-key", key]);
    let kept = world.write("kept", &kept.expect(0).output);
    let check = ["--all", "--evidence-key", key, "--checkpoint", &kept];
    let texts = || {
        let report = verify(world, &check, 1);
        let findings = list(&report["evidenceLog"]["findings"]).clone();
        let of_log = findings.into_iter().filter(|finding| {
            finding["object"]
                .as_str()
                .is_some_and(|of| of.contains("_log_step_"))
        });
        of_log
            .map(|finding| finding["text"].as_str().expect("a text").to_owned())
            .collect::<Vec<_>>()
            .join("\n")
    };
    let mut steps = 0;
    while objects.exists(&format!("_log_step_{}.json", steps + 1)) {
        steps += 1;
    }
    assert!(steps >= 2, "{steps}");
    assert_eq!(texts(), "");

    let step = |number: usize| format!("_log_step_{number}.json");
    let whole = [1, 2].map(|number| objects.text(&step(number)));
    rewrite(&objects, bucket, &step(1), |text| {
        text.replacen("\"same\"", "\"other\"", 1)
    });
    assert!(texts().contains("does not follow"), "{}", texts());
    exchange(&objects, bucket, &step(1), &whole[1]);
    exchange(&objects, bucket, &step(2), &whole[0]);
    assert!(texts().contains("does not follow"), "{}", texts());
    exchange(&objects, bucket, &step(1), &whole[0]);
    exchange(&objects, bucket, &step(2), &whole[1]);
    assert_eq!(texts(), "");
    remove(&objects, bucket, &step(steps));
    assert!(
        texts().contains("cut off at its end, or rolled back"),
        "{}",
        texts()
    );
}
