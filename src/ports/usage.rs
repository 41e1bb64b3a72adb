//! What the workers of a deployment did, minute by minute, and how much of the deletion rate limit is used.

use std::time::Duration;

use async_trait::async_trait;

use crate::failure::Failure;
use crate::telemetry::minutes::Counts;

/// How long the counts of a minute are kept.
pub(crate) const MINUTES_KEPT: u16 = 48 * 60;

/// What one worker did in a part of a minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MinutePart {
    /// Minutes since 1970.
    pub minute: i64,
    /// The number of this part among those of its writer, from 1. A part that arrives twice counts once.
    pub number: u64,
    pub counts: Counts,
}

/// Counts by minute that all workers share, and the count of deletions.
#[async_trait]
pub(crate) trait Usage: Send + Sync {
    /// Adds a part to its minute. `writer` is a process, and must not write the parts of a minute out of order.
    async fn add(&self, writer: &str, part: &MinutePart) -> Result<(), Failure>;

    /// The counts of `count` minutes from the minute `from` on. `None`: no worker wrote in that minute, or the store lost
    /// it, so that nothing is known of it.
    async fn minutes(&self, from: i64, count: u16) -> Result<Vec<Option<Counts>>, Failure>;

    /// How many deletions were counted in the last `per`; `None` if that is unknown.
    async fn deletions(&self, per: Duration) -> Result<Option<u64>, Failure>;
}
