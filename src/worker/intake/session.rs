use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::job::Lane;
use crate::job::Source;
use crate::ports::queue::{Broker, Delivery, Depths, Intake, Publisher};
use crate::progress;
use crate::queue::QueueError;
use crate::queue::redelivery::SUSPICIOUS_DEATHS;
use crate::steps::Services;
use crate::telemetry::metrics::{self, InFlight};
use crate::worker::health::liveness::{Health, Look};
use crate::worker::intake::backlog::Backlog;
use crate::worker::intake::circuit_breaker::Breaker;
use crate::worker::intake::operator_pause::Operator;
use crate::worker::intake::ready_queue::{
    FreeLanes, Held, InProgress, Quarantine, Unsettled, Waiting,
};
use crate::worker::intake::shutdown::Shutdown;
use crate::worker::intake::startup::{Consuming, Startup};
use crate::worker::run::job_runner::Hand;

pub(crate) const FIRST_BACKOFF: Duration = Duration::from_millis(500);
pub(crate) const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
const WATCHDOG: Duration = Duration::from_secs(15);
/// How long a broker may take to hear that nothing more is taken.
const WITHIN: Duration = Duration::from_secs(1);
/// Channels for publishing parked jobs and dead letters.
const PUBLISH_CHANNELS: usize = 4;

#[derive(Debug, Clone)]
pub(crate) struct Options {
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
pub(crate) struct Worker {
    services: Arc<Services>,
    broker: Arc<dyn Broker>,
    publisher: Arc<dyn Publisher>,
    breaker: Arc<Breaker>,
    operator: Arc<Operator>,
    slots: Arc<Semaphore>,
    lane_slots: [Arc<Semaphore>; 2],
    startup: Startup,
    consuming: Consuming,
    in_progress: Arc<InProgress>,
    unsettled: Arc<Unsettled>,
    backlog: Arc<Backlog>,
    health: Health,
    options: Options,
}

/// What one user in progress holds; giving it back is dropping it.
pub(crate) struct Slot {
    _any: OwnedSemaphorePermit,
    _lane: OwnedSemaphorePermit,
    _counted: InFlight,
}

impl Worker {
    /// A worker on these services.
    pub(crate) fn new(services: Arc<Services>, broker: Arc<dyn Broker>, options: Options) -> Self {
        let concurrency = options.concurrency.max(1);
        Self {
            services,
            publisher: broker.publisher(PUBLISH_CHANNELS),
            broker,
            breaker: Arc::default(),
            operator: Arc::default(),
            slots: Arc::new(Semaphore::new(concurrency)),
            // Archives take hours: some slots are left to those who still have access. And those may wait
            // for a quota that archives do not need.
            lane_slots: [(); 2].map(|()| Arc::new(Semaphore::new((concurrency * 3 / 4).max(1)))),
            startup: Startup::default(),
            consuming: Consuming::default(),
            in_progress: Arc::default(),
            unsettled: Arc::default(),
            backlog: Arc::default(),
            health: Health::default(),
            options,
        }
    }

    /// What keeps it from taking users, if anything does.
    pub(crate) fn not_ready_because(&self) -> Vec<String> {
        let publishing = self
            .publisher
            .blocked_because()
            .or_else(|| self.unsettled.cause());
        let intake = self
            .consuming
            .cause()
            .into_iter()
            .chain(self.startup.causes());
        let stopped = self
            .operator
            .cause()
            .into_iter()
            .chain(self.breaker.cause());
        intake.chain(stopped).chain(publishing).collect()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.options
            .concurrency
            .max(1)
            .saturating_sub(self.slots.available_permits())
    }

    /// Why a restart would help, if it would; the table in `health.rs` says what counts.
    pub(crate) fn unhealthy_because(&self) -> Vec<String> {
        self.health.because()
    }

    /// What a look at the queues says of this worker; there is none while the broker does not answer.
    fn look(&self, depths: Option<&Depths>) {
        if let Some(depths) = depths {
            let free = self.free_lanes();
            let waits = |source: Source| depths.get(source.queue()).is_some_and(|depth| *depth > 0);
            let in_progress = self.in_flight() > 0;
            self.health.looked(Look {
                takeable: Source::ALL.map(|source| free.allow(source) && waits(source)),
                taken: Source::ALL.map(|source| self.backlog.taken(source)),
                held_up: !self.not_ready_because().is_empty(),
                at_work: in_progress && !progress::ByQuota::holds_any(),
                moved: progress::so_far(),
            });
        }
        metrics::unhealthy(!self.health.because().is_empty());
    }

    /// Waits for every service, then consumes until `shutdown`; connects again for ever when the broker goes away.
    pub(crate) async fn run(self: &Arc<Self>, shutdown: &Shutdown) {
        let mut tasks = JoinSet::new();
        let mut backoff = FIRST_BACKOFF;
        let begun = async {
            Box::pin(
                self.startup
                    .prove(&self.services, &*self.broker, &self.operator),
            )
            .await;
            let watching = self
                .operator
                .watch(Arc::clone(&self.services.archive_store));
            (watching, self.open_at_last(&mut backoff).await)
        };
        let (watching, mut intake) = tokio::select! {
            () = shutdown.draining.cancelled() => return,
            begun = begun => begun,
        };
        let (worker, publisher) = (Arc::clone(self), Arc::clone(&self.publisher));
        let looking = self
            .backlog
            .watch(publisher, Arc::clone(&self.broker), move |depths| {
                worker.look(depths)
            });
        let probing = self.breaker.probe(Arc::clone(&self.services));
        self.health
            .needs("follows an operator's pause", watching.abort_handle());
        self.health
            .needs("looks at the queues", looking.abort_handle());
        self.health
            .needs("probes services that are away", probing.abort_handle());
        loop {
            let since = Instant::now();
            let ended = self.session(&mut *intake, &mut tasks, shutdown).await;
            let Err(error) = ended else { break };
            self.consuming.ended(&error);
            tracing::warn!(%error, "the intake broke; opening it again");
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
    }

    async fn open(&self) -> Result<Box<dyn Intake>, QueueError> {
        let prefetch = u16::try_from(self.options.concurrency).unwrap_or(u16::MAX);
        let intake = in_a_minute("open the intake", self.broker.open_intake(prefetch)).await?;
        tracing::info!(
            broker = self.broker.at(),
            concurrency = self.options.concurrency,
            "consuming"
        );
        self.consuming.began();
        Ok(intake)
    }

    async fn reopen(&self, backoff: &mut Duration) -> Box<dyn Intake> {
        self.health.turned(false);
        tokio::time::sleep(backoff.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
        *backoff = (*backoff * 2).min(LONGEST_BACKOFF);
        self.open_at_last(backoff).await
    }

    async fn open_at_last(&self, backoff: &mut Duration) -> Box<dyn Intake> {
        loop {
            self.health.turned(false);
            match self.open().await {
                Ok(intake) => return intake,
                Err(error) => {
                    tracing::warn!(%error, "no intake yet");
                    self.consuming.ended(&error);
                }
            }
            tokio::time::sleep(backoff.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
            *backoff = (*backoff * 2).min(LONGEST_BACKOFF);
        }
    }

    /// Takes deliveries until the intake breaks (`Err`) or the process is asked to end (`Ok`). What came
    /// before there is a slot for it waits here, the most preferred first; what waits too long goes back to
    /// the end of its queue, since a broker takes offence at deliveries that are held.
    async fn session(
        &self,
        intake: &mut dyn Intake,
        tasks: &mut JoinSet<()>,
        shutdown: &Shutdown,
    ) -> Result<(), QueueError> {
        let mut watchdog = tokio::time::interval(WATCHDOG);
        watchdog.reset();
        let mut give_back = tokio::time::interval(self.options.slice / 4);
        let mut waiting = Waiting::default();
        let mut quarantine = Quarantine::default();
        loop {
            self.health.turned(!intake.is_paused());
            tokio::select! {
                biased;
                () = shutdown.draining.cancelled() => {
                    let unbegun = waiting.older_than(Duration::ZERO).into_iter().chain(quarantine.next());
                    for held in unbegun.chain(self.received(intake).await) {
                        tasks.spawn(self.hand().give_back(held));
                    }
                    return Ok(());
                }
                () = std::future::ready(()), if quarantine.is_wanted() && !intake.is_paused() => {
                    in_a_minute("pause the intake", intake.pause()).await?;
                }
                () = self.closed(), if !intake.is_paused() => in_a_minute("pause the intake", intake.pause()).await?,
                () = self.open_to_users(), if intake.is_paused() && quarantine.is_over(tasks.is_empty()) => {
                    in_a_minute("resume the intake", intake.resume()).await?;
                    quarantine.end();
                }
                _ = watchdog.tick() => intake.check().await?,
                _ = give_back.tick() => {
                    for held in waiting.older_than(self.options.slice / 2) {
                        tasks.spawn(self.hand().give_back(held));
                    }
                }
                next = intake.next() => {
                    let (source, delivery) = next?;
                    let held = self.held(source, delivery);
                    let deaths = held.delivery.envelope.deaths();
                    if deaths < SUSPICIOUS_DEATHS {
                        waiting.push(held);
                        continue;
                    }
                    tracing::warn!(deaths, "workers or connections died with this message in hand; it is taken alone");
                    if let Some(another) = quarantine.take_in(held) {
                        tasks.spawn(self.hand().give_back(another));
                    }
                }
                () = self.open_to_users(), if quarantine.is_wanted() && tasks.is_empty() => {
                    let Some(held) = quarantine.next() else { continue };
                    let Some(slot) = self.slot(held.source.lane()) else { continue };
                    tasks.spawn(self.hand().visit(held, shutdown.clone(), slot));
                }
                // Others may do what this worker cannot.
                () = std::future::ready(()), if intake.is_paused() && !waiting.is_empty() => {
                    for held in waiting.older_than(Duration::ZERO) {
                        tasks.spawn(self.hand().give_back(held));
                    }
                }
                () = self.open_to_users(), if waiting.has_for(self.free_lanes()) => {
                    let Some(held) = waiting.pop_for(self.free_lanes()) else { continue };
                    let Some(slot) = self.slot(held.source.lane()) else { continue };
                    tasks.spawn(self.hand().visit(held, shutdown.clone(), slot));
                }
                // A visit that ends gives its slot back.
                _ended = tasks.join_next(), if !tasks.is_empty() => {}
            }
        }
    }

    fn held(&self, source: Source, delivery: Delivery) -> Held {
        let in_hand = self.backlog.take_in(source, &delivery.envelope);
        Held {
            source,
            delivery,
            since: Instant::now(),
            in_hand,
        }
    }

    /// What was sent to this worker before it could say that it takes no more. These go back in order: what ends
    /// with a connection counts as a death.
    async fn received(&self, intake: &mut dyn Intake) -> Vec<Held> {
        const ON_ITS_WAY: Duration = Duration::from_millis(100);
        let mut received = Vec::new();
        if !intake.is_paused()
            && !matches!(
                tokio::time::timeout(WITHIN, intake.pause()).await,
                Ok(Ok(()))
            )
        {
            return received;
        }
        while let Ok(Ok((source, delivery))) = tokio::time::timeout(ON_ITS_WAY, intake.next()).await
        {
            received.push(self.held(source, delivery));
        }
        received
    }

    /// Returns when nobody may be taken.
    async fn closed(&self) {
        tokio::select! { () = self.breaker.opened() => {} () = self.operator.paused() => {} }
    }

    /// Returns when users may be taken, if only one.
    async fn open_to_users(&self) {
        loop {
            self.breaker.not_open().await;
            if self.operator.cause().is_none() {
                return;
            }
            self.operator.resumed().await;
        }
    }

    /// What one delivery is worked on with.
    fn hand(&self) -> Hand {
        Hand {
            services: Arc::clone(&self.services),
            publisher: Arc::clone(&self.publisher),
            breaker: Arc::clone(&self.breaker),
            in_progress: Arc::clone(&self.in_progress),
            until_paused: self.operator.until_paused(),
            unsettled: Arc::clone(&self.unsettled),
            slice: self.options.slice,
            name: self.options.name.clone(),
        }
    }

    /// For which lanes a slot is free.
    fn free_lanes(&self) -> FreeLanes {
        let free = self.slots.available_permits();
        // One user is the probe.
        let any = if self.breaker.is_half_open() {
            free == self.options.concurrency.max(1)
        } else {
            free > 0
        };
        let lane = |lane| any && self.lane_slots(lane).available_permits() > 0;
        FreeLanes {
            access: lane(Lane::Access),
            archive: lane(Lane::Archive),
        }
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
        Some(Slot {
            _any: any,
            _lane: lane,
            _counted: InFlight::begin(),
        })
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
        tracing::warn!(
            "the broker does not answer; its connections are left to end with the process"
        );
    }
}

/// The library waits for ever for a broker that keeps the connection and does not answer.
async fn in_a_minute<T>(
    what: &str,
    doing: impl Future<Output = Result<T, QueueError>>,
) -> Result<T, QueueError> {
    tokio::time::timeout(Duration::from_mins(1), doing)
        .await
        .unwrap_or_else(|_elapsed| {
            Err(QueueError::Broken {
                what: what.to_owned(),
                why: "no answer within a minute".to_owned(),
            })
        })
}
