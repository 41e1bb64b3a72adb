//! A machine that is short of file descriptors or of disk, or has the wrong time.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::support::population::{Outcome, User, deletable};
use crate::support::world::{PATIENCE, World};
use crate::support::{manifests, promises, servers, throttle, trial};

/// Makes a program see another time of day. Its monotonic clock is the right one.
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

trial!(
    "a worker without file descriptors takes nobody, spends no attempt, and continues by itself once it has some",
    a_worker_without_descriptors
);

/// It may open as many as it has open, and no more.
fn a_worker_without_descriptors(place: usize) {
    let mut world = World::on(
        servers::shared(),
        place,
        deletable(place, 41, 4),
        &["--latency", "50ms"],
    );
    world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", "1");
    world.declare();
    let worker = world.start(&["worker"]);
    world.publish(&[json!({ "body": world.users[0].id })]);
    worker.await_log("finished");
    worker.limit(&format!("--nofile={}:", worker.descriptors()));
    world.publish_users(&world.users[1..]);
    worker.await_log("every user would meet this");
    worker.await_log("Too many open files");
    worker.limit("--nofile=1024:");
    promises::await_quiet(&world, PATIENCE);
    worker.await_ready();

    // Deliveries were in flight while the intake was paused and resumed.
    assert!(
        !worker.errors().contains("the intake broke"),
        "the broker was not the one at fault"
    );

    World::drain(worker);
    promises::assert_kept(&world, &servers::shared());
}

/// A world of files only.
fn local(place: usize, users: Vec<User>, flags: &[&str]) -> World {
    let mut world = World::on(servers::shared(), place, users, flags);
    world.use_file_stores();
    world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", "1");
    world
}

/// A write over the limit for files fails as one on a full disk does, instead of ending the process.
const HEEDLESS_OF_XFSZ: [&str; 4] = ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"];

trial!(
    "a run that is short of file descriptors or disk ends with status 3, and a second one ends all users right",
    short_runs
);

fn short_runs(place: usize) {
    let world = local(place, deletable(place, 30, 4), &["--latency", "100ms"]);
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

trial!(
    "a worker whose disk is full takes nobody, leaves nothing half-written, and continues by itself once there is space",
    a_full_disk
);

/// Some users' archives fit and others do not.
fn a_full_disk(place: usize) {
    let large =
        |number| User::new(place, number, Outcome::Deleted, 3).with_large_conversations(1_000_000);
    let mut users = deletable(place, 3, 4);
    users.extend([large(3), large(4)]);
    let mut world = World::with_topology(place, users);
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
    assert_eq!(world.dead_letters(), Vec::<serde_json::Value>::new());
}

trial!(
    "workers whose clocks are hours apart let nobody wait for hours",
    clocks_apart
);

/// Every user is delayed for some seconds at the first calls, by one worker or the other.
fn clocks_apart(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 20, 4));
    world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", "1");
    for user in 0..20 {
        world.strike(user, "get_routing_profile", 0, 3, &throttle(2));
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
        assert!(log.contains("finished"), "both ended some of the users");
        World::drain(worker);
    }
    promises::assert_kept(&world, &servers::shared());
}
