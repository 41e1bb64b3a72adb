use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::failure::Failure;
use crate::ports::ArchiveStore;
use crate::registers::{PauseState, pause_state};
use crate::telemetry::metrics;

/// How soon all workers follow a pause.
const READ_EVERY: Duration = Duration::from_secs(2);

/// The operator's pause, as this worker last read it. While the store cannot be read, the last answer counts.
pub(crate) struct OperatorPause {
    paused: watch::Sender<Option<String>>,
    /// Cancelled while it is paused: users in progress stop at their next checkpoint.
    until_paused: Mutex<CancellationToken>,
    seen: Mutex<PauseState>,
}

impl Default for OperatorPause {
    fn default() -> Self {
        Self {
            paused: watch::Sender::new(None),
            until_paused: Mutex::new(CancellationToken::new()),
            seen: Mutex::new(PauseState::Never),
        }
    }
}

impl OperatorPause {
    /// Why no users are taken, if it is paused.
    pub(crate) fn cause(&self) -> Option<String> {
        self.paused.borrow().clone()
    }

    /// Returns when it is paused.
    pub(crate) async fn paused(&self) {
        // The sender is our own, so this cannot fail.
        self.paused.subscribe().wait_for(Option::is_some).await.ok();
    }

    /// Returns when it is not.
    pub(crate) async fn resumed(&self) {
        self.paused.subscribe().wait_for(Option::is_none).await.ok();
    }

    /// What a run that begins now has to stop for.
    pub(crate) fn until_paused(&self) -> CancellationToken {
        self.until_paused.lock().clone()
    }

    /// Reads it once, before the first user is taken.
    pub(crate) async fn read(&self, store: &dyn ArchiveStore) -> Result<(), Failure> {
        let state = pause_state(store).await?;
        let cause = state.cause();
        let before = std::mem::replace(&mut *self.seen.lock(), state);
        if before.cause() != cause {
            self.change(cause);
        }
        Ok(())
    }

    /// Reads it again and again, as long as the handle lives.
    pub(crate) fn watch(self: &Arc<Self>, store: Arc<dyn ArchiveStore>) -> AbortOnDropHandle<()> {
        let pause = Arc::clone(self);
        AbortOnDropHandle::new(tokio::spawn(async move {
            let mut due = tokio::time::interval(READ_EVERY);
            due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                due.tick().await;
                if let Err(failure) = pause.read(&*store).await {
                    tracing::debug!(%failure, "the operator's pause cannot be read; the last answer counts");
                }
            }
        }))
    }

    /// As if the store had this pause, or none.
    #[cfg(test)]
    pub(crate) fn set(&self, cause: Option<&str>) {
        self.change(cause.map(str::to_owned));
    }

    fn change(&self, cause: Option<String>) {
        let mut until_paused = self.until_paused.lock();
        match &cause {
            Some(cause) => {
                until_paused.cancel();
                tracing::warn!(
                    cause,
                    "an operator paused: no users are taken until the pause is lifted"
                );
            }
            None if until_paused.is_cancelled() => {
                *until_paused = CancellationToken::new();
                tracing::info!("an operator resumed: users are taken again");
            }
            None => {}
        }
        metrics::paused_by_operator(cause.is_some());
        self.paused.send_replace(cause);
    }
}
