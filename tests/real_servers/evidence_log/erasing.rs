//! What proves a leaver's off-boarding is erased, and nothing else looks as if somebody had removed it.

use serde_json::Value;

use super::{await_logged, manifests, switch_on};
use crate::support::failpoint;
use crate::support::population::deletable;
use crate::support::world::{Ended, PATIENCE, World};
use crate::support::{list, promises, trial};

trial!(
    "a leaver is erased who is not on hold: checks and reports say who did it, the proof holds, and no other removal is excused",
    erased,
    seconds = 25
);

const WHY: &str = "request 4711";

fn erased(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 4, 12));
    let key = switch_on(&mut world);
    let worker = world.start(&["worker"]);
    let ids: Vec<String> = world.users.iter().map(|user| user.id.clone()).collect();
    let hold = ["hold", "add", &ids[1], "--why", "case 1", "--yes"];
    world.run(&hold).expect(0);
    let id: Vec<&str> = ids.iter().map(String::as_str).collect();
    let submit = [&["submit", "--batch-id", "b"], &id[..]].concat();
    world.run(&submit).expect(0);
    promises::await_quiet(&world, PATIENCE);
    await_logged(&world, &manifests(&world));
    let proof = world.directory.path().join("proof.json");
    let proof = proof.to_str().expect("a path");
    let export = ["evidence", "export", id[0], "--evidence-key", &key];
    world
        .run(&[&export[..], &["--out", proof]].concat())
        .expect(0);

    let on_hold = erase(&world, id[1], "held.json").expect(1).errors;
    assert!(on_hold.contains("on legal hold"), "{on_hold}");
    let before: Vec<String> = world.objects().first_written().into_keys().collect();
    let nobody = "00000000-0000-4000-8000-000000000000";
    let nothing = erase(&world, nobody, "nobody.json").expect(1).errors;
    assert!(nothing.contains("no object"), "{nothing}");
    let after: Vec<String> = world.objects().first_written().into_keys().collect();
    assert_eq!(before, after, "nothing was recorded");

    let said = erase(&world, id[0], "objects.json").expect(0).output;
    assert!(said.contains("aws s3api delete-objects --bucket"), "{said}");
    let keys = listed(&world, "objects.json");
    assert_eq!(keys.len(), 3, "{keys:?}");
    let record = record_of(&world, id[0]);
    await_logged(&world, &[record]);
    World::drain(worker);

    // Until the objects are removed, they are checked as before.
    let checked = verify(&world, &["--all", "--evidence-key", &key], 0);
    assert_eq!(checked["evidenceLog"]["erased"], 0, "{checked:#}");
    for object in &keys {
        world.objects().destroy(object);
    }
    let checked = verify(&world, &["--all", "--evidence-key", &key], 0);
    assert_eq!(checked["evidenceLog"]["erased"], 1, "{checked:#}");
    assert_eq!(list(&checked["orders"]["open"]).len(), 0, "{checked:#}");
    let one = verify(&world, &[id[0]], 0);
    assert!(list(&one["users"][0]["findings"]).is_empty(), "{one:#}");
    assert_reported(&world, id[0]);

    let policy = world.write("policy", &format!("log {key}\nquorum none\n"));
    let verified = ["evidence", "verify", proof, "--policy", &policy];
    let verified = world.run(&verified).expect(0).output;
    assert!(verified.starts_with("proved"), "{verified}");
    assert_no_other_is_excused(&mut world, &key);
}

fn erase(world: &World, user: &str, out: &str) -> Ended {
    let out = world.directory.path().join(out);
    let out = out.to_str().expect("a path");
    world.run(&[
        "evidence", "erase", user, "--out", out, "--why", WHY, "--yes",
    ])
}

/// The objects of the list, each once, below the prefix.
fn listed(world: &World, file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(world.directory.path().join(file)).expect("the list");
    let list_of: Value = serde_json::from_str(&text).expect("JSON");
    let objects = list(&list_of["Objects"]).iter();
    let mut keys: Vec<String> = objects
        .map(|object| {
            let key = object["Key"].as_str().expect("a key");
            key.rsplit('/').next().expect("a name").to_owned()
        })
        .collect();
    keys.sort();
    keys.dedup();
    keys
}

fn record_of(world: &World, user: &str) -> String {
    let prefix = format!("_erasure_{user}_");
    let written = world.objects().first_written();
    let mut records = written.into_keys().filter(|key| key.starts_with(&prefix));
    records.next().expect("the record of the erasure")
}

fn verify(world: &World, arguments: &[&str], code: i32) -> Value {
    world.json(&[&["verify"], arguments].concat(), code)
}

fn assert_reported(world: &World, user: &str) {
    let report = world.json(&["report", "--since", "2020-01-01"], 0);
    let mut rows = list(&report["users"]).iter();
    let row = rows.find(|row| row["userId"] == user).expect("a row");
    assert_eq!(row["outcome"], "Erased", "{row:#}");
    let why = row["whyNotDeleted"].as_str().expect("a text");
    assert!(why.contains(WHY), "{why}");
    assert_eq!(report["totals"]["outcomes"]["erased"], 1, "{report:#}");
}

/// Another user is removed: without a record, with one that only the bucket has, and in a download.
fn assert_no_other_is_excused(world: &mut World, key: &str) {
    let [first, other] = [0, 2].map(|user| world.users[user].id.clone());
    world.set(failpoint::TIME_SCALE, "1000000");
    let objects = world.objects();
    for end in [".json", "_sealed.json", "_audit.json"] {
        objects.destroy(&format!("{other}{end}"));
    }
    let record = record_of(world, &first);
    let invented = format!("_erasure_{other}_{}", &record[record.len() - 41..]);
    objects.put(&invented, objects.text(&record).replace(&first, &other));
    let manifest = format!("{other}_audit.json");
    let assert_named = |report: &Value| {
        let findings = list(&report["evidenceLog"]["findings"]).iter();
        let objects: Vec<&str> = findings.filter_map(|one| one["object"].as_str()).collect();
        for wanted in [&manifest, &invented] {
            let is_named = objects
                .iter()
                .any(|object| object.ends_with(wanted.as_str()));
            assert!(is_named, "{wanted} of {report:#}");
        }
        assert_eq!(report["evidenceLog"]["erased"], 1, "{report:#}");
    };
    assert_named(&verify(world, &["--all", "--evidence-key", key], 1));
    let folder = world.directory.path().join("download");
    objects.download(&folder);
    let folder = folder.to_str().expect("a path");
    assert_named(&verify(
        world,
        &["--folder", folder, "--evidence-key", key],
        1,
    ));
}
