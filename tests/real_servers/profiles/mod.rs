//! Every off-boarding scenario at the APIs of NICE and of Genesys. `make test-profiles` runs all of it; a run of all
//! trials has the smoke of each profile, and shows the others as ignored.
//!
//! Where adapter and simulator disagree, the document of the API decides.

mod archives;
mod clean;
mod genesys;
mod kills;
mod lost;
mod nice;
mod other_profile;
mod refused;
mod undo;
mod unknowns;

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::histories;
use crate::support::ledger::Repetition;
use crate::support::manifests;
use crate::support::population::User;
use crate::support::profile::Profile;
use crate::support::servers;
use crate::support::world::{Ended, World};

/// Registers a scenario for each of the profiles that are named. `on_request` is false for the smoke.
macro_rules! scenario {
    ($name:literal, $run:expr, on_request = $on_request:literal, seconds = $seconds:literal) => {
        crate::profiles::scenario!(@one "profiles: cxone: ", Cxone, $name, $run, $on_request, $seconds);
        crate::profiles::scenario!(@one "profiles: genesys: ", Genesys, $name, $run, $on_request, $seconds);
    };
    ($name:literal, $run:expr) => {
        crate::profiles::scenario!($name, $run, on_request = true, seconds = 0);
    };
    (cxone, $name:literal, $run:expr) => {
        crate::profiles::scenario!(@one "profiles: cxone: ", Cxone, $name, $run, true, 0);
    };
    (genesys, $name:literal, $run:expr) => {
        crate::profiles::scenario!(@one "profiles: genesys: ", Genesys, $name, $run, true, 0);
    };
    (@one $prefix:literal, $profile:ident, $name:literal, $run:expr, $on_request:literal, $seconds:literal) => {
        inventory::submit! {
            $crate::support::registry::Trial {
                name: concat!($prefix, $name),
                run: |place| $run($crate::support::profile::Profile::$profile, place),
                seconds: $seconds,
                on_request: $on_request,
            }
        }
    };
}
use scenario;

/// About twelve conversations a week: three pages in a window.
const SOME: usize = 600;

/// A user who has something of everything that access and routing can be made of.
fn user(profile: Profile, place: usize, number: usize) -> User {
    let user = User::new(place, number, profile.usual_end(), SOME);
    match profile {
        Profile::Cxone => {
            user.with(&json!({ "skills": 3, "groups": 2, "sessions": 1, "accessKeys": 2 }))
        }
        Profile::Genesys | Profile::Tutorial => {
            user.with(&json!({ "queues": 3, "groupQueues": 3, "skills": 2, "sessions": 2 }))
        }
    }
}

fn users(profile: Profile, place: usize, count: usize) -> Vec<User> {
    (0..count)
        .map(|number| user(profile, place, number))
        .collect()
}

/// Archives of three windows, the first of which begins in the middle of a day.
fn shorten_history(world: &mut World) {
    world.set("OFFBOARDER_CXONE_HISTORY", "14d");
    world.set("OFFBOARDER_CXONE_WINDOW", "7d");
}

/// A world of files only, without a queue.
fn files(profile: Profile, place: usize, users: Vec<User>, flags: &[&str]) -> World {
    let mut world = World::of(profile, servers::shared(), place, users, flags);
    shorten_history(&mut world);
    world.use_file_stores();
    world.unset("OFFBOARDER_QUEUE_URL");
    world
}

/// `offboarder run` of all users of the world.
fn run(world: &World) -> Ended {
    let ids = world.users.iter().map(|user| user.id.as_str());
    let arguments: Vec<&str> = ["run", "--output", "json"].into_iter().chain(ids).collect();
    world.run(&arguments)
}

/// Manifests, archives and histories of all users are as they have to be.
fn assert_well(world: &World, repetition: Repetition) {
    manifests::assert_true_in(world, &servers::shared(), Duration::ZERO);
    histories::assert_kept(world, repetition);
}

/// The row of a user in the answer of `run`.
fn row<'a>(answer: &'a Value, user: &User) -> &'a Value {
    let rows = answer["users"].as_array().expect("users");
    let row = rows.iter().find(|row| row["userId"] == user.id.as_str());
    row.unwrap_or_else(|| panic!("no row of {}: {answer:#}", user.id))
}
