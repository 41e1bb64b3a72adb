//! A machine that is short of file descriptors or of disk, or has the wrong time.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::support::population::{Outcome, User};
use crate::support::process::{Process, tail};
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, manifests, promises, servers, trial};

/// Makes a program see another time of day. What counts time on its own is not touched.
fn clock(off_by: &str) -> Vec<(String, String)> {
    let library = "/usr/$LIB/faketime/libfaketimeMT.so.1";
    let settings = [
        ("LD_PRELOAD", library),
        ("FAKETIME", off_by),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    settings
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

fn users(place: usize, count: usize) -> Vec<User> {
    (0..count)
        .map(|number| User::new(place, number, Outcome::Deleted, 4))
        .collect()
}

fn await_said(worker: &Process, text: &str) {
    eventually(PATIENCE, || match worker.errors() {
        errors if errors.contains(text) => Ok(()),
        errors => Err(format!("nobody says {text:?}: {}", tail(&errors))),
    });
}

trial!("a worker without file descriptors takes nobody, spends no attempt, and goes on by itself once it has some", a_worker_without_descriptors);

/// As many as it has open, and no more.
fn a_worker_without_descriptors(place: usize) {
    let mut world = World::on(
        servers::shared(),
        place,
        users(place, 41),
        &["--latency", "50ms"],
    );
    world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", "1");
    world.declare();
    let worker = world.start(&["worker"]);
    world.publish(&[json!({ "body": world.users[0].id })]);
    await_said(&worker, "finished");
    worker.limit(&format!("--nofile={}:", worker.descriptors()));
    let messages: Vec<_> = world.users[1..]
        .iter()
        .map(|user| json!({ "body": user.id }))
        .collect();
    world.publish(&messages);
    await_said(&worker, "every user would meet this");
    await_said(&worker, "Too many open files");
    worker.limit("--nofile=1024:");
    promises::await_quiet(&world, PATIENCE);
    worker.await_ready();
    // Deliveries were in hand while the intake was paused and resumed.
    assert!(
        !worker.errors().contains("the intake broke"),
        "the broker was not the one at fault"
    );
    World::drain(worker);
    promises::assert_kept(&world, &servers::shared());
}

/// A world of files alone.
fn local(place: usize, users: Vec<User>, flags: &[&str]) -> World {
    let mut world = World::on(servers::shared(), place, users, flags);
    let stores = world.directory.path().join("stores");
    world.set(
        "OFFBOARDER_CHECKPOINTS_URL",
        &format!("file:{}", stores.display()),
    );
    world.set(
        "OFFBOARDER_ARCHIVE_URL",
        &format!("file:{}/archive", stores.display()),
    );
    world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", "1");
    world
}

/// A write over the limit for files fails as one on a full disk does, instead of ending the process.
const HEEDLESS_OF_XFSZ: [&str; 4] = ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"];

trial!("a run that is short of file descriptors or disk ends with status 3, and a second one ends all users right", short_runs);

fn short_runs(place: usize) {
    let world = local(place, users(place, 30), &["--latency", "100ms"]);
    let ids: Vec<&str> = world.users.iter().map(|user| user.id.as_str()).collect();
    let run = [&["run"], ids.as_slice()].concat();
    let refused = |wrapper: &[&str], says: &[&str]| {
        let ended = world.run_under(wrapper, &run).expect(3);
        for text in says {
            assert!(
                ended.errors.contains(text),
                "no {text:?} in: {}",
                ended.errors
            );
        }
    };
    let small_files = [&HEEDLESS_OF_XFSZ[..], &["prlimit", "--fsize=100000"]].concat();
    refused(&small_files, &["checkpoints.redb", "has space"]);
    refused(&["prlimit", "--nofile=16"], &["Too many open files"]);
    world.run(&run).expect(0);
    let archive = world.setting("OFFBOARDER_ARCHIVE_URL");
    manifests::assert_true(&world.simulator, archive, &world.users, Duration::ZERO);
}

/// Names of files in a directory.
fn files(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("a directory");
    entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}

trial!("a worker whose disk is full takes nobody, leaves nothing half-written, and goes on by itself once there is space", a_full_disk);

/// Some users' archives fit and others do not.
fn a_full_disk(place: usize) {
    let large =
        |number| User::new(place, number, Outcome::Deleted, 3).with_large_conversations(1_000_000);
    let all = users(place, 3)
        .into_iter()
        .chain([large(3), large(4)])
        .collect();
    let mut world = World::with_topology(place, all);
    let archive = world.directory.path().join("archive");
    world.set(
        "OFFBOARDER_ARCHIVE_URL",
        &format!("file:{}", archive.display()),
    );
    world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", "1");
    let worker = world.start_under(&HEEDLESS_OF_XFSZ, &["worker", "--allow-local-archive"]);
    worker.await_ready();
    worker.limit("--fsize=1000000:");
    world.publish_all();
    worker.await_not_ready("no space is left");
    let large = [3, 4].map(|user| format!("{}.json", world.users[user].id));
    let found = files(&archive);
    assert!(
        !large.iter().any(|name| found.contains(name)),
        "half-written: {found:?}"
    );
    worker.limit("--fsize=unlimited:");
    promises::await_quiet(&world, PATIENCE);
    worker.await_ready();
    World::drain(worker);
    let found = files(&archive);
    assert!(
        !found.iter().any(|name| name.starts_with('.')),
        "left over: {found:?}"
    );
    promises::assert_manifests(&world, &servers::shared());
    assert_eq!(
        world.dead_letters(),
        Vec::<serde_json::Value>::new()
    );
}

trial!("workers whose clocks are hours apart let nobody wait for hours", clocks_apart);

/// Every user is parked for some seconds at the first calls, by one worker or the other.
fn clocks_apart(place: usize) {
    let mut world = World::with_topology(place, users(place, 20));
    world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", "1");
    for user in 0..20 {
        let throttled =
            json!({ "kind": "status", "status": 429, "headers": { "Retry-After": "2" } });
        world.strike(user, "get_user", 0, 3, &throttled);
    }
    let workers = ["-1h", "+1h"].map(|off_by| world.start_with(&["worker"], &clock(off_by)));
    world.publish_all();
    promises::await_quiet(&world, Duration::from_mins(2));
    let now = jiff::Timestamp::now();
    for (worker, off_by) in workers.into_iter().zip([-1, 1]) {
        let log = worker.errors();
        let time = log
            .split("\"timestamp\":\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let time: jiff::Timestamp = time.and_then(|time| time.parse().ok()).expect("a time");
        let meant = now + jiff::SignedDuration::from_hours(off_by);
        assert!(
            time.duration_since(meant).abs() < jiff::SignedDuration::from_mins(10),
            "its clock: {time}"
        );
        assert!(log.contains("finished"), "both had a part in it");
        World::drain(worker);
    }
    promises::assert_kept(&world, &servers::shared());
}
