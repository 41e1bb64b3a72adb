use std::time::Duration;

use async_trait::async_trait;

use crate::failure::Failure;
use crate::limits::QuotaClass;

/// Places in a row, one interval apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reservation {
    /// When the first of them is.
    pub starts_in: Duration,
    /// How many workers reserved lately, this one included.
    pub workers: u32,
}

/// What all workers of a tenant share of its quotas: the generic cell rate algorithm (ITU-T I.371) without
/// a burst.
#[async_trait]
pub(crate) trait Quotas: Send + Sync {
    /// Takes the next `count` places, which lie `interval` apart. Places that are not used are lost.
    async fn reserve(
        &self,
        class: QuotaClass,
        interval: Duration,
        count: u32,
    ) -> Result<Reservation, Failure>;

    /// No place lies before this is over, whoever reserves it.
    async fn cool_down(&self, class: QuotaClass, pause: Duration) -> Result<(), Failure>;
}
