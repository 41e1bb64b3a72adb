//! Dead letters: which messages become some, and what operators do with them.

mod becoming;
mod coming_back;
mod deciding;
mod discarding;
mod grouping;
mod listing;
mod replaying;
mod replaying_killed;

use serde_json::Value;

use crate::support::population::deletable;
use crate::support::status;
use crate::support::world::World;

/// `offboarder dead-letters ARGUMENT...`, which has to end with this status.
#[track_caller]
fn ask(world: &World, arguments: &[&str], code: i32) -> Value {
    world.json(&[&["dead-letters"], arguments].concat(), code)
}

/// Makes every call of an operation fail for a user, until the world ends its faults.
pub(crate) fn fail_calls(world: &World, user: usize, operation: &str, fault: &Value) {
    world.strike(user, operation, 0, 1_000_000, fault);
}

/// Users who are all dead letters, refused at their first step; no worker runs.
fn refused(place: usize, count: usize) -> World {
    let world = World::with_topology(place, deletable(place, count, 4));
    (0..count).for_each(|user| fail_calls(&world, user, "get_routing_profile", &status(400)));

    let worker = world.start(&["worker"]);
    world.publish_all();
    world.await_dead_letters(count);
    World::drain(worker);
    world
}
