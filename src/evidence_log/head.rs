//! What a writer remembers of the log.

use std::collections::BTreeSet;

use jiff::Timestamp;
use uuid::Uuid;

use super::announcement::{LATE, time_of};
use super::step::{Added, MOST_RECORDS, Step};
use super::tree::Frontier;

/// The log as this process knows it.
#[derive(Debug, Clone, Default)]
pub(super) struct Head {
    pub(super) number: u32,
    pub(super) tree: Frontier,
    /// The last number that is a step of ours, with its checkpoint.
    pub(super) step: u32,
    pub(super) checkpoint: String,
    /// When the last step was made.
    pub(super) at: Timestamp,
    /// It had room for no more, so that the next one need not wait.
    pub(super) is_full: bool,
    /// All announcements before this are in the log, but for those that are late.
    pub(super) until: Timestamp,
    /// The announcements that are in the log and that a listing may show again.
    pub(super) logged: BTreeSet<Uuid>,
}

impl Head {
    pub(super) fn begin_at(&mut self, number: u32, step: Step) {
        self.until = step.heading().map_or(self.until, |heading| heading.until);
        self.number = number;
        self.tree = step.tree;
        self.step = number;
        self.checkpoint = step.checkpoint;
    }

    pub(super) fn absorb(&mut self, number: u32, step: Step, added: &Added) {
        self.number = number;
        self.tree = step.tree;
        self.step = number;
        self.checkpoint = step.checkpoint;
        self.at = added.heading.at;
        self.is_full = added.records.len() >= MOST_RECORDS;
        self.until = self.until.max(added.heading.until);
        self.logged
            .extend(added.records.iter().map(|record| record.id));
        let oldest = oldest(self.until);
        self.logged
            .retain(|announcement| time_of(*announcement) >= oldest);
    }
}

/// What a listing begins with, with a margin.
pub(super) fn oldest(until: Timestamp) -> Timestamp {
    until.saturating_sub(LATE * 2).unwrap_or(until)
}
