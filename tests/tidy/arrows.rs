//! Which room of the crate may use which. The picture is in docs/ARCHITECTURE.md.

use std::collections::BTreeSet;

use crate::imports::{crates, imports};
use crate::no_faults;
use crate::source::{Module, modules, shown};

/// Rooms that every other room may use, since they know nothing of off-boarding.
const LEAVES: [&str; 13] = [
    "address",
    "clock",
    "failpoint",
    "failure",
    "integrity",
    "limits",
    "printable",
    "profile",
    "progress",
    "random",
    "secret",
    "signed_note",
    "telemetry",
];

/// Each room, and the rooms below it that it may use besides [`LEAVES`].
const ARROWS: [(&str, &[&str]); 17] = [
    ("job", &[]),
    ("people", &[]),
    ("machine", &["job"]),
    ("manifest", &["job", "machine"]),
    ("guards", &["job", "machine", "manifest", "people"]),
    ("ports", &["job", "machine", "manifest", "guards", "queue"]),
    ("queue", &["job", "machine", "manifest", "guards"]),
    (
        "archive",
        &["job", "machine", "manifest", "guards", "ports"],
    ),
    (
        "registers",
        &["job", "machine", "manifest", "guards", "ports", "people"],
    ),
    ("evidence_log", &["job", "machine", "manifest", "ports"]),
    (
        "steps",
        &[
            "job",
            "machine",
            "manifest",
            "guards",
            "ports",
            "archive",
            "queue",
            "registers",
        ],
    ),
    (
        "worker",
        &[
            "job",
            "machine",
            "manifest",
            "guards",
            "ports",
            "archive",
            "queue",
            "registers",
            "steps",
        ],
    ),
    (
        "operations",
        &[
            "job",
            "people",
            "machine",
            "manifest",
            "guards",
            "ports",
            "archive",
            "queue",
            "registers",
            "steps",
        ],
    ),
    (
        "adapters",
        &["job", "machine", "manifest", "guards", "ports", "queue"],
    ),
    (
        "admin",
        &[
            "job",
            "people",
            "machine",
            "manifest",
            "guards",
            "ports",
            "queue",
            "registers",
            "steps",
            "worker",
            "evidence_log",
            "operations",
        ],
    ),
    ("config", &["job", "machine", "manifest", "guards"]),
    ("simulator", &[]),
];

/// Of the leaves, what each may use.
const BELOW_LEAVES: [(&str, &[&str]); 13] = [
    ("address", &["failure", "limits", "secret"]),
    ("clock", &[]),
    ("failpoint", &[]),
    ("failure", &[]),
    ("integrity", &["failure", "secret", "job"]),
    ("limits", &["failure"]),
    ("printable", &[]),
    ("profile", &[]),
    ("progress", &[]),
    ("random", &[]),
    ("secret", &[]),
    ("signed_note", &[]),
    (
        "telemetry",
        &[
            "clock",
            "failure",
            "job",
            "limits",
            "machine",
            "people",
            "printable",
            "secret",
        ],
    ),
];

/// Crates of vendors, and the only places that may name them.
const DOORS: [(&str, &[&str]); 12] = [
    ("aws_lc_rs", &["src/signed_note/", "src/adapters/tls"]),
    ("jsonwebtoken", &["src/admin/jwt"]),
    ("lapin", &["src/adapters/amqp/"]),
    ("redis", &["src/adapters/redis/"]),
    ("redb", &["src/adapters/embedded/"]),
    ("aws_sdk_kms", &["src/adapters/kms/"]),
    ("aws_sdk_s3", &["src/adapters/s3/"]),
    ("aws_config", &["src/adapters/aws/"]),
    ("reqwest", &["src/adapters/", "src/cli/healthcheck.rs"]),
    ("clap", &["src/cli/"]),
    ("axum", &["src/admin/", "src/simulator/"]),
    ("opentelemetry_otlp", &["src/telemetry/"]),
];

fn may_use(room: &str, used: &str) -> bool {
    let listed = |table: &[(&str, &[&str])]| {
        table
            .iter()
            .find(|(name, _)| *name == room)
            .map(|(_, below)| below.contains(&used))
    };
    match listed(&BELOW_LEAVES) {
        Some(below) => below,
        None => LEAVES.contains(&used) || listed(&ARROWS) == Some(true),
    }
}

/// The command line puts the parts together; only its composition names adapters.
fn cli_may_use(file: &str, used: &str) -> bool {
    used != "adapters" || file.starts_with("src/cli/compose")
}

fn room(path: &[String]) -> &str {
    path.first().map_or("lib", String::as_str)
}

#[test]
fn rooms_use_only_what_is_below_them() {
    let modules = modules();
    let mut faults = BTreeSet::new();
    let mut arrows = BTreeSet::new();

    for module in modules.values() {
        let file = shown(&module.file);
        let from = room(&module.path);
        for import in imports(module, &modules) {
            let to = room(&import.module);
            if from == to || from == "lib" {
                continue;
            }
            arrows.insert((from.to_owned(), to.to_owned()));
            let allowed = match from {
                "cli" => cli_may_use(&file, to),
                _ => may_use(from, to),
            };
            if !allowed {
                faults.insert(format!("  {from} -> {to}: {file} uses {}", import.written));
            }
        }
    }

    println!("{} arrows between rooms", arrows.len());
    no_faults(
        "rooms use only what is below them",
        "move what is used into a room below both, or behind a port; docs/ARCHITECTURE.md has the map",
        &faults.into_iter().collect::<Vec<_>>(),
    );
}

#[test]
fn every_room_is_on_the_map() {
    let modules = modules();
    let known = |name: &str| {
        LEAVES.contains(&name) || name == "cli" || ARROWS.iter().any(|(room, _)| *room == name)
    };
    let rooms: BTreeSet<&str> = modules
        .keys()
        .filter_map(|path| path.first())
        .map(String::as_str)
        .collect();
    let faults: Vec<String> = rooms
        .iter()
        .filter(|name| !known(name))
        .map(|name| format!("  src/{name}"))
        .collect();

    println!("{} rooms", rooms.len());
    no_faults(
        "every room is on the map",
        "give it a row in tests/tidy/arrows.rs and in docs/ARCHITECTURE.md",
        &faults,
    );
}

#[test]
fn each_vendor_crate_has_one_door() {
    let modules = modules();
    let mut faults = Vec::new();
    for module in modules.values() {
        let file = shown(&module.file);
        let local = |name: &str| is_local(module, name);
        for name in crates(module).iter().filter(|name| !local(name)) {
            if let Some((_, doors)) = DOORS.iter().find(|(vendor, _)| vendor == name)
                && !doors.iter().any(|door| file.starts_with(door))
            {
                faults.push(format!("  {file} names the crate {name}"));
            }
        }
    }
    no_faults(
        "each vendor crate has one door",
        "put a type or a trait of ours between; tests/tidy/arrows.rs lists the doors",
        &faults,
    );
}

/// Whether the name is that of a child module, such as `adapters::redis`.
fn is_local(module: &Module, name: &str) -> bool {
    module.syntax.items.iter().any(|item| match item {
        syn::Item::Mod(child) => child.ident == name,
        _ => false,
    })
}

#[test]
fn the_pure_rooms_may_not_use_what_is_above_them() {
    assert!(!may_use("machine", "ports") && !may_use("ports", "worker"));
    assert!(!may_use("adapters", "config") && !may_use("adapters", "steps"));
    assert!(!may_use("worker", "operations") && !may_use("operations", "worker"));
    assert!(may_use("worker", "steps") && may_use("admin", "operations"));
    assert!(!cli_may_use("src/cli/plan.rs", "adapters"));
}
