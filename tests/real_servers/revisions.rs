//! Users who come a second time.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::population::deletable;
use crate::support::world::{DEAD, PATIENCE, World};
use crate::support::{eventually, ledger, list, promises, redis, trial};

/// A worker on Redis whose archive is a directory, so that the trial can read it.
fn world(place: usize) -> (World, PathBuf) {
    let mut world = World::with_topology(place, deletable(place, 1, 12));
    let archive = world.directory.path().join("archive");
    let url = format!("file:{}", archive.display());
    world.set("OFFBOARDER_ARCHIVE_URL", &url);
    (world, archive)
}

/// Waits for a manifest, and until the job behind it is done.
fn await_manifest(archive: &Path, name: &str, world: &World) -> Value {
    let manifest = eventually(PATIENCE, || {
        let read = std::fs::read(archive.join(name)).map_err(|error| format!("{name}: {error}"))?;
        serde_json::from_slice(&read).map_err(|error| error.to_string())
    });
    eventually(PATIENCE, || match promises::busy_queues(world).as_slice() {
        [] => Ok(()),
        busy => Err(format!("{busy:?}")),
    });
    manifest
}

fn sha256(path: &Path) -> String {
    let bytes = std::fs::read(path).expect("a file");
    hex::encode(Sha256::digest(bytes))
}

/// The names of a user's objects.
fn names(archive: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(archive).expect("a directory");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| name.into_string().expect("a name"));
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('_')).collect();
    names.sort();
    names
}

trial!(
    "a deactivated user who is submitted with --action delete is only deleted, in a chained revision",
    the_rest_is_deleted
);

fn the_rest_is_deleted(place: usize) {
    let (world, archive) = world(place);
    let id = world.users[0].id.clone();
    let worker = world.start(&["worker", "--allow-local-archive"]);
    let submit = ["submit", &id, "--action"];
    world
        .run(&[&submit[..], &["deactivate"]].concat())
        .expect(0);
    let first = await_manifest(&archive, &format!("{id}_audit.json"), &world);
    assert_eq!(first["deletion"]["outcome"], "not_requested");

    // A duplicate that asks for nothing new changes nothing.
    world.publish_all();
    let queries = ledger::count(&world.simulator, "query_conversations");
    let delete = ["delete", "--requested-by", "ops"];
    world.run(&[&submit[..], &delete].concat()).expect(0);
    let second = await_manifest(&archive, &format!("{id}_audit.r2.json"), &world);
    assert_chained(&archive, &id, &first, &second);

    let calls = |operation: &str| ledger::count(&world.simulator, operation);
    assert_eq!(
        calls("query_conversations"),
        queries,
        "nothing is archived again"
    );
    assert_eq!(calls("put_scim_user"), 1, "nobody is deactivated twice");
    let ends = [".json", "_audit.json", "_audit.r2.json", "_sealed.json"];
    assert_eq!(names(&archive), ends.map(|end| format!("{id}{end}")));
    World::drain(worker);
    assert_no_dead_letter(&world);

    // Without Redis, the latest manifest says how it ended.
    redis::forget(world.setting("OFFBOARDER_CHECKPOINTS_URL"));
    let status = world.run(&["status", &id]).expect(0).output;
    assert!(status.contains("Deleted"), "{status}");
}

fn assert_chained(archive: &Path, id: &str, first: &Value, second: &Value) {
    assert_eq!(second["status"], "DELETED", "{second:#}");
    assert_eq!(second["revision"], 2);
    assert_eq!(second["request"]["requestedBy"], "ops");
    let previous = format!("{id}_audit.json");
    assert_eq!(second["previous"]["key"], previous);
    assert_eq!(
        second["previous"]["sha256"],
        sha256(&archive.join(previous))
    );
    assert_eq!(second["archive"], first["archive"]);

    let steps = list(&second["steps"]).iter();
    let states: Vec<_> = steps.map(|step| &step["state"]).collect();
    assert_eq!(
        states,
        ["QueuesCleared", "Deactivated", "Archived", "Deleted"]
    );
}

fn assert_no_dead_letter(world: &World) {
    let dead_letters = world.dead_letters();
    assert_eq!(world.depth(DEAD), Some(0), "{dead_letters:?}");
}

trial!(
    "a user who is active again gets a whole new set of objects",
    a_user_who_came_back
);

fn a_user_who_came_back(place: usize) {
    let (world, archive) = world(place);
    let id = world.users[0].id.clone();
    let first = archive.join(format!("{id}_audit.json"));
    let worker = world.start(&["worker", "--allow-local-archive"]);
    world.publish_all();
    await_manifest(&archive, &format!("{id}_audit.json"), &world);
    let before = std::fs::read(&first).expect("a manifest");

    let mut record = world.users[0].record();
    record["conversations"] = json!(3);
    world.put_user(&id, &record);
    world.publish_all();
    let second = await_manifest(&archive, &format!("{id}_audit.r2.json"), &world);
    assert_eq!(second["status"], "DELETED", "{second:#}");
    assert_eq!(second["archive"]["key"], format!("{id}.r2.json"));
    assert_eq!(second["archive"]["conversations"], 3);
    assert_eq!(second["previous"]["sha256"], sha256(&first));
    let after = std::fs::read(&first).expect("a manifest");
    assert_eq!(after, before, "the first is as it was");

    let ends = [
        ".json",
        ".r2.json",
        "_audit.json",
        "_audit.r2.json",
        "_sealed.json",
        "_sealed.r2.json",
    ];
    assert_eq!(names(&archive), ends.map(|end| format!("{id}{end}")));
    world.assert_exist(&[(0, false)]);
    World::drain(worker);
    assert_no_dead_letter(&world);
}
