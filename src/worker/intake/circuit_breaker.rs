use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::failure::{Code, Failure};
use crate::steps::Services;
use crate::telemetry::metrics;

pub(crate) const FIRST_PAUSE: Duration = Duration::from_secs(1);
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Stops the intake of users after a fault that every user would meet. The service at fault is probed, by
/// itself, with pauses that double; once the probe passes one user is let through, and with that user's
/// success all are.
pub(crate) struct Breaker {
    phase: watch::Sender<Phase>,
    pause: Mutex<Duration>,
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

impl Default for Breaker {
    fn default() -> Self {
        Self {
            phase: watch::Sender::new(Phase::Closed),
            pause: Mutex::new(FIRST_PAUSE),
        }
    }
}

impl Breaker {
    /// A user met a systemic fault. Those who were under way when the first one did say nothing new.
    pub(crate) fn trip(&self, failure: &Failure) {
        let opened = self.turn(|phase| {
            let opens = !matches!(phase, Phase::Open { .. });
            opens.then(|| Phase::Open {
                code: failure.code,
                cause: failure.to_string(),
            })
        });
        if opened {
            tracing::error!(%failure, code = %failure.code,
                "every user would meet this: no users are taken until a probe of that service passes");
        }
    }

    pub(crate) fn passed(&self) {
        let closed =
            self.turn(|phase| matches!(phase, Phase::HalfOpen { .. }).then_some(Phase::Closed));
        if closed {
            *self.pause.lock() = FIRST_PAUSE;
            tracing::info!("the fault is over: users are taken again");
        }
    }

    /// Into the phase that follows from the one there is, if any; the metric follows.
    fn turn(&self, following: impl FnOnce(&Phase) -> Option<Phase>) -> bool {
        self.phase.send_if_modified(|phase| {
            let Some(following) = following(phase) else {
                return false;
            };
            if let Some((code, _)) = phase.fault() {
                metrics::paused(code, false);
            }
            if let Some((code, _)) = following.fault() {
                metrics::paused(code, true);
            }
            *phase = following;
            true
        })
    }

    /// Returns when nobody may be taken.
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

    /// Probes whatever is at fault, as long as the handle lives.
    pub(crate) fn probe(self: &Arc<Self>, services: Arc<Services>) -> AbortOnDropHandle<()> {
        let breaker = Arc::clone(self);
        AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                breaker.opened().await;
                let pause = breaker.next_pause();
                tokio::time::sleep(pause.mul_f64(0.75 + rand::random::<f64>() / 4.0)).await;
                breaker.probe_once(&services).await;
            }
        }))
    }

    fn next_pause(&self) -> Duration {
        let mut pause = self.pause.lock();
        let now = *pause;
        *pause = (now * 2).min(LONGEST_PAUSE);
        now
    }

    async fn probe_once(&self, services: &Services) {
        let Phase::Open { code, cause } = self.phase.borrow().clone() else {
            return;
        };
        match services.probe(code).await {
            Ok(proven) => {
                tracing::info!(%code, "the probe passes: one user is let through");
                self.turn(|_open| {
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

    #[tokio::test]
    async fn it_opens_once_and_closes_with_a_success_after_a_probe_alone() {
        let breaker = Breaker::default();
        let failure = Failure::new(Class::Systemic, Code::CxoneUnauthorized, "401");
        assert_eq!(breaker.cause(), None);
        breaker.trip(&failure);
        breaker.opened().await;
        assert!(breaker.cause().unwrap().contains("401"));
        // A user who was under way gets through: that proves nothing.
        breaker.passed();
        assert!(breaker.cause().is_some());
        breaker.phase.send_replace(Phase::HalfOpen { cause: None });
        breaker.not_open().await;
        assert!(breaker.is_half_open());
        breaker.passed();
        assert!(!breaker.is_half_open());
        assert_eq!(breaker.cause(), None);
    }
}
