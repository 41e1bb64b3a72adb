//! What has to hold whatever went wrong, as an outsider sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use serde_json::Value;

use super::eventually;
use super::histories;
use super::ledger::{self, Repetition};
use super::manifests;
use super::objects::Objects;
use super::population::User;
use super::profile::Profile;
use super::servers::Servers;
use super::world::{DEAD, RESULTS, World};

/// Queues that hold work, ready or in flight. Dead letters are not work: no worker takes them.
pub(crate) fn busy_queues(world: &World) -> Vec<String> {
    let in_use = world.queues_in_use();
    in_use
        .into_iter()
        .filter(|queue| !queue.starts_with(&format!("{DEAD}:")))
        .collect()
}

/// Waits until no work is left. It has to be so three times in a row, since the node counts one queue
/// after the other while messages move between them.
pub(crate) fn await_quiet(world: &World, patience: Duration) {
    await_quiet_while(world, patience, || {});
}

/// The same, with something to be done before each count.
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

/// Checks every promise, also after one was found broken; panics with what is broken of each.
pub(crate) fn assert_kept(world: &World, servers: &Servers) {
    type Promise = fn(&World, &Servers);
    let promises: [(&str, Promise); 6] = [
        ("no queue holds anything", |world, _| {
            assert_eq!(busy_queues(world), Vec::<String>::new());
        }),
        ("there is no dead letter", |world, _| {
            assert_no_dead_letters(world);
        }),
        (
            "each user has one manifest, and it is true",
            assert_manifests,
        ),
        (
            "each end has its event, and nothing else has",
            assert_events,
        ),
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

fn assert_no_dead_letters(world: &World) {
    let dead_letters = world.dead_letters();
    let shown = dead_letters.iter().take(10).map(|message| {
        let header = |name: &str| message["headers"][format!("x-offboarder-{name}")].to_string();
        let why = ["reason", "state", "error"].map(header).join(" ");
        format!("{} {why}", message["body"])
    });

    assert!(
        dead_letters.is_empty(),
        "{} dead letters, first: {:#?}",
        dead_letters.len(),
        shown.collect::<Vec<_>>()
    );
}

/// Every user has a manifest that is true.
pub(crate) fn assert_manifests(world: &World, servers: &Servers) {
    manifests::assert_true_in(world, servers, Duration::ZERO);
}

/// At least one event for each user that says that the access is gone, and one of the end: all with the same ID, and all
/// with the end that the manifest has.
fn assert_events(world: &World, _: &Servers) {
    let events = world.messages(RESULTS);
    let mut ends: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut access_gone = BTreeSet::new();
    for event in &events {
        let body = event["body"].as_str().expect("a body");
        let event: Value = serde_json::from_str(body).expect("JSON");
        let id = event["id"].as_str().expect("an ID");
        match event["type"].as_str() {
            Some("offboarding.user.access-removed") => {
                access_gone.insert(id.to_owned());
                continue;
            }
            // The dead letter was replayed since.
            Some("offboarding.user.dead-lettered" | "offboarding.batch.finished") => continue,
            _ => {}
        }
        let end = event["data"]["status"].to_string();
        ends.entry(id.to_owned()).or_default().insert(end);
    }

    let end = |user: &User| {
        if user.outcome.is_deleted() {
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
        .filter(|(id, end)| ends.get(*id) != Some(end))
        .take(5)
        .collect();
    assert!(
        missing.is_empty(),
        "{} events, but none with such an end, or one with another: {missing:?}",
        events.len()
    );

    let expected_gone: BTreeSet<String> = world
        .users
        .iter()
        .map(|user| format!("{}/1/access-removed", user.id))
        .collect();
    assert_eq!(access_gone, expected_gone, "events of removed access");

    let others: Vec<_> = ends
        .keys()
        .filter(|id| !expected.contains_key(*id))
        .collect();
    assert!(others.is_empty(), "events of unknown users: {others:?}");
}

fn assert_histories(world: &World, servers: &Servers) {
    match world.profile {
        Profile::Tutorial => {
            ledger::assert_histories(&world.simulator, &world.users, Repetition::Chaos);
        }
        Profile::Cxone | Profile::Genesys => histories::assert_kept(world, Repetition::Chaos),
    }

    let written = objects(world, servers).first_written();
    let mut broken = Vec::new();
    for (id, begun) in ledger::first_deletions(&world.simulator) {
        for kind in ["", "_sealed"] {
            // S3 gives whole seconds, so what was written within the same second passes.
            let written = written.get(&format!("{id}{kind}.json"));
            let written = written.map_or("never", String::as_str);
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
        objects(world, servers).open_uploads(),
        Vec::<String>::new(),
        "multipart uploads that are open"
    );
}

fn objects(world: &World, servers: &Servers) -> Objects {
    Objects::at(world.setting("OFFBOARDER_ARCHIVE_URL"), servers)
}
