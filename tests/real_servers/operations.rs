//! Operations on a worker: they survive it, and can be stopped and slowed.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::dead_letters::fail_calls;
use crate::support::failpoint::MANY_DEAD_LETTERS;
use crate::support::population::{deletable, user_id};
use crate::support::process::Process;
use crate::support::world::{DEAD, PATIENCE, World};
use crate::support::{eventually, list, promises, redis, servers, status, trial};

const USERS: &str = "offboarding.users";

/// A worker, and dead letters of these users. Workers take no user as long as the pause is in force, so that what an
/// operation publishes can be counted.
fn paused_with_dead_letters(place: usize, count: usize) -> (World, Process) {
    let mut world = World::with_topology(place, deletable(place, count, 4));
    world.set(MANY_DEAD_LETTERS.0, MANY_DEAD_LETTERS.1);
    (0..count).for_each(|user| fail_calls(&world, user, "get_routing_profile", &status(400)));
    let worker = world.start(&["worker"]);
    world.publish_all();
    world.await_dead_letters(count);
    world.end_faults();
    world.run(&["pause", "--why", "to count"]).expect(0);
    worker.await_not_ready("to count");
    (world, worker)
}

/// The ID of a replay of all dead letters that was begun and left.
fn begin(world: &World, arguments: &[&str]) -> String {
    let replay = ["dead-letters", "replay", "--all", "--anyway", "--detach"];
    let begun = world.json(&[&replay[..], arguments, &["--why", "fixed"]].concat(), 0);
    begun["operation"].as_str().expect("an ID").to_owned()
}

fn show(world: &World, id: &str) -> Value {
    world.json(&["operations", "show", id], 0)
}

/// Waits until that many items are done; the operation.
fn await_done(world: &World, id: &str, count: u64) -> Value {
    eventually(PATIENCE, || match show(world, id) {
        shown if shown["done"].as_u64() >= Some(count) => Ok(shown),
        shown => Err(format!("{shown:#}")),
    })
}

fn await_state(world: &World, id: &str, state: &str) -> Value {
    eventually(PATIENCE, || match show(world, id) {
        shown if shown["state"] == state => Ok(shown),
        shown => Err(format!("{shown:#}")),
    })
}

/// Each of these users has one message in the queue of the access lane, and no more.
fn assert_published_once(world: &World, users: usize) {
    let published = world.messages(USERS);
    let bodies: Vec<String> = published
        .iter()
        .map(|message| message["body"].as_str().expect("a body").to_owned())
        .collect();
    let distinct: BTreeSet<&String> = bodies.iter().collect();
    assert_eq!(
        (bodies.len(), distinct.len()),
        (users, users),
        "{bodies:#?}"
    );
}

trial!(
    "an operation continues on another worker after a kill, with each message published once",
    taken_over
);

fn taken_over(place: usize) {
    let (world, first) = paused_with_dead_letters(place, 30);
    let second = world.start(&["worker"]);
    second.await_not_ready("to count");
    let id = begin(&world, &["--rate", "4/s"]);
    let shown = await_done(&world, &id, 8);
    let by = shown["by"].as_str().expect("a worker").to_owned();
    let mut workers = [first, second];
    workers.sort_by_key(|worker| name_of(&world, worker) != by);
    let [mut killed, other] = workers;
    killed.signal("KILL");
    killed.end(PATIENCE);

    let ended = await_state(&world, &id, "done");
    assert_eq!(ended["counts"], json!({ "moved": 30 }), "{ended:#}");
    assert_eq!(ended["takenUp"], 2, "{ended:#}");
    assert_ne!(ended["by"], by, "{ended:#}");
    assert_eq!(list(&ended["results"]).len(), 30);
    assert_published_once(&world, 30);

    let entries = world.audit_log(&[]);
    let of_replay = entries.iter().filter_map(|entry| {
        let what = entry["what"].as_str()?;
        what.starts_with("dead-letters replay")
            .then_some([&entry["what"], &entry["count"]])
    });
    let expected = [
        [&json!("dead-letters replay ended"), &json!(30)],
        [&json!("dead-letters replay"), &json!(30)],
    ];
    assert_eq!(of_replay.collect::<Vec<_>>(), expected);

    world.run(&["resume", "--why", "counted"]).expect(0);
    promises::await_quiet(&world, PATIENCE);
    World::drain(other);
    promises::assert_manifests(&world, &servers::shared());
}

/// The name under which a worker reports itself.
fn name_of(world: &World, worker: &Process) -> String {
    // It ends with 1 while the workers are paused.
    let workers = world.run(&["workers", "--output", "json"]).json();
    let admin = worker.admin();
    let named = list(&workers["workers"]).iter().find(|one| {
        let listen = one["listen"].as_str().unwrap_or_default();
        admin.ends_with(listen)
    });
    named.expect("it is listed")["name"]
        .as_str()
        .expect("a name")
        .to_owned()
}

trial!(
    "an operation survives a Redis that forgets, and can be slowed and stopped",
    forgotten
);

fn forgotten(place: usize) {
    let (world, worker) = paused_with_dead_letters(place, 24);
    let id = begin(&world, &["--rate", "4/s"]);
    await_done(&world, &id, 5);
    redis::forget(world.setting("OFFBOARDER_CHECKPOINTS_URL"));
    let shown = await_done(&world, &id, 8);
    assert_eq!(shown["state"], "running", "{shown:#}");

    let slow = ["operations", "rate", &id, "--rate", "1/m", "--why", "slow"];
    world.run(&slow).expect(0);
    let rate = await_state(&world, &id, "running")["rate"].clone();
    assert_eq!(rate, "1/m");
    let stop = ["operations", "stop", &id, "--why", "enough"];
    let stopped = world.json(&stop, 0);
    assert_eq!(stopped["state"], "stopped", "{stopped:#}");
    assert_eq!(stopped["stop"]["why"], "enough");
    let moved = stopped["counts"]["moved"].as_u64().expect("a count");
    let skipped = stopped["counts"]["skipped"].as_u64().expect("a count");
    assert_eq!(moved + skipped, 24, "{stopped:#}");
    assert!((8..24).contains(&moved), "{stopped:#}");
    world.await_dead_letters(usize::try_from(skipped).expect("a count"));
    assert_eq!(world.depth(USERS), Some(moved));
    assert_published_once(&world, usize::try_from(moved).expect("a count"));
    world.run(&["operations", "stop", &id]).expect(1);

    // What is left is replayed by the next operation, which the command follows.
    let rest = [
        "dead-letters",
        "replay",
        "--all",
        "--anyway",
        "--why",
        "fixed",
    ];
    let report = world.json(&rest, 0);
    assert_eq!(list(&report["moved"]).len() as u64, skipped, "{report:#}");
    assert_published_once(&world, 24);
    let listed = world.json(&["operations", "list"], 0);
    let states: Vec<&Value> = list(&listed["operations"])
        .iter()
        .map(|one| &one["state"])
        .collect();
    assert_eq!(states, ["done", "stopped"]);
    World::drain(worker);
}

trial!(
    "a worker that starts continues the operation of a command that was killed, or checks and discards for one",
    for_a_command
);

fn for_a_command(place: usize) {
    let (world, worker) = paused_with_dead_letters(place, 6);
    World::drain(worker);
    let replay = [
        "dead-letters",
        "replay",
        "--all",
        "--anyway",
        "--rate",
        "30/m",
    ];
    let mut killed = world.start(&replay);
    eventually(PATIENCE, || match world.depth(USERS) {
        Some(1..) => Ok(()),
        depth => Err(format!("{depth:?} replayed: {}", killed.errors())),
    });
    killed.signal("KILL");
    killed.end(PATIENCE);
    let listed = world.json(&["operations", "list"], 0);
    let id = listed["operations"][0]["id"]
        .as_str()
        .expect("an ID")
        .to_owned();
    let stopped = world.run(&["operations", "rate", &id, "--rate", "100/s"]);
    stopped.expect(0);

    let worker = world.start(&["worker"]);
    let ended = await_state(&world, &id, "done");
    assert_eq!(ended["counts"], json!({ "moved": 6 }), "{ended:#}");
    assert_published_once(&world, 6);
    assert_eq!(world.depth(DEAD), Some(0));

    let unknown = user_id(place, 99);
    world.publish(&[json!({ "body": unknown })]);
    world.run(&["resume", "--why", "counted"]).expect(0);
    world.await_dead_letters(1);
    promises::await_quiet(&world, PATIENCE);
    let discard = ["dead-letters", "discard", "--all", "--why", "a test"];
    let discarded = world.json(&discard, 0);
    assert_eq!(list(&discarded["discarded"]).len(), 1, "{discarded:#}");
    assert_eq!(world.depth(DEAD), Some(0));

    let checked = world.json(&["verify", "--all", "--why", "an audit"], 0);
    assert_eq!(checked["totals"]["users"], 6, "{checked:#}");
    let operations = world.json(&["operations", "list"], 0);
    let kinds: Vec<&Value> = list(&operations["operations"])
        .iter()
        .map(|one| &one["kind"])
        .collect();
    assert_eq!(kinds, ["verify", "discard", "replay"]);
    let verify = operations["operations"][0]["id"].as_str().expect("an ID");
    let shown = show(&world, verify);
    assert_eq!(shown["counts"], json!({ "sound": 6 }), "{shown:#}");
    let what: Vec<Value> = world
        .audit_log(&["--limit", "2"])
        .iter()
        .map(|one| one["what"].clone())
        .collect();
    assert_eq!(what, ["verify ended", "verify"]);
    World::drain(worker);
}
