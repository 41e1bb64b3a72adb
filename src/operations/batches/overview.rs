//! The progress of a batch, as it is shown.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::failure::Reason;
use crate::job::BatchId;
use crate::machine::{DeletionOutcome, StateName};
use crate::operations::fleet::Fleet;
use crate::registers::BatchPause;
use crate::telemetry::minutes::{ACCESS_RANGES, range_of};

/// The progress of a batch
///
/// Each user counts as one of `notBegun`, `underWay`, `waiting`, `finished`, `cancelled`, `deadLetters` and `unreadable`.
/// `states` counts the last completed steps of the users who have begun.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Overview {
    /// The name of the batch.
    pub batch_id: BatchId,
    /// The time of these numbers.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
    /// When the first user was submitted.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub begun_at: Option<Timestamp>,
    /// The number of users.
    pub users: u64,
    /// Users that no worker has started.
    pub not_begun: u64,
    /// Users that a worker works on, or that are in a queue.
    pub under_way: u64,
    /// Users with a terminal state and a stored manifest.
    pub finished: u64,
    /// Users whose request an operator cancelled.
    pub cancelled: u64,
    /// Users with a checkpoint that this release cannot read.
    pub unreadable: u64,
    /// The number of users by last completed step, including those with a dead letter.
    pub states: BTreeMap<StateName, u64>,
    /// The number of deletions by outcome.
    pub deletions: BTreeMap<DeletionOutcome, u64>,
    /// The users who wait, by cause; largest number first.
    pub waiting: Vec<Waiting>,
    /// The users with a dead letter, by reason; largest number first.
    pub dead_letters: Vec<DeadLetters>,
    /// The time from the request to the deactivation, of the users whose access is removed.
    pub access_removed: Option<AccessTimes>,
    /// The users whose access is not removed yet, whether they wait, have not begun or have a dead letter; null if there are
    /// none. Those that are `cancelled` or `unreadable` are not counted.
    pub still_have_access: Option<StillHaveAccess>,
    /// Users finished per minute, in the last 15 minutes.
    pub finished_per_minute: Option<f64>,
    /// The estimated time until all users are finished, at that rate, and not before the last wait is over. Null if no user
    /// was finished in the last 15 minutes, or if the fleet is stopped; zero if all users are done.
    pub time_left_seconds: Option<u64>,
}

/// Users that wait for the same cause
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Waiting {
    /// A failure code of the runbook, or `not_due`, `brake` (the deletion rate limit), `access_first`, `not_converged`, `deletion_pending`, `batch_paused`, `request_limit`, `not_approved`, `plan_moved` and the other words that begin with `plan_`.
    pub why: String,
    /// The number of users.
    pub users: u64,
    /// When the first of these users continues.
    #[schema(value_type = String, format = DateTime)]
    pub first_until: Timestamp,
    /// When the last of these users continues.
    #[schema(value_type = String, format = DateTime)]
    pub last_until: Timestamp,
}

/// Users with dead letters of the same reason
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeadLetters {
    /// The reason of the dead letters.
    pub reason: Reason,
    /// The number of users.
    pub users: u64,
}

/// How long it took to remove access
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccessTimes {
    /// The number of users whose access is removed.
    pub users: u64,
    /// The median, in seconds.
    pub p50_seconds: f64,
    /// The 95th percentile, in seconds.
    pub p95_seconds: f64,
    /// The maximum, in seconds.
    pub longest_seconds: f64,
    /// When the access of the last user was removed.
    #[schema(value_type = String, format = DateTime)]
    pub last_at: Timestamp,
    /// The target: access is to be removed within this many seconds of the request. It is that of `offboarder report` without
    /// `--sla`.
    pub target_seconds: u64,
    /// The number of users whose access was removed within the target.
    pub within_target: u64,
    /// How many users were in each range of time, from the shortest one.
    pub histogram: Vec<AccessRange>,
}

/// Users whose access was removed within a range of time
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccessRange {
    /// The end of the range, which begins at the end of the one before; null if it has no end.
    pub up_to_seconds: Option<u64>,
    /// The number of users.
    pub users: u64,
}

impl AccessRange {
    /// The ranges of these times.
    pub(super) fn histogram(access_ms: &[u64]) -> Vec<Self> {
        let ends = ACCESS_RANGES.into_iter().map(Some).chain([None]);
        let mut ranges: Vec<Self> = ends
            .map(|up_to_seconds| Self {
                up_to_seconds,
                users: 0,
            })
            .collect();
        for ms in access_ms {
            let after = Duration::from_millis(*ms);
            if let Some(range) = ranges.get_mut(range_of(after)) {
                range.users += 1;
            }
        }
        ranges
    }
}

/// The users who still have access
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StillHaveAccess {
    /// The number of users.
    pub users: u64,
    /// When the first of them was asked for.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// How long that is ago.
    pub longest_seconds: f64,
}

/// The progress of a batch, and the state of the fleet that works on it
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BatchProgress {
    #[serde(flatten)]
    pub overview: Overview,
    /// The pause of this batch; null if it is not paused. If it is, `timeLeftSeconds` is null.
    pub pause: Option<BatchPause>,
    /// What keeps users waiting now. If it is stopped, `timeLeftSeconds` is null.
    pub fleet: Fleet,
}

impl BatchProgress {
    /// A fleet that is stopped and a batch that is paused need an unknown time, whatever the rate was before.
    pub(crate) fn new(mut overview: Overview, pause: Option<BatchPause>, fleet: Fleet) -> Self {
        if (fleet.stopped || pause.is_some()) && overview.left() > 0 {
            overview.time_left_seconds = None;
        }
        Self {
            overview,
            pause,
            fleet,
        }
    }
}

impl Overview {
    /// The number of users with a dead letter.
    pub(crate) fn dead(&self) -> u64 {
        self.dead_letters.iter().map(|group| group.users).sum()
    }

    /// The number of users on whom workers still have to work.
    pub(crate) fn left(&self) -> u64 {
        let waiting: u64 = self.waiting.iter().map(|waiting| waiting.users).sum();
        self.not_begun + self.under_way + waiting
    }
}
