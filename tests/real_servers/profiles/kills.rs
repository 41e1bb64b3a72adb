//! Workers that die before and after every effect, and users who end right all the same.

use super::{scenario, shorten_history, user};
use crate::support::contract::ContractProxy;
use crate::support::population::User;
use crate::support::profile::Profile;
use crate::support::sweep::{self, DELETION, EFFECTS};
use crate::support::world::World;
use crate::support::{promises, redis, servers};

/// More than there are failpoints.
const USERS: usize = 200;

scenario!(
    "killed at the effects that a crash hurts most, a user ends right, and nothing is left over",
    a_few_kills,
    on_request = false,
    seconds = 40
);

/// All that comes and goes keeps to the document, also what is sent again.
fn a_few_kills(profile: Profile, place: usize) {
    let points = sweep::around(&["the API write", "the save", "the acknowledgement"]);
    let users = (0..=points.len()).map(|number| user(profile, place, number));
    let mut world = world(profile, place, users.collect());
    let proxy = ContractProxy::before(&mut world);
    sweep::die_at_each(&mut world, &points);
    promises::assert_kept(&world, &servers::shared());
    proxy.assert_kept();
}

scenario!(
    "killed before and after every effect, a user ends right, and nothing is left over",
    with_redis_kept,
    on_request = true,
    seconds = 300
);

fn with_redis_kept(profile: Profile, place: usize) {
    everywhere(profile, place, |_, _| {});
}

scenario!(
    "killed before and after every effect with a Redis that forgot everything each time, a user ends right",
    with_redis_flushed,
    on_request = true,
    seconds = 300
);

fn with_redis_flushed(profile: Profile, place: usize) {
    everywhere(profile, place, |world, _| {
        redis::forget(world.setting("OFFBOARDER_CHECKPOINTS_URL"));
    });
}

fn world(profile: Profile, place: usize, users: Vec<User>) -> World {
    let mut world = World::of(profile, servers::shared(), place, users, &[]);
    shorten_history(&mut world);
    world.set("OFFBOARDER_WORKER_LEASE", "1s");
    world.declare();
    world
}

/// About six large conversations each: an archive of two parts.
fn everywhere(profile: Profile, place: usize, after_the_kill: impl FnMut(&World, &str)) {
    let users = (0..USERS).map(|number| {
        user(profile, place, number)
            .with(&serde_json::json!({ "conversations": 156, "conversationBytes": 1_100_000 }))
    });
    let mut world = world(profile, place, users.collect());
    let deletion: &[&str] = if profile == Profile::Cxone {
        &[]
    } else {
        &[DELETION]
    };
    let wanted = sweep::around(&[&EFFECTS[..], deletion].concat());
    sweep::die_everywhere(&mut world, &wanted, after_the_kill);
    promises::assert_kept(&world, &servers::shared());
}
