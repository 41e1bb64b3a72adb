//! One session of the intake: from an open connection to the end of the process, or to an error of the connection.
//! [`Session::next_action`] is the order of priorities; [`Session::perform`] does what has its turn.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval};
use tokio_util::sync::CancellationToken;

use super::backlog::Backlog;
use super::gate::Gate;
use super::isolation_queue::IsolationQueue;
use super::ready_queue::{ReadyQueue, Received};
use super::slots::{FreeLanes, Slot, Slots};
use crate::job::{Lane, Source};
use crate::ports::LaneSlots;
use crate::ports::queue::{Delivery, Intake};
use crate::queue::QueueError;
use crate::queue::redelivery::SUSPICIOUS_DEATHS;
use crate::worker::health::liveness::Health;

/// How often the intake asks the broker whether it still consumes.
const WATCHDOG: Duration = Duration::from_secs(15);
/// How long a drain waits for the broker to stop its deliveries.
const STOP_WITHIN: Duration = Duration::from_secs(1);
/// After this time without a delivery, nothing more is on its way.
const ON_ITS_WAY: Duration = Duration::from_millis(100);

/// Whose deliveries a worker takes.
const LANES: [Lane; 2] = [Lane::Access, Lane::Archive];

/// What becomes of deliveries: the worker's runner, or a test's.
pub(crate) trait Runs: Send + Sync {
    /// Runs a delivery's job and settles it. The run owns the slot.
    fn run(&self, received: Received, slot: Slot) -> BoxFuture<'static, ()>;

    /// Puts the message at the end of its queue, unchanged: another worker may have a slot for it.
    fn requeue(&self, received: Received) -> BoxFuture<'static, ()>;
}

/// What all sessions of a worker share.
pub(crate) struct Shared {
    pub(crate) gate: Gate,
    pub(crate) slots: Slots,
    pub(crate) backlog: Arc<Backlog>,
    pub(crate) health: Health,
    /// How long a delivery is held at most.
    pub(crate) slice: Duration,
}

impl Shared {
    /// While the circuit breaker is half open, one user is the probe, and while that of a lane is, one user of that lane.
    pub(crate) fn free_lanes(&self) -> FreeLanes {
        let free = self.slots.free(self.gate.breaker.is_half_open());
        let in_use = self.slots.lanes();
        let may_take = |lane, in_use: LaneSlots| {
            let breaker = self.gate.lanes.of(lane);
            !breaker.is_open() && (in_use.in_use == 0 || !breaker.is_half_open())
        };
        FreeLanes {
            access: free.access && may_take(Lane::Access, in_use.access),
            archive: free.archive && may_take(Lane::Archive, in_use.archive),
        }
    }
}

/// Receives deliveries and starts their runs, the most preferred first. What came before there is a slot for it waits
/// here; what waits for too long is requeued, since RabbitMQ closes a channel that holds deliveries for too long.
pub(crate) struct Session<'a> {
    shared: &'a Shared,
    runs: &'a dyn Runs,
    intake: &'a mut dyn Intake,
    tasks: &'a mut JoinSet<()>,
    ready: ReadyQueue,
    isolation: IsolationQueue,
    watchdog: Interval,
    requeue: Interval,
}

/// What has its turn.
pub(super) enum Action {
    Drain,
    Pause(Lane),
    Resume(Lane),
    Check,
    RequeueOld,
    Receive(Source, Box<Delivery>),
    RunIsolated,
    RequeuePaused,
    RunNext,
    /// A run ended, which freed its slot.
    Continue,
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        shared: &'a Shared,
        runs: &'a dyn Runs,
        intake: &'a mut dyn Intake,
        tasks: &'a mut JoinSet<()>,
    ) -> Self {
        let mut watchdog = tokio::time::interval(WATCHDOG);
        watchdog.reset();
        Self {
            shared,
            runs,
            intake,
            tasks,
            ready: ReadyQueue::default(),
            isolation: IsolationQueue::default(),
            watchdog,
            requeue: tokio::time::interval(shared.slice / 4),
        }
    }

    /// Until the connection breaks (`Err`) or the process is asked to end (`Ok`).
    pub(crate) async fn run(mut self, draining: &CancellationToken) -> Result<(), QueueError> {
        loop {
            self.shared
                .health
                .turned(LANES.iter().any(|lane| !self.intake.is_paused(*lane)));
            let action = self.next_action(draining).await?;
            if let Action::Drain = action {
                self.drain().await;
                return Ok(());
            }
            self.perform(action).await?;
        }
    }

    /// The first of these that can happen now.
    async fn next_action(&mut self, draining: &CancellationToken) -> Result<Action, QueueError> {
        let gate = &self.shared.gate;
        let [no_access, no_archive] = LANES.map(|lane| self.intake.is_paused(lane));
        let unpaused = LANES.into_iter().find(|lane| !self.intake.is_paused(*lane));
        let is_over = self.isolation.is_over(self.tasks.is_empty());
        let is_held = self
            .ready
            .has_of(|source| self.intake.is_paused(source.lane()));
        let idle = self.tasks.is_empty();
        let has_slot = self.ready.has_for(self.shared.free_lanes());

        Ok(tokio::select! {
            biased;
            () = draining.cancelled() => Action::Drain,
            lane = std::future::ready(unpaused.unwrap_or(Lane::Access)),
                if self.isolation.is_waiting() && unpaused.is_some() => Action::Pause(lane),
            () = gate.closed(Lane::Access), if !no_access => Action::Pause(Lane::Access),
            () = gate.closed(Lane::Archive), if !no_archive => Action::Pause(Lane::Archive),
            () = gate.open_for(Lane::Access), if no_access && is_over => Action::Resume(Lane::Access),
            () = gate.open_for(Lane::Archive), if no_archive && is_over => Action::Resume(Lane::Archive),
            _ = self.watchdog.tick() => Action::Check,
            _ = self.requeue.tick() => Action::RequeueOld,
            next = self.intake.next() => {
                let (source, delivery) = next?;
                Action::Receive(source, Box::new(delivery))
            }
            () = gate.open(), if self.isolation.is_waiting() && idle => Action::RunIsolated,
            // Other workers may do what this one cannot.
            () = now(), if is_held => Action::RequeuePaused,
            () = gate.open(), if has_slot => Action::RunNext,
            _ended = self.tasks.join_next(), if !idle => Action::Continue,
        })
    }

    async fn perform(&mut self, action: Action) -> Result<(), QueueError> {
        match action {
            Action::Pause(lane) => {
                in_a_minute("pause the intake", self.intake.pause(lane)).await?;
            }
            Action::Resume(lane) => {
                in_a_minute("resume the intake", self.intake.resume(lane)).await?;
                self.isolation.end();
            }
            Action::Check => self.intake.check().await?,
            Action::RequeueOld => {
                let old = self.ready.take_older_than(self.shared.slice / 2);
                self.requeue(old);
            }
            Action::Receive(source, delivery) => {
                let received = self.received(source, *delivery);
                self.receive(received);
            }
            Action::RunIsolated => {
                let suspect = self.isolation.pop();
                self.start(suspect);
            }
            Action::RequeuePaused => {
                for lane in LANES {
                    if self.intake.is_paused(lane) {
                        let held = self.ready.take_all_of(lane);
                        self.requeue(held);
                    }
                }
            }
            Action::RunNext => {
                let next = self.ready.pop_for(self.shared.free_lanes());
                self.start(next);
            }
            Action::Drain | Action::Continue => {}
        }
        Ok(())
    }

    fn received(&self, source: Source, delivery: Delivery) -> Received {
        let in_flight = self.shared.backlog.enter(source, &delivery.envelope);
        Received {
            source,
            delivery,
            since: Instant::now(),
            in_flight,
        }
    }

    fn receive(&mut self, received: Received) {
        let deaths = received.delivery.envelope.deaths();
        if deaths < SUSPICIOUS_DEATHS {
            self.ready.push(received);
            return;
        }
        tracing::warn!(
            deaths,
            "workers or connections died with this message in flight; it runs in isolation"
        );
        let another = self.isolation.push(received);
        self.requeue(another);
    }

    fn start(&mut self, received: Option<Received>) {
        let Some(received) = received else { return };
        let Some(slot) = self.shared.slots.take(received.source.lane()) else {
            return;
        };
        self.tasks.spawn(self.runs.run(received, slot));
    }

    fn requeue(&mut self, received: impl IntoIterator<Item = Received>) {
        for received in received {
            self.tasks.spawn(self.runs.requeue(received));
        }
    }

    /// Requeues what did not begin. What the broker sent before it heard of the pause is requeued in order, too: what
    /// ends with its connection counts as a death.
    async fn drain(&mut self) {
        for lane in LANES {
            let unbegun = self.ready.take_all_of(lane);
            self.requeue(unbegun);
        }
        let suspect = self.isolation.pop();
        self.requeue(suspect);

        for lane in LANES {
            if !self.intake.is_paused(lane) {
                let paused = tokio::time::timeout(STOP_WITHIN, self.intake.pause(lane)).await;
                if !matches!(paused, Ok(Ok(()))) {
                    return;
                }
            }
        }
        while let Ok(Ok((source, delivery))) =
            tokio::time::timeout(ON_ITS_WAY, self.intake.next()).await
        {
            let received = self.received(source, delivery);
            self.requeue([received]);
        }
    }
}

fn now() -> std::future::Ready<()> {
    std::future::ready(())
}

/// The client library waits without a limit for a broker that keeps the connection and does not answer.
pub(crate) async fn in_a_minute<T>(
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

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
