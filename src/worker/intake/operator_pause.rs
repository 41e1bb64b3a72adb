use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::clock::Clock;
use crate::failure::Failure;
use crate::ports::ArchiveStore;
use crate::registers::{PauseState, StopRegister, pause_in_force};
use crate::telemetry::metrics;

/// How soon all workers follow a pause.
const READ_EVERY: Duration = Duration::from_secs(2);

/// The operator's pause, as this worker last read it. While the store cannot be read, the last answer counts, and with
/// it the time when that pause ends.
pub(crate) struct OperatorPause {
    paused: watch::Sender<Option<String>>,
    /// Cancelled while it is paused: users in progress stop at their next checkpoint.
    until_paused: Mutex<CancellationToken>,
    seen: Mutex<PauseState>,
    /// Orders to stop that are in doubt are a pause, too.
    orders: Arc<StopRegister>,
}

#[cfg(test)]
impl Default for OperatorPause {
    fn default() -> Self {
        Self::new(Arc::new(StopRegister::default()))
    }
}

impl OperatorPause {
    /// The orders are shared with the runs, so that a worker lists them once.
    pub(crate) fn new(orders: Arc<StopRegister>) -> Self {
        Self {
            paused: watch::Sender::new(None),
            until_paused: Mutex::new(CancellationToken::new()),
            seen: Mutex::new(PauseState::Never),
            orders,
        }
    }

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
    pub(crate) async fn read(
        &self,
        store: &dyn ArchiveStore,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let read = pause_in_force(store, &self.orders).await;
        let cause = {
            let mut seen = self.seen.lock();
            if let Ok(state) = &read {
                seen.clone_from(state);
            }
            seen.cause(now)
        };

        if self.cause() != cause {
            self.change(cause);
        }
        read.map(drop)
    }

    /// Reads it again and again, as long as the handle lives.
    pub(crate) fn watch(
        self: &Arc<Self>,
        store: Arc<dyn ArchiveStore>,
        clock: Clock,
    ) -> AbortOnDropHandle<()> {
        let pause = Arc::clone(self);
        AbortOnDropHandle::new(tokio::spawn(async move {
            let mut due = tokio::time::interval(READ_EVERY);
            due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                due.tick().await;
                if let Err(failure) = pause.read(&*store, clock.now()).await {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::directory::DirectoryStore;
    use crate::registers::audit_log::Recorded;
    use crate::registers::set_pause;

    #[tokio::test]
    async fn a_pause_ends_at_its_time_even_while_the_store_cannot_be_read() {
        let directory = tempfile::tempdir().unwrap();
        let store = DirectoryStore::open(directory.path()).unwrap();
        let at = |second| Timestamp::from_second(second).unwrap();
        let recorded = Recorded::in_a_test("ada", None);
        set_pause(&store, true, Some(at(200)), &recorded, at(100))
            .await
            .unwrap();

        let pause = OperatorPause::default();
        pause.read(&store, at(150)).await.unwrap();
        assert!(pause.cause().unwrap().contains("ada"));
        assert!(pause.until_paused().is_cancelled());

        // The record of the pause is no longer readable: it is a directory now.
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            let path = entry.unwrap().path();
            std::fs::remove_file(&path).unwrap();
            std::fs::create_dir(&path).unwrap();
        }
        pause.read(&store, at(199)).await.ok();
        assert!(pause.cause().is_some());
        pause.read(&store, at(200)).await.ok();
        assert_eq!(pause.cause(), None);
        assert!(!pause.until_paused().is_cancelled());
    }
}
