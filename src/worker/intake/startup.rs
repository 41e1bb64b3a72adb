//! What has to answer before a worker takes its first user. It waits for what does not, says so on `/readyz`, and goes on
//! by itself: a process that ends instead is started again later and later.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::adapters::cxone::Look;
use crate::failure::{Class, Code, Failure};
use crate::ports::queue::Broker;
use crate::queue::QueueError;
use crate::steps::Services;
use crate::telemetry::metrics;
use crate::worker::intake::circuit_breaker::{FIRST_PAUSE, LONGEST_PAUSE};
use crate::worker::intake::operator_pause::Operator;

/// More than for a probe of a service that was there: names are looked up and credentials fetched for the first time.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);
/// A call to CXone has timeouts of its own and may wait for the quota that all workers share; a count of deletions lists
/// the archive store.
const AT_LAST: Duration = Duration::from_hours(1);

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

    /// Returns when everything answered. Each service is asked by itself, so that all that are away are named.
    pub(crate) async fn prove(
        &self,
        services: &Services,
        broker: &dyn Broker,
        operator: &Operator,
    ) {
        let store = &*services.archive_store;
        let (redis, s3, list) = (
            Code::CheckpointsUnreachable,
            Code::ArchiveUnreachable,
            Code::SettingsUnreadable,
        );
        tokio::join!(
            self.until("checkpoints", redis, ANSWERS_WITHIN, async || services
                .checkpoints
                .probe()
                .await),
            self.until("archive", s3, ANSWERS_WITHIN, async || store.probe().await),
            self.until("protected", list, ANSWERS_WITHIN, async || services
                .protected
                .load()
                .await
                .map(drop)),
            self.until("cxone", Code::CxoneTimeout, AT_LAST, async || Ok(services
                .cxone
                .probe(Look::User)
                .await?)),
            self.until(
                "queue",
                Code::QueueUnreachable,
                ANSWERS_WITHIN,
                async || Ok(broker.probe().await?)
            ),
        );
        self.until("brake", s3, AT_LAST, async || {
            services.count_deletions().await
        })
        .await;
        self.until("pause", s3, ANSWERS_WITHIN, async || {
            operator.look(store).await
        })
        .await;
    }

    async fn until(
        &self,
        what: &'static str,
        code: Code,
        within: Duration,
        ask: impl AsyncFn() -> Result<(), Failure>,
    ) {
        let mut pause = FIRST_PAUSE;
        loop {
            let answer = tokio::time::timeout(within, ask())
                .await
                .unwrap_or_else(|_elapsed| {
                    let text = format!("{what}: no answer within {} s", within.as_secs());
                    Err(Failure::new(Class::Systemic, code, text))
                });
            let answers = answer.is_ok();
            self.heard(what, answer.err());
            if answers {
                return;
            }
            tokio::time::sleep(pause.mul_f64(0.75 + rand::random::<f64>() / 4.0)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Into log, metrics and [`Self::causes`].
    fn heard(&self, what: &'static str, failure: Option<Failure>) {
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
            metrics::paused(code, is_paused);
        }
        for failure in waits_for.values() {
            metrics::paused(failure.code, true);
        }
    }
}

/// Whether messages come from RabbitMQ, and why not.
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
        metrics::paused(Code::QueueUnreachable, false);
        *self.not_because.lock() = None;
    }

    pub(crate) fn ended(&self, error: &QueueError) {
        metrics::paused(Code::QueueUnreachable, true);
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
    async fn it_waits_for_whatever_is_away_names_all_of_it_and_goes_on_by_itself() {
        let (startup, asked) = (Startup::default(), AtomicU32::new(0));
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
        let looks = async {
            tokio::time::sleep(ANSWERS_WITHIN + Duration::from_millis(100)).await;
            startup.causes()
        };
        let ((), (), seen) = tokio::join!(one, other, looks);
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
