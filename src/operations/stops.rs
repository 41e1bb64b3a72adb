//! What keeps batches from being taken further, as far as it is known. Whether a batch is paused is not "no" when the archive
//! store cannot be read.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::fleet::FleetSources;
use super::part::within;
use crate::job::BatchId;
use crate::registers::{BatchPause, StopOrders, pause_in_force};

/// The answer must not wait for a store that hangs.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// The pauses of batches, and that of all workers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stops {
    /// `None` if they are not known.
    pub orders: Option<Arc<StopOrders>>,
    /// Whether all workers are paused; `None` if that is not known.
    pub all_paused: Option<bool>,
}

impl Stops {
    /// Whether it is unknown which batches are paused.
    pub(crate) const fn is_unknown(&self) -> bool {
        self.orders.is_none()
    }

    /// The pause of this batch, if it is known to be paused.
    pub(crate) fn paused(&self, batch: &BatchId, now: Timestamp) -> Option<&BatchPause> {
        self.orders.as_ref()?.paused(batch, now)
    }

    /// Whether a pause, of this batch or of all workers, may be why nobody moves.
    pub(crate) fn may_pause(&self, batch: &BatchId, now: Timestamp) -> bool {
        self.is_unknown() || self.all_paused != Some(false) || self.paused(batch, now).is_some()
    }
}

/// Reads them. What cannot be read is unknown.
pub(crate) async fn stops(sources: &FleetSources, now: Timestamp) -> Stops {
    let Ok(store) = &sources.store else {
        return Stops::default();
    };
    let pausing = within(READ_WITHIN, pause_in_force(&**store, &sources.orders));
    let (orders, pause) = tokio::join!(sources.stop_orders(), pausing);
    Stops {
        orders,
        all_paused: pause.ok().map(|pause| pause.cause(now).is_some()),
    }
}
