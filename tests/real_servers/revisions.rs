//! Users who come a second time.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::ledger;
use crate::support::population::{Outcome, User};
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, http, promises, redis, trial};

/// A worker on Redis whose archive is a directory, so that the test can read it.
fn world(place: usize) -> (World, PathBuf) {
    let mut world = World::with_topology(place, vec![User::new(place, 0, Outcome::Deleted, 12)]);
    let archive = world.directory.path().join("archive");
    world.set(
        "OFFBOARDER_ARCHIVE_URL",
        &format!("file:{}", archive.display()),
    );
    (world, archive)
}

fn manifest(archive: &Path, name: &str, world: &World) -> Value {
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
    let mut command = std::process::Command::new("sha256sum");
    let printed = command.arg(path).output().expect("sha256sum runs").stdout;
    String::from_utf8_lossy(&printed)
        .split(' ')
        .next()
        .expect("a digest")
        .to_owned()
}

fn names(archive: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(archive).expect("a directory");
    let names = entries.map(|entry| {
        entry
            .expect("an entry")
            .file_name()
            .into_string()
            .expect("a name")
    });
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('_')).collect();
    names.sort();
    names
}

trial!("a deactivated user who is submitted with --action delete is deleted alone, in a chained revision", the_deletion_alone);

fn the_deletion_alone(place: usize) {
    let (world, archive) = world(place);
    let id = world.users[0].id.clone();
    let worker = world.start(&["worker", "--allow-local-archive"]);
    world
        .run(&["submit", &id, "--action", "deactivate"])
        .expect(0);
    let first = manifest(&archive, &format!("{id}_audit.json"), &world);
    assert_eq!(first["deletion"]["outcome"], "not_requested");
    // A duplicate that asks for nothing new changes nothing.
    world.publish(&[json!({ "body": id })]);
    let queries = ledger::count(&world.simulator, "query_conversations");

    world
        .run(&["submit", &id, "--action", "delete", "--requested-by", "ops"])
        .expect(0);
    let second = manifest(&archive, &format!("{id}_audit.r2.json"), &world);
    assert_eq!(second["status"], "DELETED", "{second:#}");
    assert_eq!(second["revision"], 2);
    assert_eq!(second["request"]["requestedBy"], "ops");
    assert_eq!(second["previous"]["key"], format!("{id}_audit.json"));
    assert_eq!(
        second["previous"]["sha256"],
        sha256(&archive.join(format!("{id}_audit.json")))
    );
    assert_eq!(second["archive"], first["archive"]);
    let states: Vec<&str> = second["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .filter_map(|step| step["state"].as_str())
        .collect();
    assert_eq!(
        states,
        ["QueuesCleared", "Deactivated", "Archived", "Deleted"]
    );
    assert_eq!(
        ledger::count(&world.simulator, "query_conversations"),
        queries,
        "nothing is archived again"
    );
    assert_eq!(
        ledger::count(&world.simulator, "put_scim_user"),
        1,
        "nobody is deactivated twice"
    );
    assert_eq!(
        names(&archive),
        [".json", "_audit.json", "_audit.r2.json", "_sealed.json"].map(|end| format!("{id}{end}"))
    );
    World::drain(worker);
    assert_eq!(
        world.depth("offboarding.dead"),
        Some(0),
        "{}",
        answer_of(&world)
    );

    redis::forget(world.setting("OFFBOARDER_CHECKPOINTS_URL"));
    let told = world.run(&["status", &id]).expect(0).output;
    assert!(
        told.contains("Deleted"),
        "without Redis, the latest manifest tells the end: {told}"
    );
}

fn answer_of(world: &World) -> String {
    Value::from(world.dead_letters()).to_string()
}

trial!("a user who is active again gets a whole new set of objects", a_user_who_came_back);

fn a_user_who_came_back(place: usize) {
    let (world, archive) = world(place);
    let id = world.users[0].id.clone();
    let worker = world.start(&["worker", "--allow-local-archive"]);
    world.publish(&[json!({ "body": id })]);
    manifest(&archive, &format!("{id}_audit.json"), &world);
    let first = std::fs::read(archive.join(format!("{id}_audit.json"))).expect("a manifest");

    let mut record = world.users[0].record();
    record["conversations"] = json!(3);
    http::request(
        "PUT",
        &world.simulator,
        &format!("/_simulator/users/{id}"),
        Some(&record),
    );
    world.publish(&[json!({ "body": id })]);
    let second = manifest(&archive, &format!("{id}_audit.r2.json"), &world);
    assert_eq!(second["status"], "DELETED", "{second:#}");
    assert_eq!(second["archive"]["key"], format!("{id}.r2.json"));
    assert_eq!(second["archive"]["conversations"], 3);
    assert_eq!(
        second["previous"]["sha256"],
        sha256(&archive.join(format!("{id}_audit.json")))
    );
    assert_eq!(
        std::fs::read(archive.join(format!("{id}_audit.json"))).expect("a manifest"),
        first,
        "the first is as it was"
    );
    let ends = [
        ".json",
        ".r2.json",
        "_audit.json",
        "_audit.r2.json",
        "_sealed.json",
        "_sealed.r2.json",
    ];
    assert_eq!(names(&archive), ends.map(|end| format!("{id}{end}")));
    assert_eq!(world.user_now(&id)["exists"], false);
    World::drain(worker);
    assert_eq!(
        world.depth("offboarding.dead"),
        Some(0),
        "{}",
        answer_of(&world)
    );
}
