//! A replay that dies before and after each of its effects.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::{ask, refused};
use crate::support::failpoint::{TIME_SCALE, die_at, died_at};
use crate::support::ledger::{self, Repetition};
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, list, promises, servers, trial};

const USERS: &str = "offboarding.users";

/// The effects of a replay.
const EFFECTS: [&str; 3] = ["the note", "the publish", "the acknowledgement"];

trial!(
    "a replay killed before and after every effect loses and doubles no dead letter",
    killed
);

fn killed(place: usize) {
    let world = refused(place, 16);
    assert_two_copies_are_one_job(&world);

    world.end_faults();
    let mut died_at = BTreeSet::new();
    let mut published = 0;
    for (number, user) in world.users.iter().enumerate() {
        let Some(point) = replay_killed(&world, &user.id, &(number + 1).to_string()) else {
            break;
        };
        assert_replayed_after(&world, &user.id, &point);

        let now = world.depth(USERS).expect("a depth");
        let copies = now - published;
        let is_doubtful = ["after the publish", "before the note"].contains(&point.as_str());
        assert!(
            copies == 1 || (is_doubtful && copies == 2),
            "{copies} copies of one that was killed {point}"
        );
        published = now;
        died_at.insert(point);
    }
    let wanted = EFFECTS
        .iter()
        .flat_map(|effect| ["before", "after"].map(|side| format!("{side} {effect}")));
    assert!(
        died_at.is_superset(&wanted.collect()),
        "points: {died_at:?}"
    );

    let rest = ask(&world, &["replay", "--all", "--anyway"], 0);
    assert!(!list(&rest["moved"]).is_empty(), "{rest:#}");
    let worker = world.start(&["worker"]);
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    promises::assert_kept(&world, &servers::shared());
    ledger::assert_histories(&world.simulator, &world.users, Repetition::AfterCrash);
}

/// A user who fails again, after both copies of the message.
fn assert_two_copies_are_one_job(world: &World) {
    let stubborn = &world.users[15].id;
    replay_killed(world, stubborn, "after the publish");
    ask(world, &["replay", "--anyway", "--user", stubborn], 0);
    assert_eq!(
        world.depth(USERS),
        Some(2),
        "killed before it could note that it was published"
    );

    let worker = world.start(&["worker"]);
    promises::await_quiet(world, PATIENCE);
    World::drain(worker);
    let listed = ask(world, &["list", "--user", stubborn], 0);
    assert_eq!(list(&listed["letters"]).len(), 1, "{listed:#}");
}

/// The user's dead letter is there after a replay of it was killed, and a second replay moves it.
fn assert_replayed_after(world: &World, id: &str, point: &str) {
    // The last acknowledgement may or may not have reached the broker. What follows it is the audit
    // log, and before that the note about the group.
    let is_acknowledged = point == "after the acknowledgement"
        || point.ends_with("the note of the group")
        || point.contains("S3");
    let listed = eventually(Duration::from_secs(30), || {
        let listed = world.run(&["dlq", "list", "--user", id, "--output", "json"]);
        let listed = listed.json();
        if !list(&listed["letters"]).is_empty() || is_acknowledged {
            Ok(listed)
        } else {
            Err(format!("lost {point}"))
        }
    });
    let is_left_over = point == "before the acknowledgement" || is_acknowledged;
    let as_expected = |one: &Value| one["leftOver"] == is_left_over || point == "after the note";
    assert!(
        list(&listed["letters"]).iter().all(as_expected),
        "{point}: {listed:#}"
    );

    let again = world.run(&[
        "dlq", "replay", "--anyway", "--user", id, "--output", "json",
    ]);
    assert!(
        again.code == Some(0) || is_acknowledged,
        "{point}: {}{}",
        again.output,
        again.errors
    );
    assert_eq!(again.json()["skipped"], json!([]), "{point}");
    let left = ask(world, &["list", "--user", id], 1);
    assert_eq!(left["letters"], json!([]), "{point}: it stays");
}

/// Where a replay of one user's dead letter died; `None` when it came to its end.
fn replay_killed(world: &World, id: &str, point: &str) -> Option<String> {
    let replay = ["dead-letters", "replay", "--anyway", "--user", id];
    // The next replay does not wait long for the lease of this one.
    let scaled = (TIME_SCALE.to_owned(), "8".to_owned());
    let settings = die_at(id, point).into_iter().chain([scaled]);
    let mut replay = world.start_with(&replay, &settings.collect::<Vec<_>>());
    let ended = replay.end(PATIENCE);
    let errors = replay.errors();
    let point = died_at(&errors);
    assert!(point.is_some() || ended.code() == Some(0), "{errors}");
    point.map(str::to_owned)
}
