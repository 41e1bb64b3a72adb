//! The decision between deletion and reactivation.

use std::collections::VecDeque;

use super::actions::Offboarding;
use super::broken_rules::Rule;
use super::world::{Act, NOW, World};
use crate::machine::samples::cancelled;
use crate::machine::{Checkpoint, Event, Step};
use crate::manifest::Fate;
use crate::worker::run::commands::Command;

impl Offboarding {
    /// The decision that a worker stores before its DELETE, and what follows.
    pub(super) fn decide(
        &self,
        world: &mut World,
        checkpoint: &mut Checkpoint,
        step: Step,
        source: usize,
    ) -> VecDeque<Act> {
        match world.fate.get_or_insert(Fate::Delete) {
            Fate::Delete => VecDeque::from([Act::Do(Command::Perform(step))]),
            Fate::Reactivate => self.plan(checkpoint, Event::Cancelled(cancelled(NOW)), source),
        }
    }

    /// Whether a worker decides before its DELETE.
    pub(super) fn decides(&self, world: &World) -> bool {
        world.has_image && self.broken != Some(Rule::DecideBeforeTheDeletion)
    }
}
