//! What happened to a batch, in periods of equal length: over its life, but not longer than the last 48 hours.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::tally::{percentile, seconds};
use super::{Known, Overview, Summary};
use crate::job::BatchId;
use crate::operations::part::Part;
use crate::registers::audit_log::AuditEntry;

/// Older times are in no period.
pub(crate) const HISTORY_LASTS: SignedDuration = SignedDuration::from_hours(48);
/// A chart of more periods is not readable.
const PERIODS_AT_MOST: i64 = 96;
/// The lengths of periods, in minutes. The last one is enough for 48 hours.
const LENGTHS: [i64; 6] = [1, 2, 5, 10, 15, 30];

/// What happened to the users of a batch, and what operators changed, in periods of equal length
///
/// From the first user on, but not longer than the last 48 hours.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BatchHistory {
    pub batch_id: BatchId,
    /// When it was read. The last period is not over.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
    /// Users whose checkpoints this release cannot read: they are in no period.
    pub unreadable: u64,
    /// The length of a period, in seconds.
    pub period_seconds: u64,
    /// Oldest first.
    pub periods: Vec<PeriodOfBatch>,
    /// The entries of the audit log of this time that name the batch or a user of it, or pause or resume all workers; newest
    /// first.
    pub audit_log: Part<Vec<AuditEntry>>,
}

/// What happened in a period
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PeriodOfBatch {
    /// When the period began.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Users who were finished.
    pub finished: u64,
    /// Users whose access was removed.
    pub access_removed: u64,
    /// The time within which the access of 95 of 100 of them was removed, in seconds; null if nobody's was.
    pub access_removed_p95_seconds: Option<f64>,
}

/// The periods of a batch.
#[derive(Debug)]
pub(crate) struct Periods {
    /// The length of each.
    seconds: u64,
    /// Oldest first.
    all: Vec<PeriodOfBatch>,
}

impl BatchHistory {
    /// What was read of the batch, and what operators changed.
    pub(crate) fn new(
        overview: &Overview,
        periods: &Periods,
        audit_log: Part<Vec<AuditEntry>>,
    ) -> Self {
        let Overview {
            batch_id,
            as_of,
            unreadable,
            ..
        } = overview;
        Self {
            batch_id: batch_id.clone(),
            as_of: *as_of,
            unreadable: *unreadable,
            period_seconds: periods.seconds,
            periods: periods.all.clone(),
            audit_log,
        }
    }
}

/// Since when a batch has a history.
pub(crate) fn history_begins(begun_at: Timestamp, now: Timestamp) -> Timestamp {
    begun_at.clamp(now - HISTORY_LASTS, now)
}

/// The sums so far, period by period.
pub(super) struct Sums {
    batch_id: BatchId,
    /// When the first period began, in minutes since 1970.
    first: i64,
    length: i64,
    periods: Vec<Sum>,
}

#[derive(Clone, Default)]
struct Sum {
    finished: u64,
    access_removed: u64,
    took_ms: Vec<u64>,
}

impl Sums {
    pub(super) fn new(batch_id: BatchId, begun_at: Timestamp, now: Timestamp) -> Self {
        let minute = |at: Timestamp| at.as_second().div_euclid(60);
        let since = minute(history_begins(begun_at, now));
        let minutes = minute(now) - since + 1;
        let fits = |length: &&i64| minutes <= **length * PERIODS_AT_MOST;
        let length = *LENGTHS.iter().find(fits).unwrap_or(&30);
        let first = since.div_euclid(length) * length;
        let count = (minute(now) - first) / length + 1;
        Self {
            batch_id,
            first,
            length,
            periods: vec![Sum::default(); usize::try_from(count).unwrap_or(1)],
        }
    }

    pub(super) fn add(&mut self, known: &Known) {
        let Known::Summary(summary) = known else {
            return;
        };
        // The results of an earlier request are not of this batch.
        if summary.batch_id.as_ref() != Some(&self.batch_id) {
            return;
        }
        let Summary {
            finished_at,
            access_removed_at,
            ..
        } = summary;
        if let Some(period) = self.period(*finished_at) {
            period.finished += 1;
        }
        if let Some(period) = self.period(*access_removed_at) {
            period.access_removed += 1;
            period.took_ms.extend(summary.access_took_ms());
        }
    }

    fn period(&mut self, at: Option<Timestamp>) -> Option<&mut Sum> {
        let after = at?.as_second().div_euclid(60) - self.first;
        let place = usize::try_from(after.div_euclid(self.length)).ok()?;
        self.periods.get_mut(place)
    }

    pub(super) fn finish(self) -> Periods {
        let starts = (self.first..).step_by(usize::try_from(self.length).unwrap_or(1));
        let periods = starts.zip(self.periods).map(|(minute, mut sum)| {
            sum.took_ms.sort_unstable();
            PeriodOfBatch {
                at: Timestamp::from_second(minute * 60).unwrap_or(Timestamp::UNIX_EPOCH),
                finished: sum.finished,
                access_removed: sum.access_removed,
                access_removed_p95_seconds: percentile(&sum.took_ms, 95).map(seconds),
            }
        });
        let length = u64::try_from(self.length).unwrap_or(1);
        Periods {
            seconds: Duration::from_mins(length).as_secs(),
            all: periods.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::StateName;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn known(batch: &str, asked: i64, removed: i64) -> Known {
        Known::Summary(Summary {
            batch_id: Some(batch.parse().unwrap()),
            state: StateName::Deactivated,
            requested_at: Some(at(asked)),
            access_removed_at: Some(at(removed)),
            finished_at: Some(at(removed + 60)),
            wait: None,
            dead_letter: None,
            deletion: None,
            cancelled_at: None,
            updated_at: at(0),
        })
    }

    fn history(begun: i64, now: i64, users: &[Known]) -> Periods {
        let mut sums = Sums::new("b".parse().unwrap(), at(begun), at(now));
        for user in users {
            sums.add(user);
        }
        sums.finish()
    }

    #[test]
    fn a_long_life_has_longer_periods_and_never_more_than_48_hours() {
        for (life, seconds, periods) in [
            (0, 60, 1),
            (95 * 60, 60, 96),
            (96 * 60, 120, 49),
            (10 * 3600, 600, 61),
            (47 * 3600, 1800, 95),
            (9_000 * 3600, 1800, 97),
        ] {
            let now = 36_000_000;
            let history = history(now - life, now, &[]);
            assert_eq!(history.seconds, seconds, "{life}");
            assert_eq!(history.all.len(), periods, "{life}");
            assert!(history.all[periods - 1].at <= at(now), "{life}");
        }
        // A clock that is behind makes one period, and no panic.
        assert_eq!(history(9_000, 60, &[]).all.len(), 1);
    }

    #[test]
    fn each_user_is_in_the_period_of_the_removal_and_the_percentile_is_of_that_period() {
        let mut users: Vec<Known> = (1..=20).map(|took| known("b", 0, took)).collect();
        users.push(known("b", 0, 61));
        users.push(known("another", 0, 61));
        users.push(Known::Unreadable);
        let history = history(0, 150, &users);
        let shown: Vec<_> = history
            .all
            .iter()
            .map(|period| {
                let p95 = period.access_removed_p95_seconds;
                (period.access_removed, period.finished, p95)
            })
            .collect();
        assert_eq!(
            shown,
            [(20, 0, Some(19.0)), (1, 20, Some(61.0)), (0, 1, None)]
        );
    }
}
