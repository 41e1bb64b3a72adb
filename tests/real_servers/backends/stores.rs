//! S3 servers: those that keep an archive have to work, and all others to be refused before the first user.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use super::{Fault, off_board, world};
use crate::support::servers::Servers;
use crate::support::world::World;
use crate::support::{parts, repository, table, trial};

#[derive(Clone, Copy)]
enum Bucket {
    Plain,
    /// With versions and Object Lock, and a retention set.
    Locked,
}

trial!(
    "backends: SeaweedFS with Object Lock: a hundred users, killed in mid-batch",
    |place| {
        let program = repository(".venv/bin/weed");
        // `version 8000GB 4.48 linux amd64`
        let version = said(&program, &["version"]);
        let version = version.split_whitespace().nth(2).unwrap_or("of no version");
        table::backend(format!("SeaweedFS {version}"));
        let servers = Servers::start(place..=place).into();
        works(place, &servers, Bucket::Locked, Fault::Killed);
    },
    on_request
);

trial!(
    "backends: MiniStack with Object Lock and a KMS key: a hundred users, frozen in mid-batch",
    |place| {
        if let Some(servers) = other(place, "ministack", Bucket::Locked) {
            with_a_kms_key(place, &servers);
        }
    },
    on_request
);

trial!(
    "backends: moto: a hundred users, frozen in mid-batch",
    |place| {
        if let Some(servers) = other(place, "moto", Bucket::Plain) {
            works(place, &servers, Bucket::Plain, Fault::Frozen);
        }
    },
    on_request
);

trial!(
    "backends: s3s-fs: a hundred users, killed in mid-batch",
    |place| {
        if let Some(servers) = other(place, "s3s-fs", Bucket::Plain) {
            let world = works(place, &servers, Bucket::Plain, Fault::Killed);
            let report = world.json(&["verify", "--all"], 0);
            let unseen = report["cannotFind"].to_string();
            assert!(unseen.contains("does not list versions"), "{unseen}");
            table::verdict("works; `verify` cannot see older versions, and says so");
        }
    },
    on_request
);

trial!(
    "backends: moto with Object Lock: a hundred users, frozen in mid-batch",
    |place| {
        if let Some(servers) = other(place, "moto", Bucket::Locked) {
            works(place, &servers, Bucket::Locked, Fault::Frozen);
        }
    },
    on_request
);

trial!(
    "backends: Garage: refused before the first user",
    |place| refused(place, "garage", Bucket::Plain, "ignores If-None-Match"),
    on_request
);

trial!(
    "backends: Ceph RGW: refused before the first user",
    |place| refused(
        place,
        "ceph",
        Bucket::Plain,
        "at the completion of a multipart upload"
    ),
    on_request
);

trial!(
    "backends: Ceph RGW with versions and Object Lock: refused before the first user",
    |place| refused(place, "ceph", Bucket::Locked, "ignores If-None-Match"),
    on_request
);

/// The servers with another S3 server; nothing if it could not be had.
fn other(place: usize, name: &str, bucket: Bucket) -> Option<Arc<Servers>> {
    if !parts::has(name) {
        return None;
    }
    table::backend(said(&repository("tests/s3_server.sh"), &[name, "version"]));
    let kind = match bucket {
        Bucket::Plain => "plain",
        Bucket::Locked => "locked",
    };
    let others = [("S3_SERVER", name), ("S3_BUCKET", kind)];
    let others = others.map(|(variable, value)| (variable, OsStr::new(value)));
    Some(Servers::start_others(place..=place, &others).into())
}

/// What a program says that it is.
fn said(program: &Path, arguments: &[&str]) -> String {
    let said = Command::new(program).args(arguments).output();
    let said = String::from_utf8_lossy(&said.expect("it runs").stdout).into_owned();
    said.trim().to_owned()
}

fn world_of(place: usize, servers: &Arc<Servers>, bucket: Bucket) -> World {
    let mut world = world(servers, place);
    if let Bucket::Locked = bucket {
        world.set("OFFBOARDER_ARCHIVE_RETENTION", "governance:1d");
    }
    world.declare();
    world
}

fn works(place: usize, servers: &Arc<Servers>, bucket: Bucket, fault: Fault) -> World {
    let world = world_of(place, servers, bucket);
    off_board(&world, servers, fault, "s3");
    world
}

/// Archives and manifests are encrypted with it.
fn with_a_kms_key(place: usize, servers: &Arc<Servers>) {
    const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/0f3d7ac2-8d33-4a09-8d5c-2f7c5a4d5e6f";

    let mut world = world_of(place, servers, Bucket::Locked);
    world.set("OFFBOARDER_ARCHIVE_KMS_KEY", KEY);
    off_board(&world, servers, Fault::Frozen, "s3");
    for user in &world.users {
        for name in [
            format!("{}.json", user.id),
            format!("{}_audit.json", user.id),
        ] {
            assert_eq!(
                world.objects().kms_key(&name).as_deref(),
                Some(KEY),
                "{name}"
            );
        }
    }
}

/// `doctor` and the worker name the reason, and nobody is touched.
fn refused(place: usize, name: &str, bucket: Bucket, reason: &str) {
    let Some(servers) = other(place, name, bucket) else {
        return;
    };
    let world = world_of(place, &servers, bucket);
    world.publish_all();
    let doctor = world.run(&["doctor"]).expect(1);
    assert!(doctor.output.contains(reason), "{}", doctor.output);
    let worker = world.start(&["worker"]);
    worker.await_log("no users are taken until this is over");
    assert!(worker.errors().contains(reason), "{}", worker.errors());
    worker.await_readyz(503);
    World::drain(worker);
    assert_eq!(world.changes(), 0, "changes at the tenant");
    table::verdict(format!("refused: {reason}"));
}
