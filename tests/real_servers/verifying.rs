//! What `verify` finds, and that it finds nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::population::{Outcome, User, user_id};
use crate::support::world::World;
use crate::support::{list, trial};

/// The findings of each user who has any: kind, and the object's name without the prefix.
type Findings = BTreeMap<String, BTreeSet<(String, String)>>;

fn findings(world: &World, arguments: &[&str], code: i32) -> (Findings, Value) {
    let ended = world.run(&[&["verify", "--output", "json"], arguments].concat());
    let report: Value = serde_json::from_str(&ended.output).expect("one JSON document");
    let mut findings = Findings::new();
    for user in list(&report["users"]) {
        let of_user = list(&user["findings"]);
        assert_eq!(user["ok"], of_user.is_empty(), "{user:#}");
        for finding in of_user {
            let object = finding["object"].as_str().expect("an object");
            let name = object.rsplit('/').next().unwrap_or(object);
            let kind = finding["kind"].as_str().expect("a kind");
            let id = user["userId"].as_str().expect("an ID").to_owned();
            findings
                .entry(id)
                .or_default()
                .insert((kind.to_owned(), name.to_owned()));
        }
    }
    assert_eq!(ended.code, Some(code), "exit status; {findings:#?}");

    (findings, report)
}

/// What is expected: for each user, kinds and the ends of the objects' names.
fn expected(world: &World, cases: &[(usize, &[(&str, &str)])]) -> Findings {
    let of = |(user, found): &(usize, &[(&str, &str)])| {
        let id = &world.users[*user].id;
        let objects = found
            .iter()
            .map(|(kind, end)| ((*kind).to_owned(), format!("{id}{end}")));
        (id.clone(), objects.collect())
    };
    cases.iter().map(of).collect()
}

/// Users who are off-boarded; the first of them in two revisions.
fn off_board(place: usize, count: usize) -> World {
    // Archives of different sizes, so that one in the place of another is noticed.
    let users = (0..count)
        .map(|number| User::new(place, number, Outcome::Deleted, number % 4 * 3))
        .collect();
    let mut world = World::new(place, users);
    world.set("OFFBOARDER_ARCHIVE_RETENTION", "governance:1d");
    let ids: Vec<String> = world.users.iter().map(|user| user.id.clone()).collect();
    world
        .run(&["run", &ids[0], "--action", "deactivate"])
        .expect(0);
    let all: Vec<&str> = ["run", "--action", "delete"]
        .into_iter()
        .chain(ids.iter().map(String::as_str))
        .collect();
    world.run(&all).expect(0);
    world
}

trial!(
    "verify finds and names whatever was done to the objects of a bucket",
    a_bucket
);

fn a_bucket(place: usize) {
    let mut world = off_board(place, 10);
    let (good, report) = findings(&world, &["--all"], 0);
    assert_eq!(good, Findings::new());
    assert_eq!(report["totals"]["users"], 10, "{report:#}");
    assert_eq!(report["totals"]["archives"], 10);
    assert_eq!(report["users"][0]["manifests"], 2);
    assert_eq!(report["users"][0]["state"], "Deleted");

    let wanted = tamper_with_bucket(&world);
    assert_eq!(findings(&world, &["--all"], 1).0, wanted);
    // Only users who are named are checked.
    let untouched = findings(&world, &[&world.users[9].id], 0).0;
    assert_eq!(untouched, Findings::new());
    let stranger = user_id(place, 99);
    let deleted = &world.users[4].id;
    let two = findings(&world, &[deleted, &stranger], 1).0;
    assert_eq!(two.len(), 2);
    assert_eq!(two[deleted], wanted[deleted]);
    let mut of_stranger = two[&stranger].iter();
    assert!(
        of_stranger.any(|(kind, _)| kind == "nothing_stored"),
        "{two:#?}"
    );
    let unlocked = ["verify", &world.users[8].id, &world.users[9].id];
    let printed = world.run(&unlocked).expect(1).output;
    assert!(printed.contains("GOVERNANCE"), "{printed}");
    assert!(printed.contains("2 users checked"), "{printed}");

    world.run(&["verify"]).expect(2);
    world
        .run(&["verify", "--all", &world.users[9].id])
        .expect(2);
    world.run(&["verify", "no-id"]).expect(2);
    world.set("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9");
    world.run(&["verify", "--all"]).expect(3);
}

/// Each user but the last suffers something else; what is to be found.
fn tamper_with_bucket(world: &World) -> Findings {
    let objects = world.objects();
    let key = |user: usize, end: &str| format!("{}{end}", world.users[user].id);
    objects.destroy(&key(0, "_audit.json"));
    objects.flip_bit(&key(1, "_audit.json"));
    objects.flip_bit(&key(2, ".json"));
    objects.flip_bit(&key(3, "_sealed.json"));
    objects.delete(&key(4, "_audit.json"));
    objects.delete(&key(5, ".json"));
    // Another user's archive, over the one that was there, and in its place.
    objects.copy(&key(7, ".json"), &key(6, ".json"));
    objects.destroy(&key(7, ".json"));
    objects.copy(&key(2, ".json"), &key(7, ".json"));
    objects.unlock(&key(8, ".json"));

    expected(
        world,
        &[
            (0, &[("manifest_missing", "_audit.json")]),
            (1, &[("overwritten", "_audit.json")]),
            (2, &[("overwritten", ".json")]),
            (3, &[("overwritten", "_sealed.json")]),
            (4, &[("deleted", "_audit.json")]),
            (5, &[("deleted", ".json")]),
            (6, &[("overwritten", ".json")]),
            (7, &[("archive_missing", ".json")]),
            (8, &[("archive_unlocked", ".json")]),
        ],
    )
}

trial!(
    "verify finds without network what was done to a download, and to a directory",
    a_download
);

fn a_download(place: usize) {
    let mut world = off_board(place, 8);
    let download = world.directory.path().join("download");
    let count = world.objects().download(&download);
    assert!(count > 8 * 3, "{count} files");
    // Nothing that reaches servers is needed.
    world.set("OFFBOARDER_ARCHIVE_URL", "nowhere");
    world.set("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9");
    let folder = download.display().to_string();
    let (good, report) = findings(&world, &["--folder", &folder], 0);
    assert_eq!(good, Findings::new());
    assert_eq!(report["totals"]["archives"], 8);

    let wanted = tamper_with_download(&world, &download.join(format!("place-{place}")));
    let (mut found, _) = findings(&world, &["--folder", &folder], 1);
    let first = &world.users[0].id;
    let of_first = found.remove(first).expect("findings");
    let chain = ("chain_broken".to_owned(), format!("{first}_audit.json"));
    assert!(of_first.contains(&chain), "{of_first:#?}");
    assert_eq!(found, wanted);
    let none = format!("{folder}/none");
    world.run(&["verify", "--folder", &none]).expect(2);
    assert_last_manifest_of_directory(&mut world);
}

/// Each user suffers something else; what is to be found of all but the first.
fn tamper_with_download(world: &World, directory: &Path) -> Findings {
    let of = |user: usize, end: &str| directory.join(format!("{}{end}", world.users[user].id));
    flip_bit(&of(0, "_audit.json"));
    flip_bit(&of(1, ".json"));
    std::fs::remove_file(of(2, "_audit.json")).expect("a manifest");
    std::fs::remove_file(of(3, "_sealed.json")).expect("a seal");
    std::fs::remove_file(of(4, ".json")).expect("an archive");
    std::fs::copy(of(6, ".json"), of(5, ".json")).expect("an archive");
    // Neither is opened: the one leads elsewhere, the other has no end.
    std::fs::remove_file(of(7, "_audit.json")).expect("a manifest");
    let pipe = Command::new("mkfifo").arg(of(7, "_audit.json")).status();
    assert!(pipe.expect("mkfifo").success());
    std::os::unix::fs::symlink("/dev/zero", of(7, "_audit.r2.json")).expect("a link");

    let no_files = [
        ("not_a_file", "_audit.json"),
        ("not_a_file", "_audit.r2.json"),
    ];
    expected(
        world,
        &[
            (1, &[("archive_changed", ".json")]),
            (2, &[("manifest_missing", "_audit.json")]),
            (3, &[("seal_missing", "_sealed.json")]),
            (4, &[("archive_missing", ".json")]),
            (5, &[("archive_changed", ".json")]),
            (7, &no_files),
        ],
    )
}

fn flip_bit(path: &Path) {
    let mut bytes = std::fs::read(path).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).expect("the file is written");
}

/// The digest of the last manifest is in the checkpoint.
fn assert_last_manifest_of_directory(world: &mut World) {
    world.unset("OFFBOARDER_ARCHIVE_RETENTION");
    world.set("OFFBOARDER_ARCHIVE_URL", "file:./archive");
    world.set("OFFBOARDER_CHECKPOINTS_URL", "file:./checkpoints");
    let user = &world.users[6];
    world.put_user(&user.id, &user.record());
    world.run(&["run", &user.id]).expect(0);
    assert_eq!(findings(world, &[&user.id], 0).0, Findings::new());

    let manifest = format!("archive/{}_audit.json", user.id);
    let manifest = world.directory.path().join(manifest);
    let text = std::fs::read_to_string(&manifest).expect("a manifest");
    let worker = text.rfind("\"worker\": \"").expect("who wrote it") + 11;
    let (before, after) = text.split_at(worker);
    let changed = format!("{before}x{}", &after[1..]);
    std::fs::write(&manifest, changed).expect("the manifest is written");
    let wanted = expected(world, &[(6, &[("manifest_changed", "_audit.json")])]);
    assert_eq!(findings(world, &[&user.id], 1).0, wanted);
}
