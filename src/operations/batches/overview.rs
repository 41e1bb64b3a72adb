use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::failure::Reason;
use crate::job::BatchId;
use crate::machine::{DeletionOutcome, StateName};

/// How far a batch is. Each user is in one of `notBegun`, `underWay`, `waiting`, `finished`, `deadLetters` and
/// `unreadable`; of those who are begun, `states` counts the last completed steps.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Overview {
    /// Its name.
    pub batch_id: BatchId,
    /// When this was looked at.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
    /// When its first user was sent.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub begun_at: Option<Timestamp>,
    /// How many there are.
    pub users: u64,
    /// Those that no worker has taken yet.
    pub not_begun: u64,
    /// Those that are in a worker's hands, or in a queue on their way there.
    pub under_way: u64,
    /// Terminal, and the manifest is stored.
    pub finished: u64,
    /// Those with a checkpoint that this release cannot read.
    pub unreadable: u64,
    /// The last completed step of those who are begun, whatever became of them since.
    pub states: BTreeMap<StateName, u64>,
    /// How deletions ended.
    pub deletions: BTreeMap<DeletionOutcome, u64>,
    /// Those who wait, and what for; the longest list first.
    pub waiting: Vec<Waiting>,
    /// Those who were given up, and why; the longest list first.
    pub dead_letters: Vec<DeadLetters>,
    /// From the request to the deactivation, of those whose access is gone.
    pub access_removed: Option<AccessTimes>,
    /// Users that were finished in a minute of late.
    pub finished_per_minute: Option<f64>,
    /// Until all others are finished, at that rate and not before the last wait is over. `None` while
    /// nobody is finished of late; zero when nobody is left.
    pub time_left_seconds: Option<u64>,
}

/// Users that wait for the same thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Waiting {
    /// A failure code of the runbook, or `not_due`, `brake`, `not_converged`, `deletion_pending`.
    pub why: String,
    /// How many.
    pub users: u64,
    /// When the first of them goes on.
    #[schema(value_type = String, format = DateTime)]
    pub first_until: Timestamp,
    /// When the last of them goes on.
    #[schema(value_type = String, format = DateTime)]
    pub last_until: Timestamp,
}

/// Users that were given up for the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeadLetters {
    /// The contract's word.
    pub reason: Reason,
    /// How many.
    pub users: u64,
}

/// How long it took until access was gone.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccessTimes {
    /// How many lost it.
    pub users: u64,
    /// Half of them within.
    pub p50_seconds: f64,
    /// 95 of 100 within.
    pub p95_seconds: f64,
    /// All of them within.
    pub longest_seconds: f64,
    /// When the last of them lost it.
    #[schema(value_type = String, format = DateTime)]
    pub last_at: Timestamp,
}

impl Overview {
    /// Those who were given up.
    pub(crate) fn dead(&self) -> u64 {
        self.dead_letters.iter().map(|letters| letters.users).sum()
    }

    /// Those for whom something is still to be done, by workers alone.
    pub(crate) fn left(&self) -> u64 {
        let waiting: u64 = self.waiting.iter().map(|waiting| waiting.users).sum();
        self.not_begun + self.under_way + waiting
    }
}
