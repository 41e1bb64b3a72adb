use std::sync::Arc;

use super::circuit_breaker::CircuitBreaker;
use super::lane_breakers::LaneBreakers;
use super::operator_pause::OperatorPause;
use crate::job::Lane;

/// Whether users may be taken: not while a circuit breaker is open, nor while an operator paused.
pub(crate) struct Gate {
    pub(crate) breaker: Arc<CircuitBreaker>,
    pub(crate) lanes: Arc<LaneBreakers>,
    pub(crate) pause: Arc<OperatorPause>,
}

impl Gate {
    /// Returns when no user of this lane may be taken.
    pub(crate) async fn closed(&self, lane: Lane) {
        tokio::select! {
            () = self.breaker.opened() => {}
            () = self.lanes.of(lane).opened() => {}
            () = self.pause.paused() => {}
        }
    }

    /// Returns when users may be taken, if only one at a time, and if only of one lane.
    pub(crate) async fn open(&self) {
        loop {
            self.breaker.not_open().await;
            if self.pause.cause().is_none() {
                return;
            }
            self.pause.resumed().await;
        }
    }

    /// Returns when users of this lane may be taken, if only one at a time.
    pub(crate) async fn open_for(&self, lane: Lane) {
        loop {
            self.open().await;
            let breaker = self.lanes.of(lane);
            if !breaker.is_open() {
                return;
            }
            breaker.not_open().await;
        }
    }
}
