//! Releases that fail for one user after the other, and users who fail for reasons of their own.

use serde_json::{Value, json};

use crate::support::failpoint::{PANIC_AT, RELEASE, TIME_SCALE};
use crate::support::population::{deletable, user_id};
use crate::support::process::{Process, tail};
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, http, list, promises, redis, servers, status, trial};

const BATCH: &str = "november";
const BAD_RELEASE: &str = "9.9.9";
const USERS: usize = 14;
/// The fifth user with one fault waits, and so do those before it who are not given up yet.
const MAX_DEAD: usize = 4;
const NEWER: &str = r#"{"schema":999,"news":true}"#;

trial!(
    "a release that panics dead-letters at most five users, and another release does the rest",
    a_release_that_panics,
    seconds = 60
);

fn a_release_that_panics(place: usize) {
    let mut world = World::with_topology(place, deletable(place, USERS, 4));
    submit(&world);
    let workers = [(); 2].map(|()| start_bad(&world, &[(PANIC_AT, "archive")]));
    for worker in &workers {
        worker.await_not_ready("[surge]");
    }
    // The access lane continues.
    world.await_calls("put_scim_user", USERS);
    assert_said(&world, &workers[0], "archive");

    let other = world.start(&["worker"]);
    other.await_ready();
    await_rest(&mut world, &other);
    assert_dead(&world, "panicked");
    for worker in workers.into_iter().chain([other]) {
        World::drain(worker);
    }
}

trial!(
    "a release that the tenant refuses dead-letters at most five users, and a lift lets it continue",
    a_release_that_is_refused,
    seconds = 40
);

fn a_release_that_is_refused(place: usize) {
    let mut world = World::with_topology(place, deletable(place, USERS, 4));
    world.strike_all("put_scim_user", &status(400));
    submit(&world);
    let worker = start_bad(&world, &[]);
    worker.await_not_ready("[surge]");
    assert_said(&world, &worker, "access");
    assert_dead(&world, "cxone_rejected");
    world
        .run(&["surge", "lift", "--release", "1.0.0"])
        .expect(1);

    world.end_faults();
    let lift = ["surge", "lift", "--release", BAD_RELEASE, "--why", "fixed"];
    let lifted = world.run(&lift).expect(0).output;
    assert!(lifted.contains(BAD_RELEASE), "{lifted}");
    worker.await_ready();
    await_rest(&mut world, &worker);
    assert_dead(&world, "cxone_rejected");
    let logged = world.audit_log(&[]);
    assert_eq!(
        (&logged[0]["what"], &logged[0]["why"]),
        (&json!("surge lift"), &json!("fixed"))
    );
    let nothing = world.run(&["surge", "lift"]).expect(0).output;
    assert!(nothing.contains("nothing was lifted"), "{nothing}");
    World::drain(worker);
}

trial!(
    "a release that writes a newer schema makes the older one dead-letter at most five users",
    a_release_that_writes_a_newer_schema,
    seconds = 40
);

fn a_release_that_writes_a_newer_schema(place: usize) {
    let mut world = World::with_topology(place, deletable(place, USERS, 4));
    world.set(TIME_SCALE, "60");
    let url = world.setting("OFFBOARDER_CHECKPOINTS_URL").to_owned();
    for user in &world.users {
        redis::set_body(&url, &user.id, NEWER);
    }
    submit(&world);
    let worker = start_bad(&world, &[]);
    worker.await_not_ready("[surge]");
    assert_said(&world, &worker, "access");
    // Probes fail again and again, and make no dead letter.
    eventually(PATIENCE, || {
        let said = worker.errors();
        match said.matches("every user would meet this").count() {
            3.. => Ok(()),
            times => Err(format!("stopped {times} times: {}", tail(&said))),
        }
    });
    assert_dead(&world, "checkpoint_unreadable");

    // As the runbook says. A probe then gets through by itself.
    let dead = dead(&world);
    for user in world.users.iter().filter(|user| !dead.contains(&user.id)) {
        redis::set_body(&url, &user.id, "");
    }
    await_rest(&mut world, &worker);
    worker.await_ready();
    assert_dead(&world, "checkpoint_unreadable");
    World::drain(worker);
}

trial!(
    "workers that cannot count in Redis dead-letter at most four users each",
    each_for_itself,
    seconds = 40
);

fn each_for_itself(place: usize) {
    let mut world = World::with_topology(place, deletable(place, USERS, 4));
    let url = world.setting("OFFBOARDER_CHECKPOINTS_URL").to_owned();
    let user = format!("for-itself-{place}");
    // Every key but `offboarder:{surge}:`.
    let keys = "~offboarder:[^{]* ~offboarder:{[^s]* ~offboarder:{s[^u]*";
    let rights = format!("ACL SETUSER {user} on >pw +@all {keys}");
    redis::ask(&url, &rights.split(' ').collect::<Vec<_>>());
    let limited = url.replace("redis://", &format!("redis://{user}:pw@"));
    world.set("OFFBOARDER_CHECKPOINTS_URL", &limited);
    submit(&world);
    let workers = [(); 2].map(|()| start_bad(&world, &[(PANIC_AT, "archive")]));
    for worker in &workers {
        worker.await_not_ready("[surge]");
        worker.await_log("a surge is counted by this worker for itself");
    }
    let dead = dead(&world).len();
    assert!(dead <= 2 * MAX_DEAD, "{dead}");
    for worker in workers {
        World::drain(worker);
    }
}

trial!(
    "users with wrong IDs and users whom the tenant refuses are no surge while others get through",
    faults_of_users,
    seconds = 30
);

fn faults_of_users(place: usize) {
    let world = World::with_topology(place, deletable(place, 12, 4));
    for user in 7..12 {
        world.strike(user, "put_scim_user", 0, 1_000_000, &status(400));
    }
    let worker = world.start(&["worker"]);
    let wrong = |number| json!({ "body": user_id(place, number) });
    world.publish(&(50..57).map(wrong).collect::<Vec<_>>());
    world.await_dead_letters(7);
    world.publish_users(&world.users[..7]);
    promises::await_quiet(&world, PATIENCE);
    world.publish_users(&world.users[7..]);
    world.await_dead_letters(12);
    let said = worker.errors();
    assert!(!said.contains("[surge]"), "{}", tail(&said));
    assert_eq!(http::not_ready_because(&worker.admin()), None);
    World::drain(worker);
}

fn submit(world: &World) {
    let ids: Vec<&str> = world.users.iter().map(|user| user.id.as_str()).collect();
    let submit = [&["submit", "--batch-id", BATCH], &ids[..]].concat();
    world.run(&submit).expect(0);
}

fn start_bad(world: &World, settings: &[(&str, &str)]) -> Process {
    let settings = settings.iter().chain(&[(RELEASE, BAD_RELEASE)]);
    let settings: Vec<_> = settings
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    world.start_with(&["worker"], &settings)
}

/// Metric, log and `batch show` name the surge.
fn assert_said(world: &World, worker: &Process, lane: &str) {
    let series = format!("offboarder_paused{{cause=\"surge\",lane=\"{lane}\"}}");
    eventually(PATIENCE, || {
        let sample = http::sample(&worker.admin(), &series);
        (sample == Some(1.0))
            .then_some(())
            .ok_or(format!("{series}: {sample:?}"))
    });
    let said = format!("release {BAD_RELEASE} was about to give up");
    worker.await_log(&said);
    eventually(PATIENCE, || {
        let shown = world.run(&["batch", "show", BATCH]).output;
        let is_said = shown.contains(&said) && shown.contains("[surge]");
        is_said.then_some(()).ok_or(shown)
    });
}

/// Waits until all but the dead letters are finished.
fn await_rest(world: &mut World, worker: &Process) {
    let dead = dead(world);
    eventually(PATIENCE, || {
        let (_, shown) = batch(world);
        if shown["finished"] == USERS - dead.len() {
            Ok(())
        } else {
            Err(format!("{shown}; {}", tail(&worker.errors())))
        }
    });
    promises::await_quiet(world, PATIENCE);
    world.users.retain(|user| !dead.contains(&user.id));
    promises::assert_manifests(world, &servers::shared());
}

fn batch(world: &World) -> (Option<i32>, Value) {
    let ended = world.run(&["batch", "show", BATCH, "--output", "json"]);
    (ended.code, ended.json())
}

/// Who is a dead letter.
fn dead(world: &World) -> Vec<String> {
    let found = world.json(&["dead-letters", "list"], 0);
    let found = list(&found["letters"]).iter();
    found
        .map(|dead| dead["userId"].as_str().expect("a user").to_owned())
        .collect()
}

#[track_caller]
fn assert_dead(world: &World, code: &str) {
    let found = world.json(&["dead-letters", "list"], 0);
    let dead = list(&found["letters"]);
    assert!(dead.len() <= MAX_DEAD, "{found}");
    assert!(dead.iter().all(|dead| dead["code"] == code), "{found}");
}
