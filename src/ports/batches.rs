//! Which users belong to which batch, and what is stored of each of them.

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::FileColumns;
use crate::failure::{Failure, Reason};
use crate::job::{BatchId, UserId};
use crate::machine::{Checkpoint, DeletionOutcome, Pause, State, StateName};

/// Batches, kept beside the checkpoints. Only a store that several processes share keeps them.
#[async_trait]
pub(crate) trait Batches: Send + Sync {
    /// Adds users to a batch. Those who are in it stay as they are.
    async fn add_users(
        &self,
        batch: &BatchId,
        users: &[UserId],
        at: Timestamp,
    ) -> Result<(), Failure>;

    /// Keeps columns of the input file beside users of a batch, at most as long as the batch.
    async fn keep_columns(
        &self,
        batch: &BatchId,
        columns: &[(UserId, FileColumns)],
    ) -> Result<(), Failure>;

    /// The columns that were kept of each of `users`, in their order.
    async fn columns(&self, batch: &BatchId, users: &[UserId])
    -> Result<Vec<FileColumns>, Failure>;

    /// Those of `users` who are in the batch.
    async fn users_in(&self, batch: &BatchId, users: &[UserId]) -> Result<Vec<UserId>, Failure>;

    /// The batches that a user was added to, among the latest `limit` ones; the last one first.
    async fn batches_of(
        &self,
        user_id: UserId,
        limit: usize,
    ) -> Result<Vec<(BatchId, Timestamp)>, Failure>;

    /// At most `limit` batches behind `after`, the latest one first, and where the next page begins. A batch that has
    /// expired is left out.
    async fn listed(
        &self,
        after: Option<&BatchPlace>,
        limit: usize,
    ) -> Result<(Vec<Listed>, Option<BatchPlace>), Failure>;

    /// When the first user of a batch was seen; `None` when there is no such batch.
    async fn begun_at(&self, batch: &BatchId) -> Result<Option<Timestamp>, Failure>;

    /// A page of at most `count` users, in the order in which they were added, from the `from`th
    /// on.
    async fn page(&self, batch: &BatchId, from: usize, count: usize) -> Result<Members, Failure>;

    /// What is known of the users of the same page; those of whom nothing is stored may be counted only.
    async fn known_page(
        &self,
        batch: &BatchId,
        from: usize,
        count: usize,
    ) -> Result<KnownPage, Failure> {
        KnownPage::of(self, batch, from, count).await
    }

    /// The position of a user among those of a batch; `None` if the user is not in it.
    async fn position(&self, batch: &BatchId, user_id: UserId) -> Result<Option<usize>, Failure>;

    /// The summary of each of `users`, in their order. The batch keeps the last summary of users
    /// whose checkpoints have expired.
    async fn summaries(&self, batch: &BatchId, users: &[UserId]) -> Result<Vec<Known>, Failure>;

    /// All that is stored of each of `users`, in their order.
    async fn records(&self, batch: &BatchId, users: &[UserId]) -> Result<Vec<Record>, Failure>;
}

/// A batch of which no user has anything left to do: each is finished, cancelled, or a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FinishedBatch {
    pub batch_id: BatchId,
    pub deleted: u64,
    pub deactivated_only: u64,
    pub dead_lettered: u64,
    pub cancelled: u64,
    /// When the last of them ended.
    pub at: Timestamp,
    /// Which change of the batch this is true since.
    pub change: u64,
}

impl FinishedBatch {
    /// All users of the batch.
    pub(crate) const fn users(&self) -> u64 {
        self.deleted + self.deactivated_only + self.dead_lettered + self.cancelled
    }
}

/// The place of a batch in the list of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BatchPlace {
    pub begun_at: Timestamp,
    pub batch_id: BatchId,
}

/// A page of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Members {
    /// The members that are user IDs; another program may have written others.
    pub users: Vec<UserId>,
    /// When each of them was added.
    pub added_at: Vec<Timestamp>,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<usize>,
}

/// What is known of the users of a page, without some of those of whom nothing is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownPage {
    /// What is known of each, and when the user was added; in no order.
    pub users: Vec<(Known, Timestamp)>,
    /// How many are left out.
    pub not_begun: u64,
    /// When the first of them was added.
    pub not_begun_since: Option<Timestamp>,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<usize>,
}

impl KnownPage {
    /// A page of which nobody is left out, read user by user.
    pub(crate) async fn of<B: Batches + ?Sized>(
        batches: &B,
        batch: &BatchId,
        from: usize,
        count: usize,
    ) -> Result<Self, Failure> {
        let members = batches.page(batch, from, count).await?;
        let known = batches.summaries(batch, &members.users).await?;
        Ok(Self {
            users: known.into_iter().zip(members.added_at).collect(),
            not_begun: 0,
            not_begun_since: None,
            next: members.next,
        })
    }
}

/// All that is stored of a user of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    /// No worker took the job yet, or Redis lost its data.
    Nothing,
    Checkpoint(Box<Checkpoint>),
    /// The checkpoint has expired; the batch kept its last summary.
    Summary(Summary),
    /// A later release wrote the checkpoint.
    Unreadable,
}

/// What a batch needs to know of one user. It is stored beside every checkpoint, so its form is
/// short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// The batch of the request.
    #[serde(default, rename = "b", skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<BatchId>,
    /// The last completed step.
    #[serde(rename = "s")]
    pub state: StateName,
    /// When the off-boarding was requested, or first seen.
    #[serde(
        default,
        rename = "r",
        with = "millisecond::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub requested_at: Option<Timestamp>,
    /// When the user's access was removed.
    #[serde(
        default,
        rename = "a",
        with = "millisecond::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub access_removed_at: Option<Timestamp>,
    /// When nothing was left to do.
    #[serde(
        default,
        rename = "f",
        with = "millisecond::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub finished_at: Option<Timestamp>,
    /// What the user waits for.
    #[serde(default, rename = "w", skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
    /// Why the job is a dead letter.
    #[serde(default, rename = "l", skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<Reason>,
    /// How the deletion ended.
    #[serde(default, rename = "d", skip_serializing_if = "Option::is_none")]
    pub deletion: Option<DeletionOutcome>,
    /// When an operator cancelled the request.
    #[serde(
        default,
        rename = "c",
        with = "millisecond::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub cancelled_at: Option<Timestamp>,
    /// When the checkpoint was saved.
    #[serde(rename = "u", with = "millisecond::required")]
    pub updated_at: Timestamp,
}

/// Why a user waits, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wait {
    #[serde(rename = "u", with = "millisecond::required")]
    pub until: Timestamp,
    /// The code of the last failure, or the word of the pause.
    #[serde(rename = "y")]
    pub why: String,
}

/// The summary of a user, if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Known {
    /// There is no checkpoint: no worker took the job yet, or Redis lost its data.
    Nothing,
    Summary(Summary),
    /// A later release wrote the checkpoint.
    Unreadable,
}

impl From<Record> for Known {
    fn from(record: Record) -> Self {
        match record {
            Record::Nothing => Self::Nothing,
            Record::Checkpoint(checkpoint) => Self::Summary(Summary::from(&*checkpoint)),
            Record::Summary(summary) => Self::Summary(summary),
            Record::Unreadable => Self::Unreadable,
        }
    }
}

impl From<&Checkpoint> for Summary {
    fn from(checkpoint: &Checkpoint) -> Self {
        let failure = checkpoint.last_failure.as_ref();
        let why = checkpoint.pause.map(Pause::as_str);
        let why = why
            .or_else(|| Some(failure?.code.as_str()))
            .unwrap_or("unknown");
        let ended_at = || checkpoint.ended_at().unwrap_or(checkpoint.updated_at);

        Self {
            batch_id: checkpoint.request.batch_id.clone(),
            state: checkpoint.state.name(),
            requested_at: checkpoint
                .request
                .requested_at
                .or(checkpoint.request.received_at)
                .map(stored),
            access_removed_at: checkpoint.state.access().map(|access| stored(access.at)),
            finished_at: checkpoint.state.is_finished().then(ended_at).map(stored),
            wait: checkpoint.waiting_until.map(|until| Wait {
                until: stored(until),
                why: why.to_owned(),
            }),
            dead_letter: checkpoint.dead_letter.as_ref().map(|dead| dead.reason),
            deletion: match &checkpoint.state {
                State::Deleted { deletion, .. } | State::DeactivatedOnly { deletion, .. } => {
                    Some(deletion.outcome)
                }
                State::Received
                | State::QueuesCleared { .. }
                | State::Deactivated { .. }
                | State::Archived { .. } => None,
            },
            cancelled_at: checkpoint
                .cancelled
                .as_ref()
                .map(|cancelled| stored(cancelled.at)),
            updated_at: stored(checkpoint.updated_at),
        }
    }
}

/// The time as it is read back. The last second of time has no milliseconds.
fn stored(at: Timestamp) -> Timestamp {
    let whole = |_out_of_range| Timestamp::from_second(at.as_second());
    Timestamp::from_millisecond(at.as_millisecond())
        .or_else(whole)
        .unwrap_or(at)
}

impl Summary {
    /// Whether the user can still sign in, as far as is known. A user whom CXone does not know has
    /// no access; no other dead letter removes it.
    pub(crate) fn has_access(&self) -> bool {
        let is_before = matches!(self.state, StateName::Received | StateName::QueuesCleared);
        is_before && self.dead_letter != Some(Reason::UserNotFound)
    }

    /// When a user was asked for who still has access; `None` once the access is gone, or nobody asks for it any more.
    pub(crate) fn access_since(&self) -> Option<Timestamp> {
        (self.has_access() && self.cancelled_at.is_none())
            .then(|| self.requested_at.unwrap_or(self.updated_at))
    }

    /// How long it took from the request to the removal of access, in milliseconds. Clocks that disagree make no negative time.
    pub(crate) fn access_took_ms(&self) -> Option<u64> {
        let took = self.access_removed_at?.as_millisecond() - self.requested_at?.as_millisecond();
        Some(u64::try_from(took).unwrap_or(0))
    }

    /// How far the user is at `now`. A wait that is over does not count.
    pub(crate) fn standing(&self, now: Timestamp) -> Standing {
        if self.cancelled_at.is_some() {
            Standing::Cancelled
        } else if self.dead_letter.is_some() {
            Standing::DeadLetter
        } else if self.finished_at.is_some() {
            Standing::Finished
        } else if self.wait.as_ref().is_some_and(|wait| wait.until > now) {
            Standing::Waiting
        } else {
            Standing::UnderWay
        }
    }
}

/// How far a user is
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    /// The user is in a terminal state, and the manifest is stored.
    Finished,
    /// The job is a dead letter.
    DeadLetter,
    /// An operator cancelled the request; nothing more is done for it.
    Cancelled,
    /// The job waits for a time.
    Waiting,
    /// A worker has the job, or it is queued.
    UnderWay,
    /// No worker has taken the job yet, or Redis lost its data.
    NotBegun,
    /// A later release wrote the checkpoint.
    Unreadable,
}

/// A batch in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ListedBatch)]
pub(crate) struct Listed {
    /// The name of the batch.
    pub batch_id: BatchId,
    /// When the first user was added.
    #[schema(value_type = String, format = DateTime)]
    pub begun_at: Timestamp,
    /// How many users it has.
    pub users: u64,
}

#[cfg(test)]
#[path = "batches_tests.rs"]
mod tests;
