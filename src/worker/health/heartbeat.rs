use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use crate::ports::{Heartbeat, WorkerRegistry};

/// How soon others see that the worker stopped, or takes users again.
const EVERY: Duration = Duration::from_secs(1);
/// A heartbeat that says nothing new is sent only each fifth time.
const AT_LEAST_EACH: u32 = 5;

/// Sends the worker's heartbeat again and again, as long as the handle lives. The work does not wait for it.
pub(crate) fn announce(
    workers: Arc<dyn WorkerRegistry>,
    now: impl Fn() -> Heartbeat + Send + 'static,
) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        let mut due = tokio::time::interval(EVERY);
        due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut sent: Option<(Heartbeat, u32)> = None;
        loop {
            due.tick().await;
            let heartbeat = now();
            if let Some((last, age)) = &mut sent {
                *age += 1;
                if *age < AT_LEAST_EACH && !says_something_new(last, &heartbeat) {
                    continue;
                }
            }
            match workers.announce(&heartbeat).await {
                Ok(()) => sent = Some((heartbeat, 0)),
                Err(failure) => {
                    tracing::debug!(%failure, "this worker's heartbeat cannot be written");
                }
            }
        }
    }))
}

fn says_something_new(last: &Heartbeat, now: &Heartbeat) -> bool {
    let waiting = |heartbeat: &Heartbeat| {
        [
            heartbeat.waiting_for_deletion_rate_limit,
            heartbeat.waiting_for_request_limit,
            heartbeat.waiting_for_approval,
        ]
    };
    last.ready != now.ready
        || last.draining != now.draining
        || last.causes != now.causes
        || waiting(last) != waiting(now)
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use parking_lot::Mutex;

    use super::*;
    use crate::failure::Failure;
    use crate::ports::LiveWorker;

    #[derive(Default)]
    struct Registry(Mutex<Vec<bool>>);

    #[async_trait]
    impl WorkerRegistry for Registry {
        async fn announce(&self, heartbeat: &Heartbeat) -> Result<(), Failure> {
            self.0.lock().push(heartbeat.ready);
            Ok(())
        }

        async fn leave(&self, _name: &str) -> Result<(), Failure> {
            Ok(())
        }

        async fn workers(&self) -> Result<Vec<LiveWorker>, Failure> {
            Ok(Vec::new())
        }
    }

    fn heartbeat(ready: bool, waiting: u64) -> Heartbeat {
        Heartbeat {
            ready,
            waiting_for_approval: waiting,
            ..Heartbeat::sample("a")
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_announced_within_a_second_and_the_rest_every_five() {
        let registry = Arc::new(Registry::default());
        let now = Arc::new(Mutex::new((true, 13)));
        let said = Arc::clone(&now);
        let registry_of_worker = Arc::clone(&registry) as Arc<dyn WorkerRegistry>;
        let _announcing = announce(registry_of_worker, move || {
            let (ready, waiting) = *said.lock();
            heartbeat(ready, waiting)
        });

        tokio::time::sleep(Duration::from_millis(10_500)).await;
        assert_eq!(*registry.0.lock(), [true, true, true], "at 0, 5 and 10 s");
        *now.lock() = (false, 13);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(*registry.0.lock(), [true, true, true, false]);
        *now.lock() = (false, 9);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(registry.0.lock().len(), 5, "how many users wait is new");
    }
}
