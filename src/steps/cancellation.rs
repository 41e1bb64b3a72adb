use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Interrupt;

/// How long a visit may go on: until the process drains, the slice of its delivery is over, or its lease
/// is lost. Steps ask at their own checkpoints.
#[derive(Debug, Clone)]
pub(crate) struct Cancellation {
    draining: CancellationToken,
    paused: CancellationToken,
    abandon: CancellationToken,
    lease_lost: CancellationToken,
    until: Option<Instant>,
    /// A parked copy stands for the delivery, which is settled already.
    exchanged: Arc<AtomicBool>,
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
            exchanged: Arc::default(),
        }
    }

    /// And no longer than this: the work goes back as at a drain.
    #[must_use]
    pub(crate) fn and_until(self, paused: &CancellationToken) -> Self {
        Self {
            paused: paused.clone(),
            ..self
        }
    }

    /// `Err` says why the visit has to end here.
    pub(crate) fn check(&self) -> Result<(), Interrupt> {
        if self.lease_lost.is_cancelled() {
            Err(Interrupt::LeaseLost)
        } else if self.draining.is_cancelled() || self.paused.is_cancelled() {
            Err(Interrupt::Draining)
        } else if self.until.is_some_and(|until| Instant::now() >= until) && !self.is_exchanged() {
            Err(Interrupt::SliceOver)
        } else {
            Ok(())
        }
    }

    /// Returns when the visit has to end wherever it is.
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

    /// From now on nothing waits for the visit to end.
    pub(crate) fn exchange(&self) {
        self.exchanged.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_exchanged(&self) -> bool {
        self.exchanged.load(Ordering::Relaxed)
    }
}
