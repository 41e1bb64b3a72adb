//! The quotas of a tenant, which all its workers share.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::limits::QuotaClass;

/// A rate as the server counts it: this many calls in any time of this length.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Window {
    pub length: Duration,
    pub calls: u32,
}

impl Window {
    /// The calls of a second, or one call where the rate is lower. Sharing costs more than it gains above 1,000.
    pub(crate) fn of(per_second: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 1 to 1000"
        )]
        let calls = per_second.ceil().clamp(1.0, 1000.0) as u32;
        Self {
            length: Duration::from_secs_f64(f64::from(calls) / per_second),
            calls,
        }
    }

    /// The time between two calls at an even rate.
    pub(crate) fn interval(&self) -> Duration {
        self.length / self.calls
    }
}

/// The right to send one call at a time. Each of the calls of a window has a slot, which is free again one window after the
/// server counted its last call, or two windows after that was due if no process says when it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub slot: u32,
    /// Differs in each use of the slot.
    pub use_id: u64,
    pub due: Instant,
}

/// What a reservation gave.
#[derive(Debug, Clone)]
pub(crate) struct Reservation {
    /// None, while all slots are taken by calls of which it is not known when the server counts them.
    pub places: Vec<Place>,
    /// How many processes reserved in the last 30 s, this one included.
    pub workers: u32,
    /// Whether the server refused a call in the last ten minutes.
    pub refused_lately: bool,
}

/// The rate limit that all workers of a tenant share: a sliding window. Slots that were not used in time are used later, so
/// that a delay costs nothing of the quota, but no faster than twice the rate.
#[async_trait]
pub(crate) trait Quotas: Send + Sync {
    /// Says when slots are free again that were used, and reserves up to `count`.
    async fn reserve(
        &self,
        class: QuotaClass,
        window: Window,
        count: u32,
        free: &[(Place, Instant)],
    ) -> Result<Reservation, Failure>;

    /// Gives no process a place before the pause is over. `refused`: the server answered 429.
    async fn cool_down(
        &self,
        class: QuotaClass,
        pause: Duration,
        refused: bool,
    ) -> Result<(), Failure>;
}
