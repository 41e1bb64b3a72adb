//! The dead letters of an operation, by their positions in its set.

use std::collections::HashMap;

use super::{DeadLetter, DeadLetterId};
use crate::operations::tracker::{Item, Tracker};

/// Which dead letters of a set are to do.
pub(super) struct Items<'a> {
    numbers: HashMap<&'a DeadLetterId, u64>,
    open: Vec<&'a DeadLetter>,
}

impl<'a> Items<'a> {
    /// Those without a result.
    pub(super) fn open(set: &'a [DeadLetter], tracker: &Tracker) -> Self {
        let numbered = || (0..).zip(set);
        let open = numbered().filter(|(number, _)| tracker.result(*number).is_none());
        Self {
            numbers: numbered()
                .map(|(number, dead_letter)| (&dead_letter.id, number))
                .collect(),
            open: open.map(|(_, dead_letter)| dead_letter).collect(),
        }
    }

    pub(super) fn dead_letters(&self) -> Vec<DeadLetter> {
        self.open.iter().copied().cloned().collect()
    }

    pub(super) fn number(&self, dead_letter: &DeadLetter) -> u64 {
        let number = self.numbers.get(&dead_letter.id);
        number.copied().unwrap_or(u64::MAX)
    }

    pub(super) fn item<'b>(&self, dead_letter: &'b DeadLetter) -> Item<'b> {
        Item {
            number: self.number(dead_letter),
            dead_letter: Some(dead_letter.id.as_str()),
            user_id: dead_letter.user_id,
        }
    }
}
