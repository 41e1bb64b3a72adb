use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use crate::ports::{Heartbeat, WorkerRegistry};

const EVERY: Duration = Duration::from_secs(5);

/// Sends the worker's heartbeat again and again, as long as the handle lives. The work does not wait for it.
pub(crate) fn announce(
    workers: Arc<dyn WorkerRegistry>,
    now: impl Fn() -> Heartbeat + Send + 'static,
) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        let mut due = tokio::time::interval(EVERY);
        due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            due.tick().await;
            if let Err(failure) = workers.announce(&now()).await {
                tracing::debug!(%failure, "this worker's heartbeat cannot be written");
            }
        }
    }))
}
