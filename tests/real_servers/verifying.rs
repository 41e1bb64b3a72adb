//! What `verify` finds, and that it finds nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::trial;
use crate::support::population::{Outcome, User, user_id};
use crate::support::world::World;

/// The findings of each user who has any: kind, and the object's name without the prefix.
type Findings = BTreeMap<String, BTreeSet<(String, String)>>;

fn findings(world: &World, arguments: &[&str], code: i32) -> (Findings, Value) {
    let ended = world.run(&[&["verify", "--output", "json"], arguments].concat());
    let report: Value = serde_json::from_str(&ended.output).expect("one JSON document");
    let mut findings = Findings::new();
    for user in report["users"].as_array().expect("users") {
        let told = user["findings"].as_array().expect("findings");
        assert_eq!(user["ok"], told.is_empty(), "{user:#}");
        for finding in told {
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
    let of = |user: usize, found: &[(&str, &str)]| {
        let id = &world.users[user].id;
        (
            id.clone(),
            found
                .iter()
                .map(|(kind, end)| ((*kind).to_owned(), format!("{id}{end}")))
                .collect(),
        )
    };
    cases.iter().map(|(user, found)| of(*user, found)).collect()
}

/// Users who are off board; the first of them in two revisions.
fn off_board(place: usize, count: usize) -> World {
    // Archives of different sizes, so that one cannot stand for another unseen.
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

trial!("verify finds and names whatever was done to the objects of a bucket", a_bucket);

fn a_bucket(place: usize) {
    let mut world = off_board(place, 10);
    let (good, report) = findings(&world, &["--all"], 0);
    assert_eq!(good, Findings::new());
    assert_eq!(report["totals"]["users"], 10, "{report:#}");
    assert_eq!(report["totals"]["archives"], 10);
    assert_eq!(report["users"][0]["manifests"], 2);
    assert_eq!(report["users"][0]["state"], "Deleted");

    let key = |user: usize, end: &str| format!("{}{end}", world.users[user].id);
    world.objects().destroy(&key(0, "_audit.json"));
    world.objects().flip_bit(&key(1, "_audit.json"));
    world.objects().flip_bit(&key(2, ".json"));
    world.objects().flip_bit(&key(3, "_sealed.json"));
    world.objects().delete(&key(4, "_audit.json"));
    world.objects().delete(&key(5, ".json"));
    // Another user's archive, over the one that was there, and in its place.
    world.objects().copy(&key(7, ".json"), &key(6, ".json"));
    world.objects().destroy(&key(7, ".json"));
    world.objects().copy(&key(2, ".json"), &key(7, ".json"));
    world.objects().unlock(&key(8, ".json"));

    let wanted = expected(
        &world,
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
    );
    assert_eq!(findings(&world, &["--all"], 1).0, wanted);
    // What is named is looked at, and nothing else.
    assert_eq!(
        findings(&world, &[&world.users[9].id], 0).0,
        Findings::new()
    );
    let stranger = user_id(place, 99);
    let one = findings(&world, &[&world.users[4].id, &stranger], 1).0;
    assert_eq!(one.len(), 2);
    assert_eq!(one[&world.users[4].id], wanted[&world.users[4].id]);
    assert!(
        one[&stranger]
            .iter()
            .any(|(kind, _)| kind == "nothing_stored"),
        "{one:#?}"
    );
    let told = world
        .run(&["verify", &world.users[8].id, &world.users[9].id])
        .expect(1)
        .output;
    assert!(
        told.contains("GOVERNANCE") && told.contains("2 users checked"),
        "{told}"
    );

    world.run(&["verify"]).expect(2);
    world
        .run(&["verify", "--all", &world.users[9].id])
        .expect(2);
    world.run(&["verify", "no-id"]).expect(2);
    world.set("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9");
    world.run(&["verify", "--all"]).expect(3);
}

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).expect("the file is written");
}

trial!("verify finds without network what was done to a download, and to a directory", a_download);

fn a_download(place: usize) {
    let mut world = off_board(place, 8);
    let download = world.directory.path().join("download");
    let count = world.objects().download(&download);
    assert!(count > 8 * 3, "{count} files");
    let below = download.join(format!("place-{place}"));
    let of = |world: &World, user: usize, end: &str| -> PathBuf {
        below.join(format!("{}{end}", world.users[user].id))
    };
    // Nothing of what reaches servers is needed.
    world.set("OFFBOARDER_ARCHIVE_URL", "nowhere");
    world.set("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9");
    let folder = download.display().to_string();
    let (good, report) = findings(&world, &["--folder", &folder], 0);
    assert_eq!(
        (good, &report["totals"]["archives"]),
        (Findings::new(), &Value::from(8))
    );

    flip(&of(&world, 0, "_audit.json"));
    flip(&of(&world, 1, ".json"));
    std::fs::remove_file(of(&world, 2, "_audit.json")).expect("a manifest");
    std::fs::remove_file(of(&world, 3, "_sealed.json")).expect("a seal");
    std::fs::remove_file(of(&world, 4, ".json")).expect("an archive");
    std::fs::copy(of(&world, 6, ".json"), of(&world, 5, ".json")).expect("an archive");
    // Neither is opened: the one leads elsewhere, the other has no end.
    std::fs::remove_file(of(&world, 7, "_audit.json")).expect("a manifest");
    let pipe = std::process::Command::new("mkfifo")
        .arg(of(&world, 7, "_audit.json"))
        .status();
    assert!(pipe.expect("mkfifo").success());
    std::os::unix::fs::symlink("/dev/zero", of(&world, 7, "_audit.r2.json")).expect("a link");
    let (found, _) = findings(&world, &["--folder", &folder], 1);
    let chain = (
        "chain_broken".to_owned(),
        format!("{}_audit.json", world.users[0].id),
    );
    assert!(found[&world.users[0].id].contains(&chain), "{found:#?}");
    let rest: Findings = found
        .into_iter()
        .filter(|(id, _)| *id != world.users[0].id)
        .collect();
    let wanted = expected(
        &world,
        &[
            (1, &[("archive_changed", ".json")]),
            (2, &[("manifest_missing", "_audit.json")]),
            (3, &[("seal_missing", "_sealed.json")]),
            (4, &[("archive_missing", ".json")]),
            (5, &[("archive_changed", ".json")]),
            (
                7,
                &[
                    ("not_a_file", "_audit.json"),
                    ("not_a_file", "_audit.r2.json"),
                ],
            ),
        ],
    );
    assert_eq!(rest, wanted);
    world
        .run(&["verify", "--folder", &format!("{folder}/none")])
        .expect(2);

    // The last manifest of a directory: its digest is in the checkpoint.
    world.unset("OFFBOARDER_ARCHIVE_RETENTION");
    world.set("OFFBOARDER_ARCHIVE_URL", "file:./archive");
    world.set("OFFBOARDER_CHECKPOINTS_URL", "file:./checkpoints");
    let id = user_id(place, 6);
    crate::support::http::request(
        "PUT",
        &world.simulator,
        &format!("/_simulator/users/{id}"),
        Some(&world.users[6].record()),
    );
    world.run(&["run", &id]).expect(0);
    assert_eq!(findings(&world, &[&id], 0).0, Findings::new());
    let manifest = world
        .directory
        .path()
        .join(format!("archive/{id}_audit.json"));
    let text = std::fs::read_to_string(&manifest).expect("a manifest");
    let service = text.rfind("\"worker\": \"").expect("who wrote it") + 11;
    let (before, after) = text.split_at(service);
    std::fs::write(&manifest, format!("{before}x{}", &after[1..]))
        .expect("the manifest is written");
    let wanted = expected(&world, &[(6, &[("manifest_changed", "_audit.json")])]);
    assert_eq!(findings(&world, &[&id], 1).0, wanted);
}
