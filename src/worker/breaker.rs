use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use crate::failure::Failure;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Stops the intake of users after a fault that every user would meet, for a while that doubles as
/// long as the fault lasts. The next user taken is the probe.
#[derive(Default)]
pub(super) struct Breaker {
    open: Mutex<Option<Open>>,
}

struct Open {
    until: Instant,
    pause: Duration,
    cause: String,
}

impl Breaker {
    /// A user met a systemic fault.
    pub(super) fn trip(&self, failure: &Failure) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let pause = match &*open {
            // Those who were under way when it tripped say nothing new.
            Some(open) if now < open.until => return,
            Some(open) => (open.pause * 2).min(LONGEST_PAUSE),
            None => FIRST_PAUSE,
        };
        tracing::error!(%failure, code = %failure.code, pause_seconds = pause.as_secs(),
            "every user would meet this: no more users are taken for now");
        *open = Some(Open { until: now + pause, pause, cause: failure.to_string() });
    }

    /// A user got through.
    pub(super) fn reset(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_some_and(|open| Instant::now() >= open.until) {
            tracing::info!("the fault is over: users are taken again");
            *open = None;
        }
    }

    /// Returns when users may be taken.
    pub(super) async fn closed(&self) {
        loop {
            let until = match &*self.open.lock().unwrap_or_else(PoisonError::into_inner) {
                Some(open) if Instant::now() < open.until => open.until,
                Some(_) | None => return,
            };
            tokio::time::sleep_until(until).await;
        }
    }

    /// What stops the intake, if anything does.
    pub(super) fn cause(&self) -> Option<String> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|open| open.cause.clone())
    }
}
