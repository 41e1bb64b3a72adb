//! Adds up the users of a batch.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use jiff::Timestamp;

use super::{
    AccessRange, AccessTimes, DeadLetters, Known, Overview, Standing, StillHaveAccess, Summary,
    Waiting,
};
use crate::failure::Reason;
use crate::job::BatchId;
use crate::machine::StateName;
use crate::operations::target::ACCESS_TARGET;

/// The rate is computed over this time, or over the time since the first user was finished.
const RATE_WINDOW_MS: i64 = 15 * 60 * 1000;
/// A rate over less time than this would be meaningless.
const MIN_WINDOW_MS: i64 = 1000;

const STATES: [StateName; 6] = [
    StateName::Received,
    StateName::QueuesCleared,
    StateName::Deactivated,
    StateName::Archived,
    StateName::Deleted,
    StateName::DeactivatedOnly,
];

/// The sums so far. It keeps two numbers per user, so that its size does not depend on the records.
pub(crate) struct Tally {
    overview: Overview,
    waiting: BTreeMap<String, Waiting>,
    dead: BTreeMap<&'static str, DeadLetters>,
    access_ms: Vec<u64>,
    access_last: Option<Timestamp>,
    /// How many users still have access, and when the first of them was asked for.
    have_access: (u64, Option<Timestamp>),
    finished_ms: Vec<i64>,
}

impl Tally {
    /// An empty tally of a batch, at `now`.
    pub(crate) fn new(batch_id: BatchId, begun_at: Option<Timestamp>, now: Timestamp) -> Self {
        let overview = Overview {
            batch_id,
            as_of: now,
            begun_at,
            users: 0,
            not_begun: 0,
            under_way: 0,
            finished: 0,
            unreadable: 0,
            cancelled: 0,
            states: STATES.into_iter().map(|state| (state, 0)).collect(),
            deletions: BTreeMap::new(),
            waiting: Vec::new(),
            dead_letters: Vec::new(),
            access_removed: None,
            still_have_access: None,
            finished_per_minute: None,
            time_left_seconds: None,
        };
        Self {
            overview,
            waiting: BTreeMap::new(),
            dead: BTreeMap::new(),
            access_ms: Vec::new(),
            access_last: None,
            have_access: (0, None),
            finished_ms: Vec::new(),
        }
    }

    /// Users of whom nothing is stored, the first of whom was added at `since`.
    pub(crate) fn add_not_begun(&mut self, users: u64, since: Timestamp) {
        self.overview.users += users;
        self.overview.not_begun += users;
        self.add_access(users, since);
    }

    /// A user that was added to the batch at `added_at`.
    pub(crate) fn add(&mut self, known: &Known, added_at: Timestamp) {
        match known {
            Known::Nothing => self.add_not_begun(1, added_at),
            Known::Unreadable => {
                self.overview.users += 1;
                self.overview.unreadable += 1;
            }
            Known::Summary(summary) => {
                self.overview.users += 1;
                self.add_summary(summary);
                if summary.access_since().is_some() {
                    self.add_access(1, summary.requested_at.unwrap_or(added_at));
                }
            }
        }
    }

    /// Users who still have access, the first of whom was asked for at `since`.
    fn add_access(&mut self, users: u64, since: Timestamp) {
        self.have_access.0 += users;
        let first = self.have_access.1.map_or(since, |first| first.min(since));
        self.have_access.1 = Some(first);
    }

    fn add_summary(&mut self, summary: &Summary) {
        *self.overview.states.entry(summary.state).or_default() += 1;
        if let Some(outcome) = summary.deletion {
            *self.overview.deletions.entry(outcome).or_default() += 1;
        }
        match (
            summary.standing(self.overview.as_of),
            summary.dead_letter,
            &summary.wait,
        ) {
            (Standing::DeadLetter, Some(reason), _) => self.add_dead(reason),
            (Standing::Waiting, _, Some(wait)) => self.add_waiting(&wait.why, wait.until),
            (Standing::Finished, _, _) => self.overview.finished += 1,
            (Standing::Cancelled, _, _) => self.overview.cancelled += 1,
            (_, _, _) => self.overview.under_way += 1,
        }
        // The results of an earlier request say nothing about the speed of this batch.
        if summary.batch_id.as_ref() != Some(&self.overview.batch_id) {
            return;
        }
        self.finished_ms
            .extend(summary.finished_at.map(Timestamp::as_millisecond));

        if let Some(gone) = summary.access_removed_at {
            self.access_last = self.access_last.max(Some(gone));
            self.access_ms.extend(summary.access_took_ms());
        }
    }

    fn add_dead(&mut self, reason: Reason) {
        self.dead
            .entry(reason.as_str())
            .or_insert(DeadLetters { reason, users: 0 })
            .users += 1;
    }

    fn add_waiting(&mut self, why: &str, until: Timestamp) {
        match self.waiting.entry(why.to_owned()) {
            Entry::Vacant(entry) => {
                let why = why.to_owned();
                entry.insert(Waiting {
                    why,
                    users: 1,
                    first_until: until,
                    last_until: until,
                });
            }
            Entry::Occupied(mut entry) => {
                let waiting = entry.get_mut();
                waiting.users += 1;
                waiting.first_until = waiting.first_until.min(until);
                waiting.last_until = waiting.last_until.max(until);
            }
        }
    }

    pub(crate) fn finish(mut self) -> Overview {
        let mut overview = self.overview;
        overview.waiting = self.waiting.into_values().collect();
        overview
            .waiting
            .sort_by_key(|waiting| std::cmp::Reverse(waiting.users));
        overview.dead_letters = self.dead.into_values().collect();
        overview
            .dead_letters
            .sort_by_key(|group| std::cmp::Reverse(group.users));
        self.access_ms.sort_unstable();
        overview.access_removed = self.access_last.and_then(|last_at| {
            Some(AccessTimes {
                users: self.access_ms.len() as u64,
                p50_seconds: seconds(percentile(&self.access_ms, 50)?),
                p95_seconds: seconds(percentile(&self.access_ms, 95)?),
                longest_seconds: seconds(percentile(&self.access_ms, 100)?),
                last_at,
                target_seconds: ACCESS_TARGET.as_secs(),
                within_target: self
                    .access_ms
                    .partition_point(|ms| Duration::from_millis(*ms) <= ACCESS_TARGET)
                    as u64,
                histogram: AccessRange::histogram(&self.access_ms),
            })
        });
        overview.still_have_access = self.have_access.1.map(|since| StillHaveAccess {
            users: self.have_access.0,
            since,
            longest_seconds: overview.as_of.duration_since(since).as_secs_f64().max(0.0),
        });
        overview.finished_per_minute = per_minute(&self.finished_ms, overview.as_of);
        overview.time_left_seconds = time_left(&overview);

        overview
    }
}

/// The percentile by nearest rank.
pub(super) fn percentile(sorted: &[u64], of_hundred: usize) -> Option<u64> {
    let rank = (sorted.len() * of_hundred).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of 285,000 years are exact"
)]
pub(super) fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

/// Users finished per minute, in the rate window.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts and milliseconds far under 2^53"
)]
fn per_minute(finished_ms: &[i64], now: Timestamp) -> Option<f64> {
    let now_ms = now.as_millisecond();
    let first = *finished_ms.iter().min()?;
    let since = first.max(now_ms - RATE_WINDOW_MS);
    let count = finished_ms
        .iter()
        .filter(|at| (since..=now_ms).contains(*at))
        .count();
    let minutes = (now_ms - since).max(MIN_WINDOW_MS) as f64 / 60_000.0;
    (count > 0).then(|| count as f64 / minutes)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate in whole seconds, never negative"
)]
fn time_left(overview: &Overview) -> Option<u64> {
    let left = overview.left();
    if left == 0 {
        return Some(0);
    }
    let at_rate = left as f64 / overview.finished_per_minute? * 60.0;
    let waits = overview
        .waiting
        .iter()
        .map(|waiting| waiting.last_until)
        .max();
    let waits = waits.map_or(0, |until| until.duration_since(overview.as_of).as_secs());
    Some((at_rate.ceil() as u64).max(u64::try_from(waits).unwrap_or(0)))
}

#[cfg(test)]
#[path = "tally_tests.rs"]
mod tests;
