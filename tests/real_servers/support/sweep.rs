//! A worker that dies before and after every effect, one user for each failpoint.

use std::time::Duration;

use serde_json::json;

use super::failpoint::{die_at, died_at};
use super::process::Process;
use super::world::World;
use super::{eventually, promises};

const PATIENCE: Duration = Duration::from_mins(1);

/// The effects that every off-boarding has.
pub(crate) const EFFECTS: [&str; 9] = [
    "the claim",
    "the API write",
    "the S3 create",
    "the S3 part",
    "the S3 complete",
    "the S3 put",
    "the save",
    "the publish",
    "the acknowledgement",
];

/// The effect that only an off-boarding has that may delete.
pub(crate) const DELETION: &str = "the DELETE";

/// Before and after each of these effects.
pub(crate) fn around(effects: &[&str]) -> Vec<String> {
    let sides = |effect: &&str| ["before", "after"].map(|side| format!("{side} {effect}"));
    effects.iter().flat_map(sides).collect()
}

/// A worker dies at the first failpoint at the work on the first user; the next one has to finish this user and dies at
/// the next one, with the next user. They are counted in the order in which a worker gets there, which is not always the
/// same: those of `wanted` that were missed are tried by name at the end. The users that were not needed are taken out
/// of the world.
pub(crate) fn die_everywhere(
    world: &mut World,
    wanted: &[String],
    after_the_kill: impl FnMut(&World, &str),
) {
    let mut sweep = Sweep {
        wanted,
        died: Vec::new(),
        after_the_kill,
    };
    let mut by_name = None;
    for number in 0..world.users.len() {
        let point = by_name
            .take()
            .unwrap_or_else(|| (sweep.died.len() + 1).to_string());
        if let Some(worker) = sweep.dies(world, number, &point) {
            promises::await_quiet(world, PATIENCE);
            World::drain(worker);
            by_name = sweep.not_seen().into_iter().next();
            if by_name.is_none() {
                world.users.truncate(number + 1);
                return;
            }
        }
    }
    panic!("no worker died {:?}: {:#?}", sweep.not_seen(), sweep.died);
}

/// The same at these failpoints only, each with a user of its own; one user more ends undisturbed.
pub(crate) fn die_at_each(world: &mut World, points: &[String]) {
    let mut sweep = Sweep {
        wanted: points,
        died: Vec::new(),
        after_the_kill: |_: &World, _: &str| {},
    };
    for (number, point) in points.iter().enumerate() {
        let survivor = sweep.dies(world, number, point);
        assert!(survivor.is_none(), "no worker died {point}");
    }
    let last = points.len();
    world.users.truncate(last + 1);
    let worker = sweep.dies(world, last, "nowhere");
    let worker = worker.expect("a worker that does not die");
    promises::await_quiet(world, PATIENCE);
    World::drain(worker);
}

struct Sweep<'a, F> {
    wanted: &'a [String],
    died: Vec<String>,
    after_the_kill: F,
}

impl<F: FnMut(&World, &str)> Sweep<'_, F> {
    /// Publishes a user for a worker that dies at the work on it; the worker, if it does not.
    fn dies(&mut self, world: &World, number: usize, point: &str) -> Option<Process> {
        let id = world.users[number].id.clone();
        let mut worker = world.start_with(&["worker"], &die_at(&id, point));
        if let Some(before) = number.checked_sub(1) {
            await_end(world, &world.users[before].id, &worker);
            // Failpoints are counted in all work from then on: what is left of the users before must not be among it.
            eventually(PATIENCE, || match promises::busy_queues(world) {
                busy if busy.is_empty() => Ok(()),
                busy => Err(format!("{busy:?}; {}", worker.errors())),
            });
        }
        world.publish(&[json!({ "body": id })]);
        if !has_died(world, &mut worker, &id) {
            return Some(worker);
        }

        let errors = worker.errors();
        let point = died_at(&errors);
        let point = point.unwrap_or_else(|| panic!("it ended by itself: {errors}"));
        self.died.push(point.to_owned());
        (self.after_the_kill)(world, &id);
        None
    }

    fn not_seen(&self) -> Vec<String> {
        let wanted = self.wanted.iter();
        wanted
            .filter(|point| !self.died.contains(point))
            .cloned()
            .collect()
    }
}

/// Whether the worker dies at the work on a user, or ends it.
fn has_died(world: &World, worker: &mut Process, id: &str) -> bool {
    let mut quiet = 0;
    eventually(PATIENCE, || {
        // The last effects come after the manifest is stored and the queues are empty.
        let is_done = has_ended(world, id) && promises::busy_queues(world).is_empty();
        quiet = if is_done { quiet + 1 } else { 0 };
        match worker.ended() {
            Some(_) => Ok(true),
            None if quiet == 10 => Ok(false),
            None => Err(format!("neither killed nor done: {}", worker.errors())),
        }
    })
}

/// Whether the manifest of a user is stored.
fn has_ended(world: &World, id: &str) -> bool {
    world.objects().exists(&format!("{id}_audit.json"))
}

fn await_end(world: &World, id: &str, worker: &Process) {
    eventually(PATIENCE, || {
        if has_ended(world, id) {
            Ok(())
        } else {
            Err(worker.errors())
        }
    });
}
