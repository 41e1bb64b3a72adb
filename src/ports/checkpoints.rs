//! Where checkpoints are kept, and the leases under which they are written.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::{GroupReplay, ReplayNote};
use crate::failure::Failure;
use crate::job::{BatchId, UserId};
use crate::limits::RateLimit;
use crate::machine::Checkpoint;
use crate::ports::batches::FinishedBatch;

/// The right to work on one user, until it is released or expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lease {
    pub user_id: UserId,
    pub owner: String,
    /// Grows with every claim of this user; a save with an older fence is refused.
    pub fence: u64,
}

/// The answer to a claim.
#[derive(Debug, Clone)]
pub(crate) enum Claim {
    Granted {
        lease: Lease,
        /// The version that the first save compares with; 0 when nothing was saved yet.
        version: u64,
        /// The last saved checkpoint, if there is one that counts.
        checkpoint: Option<Box<Checkpoint>>,
        /// The store has an integrity key, so that only our own workers can have written the
        /// checkpoint.
        authenticated: bool,
        /// How many claims just before this one were never released: workers died while they worked
        /// on this user.
        deaths: u32,
        /// The processes that took the user since the last save, as far as the store knows, in their order.
        workers: Vec<String>,
    },
    /// Another worker has the lease.
    Held {
        /// When the lease expires at the latest, unless it is renewed.
        for_at_most: Duration,
        /// When it may be seen that its worker is gone, if it is.
        look_again: Option<Duration>,
    },
}

/// The answer to a save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Saved {
    Version(u64),
    /// Nothing was stored: the lease is lost, or another worker saved in between.
    Refused,
}

/// What is counted within a time, over all workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CountOf {
    Deletions,
    /// Users whom messages name without an order of `submit`.
    Requests,
    /// Deletions without an approval that one requester asked for.
    Unapproved(Requester),
}

/// A person who asks for deletions, or all who are not known, as a part of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Requester(u64);

impl Requester {
    /// `None`: nobody knows who it is. They are one.
    pub(crate) fn of(person: Option<&str>) -> Self {
        let name = person.unwrap_or_default().to_ascii_lowercase();
        let digest: [u8; 32] = Sha256::digest(name.as_bytes()).into();
        let start = digest.first_chunk().copied().unwrap_or_default();
        Self(u64::from_be_bytes(start))
    }
}

impl fmt::Display for Requester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Whether a rate limit admits one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is counted.
    Counted,
    /// The limit is reached: ask again after this.
    Wait(Duration),
    /// The count is lost, or was never begun: see [`Checkpoints::restore_count`].
    Unknown,
}

/// Where checkpoints are kept. Each call is one round trip; every write compares version and fence
/// in the same atomic step.
///
/// A stored checkpoint that is damaged, belongs to another user or, where there is an integrity
/// key, has no valid code counts as absent: the steps then read what was done back from CXone and
/// the archive store, and no single record can block its user. One that a later release wrote is
/// refused (`checkpoint_unreadable`), since it may say something that this release would ignore.
#[async_trait]
pub(crate) trait Checkpoints: Send + Sync {
    /// Takes the lease of a user and reads the checkpoint.
    async fn claim(&self, user_id: UserId) -> Result<Claim, Failure>;

    /// Saves, if `lease` is still valid and the stored version is `expected`; renews the lease too.
    /// A crash in the middle leaves the old checkpoint or the new one. The checkpoint of a user who
    /// is finished may expire.
    async fn save(
        &self,
        lease: &Lease,
        expected: u64,
        checkpoint: &Checkpoint,
    ) -> Result<Saved, Failure>;

    /// The last save of a run: the same, and gives the lease up in the same step. Sent again because its answer was lost,
    /// it is the same save.
    async fn save_and_release(
        &self,
        lease: &Lease,
        expected: u64,
        checkpoint: &Checkpoint,
    ) -> Result<Saved, Failure> {
        let saved = self.save(lease, expected, checkpoint).await?;
        if saved != Saved::Refused {
            self.release(lease).await?;
        }
        Ok(saved)
    }

    /// The save before the DELETE: the same, and reads [`Self::noted_holds`] in the same step where the store can.
    async fn save_intent(
        &self,
        lease: &Lease,
        expected: u64,
        checkpoint: &Checkpoint,
    ) -> Result<(Saved, u32), Failure> {
        let saved = self.save(lease, expected, checkpoint).await?;
        Ok((saved, self.noted_holds(lease.user_id).await?))
    }

    /// Prolongs the lease; `false` when it is lost.
    async fn renew(&self, lease: &Lease) -> Result<bool, Failure>;

    /// Gives the lease up. A lease that is lost already is not an error.
    async fn release(&self, lease: &Lease) -> Result<(), Failure>;

    /// Releases a lease that may be lost, without waiting for the store.
    fn release_later(&self, _lease: &Lease) {}

    /// Returns once another worker may have the lease, although this one did not release it; and the failure of the
    /// store, if that is why. It reads the clock whenever it is polled, so that a pause of the process is noticed at
    /// once. A store of one process never returns.
    async fn unsure(&self, _lease: &Lease) -> Option<Failure> {
        std::future::pending().await
    }

    /// Releases what could not be released so far, for a second at most: the process ends.
    async fn close(&self) {}

    /// Counts this user, if the rate limit allows one more now. A user who was counted within the limit's period is not
    /// counted twice.
    async fn admit(
        &self,
        of: CountOf,
        user_id: UserId,
        limit: RateLimit,
    ) -> Result<Admission, Failure>;

    /// Whether the count is complete for this window.
    async fn count_reaches(&self, of: CountOf, window: Duration) -> Result<bool, Failure>;

    /// Rebuilds the count from what of this window left evidence in the archive store. It counts beside what is known. A
    /// user is dropped when it asks to be counted: that shows that it did not happen.
    async fn restore_count(
        &self,
        of: CountOf,
        window: Duration,
        seen: &[(UserId, Timestamp)],
    ) -> Result<(), Failure>;

    /// Records in a batch how a user ended who was off-boarded with another batch, where the
    /// checkpoint expires.
    async fn end_in_batch(&self, batch: &BatchId, checkpoint: &Checkpoint) -> Result<(), Failure>;

    /// Records that a user of a batch ended at this time: is finished, or a dead letter, and saved so.
    /// Answers with the batch if none of its users has anything left to do, until
    /// [`Self::note_batch_announced`] or the next change: a crash in between loses no announcement.
    async fn settle_in_batch(
        &self,
        batch: &BatchId,
        user_id: UserId,
        at: Timestamp,
    ) -> Result<Option<FinishedBatch>, Failure>;

    /// The end of the batch is announced. A note that is lost lets it be announced twice.
    async fn note_batch_announced(&self, batch: &FinishedBatch) -> Result<(), Failure>;

    /// Records how many hold objects are stored of a user. If fewer are found later, some vanished.
    async fn note_holds(&self, user_id: UserId, count: u32) -> Result<(), Failure>;

    /// How many hold objects were recorded.
    async fn noted_holds(&self, user_id: UserId) -> Result<u32, Failure>;

    /// How long the lease of a user lasts, unless renewed; `None` where no worker has it.
    async fn lease_left(&self, user_id: UserId) -> Result<Option<Duration>, Failure>;

    /// Reads the checkpoint without a claim.
    async fn read(&self, user_id: UserId) -> Result<Option<Checkpoint>, Failure>;

    /// Records how far the replay of a dead letter got. A note that is lost lets a message be
    /// published twice, which is harmless; it may expire after 30 days.
    async fn note_replay(&self, dead_letter: &str, note: &ReplayNote) -> Result<(), Failure>;

    /// How far the replay of a dead letter got.
    async fn replay_note(&self, dead_letter: &str) -> Result<Option<ReplayNote>, Failure>;

    /// Records the last replay of the dead letters with this fingerprint. A record that is lost makes
    /// the next assessment more careful; it may expire after 30 days.
    async fn note_group_replay(
        &self,
        fingerprint: &str,
        replay: &GroupReplay,
    ) -> Result<(), Failure>;

    /// The last replay of the dead letters with this fingerprint.
    async fn group_replay(&self, fingerprint: &str) -> Result<Option<GroupReplay>, Failure>;

    /// Proves cheaply that the store answers and takes writes; changes nothing that lasts.
    async fn probe(&self) -> Result<(), Failure>;

    /// How long a claim lasts without renewal.
    fn lease_ttl(&self) -> Duration;
}
