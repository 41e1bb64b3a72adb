//! What has to answer before a worker takes its first user. The worker waits for what does not, reports it on
//! `/readyz`, and continues by itself: an orchestrator restarts a process that exits later and later.

use std::collections::BTreeMap;
use std::time::Duration;

use backon::BackoffBuilder as _;
use parking_lot::Mutex;

use super::backoff::backoff;
use super::circuit_breaker::{FIRST_PAUSE, LONGEST_PAUSE};
use super::operator_pause::OperatorPause;
use crate::failure::{Class, Code, Failure};
use crate::ports::TenantRead;
use crate::ports::queue::Broker;
use crate::queue::QueueError;
use crate::steps::Services;
use crate::telemetry::metrics;

/// More than for a probe of a service that was there: names are looked up and credentials fetched for the first time.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);
/// A call to CXone has timeouts of its own and may wait for the quota that all workers share; a count of deletions lists
/// the archive store.
const SLOW_ANSWERS_WITHIN: Duration = Duration::from_hours(1);

/// What does not answer yet, by name.
#[derive(Default)]
pub(crate) struct Startup {
    waits_for: Mutex<BTreeMap<&'static str, Failure>>,
}

impl Startup {
    /// What keeps the worker from taking its first user.
    pub(crate) fn causes(&self) -> Vec<String> {
        let waits_for = self.waits_for.lock();
        let mut causes: Vec<String> = waits_for.values().map(Failure::to_string).collect();
        causes.dedup();
        causes
    }

    /// Returns when everything answered. Each service is probed independently, so that all that are away are reported.
    pub(crate) async fn prove(
        &self,
        services: &Services,
        broker: &dyn Broker,
        pause: &OperatorPause,
    ) {
        let store = &*services.archive_store;
        let redis = Code::CheckpointsUnreachable;
        let s3 = Code::ArchiveUnreachable;
        let list = Code::SettingsUnreadable;

        let stores = async {
            tokio::join!(
                self.until("checkpoints", redis, ANSWERS_WITHIN, async || services
                    .checkpoints
                    .probe()
                    .await),
                self.until("archive", s3, ANSWERS_WITHIN, async || store.probe().await),
            );
            tokio::join!(
                self.until("deletion count", s3, SLOW_ANSWERS_WITHIN, async || services
                    .count_deletions()
                    .await),
                self.until("approval rule", s3, ANSWERS_WITHIN, async || services
                    .keep_approval_rule()
                    .await),
                self.until("pause", s3, ANSWERS_WITHIN, async || {
                    pause.read(store, services.clock.now()).await
                }),
            );
        };
        tokio::join!(
            stores,
            self.until("protected", list, ANSWERS_WITHIN, async || services
                .protected
                .load()
                .await
                .map(drop)),
            self.until(
                "cxone",
                Code::CxoneTimeout,
                SLOW_ANSWERS_WITHIN,
                async || services.tenant.probe(TenantRead::User).await
            ),
            self.until(
                "queue",
                Code::QueueUnreachable,
                ANSWERS_WITHIN,
                async || Ok(broker.probe().await?)
            ),
        );
    }

    async fn until(
        &self,
        what: &'static str,
        code: Code,
        within: Duration,
        ask: impl AsyncFn() -> Result<(), Failure>,
    ) {
        let mut pauses = backoff(FIRST_PAUSE, LONGEST_PAUSE).build();
        loop {
            let answer = tokio::time::timeout(within, ask())
                .await
                .unwrap_or_else(|_elapsed| {
                    let text = format!("{what}: no answer within {} s", within.as_secs());
                    Err(Failure::new(Class::Systemic, code, text))
                });
            let answers = answer.is_ok();
            self.answered(what, answer.err());
            if answers {
                return;
            }
            tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
        }
    }

    /// Updates log, metrics and [`Self::causes`].
    fn answered(&self, what: &'static str, failure: Option<Failure>) {
        let mut waits_for = self.waits_for.lock();
        let before = waits_for.remove(what);

        if let Some(failure) = failure {
            if before.as_ref() != Some(&failure) {
                tracing::error!(%failure, code = %failure.code, "no users are taken until this is over");
            }
            waits_for.insert(what, failure);
        } else if before.is_some() {
            tracing::info!(what, "answers");
        }
        for (code, is_paused) in before.iter().map(|failure| (failure.code, false)) {
            metrics::paused(code, None, is_paused);
        }

        for failure in waits_for.values() {
            metrics::paused(failure.code, None, true);
        }
    }
}

/// Whether the worker consumes from RabbitMQ, and why not.
pub(crate) struct Consuming {
    not_because: Mutex<Option<String>>,
}

impl Default for Consuming {
    fn default() -> Self {
        Self {
            not_because: Mutex::new(Some("not consuming from RabbitMQ".to_owned())),
        }
    }
}

impl Consuming {
    pub(crate) fn began(&self) {
        metrics::paused(Code::QueueUnreachable, None, false);
        *self.not_because.lock() = None;
    }

    pub(crate) fn ended(&self, error: &QueueError) {
        metrics::paused(Code::QueueUnreachable, None, true);
        let cause = format!("not consuming from RabbitMQ: {error}");
        *self.not_because.lock() = Some(cause);
    }

    pub(crate) fn cause(&self) -> Option<String> {
        self.not_because.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn away(code: Code) -> Failure {
        Failure::new(Class::Systemic, code, "away")
    }

    #[tokio::test(start_paused = true)]
    async fn it_waits_for_every_service_that_is_away_reports_all_of_them_and_continues_by_itself() {
        let startup = Startup::default();
        let asked = AtomicU32::new(0);
        // So often that it is still away when the other one, which hangs at first, is given up.
        let one = startup.until(
            "a",
            Code::CheckpointsRefused,
            ANSWERS_WITHIN,
            async || match asked.fetch_add(1, Ordering::Relaxed) {
                0..30 => Err(away(Code::CheckpointsRefused)),
                _ => Ok(()),
            },
        );
        let hung = AtomicU32::new(0);
        let other = startup.until("b", Code::ArchiveUnreachable, ANSWERS_WITHIN, async || {
            if hung.fetch_add(1, Ordering::Relaxed) == 0 {
                std::future::pending::<()>().await;
            }
            Ok(())
        });
        let reading = async {
            tokio::time::sleep(ANSWERS_WITHIN + Duration::from_millis(100)).await;
            startup.causes()
        };
        let ((), (), seen) = tokio::join!(one, other, reading);
        assert_eq!(
            seen,
            [
                "away [checkpoints_refused]",
                "b: no answer within 30 s [archive_unreachable]"
            ]
        );
        assert_eq!((asked.into_inner(), hung.into_inner()), (31, 2));
        assert_eq!(startup.causes(), [""; 0]);
    }
}
