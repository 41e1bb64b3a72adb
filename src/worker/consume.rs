use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::breaker::Breaker;
use super::drain::Shutdown;
use super::settle::{self, Disposition, Letter, settle};
use super::waiting::{FreeLanes, Held, InProgress, Quarantine, Waiting};
use super::{Outcome, drive};
use crate::adapters::amqp::{
    Broker, Delivery, Intake, Publisher, QueueError, REVISION_HEADER, STAND_IN_HEADER, Source, WAIT_HEADER,
};
use crate::failure::{Class, Code, Failure, Reason};
use crate::job::{Job, Lane, parse_message};
use crate::steps::{Interrupt, Limits, Services};

const FIRST_BACKOFF: Duration = Duration::from_millis(500);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
const WATCHDOG: Duration = Duration::from_secs(15);
/// After so many deaths, of workers or of connections, a message is worked on alone, so that it takes no
/// others along if it was the cause.
const SUSPICIOUS_DEATHS: i64 = 2;
/// Channels for publishing parked jobs and dead letters.
const PUBLISH_CHANNELS: usize = 4;

/// How a worker works.
#[derive(Debug, Clone)]
pub struct Options {
    /// Users in progress at once, and the prefetch.
    pub concurrency: usize,
    /// How long a delivery is held at most.
    pub slice: Duration,
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
    lane_slots: [Arc<Semaphore>; 2],
    consuming: AtomicBool,
    in_progress: Arc<InProgress>,
    options: Options,
}

/// What one user in progress holds; giving it back is dropping it.
struct Slot {
    _any: OwnedSemaphorePermit,
    _lane: OwnedSemaphorePermit,
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
            // Archives take hours: some slots are left to those who still have access. And those may wait
            // for a quota that archives do not need.
            lane_slots: [(); 2].map(|()| Arc::new(Semaphore::new((concurrency * 3 / 4).max(1)))),
            consuming: AtomicBool::new(false),
            in_progress: Arc::default(),
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
        let _probing = self.breaker.probe(Arc::clone(&self.services));
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
        let grace_over = Instant::now() + self.options.grace;
        let closing = (self.options.grace / 10).min(Duration::from_secs(2));
        in_time(grace_over - closing, intake.cancel()).await;
        self.drain(&mut tasks, shutdown, grace_over - closing).await;
        in_time(grace_over, async {
            self.publisher.close().await;
            intake.close().await;
        })
        .await;
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

    /// Takes deliveries until the intake breaks (`Err`) or the process is asked to end (`Ok`). What came
    /// before there is a slot for it waits here, the most preferred first; what waits too long goes back to
    /// the end of its queue, since a broker takes offence at deliveries that are held.
    async fn session(
        &self,
        intake: &mut Intake,
        tasks: &mut JoinSet<()>,
        shutdown: &Shutdown,
    ) -> Result<(), QueueError> {
        let mut watchdog = tokio::time::interval(WATCHDOG);
        watchdog.reset();
        let mut give_back = tokio::time::interval(self.options.slice / 4);
        let mut waiting = Waiting::default();
        let mut quarantine = Quarantine::default();
        loop {
            tokio::select! {
                biased;
                () = shutdown.draining.cancelled() => return Ok(()),
                () = std::future::ready(()), if quarantine.is_wanted() && !intake.is_paused() => {
                    intake.pause().await?;
                }
                () = self.breaker.opened(), if !intake.is_paused() => intake.pause().await?,
                () = self.breaker.not_open(), if intake.is_paused() && quarantine.is_over(tasks.is_empty()) => {
                    intake.resume().await?;
                    quarantine.end();
                }
                _ = watchdog.tick() => intake.check().await?,
                _ = give_back.tick() => {
                    for held in waiting.older_than(self.options.slice / 2) {
                        tasks.spawn(give_back_one(held, Arc::clone(&self.publisher), Arc::clone(&self.breaker)));
                    }
                }
                next = intake.next() => {
                    let (source, delivery) = next?;
                    let held = Held { source, delivery, since: Instant::now() };
                    let deaths = settle::deaths(&held.delivery);
                    if deaths < SUSPICIOUS_DEATHS {
                        waiting.push(held);
                        continue;
                    }
                    tracing::warn!(deaths, "workers or connections died with this message in hand; it is taken alone");
                    if let Some(another) = quarantine.take_in(held) {
                        let (publisher, breaker) = (Arc::clone(&self.publisher), Arc::clone(&self.breaker));
                        tasks.spawn(give_back_one(another, publisher, breaker));
                    }
                }
                () = self.breaker.not_open(), if quarantine.is_wanted() && tasks.is_empty() => {
                    let Some(held) = quarantine.next() else { continue };
                    let Some(slot) = self.slot(held.source.lane()) else { continue };
                    tasks.spawn(self.visit(held, shutdown.clone(), slot));
                }
                // Others may do what this worker cannot.
                () = std::future::ready(()), if intake.is_paused() && !waiting.is_empty() => {
                    for held in waiting.older_than(Duration::ZERO) {
                        let (publisher, breaker) = (Arc::clone(&self.publisher), Arc::clone(&self.breaker));
                        tasks.spawn(give_back_one(held, publisher, breaker));
                    }
                }
                () = self.breaker.not_open(), if waiting.has_for(self.free_lanes()) => {
                    let Some(held) = waiting.pop_for(self.free_lanes()) else { continue };
                    let Some(slot) = self.slot(held.source.lane()) else { continue };
                    tasks.spawn(self.visit(held, shutdown.clone(), slot));
                }
                // A visit that ends gives its slot back.
                _ended = tasks.join_next(), if !tasks.is_empty() => {}
            }
        }
    }

    /// For which lanes a slot is free.
    fn free_lanes(&self) -> FreeLanes {
        let free = self.slots.available_permits();
        // One user is the probe.
        let any =
            if self.breaker.is_half_open() { free == self.options.concurrency.max(1) } else { free > 0 };
        let lane = |lane| any && self.lane_slots(lane).available_permits() > 0;
        FreeLanes { access: lane(Lane::Access), archive: lane(Lane::Archive) }
    }

    const fn lane_slots(&self, lane: Lane) -> &Arc<Semaphore> {
        let [access, archive] = &self.lane_slots;
        match lane {
            Lane::Access | Lane::Whole => access,
            Lane::Archive => archive,
        }
    }

    fn slot(&self, lane: Lane) -> Option<Slot> {
        let any = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        let lane = Arc::clone(self.lane_slots(lane)).try_acquire_owned().ok()?;
        Some(Slot { _any: any, _lane: lane })
    }

    /// One delivery, from its bytes to its settlement. The task owns the slot.
    fn visit(&self, held: Held, shutdown: Shutdown, slot: Slot) -> impl Future<Output = ()> + Send + 'static {
        let (services, publisher) = (Arc::clone(&self.services), Arc::clone(&self.publisher));
        let (breaker, name) = (Arc::clone(&self.breaker), self.options.name.clone());
        let (slice, in_progress) = (self.options.slice, Arc::clone(&self.in_progress));
        async move {
            let Held { source, delivery, since } = held;
            // Steps are asked to stop a little before the delivery has to go.
            let limits = Limits::new(&shutdown.draining, &shutdown.abandon, Some(since + slice * 3 / 4));
            let working = dispose(&services, &breaker, source, &delivery, &limits, &in_progress);
            tokio::pin!(working);
            let mut hand_on = since + slice;
            let disposition = loop {
                tokio::select! {
                    disposition = &mut working => break disposition,
                    () = tokio::time::sleep_until(hand_on), if !limits.is_exchanged() => {
                        match settle::stand_in(&delivery, source, &publisher).await {
                            Ok(()) => limits.exchange(),
                            Err(error) => {
                                tracing::warn!(%error, "no stand-in for a long job yet");
                                hand_on = Instant::now() + FIRST_BACKOFF * 10;
                            }
                        }
                    }
                }
            };
            if let Disposition::DeadLetter(letter) = &disposition {
                let user_id =
                    parse_message(&delivery.data, Timestamp::now()).map(|(user_id, _)| user_id).ok();
                tracing::error!(user_id = user_id.map(tracing::field::display), reason = %letter.reason,
                    error = letter.error, attempts = letter.attempts, "dead letter");
            }
            match (&disposition, limits.is_exchanged()) {
                (_, false) => {
                    settle_at_last(&delivery, source, &disposition, &publisher, &name, &breaker).await;
                }
                // The stand-in goes on with whatever is left, but it cannot become a dead letter.
                (Disposition::DeadLetter(_), true) => {
                    let letter_sent =
                        settle::publish_successor(&delivery, source, &disposition, &publisher, &name).await;
                    if let Err(error) = letter_sent {
                        tracing::warn!(%error, "no dead letter yet: its stand-in will try again");
                        breaker.trip(&Failure::from(error));
                    }
                }
                (_, true) => {}
            }
            drop(slot);
        }
    }

    /// Waits for the users in progress, and says every few seconds who is left.
    async fn drain(&self, tasks: &mut JoinSet<()>, shutdown: &Shutdown, until: Instant) {
        // Long enough to give leases and deliveries back.
        let abandon_at = until - (self.options.grace / 4).min(Duration::from_secs(5));
        let mut report = tokio::time::interval(Duration::from_secs(3));
        while !tasks.is_empty() {
            tokio::select! {
                _ = tasks.join_next() => {}
                _ = report.tick() => {
                    tracing::info!(left = tasks.len(), users = self.in_progress.names(), "draining");
                }
                () = tokio::time::sleep_until(abandon_at), if !shutdown.abandon.is_cancelled() => {
                    tracing::warn!(left = tasks.len(), users = self.in_progress.names(),
                        "the grace is nearly over; these stop where they are, and go on elsewhere");
                    shutdown.abandon.cancel();
                }
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

/// What the broker is told at the end is a courtesy: one that does not answer must not hold the process.
async fn in_time(until: Instant, telling: impl Future<Output = ()>) {
    if tokio::time::timeout_at(until, telling).await.is_err() {
        tracing::warn!("the broker does not answer; its connections are left to end with the process");
    }
}

/// It waited for a slot too long: to the end of its queue, where another worker may have one.
async fn give_back_one(held: Held, publisher: Arc<Publisher>, breaker: Arc<Breaker>) {
    let disposition = Disposition::GiveBack;
    settle_at_last(&held.delivery, held.source, &disposition, &publisher, "", &breaker).await;
}

/// Settles, however long publishing does not work: a delivery that was dropped here would stay in this
/// worker's hand as long as its connection lives. Once that is gone the broker delivers again by itself.
async fn settle_at_last(
    delivery: &Delivery,
    source: Source,
    disposition: &Disposition,
    publisher: &Publisher,
    name: &str,
    breaker: &Breaker,
) {
    let mut backoff = FIRST_BACKOFF;
    while let Err(error) = settle(delivery, source, disposition, publisher, name).await {
        let again = delivery.acker.usable();
        tracing::warn!(%error, again, "not settled; where we do not try again, the broker delivers it again");
        breaker.trip(&Failure::from(error));
        if !again {
            break;
        }
        tokio::time::sleep(backoff.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
        backoff = (backoff * 2).min(LONGEST_BACKOFF);
    }
}

async fn dispose(
    services: &Arc<Services>,
    breaker: &Breaker,
    source: Source,
    delivery: &Delivery,
    limits: &Limits,
    in_progress: &InProgress,
) -> Disposition {
    let now = Timestamp::now();
    let parked_until = settle::time_in(delivery, WAIT_HEADER);
    if let Some(until) = parked_until.filter(|until| now < *until) {
        return Disposition::Park { until, survived: false };
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
    let job = Job {
        user_id,
        request,
        lane: source.lane(),
        revision: settle::number_in(delivery, REVISION_HEADER).and_then(|number| u32::try_from(number).ok()),
        stands_in_since: settle::time_in(delivery, STAND_IN_HEADER),
        continuation: parked_until.is_some(),
    };
    // A task of its own, so that a panic is this user's alone.
    let (services, limits) = (Arc::clone(services), limits.clone());
    let entry = in_progress.enter(user_id);
    let driving = tokio::spawn(async move { Box::pin(drive(&services, &job, &limits)).await });
    let visit = match AbortOnDropHandle::new(driving).await {
        Ok(visit) => visit,
        Err(died) => {
            let failure = Failure::new(Class::Defect, Code::Panicked, format!("a step died: {died}"));
            return settle::panicked(&failure);
        }
    };
    drop(entry);
    match &visit {
        Ok(Outcome::Finished(state)) => {
            breaker.passed();
            tracing::info!(%user_id, %state, "finished");
        }
        Ok(Outcome::HandOver | Outcome::Replaced | Outcome::DeadLetter { .. }) => breaker.passed(),
        Ok(Outcome::Reissue { revision }) => {
            tracing::info!(%user_id, revision, "the user came back, and is off-boarded again");
        }
        Ok(Outcome::Wait { until, why }) => {
            breaker.passed();
            tracing::info!(%user_id, %until, why, "waits");
        }
        Ok(Outcome::Busy { .. }) => tracing::debug!(%user_id, "another worker has this user"),
        Err(Interrupt::Systemic(failure)) => breaker.trip(failure),
        Err(Interrupt::SliceOver) => tracing::info!(%user_id, "goes on in another slice"),
        Err(Interrupt::Draining | Interrupt::LeaseLost) => {}
    }
    settle::disposition(visit, source, Timestamp::now())
}
