use std::sync::Arc;

use super::circuit_breaker::CircuitBreaker;
use super::operator_pause::OperatorPause;

/// Whether users may be taken: not while the circuit breaker is open, nor while an operator paused.
pub(crate) struct Gate {
    pub(crate) breaker: Arc<CircuitBreaker>,
    pub(crate) pause: Arc<OperatorPause>,
}

impl Gate {
    /// Returns when no user may be taken.
    pub(crate) async fn closed(&self) {
        tokio::select! {
            () = self.breaker.opened() => {}
            () = self.pause.paused() => {}
        }
    }

    /// Returns when users may be taken, if only one at a time.
    pub(crate) async fn open(&self) {
        loop {
            self.breaker.not_open().await;
            if self.pause.cause().is_none() {
                return;
            }
            self.pause.resumed().await;
        }
    }
}
