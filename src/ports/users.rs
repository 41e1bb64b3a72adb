//! Of which users something is stored, and which of them still have access.

use async_trait::async_trait;
use jiff::Timestamp;

use super::batches::Known;
use crate::failure::Failure;
use crate::job::UserId;

/// The users of the checkpoint store. Users who were asked for and can still sign in are in an index, which changes in
/// the same atomic step as the checkpoint: a save before the deactivation adds the user, one after it removes the user.
#[async_trait]
pub(crate) trait UserIndex: Send + Sync {
    /// Adds users who were asked for at `at`. Those with a checkpoint stay as they are, since that says more.
    async fn add_asked(&self, users: &[UserId], at: Timestamp) -> Result<(), Failure>;

    /// When a user who still has access was asked for; `None` if the index does not have the user.
    async fn asked_at(&self, user_id: UserId) -> Result<Option<Timestamp>, Failure>;

    /// At most `limit` users who still have access, the one who was asked for first at the head, behind `after`.
    async fn with_access(&self, after: Option<Asked>, limit: usize) -> Result<WithAccess, Failure>;

    /// Reads the checkpoints of these users, and corrects the index where it says something else.
    async fn correct(&self, users: &[UserId]) -> Result<(), Failure>;

    /// Reads all checkpoints, and the users of batches who have none, corrects the index, and marks it as complete.
    async fn rebuild(&self) -> Result<(), Failure>;

    /// A page of the users with a checkpoint, in no order that means anything; `from` is the `next` of the page before.
    async fn scan(&self, from: Option<&str>, count: usize) -> Result<Scanned, Failure>;

    /// The summary of each of `users`, in their order.
    async fn summaries(&self, users: &[UserId]) -> Result<Vec<Known>, Failure>;
}

/// A user who still has access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Asked {
    /// When the off-boarding was requested, or first seen.
    pub at: Timestamp,
    pub user_id: UserId,
}

/// A page of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WithAccess {
    pub users: Vec<Asked>,
    /// How many users the index has.
    pub total: u64,
    /// When the first of all of them was asked for.
    pub first: Option<Timestamp>,
    /// Since when the index has every user of whom something was stored. `None`: the store lost it, or an earlier release
    /// kept none; [`UserIndex::rebuild`] helps.
    pub complete_since: Option<Timestamp>,
}

impl WithAccess {
    /// The page behind `after` of an index that is read whole, in order.
    pub(crate) fn page(
        mut users: Vec<Asked>,
        after: Option<Asked>,
        limit: usize,
        complete_since: Option<Timestamp>,
    ) -> Self {
        let total = users.len() as u64;
        let first = users.first().map(|user| user.at);

        users.retain(|user| after.is_none_or(|after| *user > after));
        users.truncate(limit);
        Self {
            users,
            total,
            first,
            complete_since,
        }
    }
}

/// A page of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// A store may name a user twice.
    pub users: Vec<UserId>,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<String>,
}
