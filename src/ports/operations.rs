//! Operations: what operators start and workers do to a frozen set of dead letters or users.
//!
//! The request and the frozen set are an object of the archive store (`registers/operation.rs`). Here is what may be
//! lost: which operations are open, who works on each, what became of each item so far, and orders to stop or to slow
//! down. An operation whose progress is lost continues from its object.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::failpoint::time_scaled;
use crate::failure::Failure;
use crate::job::UserId;

/// The ID of an operation: a UUID of version 7, so that IDs sort by time
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[schema(value_type = String, pattern = "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")]
pub(crate) struct OperationId(Uuid);

impl OperationId {
    pub(crate) fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// When the operation was made, to the millisecond.
    pub(crate) fn at(self) -> Timestamp {
        let made = self.0.get_timestamp().and_then(|made| {
            let unix = made.to_unix();
            let nanoseconds = i32::try_from(unix.1).ok()?;
            Timestamp::new(i64::try_from(unix.0).ok()?, nanoseconds).ok()
        });
        made.unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for OperationId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = Uuid::try_parse(text).ok().map(Self);
        // One operation has one name: no other spelling, and no other version.
        id.filter(|id| id.0.get_version_num() == 7 && id.to_string() == text)
            .ok_or("the ID of an operation is a UUID, as `operations list` shows it")
    }
}

/// What an operation does
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OperationKind {
    /// Publishes the messages of dead letters again.
    Replay,
    /// Takes dead letters off the queue for good.
    Discard,
    /// Checks what the archive store holds of users.
    Verify,
}

impl OperationKind {
    pub(crate) const ALL: [Self; 3] = [Self::Replay, Self::Discard, Self::Verify];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Discard => "discard",
            Self::Verify => "verify",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Which others it waits for.
    pub(crate) const fn line(self) -> OperationLine {
        match self {
            Self::Replay | Self::Discard => OperationLine::DeadLetters,
            Self::Verify => OperationLine::Store,
        }
    }
}

/// Of each line, one operation is worked on at a time in the whole deployment. Two scans of the dead-letter queue hide
/// messages from each other, so one of two replays would find what the other one has in flight gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum OperationLine {
    DeadLetters,
    Store,
}

impl OperationLine {
    pub(crate) const ALL: [Self; 2] = [Self::DeadLetters, Self::Store];

    /// The word in keys.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::DeadLetters => "dead-letters",
            Self::Store => "store",
        }
    }
}

/// How far an operation is
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OperationState {
    /// The set is frozen, and nothing was done to it yet.
    Frozen,
    /// A process has begun with it.
    Running,
    /// An operator stopped it; the rest of the set is unchanged.
    Stopped,
    /// It did to each what was to be done, or says why not.
    Done,
    /// A fault ended it; the rest of the set is unchanged.
    Failed,
}

impl OperationState {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Frozen => "frozen",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        let all = [
            Self::Frozen,
            Self::Running,
            Self::Stopped,
            Self::Done,
            Self::Failed,
        ];
        all.into_iter().find(|state| state.as_str() == word)
    }

    pub(crate) const fn is_ended(self) -> bool {
        matches!(self, Self::Stopped | Self::Done | Self::Failed)
    }
}

/// What became of one item
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Became {
    /// Published again, and taken off the queue.
    Moved,
    /// Taken off the queue, because an earlier replay had published it.
    Cleared,
    /// Left in the queue, or not found there.
    Skipped,
    /// Taken off the queue, after a copy was stored.
    Discarded,
    /// Not found in the queue.
    Gone,
    /// Nothing contradicts what is stored of the user.
    Sound,
    /// Something contradicts what is stored of the user.
    Unsound,
}

impl Became {
    pub(crate) const ALL: [Self; 7] = [
        Self::Moved,
        Self::Cleared,
        Self::Skipped,
        Self::Discarded,
        Self::Gone,
        Self::Sound,
        Self::Unsound,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Cleared => "cleared",
            Self::Skipped => "skipped",
            Self::Discarded => "discarded",
            Self::Gone => "gone",
            Self::Sound => "sound",
            Self::Unsound => "unsound",
        }
    }
}

/// What an operation did to one item of its set
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ItemResult {
    /// The position of the item in the set, from 0.
    pub number: u64,
    /// The ID of the dead letter, if it is one.
    #[serde(default, rename = "letter", skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<String>,
    /// The user, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// What became of it.
    pub became: Became,
    /// Why, where that is a question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What the process that continues has to know; only for offboarder.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[schema(ignore)]
    pub detail: Value,
}

/// Who asked for a stop, and why
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = StopOrder)]
pub(crate) struct StopRequest {
    /// The operator.
    pub who: String,
    /// The reason, in the words of that operator.
    #[serde(default)]
    pub why: Option<String>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// What operators ask of an operation while it is open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Orders {
    pub stop: Option<StopRequest>,
    /// The least time between two items, in place of what was asked for at the beginning.
    pub pace: Option<Duration>,
}

/// The right to work on an operation, until it is released or expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OperationLease {
    pub id: OperationId,
    pub line: OperationLine,
    /// Of one claim and no other: the store refuses a result with another one.
    pub fence: String,
    /// The process, for people.
    pub by: String,
}

impl OperationLease {
    pub(crate) fn new(id: OperationId, line: OperationLine, by: &str) -> Self {
        Self {
            id,
            line,
            fence: format!("{id} {}", Uuid::new_v4()),
            by: by.to_owned(),
        }
    }
}

/// The answer to a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OperationClaim {
    Granted(Orders),
    /// Another process works on an operation of the same line.
    Held {
        /// When it expires at the latest, unless it is renewed.
        for_at_most: Duration,
    },
}

/// How far an operation is, as long as that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OperationProgress {
    pub state: OperationState,
    /// What [`Operations::open`] was given.
    pub head: Value,
    /// The process that works on it, or did so last.
    pub by: Option<String>,
    /// How often a process began or continued it.
    pub begun: u64,
    /// How many items became what.
    pub counts: BTreeMap<Became, u64>,
    pub orders: Orders,
    /// Why it does not get on now.
    pub trouble: Option<String>,
    /// How many processes in a row took it up, and neither noted a result nor gave the lease up: each of them died.
    pub in_vain: u64,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The fault that ended it.
    pub error: Option<String>,
}

/// How an operation ended, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OperationOutcome {
    pub state: OperationState,
    pub at: Timestamp,
    pub error: Option<String>,
    pub stop: Option<StopRequest>,
    /// How many items became what. Empty: what was noted counts.
    pub counts: BTreeMap<Became, u64>,
}

/// Which operations are open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OpenOperations {
    /// The oldest first.
    pub open: Vec<(OperationId, OperationKind)>,
    /// The list was not lost since [`Operations::restore`].
    pub is_complete: bool,
}

/// How long the progress of an operation is kept after its last change.
pub(crate) const PROGRESS_KEPT: Duration = Duration::from_hours(24 * 30);

/// How long an operation stays claimed by a process that died.
pub(crate) fn operation_lease() -> Duration {
    time_scaled(Duration::from_secs(8))
}

/// The progress of operations. Each call is one round trip, and may be made twice.
#[async_trait]
pub(crate) trait Operations: Send + Sync {
    /// Lists an operation as open. `head` says what it is, for lists.
    async fn open(&self, id: OperationId, kind: OperationKind, head: &Value)
    -> Result<(), Failure>;

    /// The open operations: what every worker asks every few seconds.
    async fn list_open(&self) -> Result<OpenOperations, Failure>;

    /// Lists these as open, too, and notes that the list is complete.
    async fn restore(&self, open: &[(OperationId, OperationKind)]) -> Result<(), Failure>;

    /// Takes the lease of the operation's line; with a fence that already has it, prolongs it.
    async fn claim(
        &self,
        lease: &OperationLease,
        kind: OperationKind,
    ) -> Result<OperationClaim, Failure>;

    /// Prolongs the lease, and reads the orders; `None` if the lease is lost.
    async fn renew(&self, lease: &OperationLease) -> Result<Option<Orders>, Failure>;

    /// Gives the lease up; `trouble` says why the operation does not get on, if so. A lease that is lost already is not
    /// an error.
    async fn release(&self, lease: &OperationLease, trouble: Option<&str>) -> Result<(), Failure>;

    /// Notes what became of an item; `false` if the lease is lost. The first result of an item counts.
    async fn note(&self, lease: &OperationLease, result: &ItemResult) -> Result<bool, Failure>;

    /// How far an operation is; `None` if nothing is kept of it.
    async fn progress(&self, id: OperationId) -> Result<Option<OperationProgress>, Failure>;

    /// The results of these positions that are there, in their order.
    async fn results(
        &self,
        id: OperationId,
        from: u64,
        count: u64,
    ) -> Result<Vec<ItemResult>, Failure>;

    /// Asks the process that works on it to stop. The first order counts.
    async fn stop(&self, id: OperationId, order: &StopRequest) -> Result<(), Failure>;

    /// Changes the least time between two items.
    async fn set_pace(&self, id: OperationId, pace: Duration) -> Result<(), Failure>;

    /// The operation has ended: it is no longer open, and its lease is free. Its results are dropped: its end has them.
    async fn end(
        &self,
        id: OperationId,
        kind: OperationKind,
        outcome: &OperationOutcome,
    ) -> Result<(), Failure>;
}

#[cfg(test)]
#[path = "operations_tests.rs"]
mod tests;
