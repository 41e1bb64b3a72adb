//! The quotas of a tenant, which all its workers share.

use std::time::Duration;

use async_trait::async_trait;

use crate::failure::Failure;
use crate::limits::QuotaClass;

/// A row of slots, one interval apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reservation {
    /// When the first slot is.
    pub starts_in: Duration,
    /// How many processes reserved in the last 30 s, this one included.
    pub workers: u32,
}

/// The rate limit that all workers of a tenant share: the generic cell rate algorithm (ITU-T I.371)
/// without a burst.
#[async_trait]
pub(crate) trait Quotas: Send + Sync {
    /// Reserves the next `count` slots, one `interval` apart. Slots that are not used are lost.
    async fn reserve(
        &self,
        class: QuotaClass,
        interval: Duration,
        count: u32,
    ) -> Result<Reservation, Failure>;

    /// Gives no process a slot before the pause is over.
    async fn cool_down(&self, class: QuotaClass, pause: Duration) -> Result<(), Failure>;
}
