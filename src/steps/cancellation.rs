//! When a run has to stop before its job is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Interrupt;

/// A run continues until the process drains, its time slice is over, or its lease is lost. Steps ask at their own
/// checkpoints.
#[derive(Debug, Clone)]
pub(crate) struct Cancellation {
    draining: CancellationToken,
    paused: CancellationToken,
    abandon: CancellationToken,
    lease_lost: CancellationToken,
    until: Option<Instant>,
    /// A delayed copy of the message replaced the delivery, which is settled already.
    handed_off: Arc<AtomicBool>,
}

impl Cancellation {
    /// Until the process drains, or `until`; `abandon` ends a step between its checkpoints too.
    pub(crate) fn new(
        draining: &CancellationToken,
        abandon: &CancellationToken,
        until: Option<Instant>,
    ) -> Self {
        Self {
            draining: draining.clone(),
            paused: CancellationToken::new(),
            abandon: abandon.clone(),
            lease_lost: CancellationToken::new(),
            until,
            handed_off: Arc::default(),
        }
    }

    /// Also stops at this token, as at a drain: the message is requeued.
    #[must_use]
    pub(crate) fn and_until(self, paused: &CancellationToken) -> Self {
        Self {
            paused: paused.clone(),
            ..self
        }
    }

    /// `Err` says why the run has to end here.
    pub(crate) fn check(&self) -> Result<(), Interrupt> {
        if self.lease_lost.is_cancelled() {
            Err(Interrupt::LeaseLost)
        } else if self.draining.is_cancelled() || self.paused.is_cancelled() {
            Err(Interrupt::Draining)
        } else if self.until.is_some_and(|until| Instant::now() >= until) && !self.is_handed_off() {
            Err(Interrupt::SliceOver)
        } else {
            Ok(())
        }
    }

    /// Returns when the run has to end even between its checkpoints.
    pub(crate) async fn cut_off(&self) -> Interrupt {
        tokio::select! {
            biased;
            () = self.lease_lost.cancelled() => Interrupt::LeaseLost,
            () = self.abandon.cancelled() => Interrupt::Draining,
        }
    }

    pub(crate) fn lease_lost(&self) -> CancellationToken {
        self.lease_lost.clone()
    }

    /// A copy of the message replaced the delivery: the time slice no longer matters.
    pub(crate) fn hand_off(&self) {
        self.handed_off.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_handed_off(&self) -> bool {
        self.handed_off.load(Ordering::Relaxed)
    }
}
