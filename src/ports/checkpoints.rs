use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::job::{BatchId, UserId};
use crate::limits::DeletionRateLimit;
use crate::machine::Checkpoint;

/// The right to act on one user, until it is released or runs out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lease {
    pub user_id: UserId,
    pub owner: String,
    /// Grows with every claim of this user; a save with an older one is refused.
    pub fence: u64,
}

/// The answer to a claim.
#[derive(Debug, Clone)]
pub(crate) enum Claim {
    Granted {
        lease: Lease,
        /// The version to compare with at the first save; 0 when there is none.
        version: u64,
        /// How far it got, if it was ever begun.
        checkpoint: Option<Box<Checkpoint>>,
        /// It has a valid code: nobody but our own workers can have written it.
        authenticated: bool,
        /// Claims just before this one that were never released: workers died with the user in their hands.
        deaths: u32,
    },
    Held {
        /// When its lease runs out, at the latest, unless renewed.
        for_at_most: Duration,
    },
}

/// The answer to a save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Saved {
    Version(u64),
    /// Nothing was stored: the lease is lost, or somebody else saved meanwhile.
    Refused,
}

/// The answer of the brake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeletionAdmission {
    /// The deletion is counted, and may be sent.
    Counted,
    /// As many as are allowed were counted: ask again after this.
    Wait(Duration),
    /// The count is lost, or was never begun: see [`Checkpoints::restore_brake`].
    Unknown,
}

/// How far the replay of a dead letter got, in case it is killed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReplayNote {
    /// The broker has the message; all that is left is to take the letter off.
    pub published: bool,
    /// When the user's checkpoint was last saved before the message was published, if there was one.
    pub saved_before: Option<Timestamp>,
}

/// Where checkpoints live. Each call is one round trip; every write compares version and fence in
/// the same atomic step.
#[async_trait]
pub(crate) trait Checkpoints: Send + Sync {
    /// Takes the lease of a user and reads the checkpoint. A checkpoint that cannot be read is
    /// taken as absent when damaged or without a valid code, and refused when newer than this release.
    async fn claim(&self, user_id: UserId) -> Result<Claim, Failure>;

    /// Saves, if `lease` still holds and the stored version is `expected`; renews the lease too.
    /// A crash in the middle leaves the old checkpoint or the new one. One that nobody needs any more may expire.
    async fn save(
        &self,
        lease: &Lease,
        expected: u64,
        checkpoint: &Checkpoint,
    ) -> Result<Saved, Failure>;

    /// Prolongs the lease; `false` when it is lost.
    async fn renew(&self, lease: &Lease) -> Result<bool, Failure>;

    /// Gives the lease back. One that is lost already is no error.
    async fn release(&self, lease: &Lease) -> Result<(), Failure>;

    /// Counts a deletion of this user, if the brake allows one more now. A user who was counted already, and
    /// recently enough, is not counted twice.
    async fn brake(
        &self,
        user_id: UserId,
        brake: DeletionRateLimit,
    ) -> Result<DeletionAdmission, Failure>;

    /// Whether [`Self::brake`] has the count of this window.
    async fn brake_reaches(&self, window: Duration) -> Result<bool, Failure>;

    /// Begins the count again with the deletions of this window that left their traces in the archive store. They
    /// count beside those that are known, until the user asks for a deletion: then it was none.
    async fn restore_brake(
        &self,
        window: Duration,
        deletions: &[(UserId, Timestamp)],
    ) -> Result<(), Failure>;

    /// Notes in a batch how a user ended that was off-boarded with another one, where the checkpoint expires.
    async fn end_in_batch(&self, batch: &BatchId, checkpoint: &Checkpoint) -> Result<(), Failure>;

    /// Notes how many acts on a legal hold are stored of a user: should fewer be there later, then some vanished.
    async fn note_holds(&self, user_id: UserId, acts: u32) -> Result<(), Failure>;

    /// How many acts on a legal hold were noted.
    async fn noted_holds(&self, user_id: UserId) -> Result<u32, Failure>;

    /// How long the lease of a user lasts, unless renewed; `None` where nobody has it.
    async fn lease_left(&self, user_id: UserId) -> Result<Option<Duration>, Failure>;

    /// Reads without a claim, for people.
    async fn read(&self, user_id: UserId) -> Result<Option<Checkpoint>, Failure>;

    /// Notes how far the replay of a letter got. A note that is forgotten lets a message be published twice,
    /// which is harmless; it may be forgotten after 30 days.
    async fn note_replay(&self, letter: &str, note: &ReplayNote) -> Result<(), Failure>;

    /// The note of a letter.
    async fn replay_note(&self, letter: &str) -> Result<Option<ReplayNote>, Failure>;

    /// A cheap proof that the store answers and takes writes; changes nothing that stays.
    async fn probe(&self) -> Result<(), Failure>;

    /// How long a claim lasts without renewal.
    fn lease_ttl(&self) -> Duration;
}
