//! Users whom a release was about to give up with the same fault, counted over all its workers.

use std::time::Duration;

use async_trait::async_trait;

use crate::failure::Failure;
use crate::job::UserId;

/// How long a fault and a success count.
pub(crate) const SURGE_WINDOW: Duration = Duration::from_mins(10);

/// A user who was to become a dead letter, and how many users of this worker got through the same step.
#[derive(Debug, Clone)]
pub(crate) struct SurgeHit<'a> {
    pub release: &'a str,
    pub step: &'a str,
    /// Equal for all users of one fault.
    pub fingerprint: &'a str,
    pub user_id: UserId,
    /// This many different users with one fault are a surge, unless as many got through.
    pub surge_users: u64,
    /// The name of this worker.
    pub worker: &'a str,
    /// For each minute since 1970 within [`SURGE_WINDOW`] that has any.
    pub passed: &'a [(i64, u64)],
}

/// What all workers of a release counted within [`SURGE_WINDOW`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SurgeCount {
    /// Different users with this fault at this step.
    pub failed: u64,
    /// Users who got through this step, as the workers said that met a fault.
    pub passed: u64,
    /// See [`Surges::lifted`].
    pub lifted: u64,
}

/// Counts that all workers of a release share.
#[async_trait]
pub(crate) trait Surges: Send + Sync {
    /// Counts a user. One who is counted already is not counted twice. During a surge nobody's fault grows too old to count:
    /// the few users who are left would be given up otherwise.
    async fn count(&self, hit: &SurgeHit<'_>) -> Result<SurgeCount, Failure>;

    /// Grows whenever an operator lifts the surges of this release; 0 as long as none did, or if Redis lost it.
    async fn lifted(&self, release: &str) -> Result<u64, Failure>;

    /// Forgets the faults of this release so far.
    async fn lift(&self, release: &str) -> Result<(), Failure>;
}
