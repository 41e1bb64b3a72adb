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

use crate::support::failpoint::MANY_DEAD_LETTERS;
use crate::support::population::deletable;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, status};

/// `offboarder dead-letters ARGUMENT...`, which has to end with this status. What a command read is ready again a moment
/// after it ended: this waits for that, since the next command has to see all.
#[track_caller]
fn ask(world: &World, arguments: &[&str], code: i32) -> Value {
    let answer = world.json(&[&["dead-letters"], arguments].concat(), code);
    eventually(PATIENCE, || match world.dead_letters_in_flight() {
        0 => Ok(()),
        count => Err(format!("{count} dead letters are still in flight")),
    });
    answer
}

/// Makes every call of an operation fail for a user, until the world ends its faults.
pub(crate) fn fail_calls(world: &World, user: usize, operation: &str, fault: &Value) {
    world.strike(user, operation, 0, 1_000_000, fault);
}

/// Users who are all dead letters, refused at their first step; no worker runs.
fn refused(place: usize, count: usize) -> World {
    let mut world = World::with_topology(place, deletable(place, count, 4));
    world.set(MANY_DEAD_LETTERS.0, MANY_DEAD_LETTERS.1);
    (0..count).for_each(|user| fail_calls(&world, user, "get_routing_profile", &status(400)));

    let worker = world.start(&["worker"]);
    world.publish_all();
    world.await_dead_letters(count);
    World::drain(worker);
    world
}
