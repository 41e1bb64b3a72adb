use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::backoff::backoff;
use crate::failpoint::time_scaled;
use crate::failure::{Code, Failure};
use crate::job::Lane;
use crate::steps::Services;
use crate::telemetry::metrics;

pub(crate) const FIRST_PAUSE: Duration = Duration::from_secs(1);
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// For the checkpoint store, where a probe is one small write, and a failover takes seconds.
const LONGEST_PAUSE_OF_CHECKPOINTS: Duration = Duration::from_millis(1500);

/// When this release fails for every user.
const PAUSE_OF_SURGE: Duration = Duration::from_mins(1);

/// Stops the intake of users after a fault that every user would meet: it opens. It probes the service at fault with
/// exponential backoff; once a probe passes it is half open and lets one user through; that user's success closes it.
pub(crate) struct CircuitBreaker {
    /// `None`: of all users.
    lane: Option<Lane>,
    phase: watch::Sender<Phase>,
    pauses: Mutex<ExponentialBackoff>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    Closed,
    Open {
        code: Code,
        cause: String,
    },
    /// One user at a time is taken. The cause stays where no probe can show that it is gone.
    HalfOpen {
        cause: Option<(Code, String)>,
    },
}

impl Phase {
    /// What is at fault, as far as is known.
    fn fault(&self) -> Option<(Code, &str)> {
        match self {
            Self::Closed => None,
            Self::Open { code, cause } => Some((*code, cause)),
            Self::HalfOpen { cause } => cause.as_ref().map(|(code, cause)| (*code, cause.as_str())),
        }
    }
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self {
            lane: None,
            phase: watch::Sender::new(Phase::Closed),
            pauses: Mutex::new(backoff(FIRST_PAUSE, LONGEST_PAUSE).build()),
        }
    }
}

impl CircuitBreaker {
    pub(crate) fn of_lane(lane: Lane) -> Self {
        Self {
            lane: Some(lane),
            ..Self::default()
        }
    }

    /// Opens: a user met a systemic fault. Users who were under way at the first fault add nothing new.
    pub(crate) fn trip(&self, failure: &Failure) {
        let opened = self.change(|phase| {
            let opens = !matches!(phase, Phase::Open { .. });
            opens.then(|| Phase::Open {
                code: failure.code,
                cause: failure.to_string(),
            })
        });
        if opened {
            tracing::error!(%failure, code = %failure.code,
                lane = self.lane.map(Lane::as_str),
                "every user would meet this: no users are taken until a probe passes");
        }
    }

    /// A run ended without a systemic fault: closes, if half open.
    pub(crate) fn passed(&self) {
        let closed =
            self.change(|phase| matches!(phase, Phase::HalfOpen { .. }).then_some(Phase::Closed));
        if closed {
            *self.pauses.lock() = backoff(FIRST_PAUSE, LONGEST_PAUSE).build();
            tracing::info!("the fault is over: users are taken again");
        }
    }

    /// An operator says that the fault is over.
    pub(crate) fn lift(&self) {
        let closed = self.change(|phase| (*phase != Phase::Closed).then_some(Phase::Closed));
        if closed {
            tracing::warn!(
                lane = self.lane.map(Lane::as_str),
                "an operator lifted the surge: users are taken again"
            );
        }
    }

    /// Changes to the phase that follows from the current one, if any, and updates the metric.
    fn change(&self, following: impl FnOnce(&Phase) -> Option<Phase>) -> bool {
        self.phase.send_if_modified(|phase| {
            let Some(following) = following(phase) else {
                return false;
            };
            if let Some((code, _)) = phase.fault() {
                metrics::paused(code, self.lane, false);
            }
            if let Some((code, _)) = following.fault() {
                metrics::paused(code, self.lane, true);
            }
            *phase = following;
            true
        })
    }

    /// Returns when no user may be taken.
    pub(crate) async fn opened(&self) {
        // The sender is our own, so this cannot fail.
        self.phase
            .subscribe()
            .wait_for(|phase| matches!(phase, Phase::Open { .. }))
            .await
            .ok();
    }

    /// Returns when users may be taken, if only one.
    pub(crate) async fn not_open(&self) {
        self.phase
            .subscribe()
            .wait_for(|phase| !matches!(phase, Phase::Open { .. }))
            .await
            .ok();
    }

    /// Returns when something stops the intake, or lets only one user through.
    pub(crate) async fn not_closed(&self) {
        self.phase
            .subscribe()
            .wait_for(|phase| *phase != Phase::Closed)
            .await
            .ok();
    }

    /// Whether no user may be taken.
    pub(crate) fn is_open(&self) -> bool {
        matches!(*self.phase.borrow(), Phase::Open { .. })
    }

    /// Whether one user at a time is taken.
    pub(crate) fn is_half_open(&self) -> bool {
        matches!(*self.phase.borrow(), Phase::HalfOpen { .. })
    }

    /// What stops the intake, if anything does.
    pub(crate) fn cause(&self) -> Option<String> {
        self.phase
            .borrow()
            .fault()
            .map(|(_, cause)| cause.to_owned())
    }

    /// Probes the service at fault, as long as the handle lives.
    pub(crate) fn probe(self: &Arc<Self>, services: Arc<Services>) -> AbortOnDropHandle<()> {
        let breaker = Arc::clone(self);
        AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                breaker.opened().await;
                let pause = breaker.next_pause();
                tokio::time::sleep(pause).await;
                breaker.probe_once(&services).await;
            }
        }))
    }

    fn next_pause(&self) -> Duration {
        let pause = self.pauses.lock().next().unwrap_or(LONGEST_PAUSE);
        match self.phase.borrow().fault() {
            Some((Code::CheckpointsUnreachable, _)) => pause.min(LONGEST_PAUSE_OF_CHECKPOINTS),
            // A probe is a user, who may fail.
            Some((Code::Surge, _)) => time_scaled(PAUSE_OF_SURGE),
            Some(_) | None => pause,
        }
    }

    /// As if a probe had passed.
    #[cfg(test)]
    pub(crate) fn half_open(&self) {
        self.phase.send_replace(Phase::HalfOpen { cause: None });
    }

    async fn probe_once(&self, services: &Services) {
        let Phase::Open { code, cause } = self.phase.borrow().clone() else {
            return;
        };
        match services.probe(code).await {
            Ok(proven) => {
                tracing::info!(%code, "the probe passes: one user is let through");
                self.change(|_open| {
                    Some(Phase::HalfOpen {
                        cause: (!proven).then_some((code, cause)),
                    })
                });
            }
            Err(failure) => tracing::debug!(%failure, "the probe fails"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Class;

    #[test]
    fn a_checkpoint_store_that_is_away_is_probed_every_second_or_two() {
        for (code, longest) in [
            (Code::CheckpointsUnreachable, LONGEST_PAUSE_OF_CHECKPOINTS),
            (Code::ArchiveUnreachable, LONGEST_PAUSE),
        ] {
            let breaker = CircuitBreaker::default();
            breaker.trip(&Failure::new(Class::Systemic, code, "away"));
            let pauses: Vec<_> = (0..20).map(|_| breaker.next_pause()).collect();
            assert!(pauses.iter().all(|pause| *pause <= longest), "{pauses:?}");
            assert!(pauses[19] >= longest / 2, "{pauses:?}");
        }
    }

    #[test]
    fn a_lane_that_is_stopped_is_probed_by_a_user_each_minute() {
        let breaker = CircuitBreaker::of_lane(Lane::Archive);
        breaker.trip(&Failure::new(Class::Systemic, Code::Surge, "all fail"));
        let pauses = [(); 3].map(|()| breaker.next_pause());
        assert_eq!(pauses, [Duration::from_mins(1); 3]);
    }

    #[tokio::test]
    async fn it_opens_once_and_closes_only_with_a_success_after_a_probe() {
        let breaker = CircuitBreaker::default();
        let failure = Failure::new(Class::Systemic, Code::CxoneUnauthorized, "401");
        assert_eq!(breaker.cause(), None);
        breaker.trip(&failure);
        breaker.opened().await;
        assert!(breaker.cause().unwrap().contains("401"));
        // A user who was under way gets through: that proves nothing.
        breaker.passed();
        assert!(breaker.cause().is_some());
        breaker.half_open();
        breaker.not_open().await;
        assert!(breaker.is_half_open());
        breaker.passed();
        assert!(!breaker.is_half_open());
        assert_eq!(breaker.cause(), None);
    }
}
