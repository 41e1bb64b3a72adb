//! What has to hold whatever went wrong, looked at from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use serde_json::{Value, json};

use super::eventually;
use super::helper::Helper;
use super::ledger::{self, Repetition};
use super::manifests;
use super::population::User;
use super::servers::Servers;
use super::world::{RESULTS, World};

const DEAD: &str = "offboarding.dead";

/// Queues that work is left in, in hands or not; letters that are dead wait for nobody.
pub(crate) fn busy_queues(world: &World) -> Vec<String> {
    let in_use = world.queues_in_use();
    in_use
        .into_iter()
        .filter(|queue| !queue.starts_with(&format!("{DEAD}:")))
        .collect()
}

/// Waits until no work is left, at three looks in a row, since the queues are not looked at in one moment.
pub(crate) fn await_quiet(world: &World, patience: Duration) {
    await_quiet_while(world, patience, || {});
}

/// The same, with something to be done at each look.
pub(crate) fn await_quiet_while(world: &World, patience: Duration, mut tend: impl FnMut()) {
    let mut quiet = 0;
    eventually(patience, || {
        tend();
        let busy = busy_queues(world);
        quiet = if busy.is_empty() { quiet + 1 } else { 0 };
        if quiet == 3 {
            Ok(())
        } else {
            Err(format!("still at work: {busy:?}"))
        }
    });
}

/// Judges every promise, also after one was found broken; panics with what was broken of each.
pub(crate) fn assert_kept(world: &World, servers: &Servers) {
    type Promise = fn(&World, &Servers);
    let promises: [(&str, Promise); 6] = [
        ("no queue holds anything", |world, _| {
            assert_eq!(busy_queues(world), Vec::<String>::new())
        }),
        ("nobody becomes a dead letter", |world, _| {
            assert_no_letters(world)
        }),
        ("one manifest each, and a true one", assert_manifests),
        ("each end is announced, and no other", assert_announced),
        (
            "nothing is deleted twice, or before its archive",
            assert_histories,
        ),
        ("no upload is left open", assert_no_uploads),
    ];
    let broken = promises.into_iter().filter_map(|(name, promise)| {
        let panic = catch_unwind(AssertUnwindSafe(|| promise(world, servers))).err()?;
        let text = panic
            .downcast_ref::<String>()
            .map_or("no text", String::as_str);
        Some(format!("{name}: {text}"))
    });
    let broken: Vec<String> = broken.collect();
    assert!(broken.is_empty(), "promises broken:\n{}", broken.join("\n"));
}

fn assert_no_letters(world: &World) {
    let letters = world.letters(DEAD);
    let told: Vec<String> = letters
        .iter()
        .map(|letter| {
            let header = |name: &str| letter["headers"][format!("x-offboarder-{name}")].to_string();
            format!(
                "{} {} {} {}",
                letter["body"],
                header("reason"),
                header("state"),
                header("error")
            )
        })
        .collect();
    assert!(
        letters.is_empty(),
        "{} dead letters, first: {:#?}",
        letters.len(),
        &told[..told.len().min(10)]
    );
}

/// Every user has a manifest that is true.
pub(crate) fn assert_manifests(world: &World, servers: &Servers) {
    let archive = world.setting("OFFBOARDER_ARCHIVE_URL");
    manifests::assert_true_on(
        servers,
        &world.simulator,
        archive,
        &world.users,
        Duration::ZERO,
    );
}

/// At least once each, with the same id; the manifests stand, so the events must tell of these.
fn assert_announced(world: &World, _: &Servers) {
    let events = world.letters(RESULTS);
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for event in &events {
        let event: Value =
            serde_json::from_str(event["body"].as_str().expect("a body")).expect("JSON");
        let id = event["id"].as_str().expect("an id");
        if event["type"] == "offboarding.user.dead-lettered" {
            continue; // Of letters that were replayed since.
        }
        let end = event["data"]["status"].to_string();
        told.entry(id.to_owned()).or_default().insert(end);
    }
    let end = |user: &User| {
        if user.fate.is_deleted() {
            "\"Deleted\""
        } else {
            "\"DeactivatedOnly\""
        }
    };
    let expected: BTreeMap<String, BTreeSet<String>> = world
        .users
        .iter()
        .map(|user| (format!("{}/1", user.id), [end(user).to_owned()].into()))
        .collect();
    let missing: Vec<_> = expected
        .iter()
        .filter(|(id, end)| told.get(*id) != Some(end))
        .take(5)
        .collect();
    assert!(
        missing.is_empty(),
        "of {} events none tells, or one tells otherwise: {missing:?}",
        events.len()
    );
    let others: Vec<_> = told
        .iter()
        .filter(|(id, _)| !expected.contains_key(*id))
        .take(5)
        .collect();
    assert!(others.is_empty(), "events of nobody: {others:?}");
}

fn assert_histories(world: &World, servers: &Servers) {
    ledger::assert_histories(&world.simulator, &world.users, Repetition::Chaos);
    let written = stored(world, servers)["written"].clone();
    let mut broken = Vec::new();
    for (id, begun) in ledger::first_deletions(&world.simulator) {
        for kind in ["", "_sealed"] {
            // S3 tells the second, so what was written within the same second passes.
            let written = written[format!("{id}{kind}.json")]
                .as_str()
                .unwrap_or("never");
            if written > begun.as_str() {
                broken.push(format!(
                    "{id}: DELETE at {begun}, {id}{kind}.json at {written}"
                ));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

fn assert_no_uploads(world: &World, servers: &Servers) {
    assert_eq!(
        stored(world, servers)["uploads"],
        json!([]),
        "multipart uploads that nobody ended"
    );
}

fn stored(world: &World, servers: &Servers) -> Value {
    let archive = world.setting("OFFBOARDER_ARCHIVE_URL");
    Helper::new("stored.py")
        .arg(archive)
        .envs(servers.aws_settings())
        .answer("")
}
