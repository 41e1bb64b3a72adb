use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::breaker::Breaker;
use super::drain::Shutdown;
use super::settle::{self, Disposition, Letter, settle};
use super::{Outcome, drive};
use crate::adapters::amqp::{Broker, Delivery, Intake, Publisher, QueueError, Source};
use crate::failure::{Class, Code, Failure, Reason};
use crate::job::{Lane, parse_message};
use crate::steps::{Interrupt, Services};

const FIRST_BACKOFF: Duration = Duration::from_millis(500);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
const WATCHDOG: Duration = Duration::from_secs(15);
/// Channels for publishing parked jobs and dead letters.
const PUBLISH_CHANNELS: usize = 4;

/// How a worker works.
#[derive(Debug, Clone)]
pub struct Options {
    /// Users in progress at once, and the prefetch.
    pub concurrency: usize,
    /// What a SIGTERM leaves for steps in progress.
    pub grace: Duration,
    /// The name of this process, in manifests and dead letters.
    pub name: String,
}

/// Consumes until it is asked to end.
pub struct Worker {
    services: Arc<Services>,
    broker: Broker,
    publisher: Arc<Publisher>,
    breaker: Arc<Breaker>,
    slots: Arc<Semaphore>,
    archive_slots: Arc<Semaphore>,
    consuming: AtomicBool,
    options: Options,
}

/// What one user in progress holds; giving it back is dropping it.
struct Slot {
    _any: OwnedSemaphorePermit,
    _archive: Option<OwnedSemaphorePermit>,
}

impl Worker {
    /// A worker on these services.
    pub fn new(services: Arc<Services>, broker: Broker, options: Options) -> Self {
        let concurrency = options.concurrency.max(1);
        Self {
            services,
            publisher: Arc::new(Publisher::new(broker.clone(), PUBLISH_CHANNELS)),
            broker,
            breaker: Arc::default(),
            slots: Arc::new(Semaphore::new(concurrency)),
            // Archives take hours; some slots are left to those who still have access.
            archive_slots: Arc::new(Semaphore::new((concurrency * 3 / 4).max(1))),
            consuming: AtomicBool::new(false),
            options,
        }
    }

    /// What keeps it from taking users, if anything does.
    pub fn not_ready_because(&self) -> Vec<String> {
        let intake =
            (!self.consuming.load(Ordering::Relaxed)).then(|| "not consuming from RabbitMQ".to_owned());
        intake.into_iter().chain(self.breaker.cause()).collect()
    }

    /// Consumes until `shutdown`; connects again for ever when the broker goes away. The first
    /// connection has to work out, so that wrong settings are an error and not a loop.
    pub async fn run(&self, shutdown: &Shutdown) -> Result<(), QueueError> {
        let mut tasks = JoinSet::new();
        let mut backoff = FIRST_BACKOFF;
        let mut intake = self.open().await?;
        loop {
            let since = Instant::now();
            let ended = self.session(&mut intake, &mut tasks, shutdown).await;
            let Err(error) = ended else { break };
            self.consuming.store(false, Ordering::Relaxed);
            tracing::warn!(%error, "the intake broke; opening it anew");
            if since.elapsed() > LONGEST_BACKOFF {
                backoff = FIRST_BACKOFF;
            }
            let opened = tokio::select! {
                () = shutdown.draining.cancelled() => None,
                opened = self.reopen(&mut backoff) => Some(opened),
            };
            match opened {
                Some(opened) => intake = opened,
                None => break,
            }
        }
        intake.cancel().await;
        self.drain(&mut tasks).await;
        self.publisher.close().await;
        intake.close().await;
        Ok(())
    }

    async fn open(&self) -> Result<Intake, QueueError> {
        let prefetch = u16::try_from(self.options.concurrency).unwrap_or(u16::MAX);
        let intake = Intake::open(&self.broker, prefetch).await?;
        tracing::info!(broker = self.broker.at(), concurrency = self.options.concurrency, "consuming");
        self.consuming.store(true, Ordering::Relaxed);
        Ok(intake)
    }

    async fn reopen(&self, backoff: &mut Duration) -> Intake {
        loop {
            tokio::time::sleep(backoff.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
            *backoff = (*backoff * 2).min(LONGEST_BACKOFF);
            match self.open().await {
                Ok(intake) => return intake,
                Err(error) => tracing::warn!(%error, "no intake yet"),
            }
        }
    }

    /// Takes deliveries until the intake breaks (`Err`) or the process is asked to end (`Ok`). The
    /// slot is taken before the delivery, so that what cannot be worked on stays with the broker.
    async fn session(
        &self,
        intake: &mut Intake,
        tasks: &mut JoinSet<()>,
        shutdown: &Shutdown,
    ) -> Result<(), QueueError> {
        let mut watchdog = tokio::time::interval(WATCHDOG);
        watchdog.reset();
        loop {
            let slot = tokio::select! {
                biased;
                () = shutdown.draining.cancelled() => return Ok(()),
                _ = watchdog.tick() => { intake.check().await?; continue }
                slot = self.slot() => slot,
            };
            let Some(any) = slot else { return Ok(()) };
            while tasks.try_join_next().is_some() {}
            let archive = Arc::clone(&self.archive_slots).try_acquire_owned().ok();
            tokio::select! {
                biased;
                () = shutdown.draining.cancelled() => return Ok(()),
                _ = watchdog.tick() => intake.check().await?,
                // All archive slots are taken: an end of one is news, or archives would wait for the
                // next access job.
                _ended = self.archive_slots.acquire(), if archive.is_none() => {}
                next = intake.next(archive.is_some()) => {
                    let (source, delivery) = next?;
                    let archive = archive.filter(|_permit| source.lane() == Lane::Archive);
                    let slot = Slot { _any: any, _archive: archive };
                    tasks.spawn(self.visit(source, delivery, shutdown.clone(), slot));
                }
            }
        }
    }

    async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        self.breaker.closed().await;
        Arc::clone(&self.slots).acquire_owned().await.ok()
    }

    /// One delivery, from its bytes to its settlement. The task owns the slot.
    fn visit(
        &self,
        source: Source,
        delivery: Delivery,
        shutdown: Shutdown,
        slot: Slot,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (services, publisher) = (Arc::clone(&self.services), Arc::clone(&self.publisher));
        let (breaker, name) = (Arc::clone(&self.breaker), self.options.name.clone());
        async move {
            let disposition = dispose(&services, &breaker, source, &delivery, &shutdown).await;
            if let Disposition::DeadLetter(letter) = &disposition {
                tracing::error!(reason = %letter.reason, error = letter.error, attempts = letter.attempts,
                    "dead letter");
            }
            if let Err(error) = settle(&delivery, source, &disposition, &publisher, &name).await {
                tracing::warn!(%error, "not settled: the broker will deliver it again");
                breaker.trip(&Failure::from(error));
            }
            drop(slot);
        }
    }

    /// Waits for the users in progress, and says every few seconds how many are left.
    async fn drain(&self, tasks: &mut JoinSet<()>) {
        let until = Instant::now() + self.options.grace;
        let mut report = tokio::time::interval(Duration::from_secs(3));
        while !tasks.is_empty() {
            tokio::select! {
                _ = tasks.join_next() => {}
                _ = report.tick() => tracing::info!(left = tasks.len(), "draining"),
                () = tokio::time::sleep_until(until) => {
                    tracing::warn!(left = tasks.len(), "the grace is over; the broker delivers these again");
                    tasks.abort_all();
                    return;
                }
            }
        }
        tracing::info!("drained");
    }
}

async fn dispose(
    services: &Arc<Services>,
    breaker: &Breaker,
    source: Source,
    delivery: &Delivery,
    shutdown: &Shutdown,
) -> Disposition {
    let now = Timestamp::now();
    if let Some(until) = settle::not_before(delivery).filter(|until| now < *until) {
        return Disposition::Park { until };
    }
    let (user_id, request) = match parse_message(&delivery.data, now) {
        Ok(parsed) => parsed,
        Err(malformed) => {
            return Disposition::DeadLetter(Letter {
                reason: Reason::MalformedMessage,
                error: malformed.to_string(),
                state: None,
                attempts: 0,
            });
        }
    };
    // A task of its own, so that a panic is this user's alone.
    let (services, draining) = (Arc::clone(services), shutdown.draining.clone());
    let driving =
        tokio::spawn(
            async move { Box::pin(drive(&services, user_id, &request, source.lane(), &draining)).await },
        );
    let visit = match driving.await {
        Ok(visit) => visit,
        Err(died) => {
            let failure = Failure::new(Class::Defect, Code::Panicked, format!("a step died: {died}"));
            return settle::panicked(&failure);
        }
    };
    match &visit {
        Ok(Outcome::Finished(state)) => {
            breaker.reset();
            tracing::info!(%user_id, %state, "finished");
        }
        Ok(Outcome::HandOver) => breaker.reset(),
        Ok(Outcome::Wait { until, why }) => tracing::info!(%user_id, %until, why, "waits"),
        Ok(Outcome::Busy { .. }) => tracing::debug!(%user_id, "another worker has this user"),
        Err(Interrupt::Systemic(failure)) => breaker.trip(failure),
        Ok(Outcome::DeadLetter { .. }) | Err(Interrupt::Draining | Interrupt::LeaseLost) => {}
    }
    settle::disposition(visit, source, Timestamp::now())
}
