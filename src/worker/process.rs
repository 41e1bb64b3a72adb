//! One worker process: it waits for its services, receives and runs jobs, and drains when it is asked to end.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff};
use futures_util::future::{BoxFuture, FutureExt as _};
use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::job::Source;
use crate::ports::Lanes;
use crate::ports::queue::{Broker, Depths, Intake, Publisher};
use crate::queue::QueueError;
use crate::steps::Services;
use crate::telemetry::metrics;
use crate::worker::health::liveness::{Health, Sample};
use crate::worker::intake::backlog::Backlog;
use crate::worker::intake::backoff::{LONGEST, broker_backoff};
use crate::worker::intake::circuit_breaker::CircuitBreaker;
use crate::worker::intake::gate::Gate;
use crate::worker::intake::in_progress::{InProgress, Unsettled};
use crate::worker::intake::operator_pause::OperatorPause;
use crate::worker::intake::ready_queue::Received;
use crate::worker::intake::session::{Runs, Session, Shared, in_a_minute};
use crate::worker::intake::shutdown::{Shutdown, drain};
use crate::worker::intake::slots::{Slot, Slots};
use crate::worker::intake::startup::{Consuming, Startup};
use crate::worker::run::job_runner::JobRunner;
use crate::worker::settle::delayed::Delayed;

/// Channels for publishing delayed jobs and dead letters.
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

/// Receives and runs jobs until it is asked to end.
pub(crate) struct Worker {
    services: Arc<Services>,
    broker: Arc<dyn Broker>,
    publisher: Arc<dyn Publisher>,
    shared: Shared,
    startup: Startup,
    consuming: Consuming,
    in_progress: Arc<InProgress>,
    unsettled: Arc<Unsettled>,
    delayed: Arc<Delayed>,
    options: Options,
}

/// Runs the deliveries of a worker until its shutdown.
struct Runner {
    worker: Arc<Worker>,
    shutdown: Shutdown,
}

impl Runs for Runner {
    fn run(&self, received: Received, slot: Slot) -> BoxFuture<'static, ()> {
        let runner = self.worker.job_runner();
        runner.run(received, self.shutdown.clone(), slot).boxed()
    }

    fn requeue(&self, received: Received) -> BoxFuture<'static, ()> {
        self.worker.job_runner().requeue(received).boxed()
    }
}

impl Worker {
    pub(crate) fn new(services: Arc<Services>, broker: Arc<dyn Broker>, options: Options) -> Self {
        let delayed = Arc::<Delayed>::default();
        let shared = Shared {
            gate: Gate {
                breaker: Arc::new(CircuitBreaker::default()),
                lanes: Arc::default(),
                pause: Arc::new(OperatorPause::new(Arc::clone(&services.stop_orders))),
            },
            slots: Slots::new(options.concurrency),
            backlog: Arc::new(Backlog::new(services.clock.clone(), Arc::clone(&delayed))),
            health: Health::default(),
            slice: options.slice,
        };
        Self {
            services,
            publisher: broker.publisher(PUBLISH_CHANNELS),
            broker,
            shared,
            startup: Startup::default(),
            consuming: Consuming::default(),
            in_progress: Arc::default(),
            unsettled: Arc::default(),
            delayed,
            options,
        }
    }

    /// Everything that keeps it from taking users: what `/readyz` reports.
    pub(crate) fn not_ready_because(&self) -> Vec<String> {
        let gate = &self.shared.gate;
        let mut causes = Vec::new();
        causes.extend(self.consuming.cause());
        causes.extend(self.startup.causes());
        causes.extend(gate.pause.cause());
        causes.extend(gate.breaker.cause());
        causes.extend(gate.lanes.causes());

        // An alarm of the broker explains why nothing can be settled.
        match self.publisher.blocked_because() {
            Some(alarm) => causes.push(alarm),
            None => causes.extend(self.unsettled.cause()),
        }
        causes
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.shared.slots.in_use()
    }

    pub(crate) fn lanes(&self) -> Lanes {
        self.shared.slots.lanes()
    }

    pub(crate) fn oldest_job(&self) -> Option<Timestamp> {
        self.shared.backlog.oldest_job()
    }

    /// Faults that a restart would fix; the table in `health/liveness.rs` has all of them.
    pub(crate) fn unhealthy_because(&self) -> Vec<String> {
        self.shared.health.unhealthy_reasons()
    }

    /// What a sample of the queues means for this worker's health; there is none while the broker does not answer.
    fn assess_health(&self, depths: Option<&Depths>) {
        let health = &self.shared.health;
        if let Some(depths) = depths {
            let free = self.shared.free_lanes();
            let waits = |source: Source| depths.get(source.queue()).is_some_and(|depth| *depth > 0);
            let in_progress = self.in_flight() > 0;
            let progress = &self.services.progress;
            health.sampled(Sample {
                takeable: Source::ALL.map(|source| free.allow(source) && waits(source)),
                received: Source::ALL.map(|source| self.shared.backlog.received(source)),
                held_up: !self.not_ready_because().is_empty(),
                at_work: in_progress && !progress.waits_for_quota(),
                progress: progress.so_far(),
            });
        }
        metrics::unhealthy(!health.unhealthy_reasons().is_empty());
    }

    /// Waits for every service, then receives jobs until `shutdown`; reconnects without end when the broker goes away.
    pub(crate) async fn run(self: &Arc<Self>, shutdown: &Shutdown) {
        let draining = &shutdown.draining;
        let pause = &self.shared.gate.pause;
        let breaker = &self.shared.gate.breaker;

        let mut pauses = broker_backoff().build();
        let started = async {
            let proving = self.startup.prove(&self.services, &*self.broker, pause);
            Box::pin(proving).await;
            let following = pause.watch(
                Arc::clone(&self.services.archive_store),
                self.services.clock.clone(),
            );
            (following, self.open_intake(&mut pauses).await)
        };
        let (following, mut intake) = tokio::select! {
            () = draining.cancelled() => return,
            started = started => started,
        };

        let sampling = self.sample_queues();
        let probing = breaker.probe(Arc::clone(&self.services));
        let probing_lanes = self.shared.gate.lanes.probe(&self.services);
        let health = &self.shared.health;
        health.needs("follows an operator's pause", following.abort_handle());
        health.needs("samples the queues", sampling.abort_handle());
        health.needs("probes services that are away", probing.abort_handle());
        for probing in &probing_lanes {
            health.needs("probes a lane that is stopped", probing.abort_handle());
        }

        let mut tasks = JoinSet::new();
        self.receive(&mut intake, pauses, &mut tasks, shutdown)
            .await;
        self.end(intake, &mut tasks, shutdown).await;
    }

    /// One session after the other, until a drain.
    async fn receive(
        self: &Arc<Self>,
        intake: &mut Box<dyn Intake>,
        mut pauses: ExponentialBackoff,
        tasks: &mut JoinSet<()>,
        shutdown: &Shutdown,
    ) {
        let draining = &shutdown.draining;
        let runner = Runner {
            worker: Arc::clone(self),
            shutdown: shutdown.clone(),
        };
        loop {
            let since = Instant::now();
            let session = Session::new(&self.shared, &runner, &mut **intake, tasks);
            let Err(error) = session.run(draining).await else {
                return;
            };
            self.consuming.ended(&error);
            tracing::warn!(%error, "the intake broke; it is opened again");

            if since.elapsed() > LONGEST {
                pauses = broker_backoff().build();
            }
            let reopening = async {
                self.pause(&mut pauses).await;
                self.open_intake(&mut pauses).await
            };
            tokio::select! {
                () = draining.cancelled() => return,
                opened = reopening => *intake = opened,
            }
        }
    }

    fn sample_queues(self: &Arc<Self>) -> tokio_util::task::AbortOnDropHandle<()> {
        let worker = Arc::clone(self);
        let publisher = Arc::clone(&self.publisher);
        let broker = Arc::clone(&self.broker);
        let backlog = &self.shared.backlog;
        backlog.watch(publisher, broker, move |depths| {
            worker.assess_health(depths);
        })
    }

    async fn pause(&self, pauses: &mut ExponentialBackoff) {
        self.shared.health.turned(false);
        tokio::time::sleep(pauses.next().unwrap_or(LONGEST)).await;
    }

    /// Tries again until the intake is open.
    async fn open_intake(&self, pauses: &mut ExponentialBackoff) -> Box<dyn Intake> {
        loop {
            self.shared.health.turned(false);
            match self.try_open_intake().await {
                Ok(intake) => return intake,
                Err(error) => {
                    tracing::warn!(%error, "no intake yet");
                    self.consuming.ended(&error);
                }
            }
            self.pause(pauses).await;
        }
    }

    async fn try_open_intake(&self) -> Result<Box<dyn Intake>, QueueError> {
        let concurrency = self.options.concurrency;
        let prefetch = u16::try_from(concurrency).unwrap_or(u16::MAX);
        let opening = self.broker.open_intake(prefetch);
        let intake = in_a_minute("open the intake", opening).await?;
        tracing::info!(broker = self.broker.at(), concurrency, "consuming");
        self.consuming.began();
        Ok(intake)
    }

    /// Stops the intake, waits for the runs under way within the grace, and closes the connections.
    async fn end(&self, mut intake: Box<dyn Intake>, tasks: &mut JoinSet<()>, shutdown: &Shutdown) {
        let grace = self.options.grace;
        let grace_over = Instant::now() + grace;
        let closing = (grace / 10).min(Duration::from_secs(2));
        in_time(grace_over - closing, intake.cancel()).await;

        // Long enough to release leases and to settle deliveries.
        let until = grace_over - closing;
        let abandon_at = until - (grace / 4).min(Duration::from_secs(5));
        drain(
            tasks,
            &shutdown.abandon,
            &self.in_progress,
            abandon_at,
            until,
        )
        .await;

        in_time(grace_over, async {
            // At once: one service that does not answer takes no time from the others.
            tokio::join!(
                self.services.checkpoints.close(),
                self.publisher.close(),
                intake.close()
            );
        })
        .await;
    }

    /// What one delivery is run with.
    fn job_runner(&self) -> JobRunner {
        JobRunner {
            services: Arc::clone(&self.services),
            publisher: Arc::clone(&self.publisher),
            breaker: Arc::clone(&self.shared.gate.breaker),
            lanes: Arc::clone(&self.shared.gate.lanes),
            in_progress: Arc::clone(&self.in_progress),
            until_paused: self.shared.gate.pause.until_paused(),
            unsettled: Arc::clone(&self.unsettled),
            delayed: Arc::clone(&self.delayed),
            time_slice: self.options.slice,
            name: self.options.name.clone(),
        }
    }
}

/// A broker that does not answer must not keep the process from ending.
async fn in_time(until: Instant, closing: impl Future<Output = ()>) {
    if tokio::time::timeout_at(until, closing).await.is_err() {
        tracing::warn!("RabbitMQ does not answer; its connections end with the process");
    }
}
