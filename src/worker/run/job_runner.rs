//! Runs one delivery, from the message to its settlement.

use std::sync::Arc;
use std::time::Duration;

use backon::Retryable as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use super::delivery_log::log_outcome;
use super::surge::instead_of_dead_letter;
use super::{GivenUp, Outcome, drive};
use crate::failure::{Code, Failure};
use crate::job::{Job, Lane, Request, Source, UserId};
use crate::ports::batches::FinishedBatch;
use crate::ports::queue::{Delivery, Publisher};
use crate::queue::{Envelope, QueueError, delivery_span};
use crate::steps::{Cancellation, Interrupt, RUN, Services};
use crate::worker::intake::backoff::broker_backoff;
use crate::worker::intake::circuit_breaker::CircuitBreaker;
use crate::worker::intake::in_progress::{InProgress, Unsettled};
use crate::worker::intake::lane_breakers::LaneBreakers;
use crate::worker::intake::ready_queue::Received;
use crate::worker::intake::shutdown::Shutdown;
use crate::worker::intake::slots::Slot;
use crate::worker::settle::delayed::Delayed;
use crate::worker::settle::settlement::Settlement;
use crate::worker::settle::settler::Settler;

/// After this time a placeholder that could not be published is tried again.
const PLACEHOLDER_AGAIN: Duration = Duration::from_secs(5);

/// What one delivery is run with.
pub(crate) struct JobRunner {
    pub(crate) services: Arc<Services>,
    pub(crate) publisher: Arc<dyn Publisher>,
    pub(crate) breaker: Arc<CircuitBreaker>,
    pub(crate) lanes: Arc<LaneBreakers>,
    pub(crate) in_progress: Arc<InProgress>,
    /// An operator's pause that begins during the run ends it at its next checkpoint.
    pub(crate) until_paused: CancellationToken,
    pub(crate) unsettled: Arc<Unsettled>,
    pub(crate) delayed: Arc<Delayed>,
    /// How long a delivery is held at most.
    pub(crate) time_slice: Duration,
    /// The name of this worker.
    pub(crate) name: String,
}

impl JobRunner {
    /// Runs one delivery and settles it. The task owns the slot.
    pub(crate) async fn run(self, received: Received, shutdown: Shutdown, slot: Slot) {
        let properties = &received.delivery.envelope.properties;
        let span = delivery_span(received.source.queue(), properties);
        let running = self.run_and_settle(received, shutdown);
        running.instrument(span).await;
        drop(slot);
    }

    /// Publishes the job to the end of its queue, untouched, where another worker may have a slot for
    /// it.
    pub(crate) async fn requeue(self, received: Received) {
        let envelope = &received.delivery.envelope;
        let span = delivery_span(received.source.queue(), &envelope.properties);
        let requeuing = async {
            let outcome = if envelope.is_copy(received.source) {
                Outcome::Obsolete
            } else {
                Outcome::Interrupted(Interrupt::Draining)
            };
            let settlement = self.settlement(&outcome, None, received.source);
            log_outcome(envelope, settlement);
            self.settle_at_last(&received.delivery, settlement).await;
        };

        requeuing.instrument(span).await;
    }

    async fn run_and_settle(&self, received: Received, shutdown: Shutdown) {
        let Received {
            source,
            delivery,
            since,
            in_flight: _in_flight,
        } = received;
        // Steps are asked to stop a little before the delivery has to be settled.
        let stop_at = since + self.time_slice * 3 / 4;
        let cancellation = Cancellation::new(&shutdown.draining, &shutdown.abandon, Some(stop_at))
            .and_until(&self.until_paused);

        let (outcome, batch) = {
            let running = self.run_with_batch(source, &delivery.envelope, &cancellation);
            let settle_by = since + self.time_slice;
            self.hand_off_at(settle_by, running, source, &delivery, &cancellation)
                .await
        };

        let settlement = self.settlement(&outcome, batch.as_ref(), source);
        log_outcome(&delivery.envelope, settlement);
        match (&outcome, cancellation.is_handed_off()) {
            (_, false) => self.settle_at_last(&delivery, settlement).await,
            // The placeholder continues with whatever is left, but it cannot become a dead letter.
            (Outcome::DeadLetter(_), true) => {
                let settler = self.settler();
                let publishing = settler.publish_successor(&delivery.envelope, settlement);
                if let Err(error) = publishing.await {
                    tracing::warn!(%error, "no dead letter yet: its placeholder will try again");
                    self.breaker.trip(&Failure::from(error));
                }
            }
            (_, true) => {}
        }
    }

    /// Waits for the run. When it lasts beyond `settle_by`, a placeholder takes the place of the
    /// delivery: RabbitMQ closes a channel whose delivery stays unacknowledged past `consumer_timeout`.
    async fn hand_off_at<T>(
        &self,
        settle_by: Instant,
        running: impl Future<Output = T>,
        source: Source,
        delivery: &Delivery,
        cancellation: &Cancellation,
    ) -> T {
        tokio::pin!(running);
        let mut hand_off_at = settle_by;
        loop {
            tokio::select! {
                ended = &mut running => return ended,
                () = tokio::time::sleep_until(hand_off_at), if !cancellation.is_handed_off() => {
                    match self.settler().publish_placeholder(delivery, source).await {
                        Ok(()) => cancellation.hand_off(),
                        Err(error) => {
                            tracing::warn!(%error, "no placeholder for a long job yet");
                            hand_off_at = Instant::now() + PLACEHOLDER_AGAIN;
                        }
                    }
                }
            }
        }
    }

    /// The outcome of a delivery, and the user's batch if this end is the last one of the batch. That
    /// is asked before the delivery is settled, so that a crash loses no announcement.
    async fn run_with_batch(
        &self,
        source: Source,
        envelope: &Envelope,
        cancellation: &Cancellation,
    ) -> (Outcome, Option<FinishedBatch>) {
        let outcome = self.run_delivery(source, envelope, cancellation).await;
        match self.finished_batch(envelope, &outcome).await {
            Ok(batch) => (outcome, batch),
            Err(failure) => {
                self.breaker.trip(&failure);
                let interrupted = Outcome::Interrupted(Interrupt::Systemic(failure));
                (interrupted, None)
            }
        }
    }

    async fn finished_batch(
        &self,
        envelope: &Envelope,
        outcome: &Outcome,
    ) -> Result<Option<FinishedBatch>, Failure> {
        let ended_at = match outcome {
            Outcome::Finished(ended) => ended.at,
            Outcome::Cancelled(end) => end.cancelled.at,
            Outcome::DeadLetter(_) => self.services.clock.now(),
            Outcome::MoveToArchiveLane(_)
            | Outcome::Reissue { .. }
            | Outcome::Obsolete
            | Outcome::Delay { .. }
            | Outcome::NotDue { .. }
            | Outcome::Busy { .. }
            | Outcome::Interrupted(_) => return Ok(None),
        };
        let Ok(message) = envelope.message() else {
            return Ok(None);
        };
        let Some(batch) = &message.request.batch_id else {
            return Ok(None);
        };
        let checkpoints = &self.services.checkpoints;
        checkpoints
            .settle_in_batch(batch, message.user_id, ended_at)
            .await
    }

    /// The outcome of a delivery, after a run if there is to be one.
    async fn run_delivery(
        &self,
        source: Source,
        envelope: &Envelope,
        cancellation: &Cancellation,
    ) -> Outcome {
        let now = self.services.clock.now();
        if envelope.is_copy(source) {
            tracing::warn!("a copy by CC or BCC is dropped; the message itself has another queue");
            return Outcome::Obsolete;
        }
        if let Some(why) = envelope.refused() {
            return Outcome::malformed(format!("the message is too large or too deep: {why}"));
        }
        let delayed_until = envelope.delayed_until(now);
        if let Some(until) = delayed_until.filter(|until| now < *until) {
            return Outcome::NotDue { until };
        }
        let message = match envelope.message() {
            Ok(message) => message,
            Err(malformed) => return Outcome::malformed(malformed.to_string()),
        };

        let job = Job {
            user_id: message.user_id,
            request: Request {
                received_at: Some(now),
                ..message.request.clone()
            },
            lane: source.lane(),
            revision: envelope.revision(),
            stands_in_since: envelope.placeholder_since(),
            continuation: delayed_until.is_some(),
            admitted: envelope.is_admitted(),
        };
        let continuation = job.continuation;
        let mut outcome = self.drive_in_task(job, cancellation).await;
        if let Outcome::Busy { look_again, .. } = &mut outcome
            && continuation
            && !envelope.is_redelivered()
        {
            // A duplicate, whose worker was seen to live: the worker's own message comes again if it dies.
            *look_again = None;
        }
        self.report_to_breaker(message.user_id, &outcome);
        self.report_to_lane(source.lane(), &outcome);
        outcome
    }

    /// Drives the user in a task of its own, so that a panic ends only this run.
    async fn drive_in_task(&self, job: Job, cancellation: &Cancellation) -> Outcome {
        let _entry = self.in_progress.enter(job.user_id);
        let services = Arc::clone(&self.services);
        let cancellation = cancellation.clone();
        let driven = job.clone();
        let driving = async move { Box::pin(drive(&services, &driven, &cancellation)).await };

        let task = tokio::spawn(driving.in_current_span());
        match AbortOnDropHandle::new(task).await {
            Ok(outcome) => outcome,
            Err(panicked) => {
                let given_up = GivenUp::panicked(&panicked);
                let instead = instead_of_dead_letter(&self.services, &job, &given_up).await;
                instead.unwrap_or(Outcome::DeadLetter(given_up))
            }
        }
    }

    /// A run that got through shows that the services work; a systemic fault shows that one does not.
    fn report_to_breaker(&self, user_id: UserId, outcome: &Outcome) {
        match outcome {
            Outcome::Finished(ended) => {
                self.breaker.passed();
                tracing::info!(%user_id, state = %ended.state, "finished");
            }
            // A step panicked, which says nothing of the services.
            Outcome::DeadLetter(given_up) if given_up.state.is_none() => {}
            Outcome::Cancelled(end) => {
                tracing::info!(%user_id, state = %end.state, by = end.cancelled.who,
                    "the request is cancelled; its message is dropped");
            }
            Outcome::MoveToArchiveLane(_)
            | Outcome::Obsolete
            | Outcome::Delay { .. }
            | Outcome::DeadLetter(_) => self.breaker.passed(),
            Outcome::Reissue { revision } => {
                tracing::info!(%user_id, revision, "the user came back, and is off-boarded again");
            }
            // Of one lane; the services work.
            Outcome::Interrupted(Interrupt::Systemic(failure)) if failure.code == Code::Surge => {}
            Outcome::Interrupted(Interrupt::Systemic(failure)) => self.breaker.trip(failure),
            Outcome::Interrupted(Interrupt::SliceOver) => {
                tracing::info!(%user_id, "continues in another time slice");
            }
            Outcome::NotDue { .. }
            | Outcome::Busy { .. }
            | Outcome::Interrupted(Interrupt::Draining | Interrupt::LeaseLost) => {}
        }
    }

    /// A lane is stopped while this release fails for one user after the other, until one gets through the step at fault.
    fn report_to_lane(&self, lane: Lane, outcome: &Outcome) {
        let Some(surges) = &self.services.surges else {
            return;
        };
        let breaker = self.lanes.of(lane);
        match outcome {
            Outcome::Interrupted(Interrupt::Systemic(failure)) if failure.code == Code::Surge => {
                breaker.trip(failure);
            }
            Outcome::Finished(_) | Outcome::MoveToArchiveLane(_) | Outcome::Delay { .. } => {
                surges.passed(RUN);
            }
            _ => {}
        }
        if breaker.is_half_open() && surges.is_over(lane) {
            breaker.passed();
        }
    }

    fn settlement<'a>(
        &self,
        outcome: &'a Outcome,
        finished_batch: Option<&'a FinishedBatch>,
        source: Source,
    ) -> Settlement<'a> {
        Settlement {
            outcome,
            source,
            ended_at: self.services.clock.now(),
            finished_batch,
        }
    }

    fn settler(&self) -> Settler<'_> {
        Settler {
            publisher: &*self.publisher,
            clock: &self.services.clock,
            delayed: &self.delayed,
            worker: &self.name,
        }
    }

    /// Settles, and tries again as long as the delivery's connection lives: a delivery that was dropped
    /// here would stay in flight until then. After that the broker delivers it again by itself.
    async fn settle_at_last(&self, delivery: &Delivery, settlement: Settlement<'_>) {
        let settler = self.settler();
        let settling = self.unsettled.begin();
        let failed = |error: &QueueError, again: bool| {
            tracing::warn!(%error, again,
                "not settled; where we do not try again, the broker delivers it again");
            settling.failed(error.to_string());
            self.breaker.trip(&Failure::from(error.clone()));
        };

        let settled = (|| settler.settle(delivery, settlement))
            .retry(broker_backoff())
            .when(|_| delivery.is_usable())
            .notify(|error, _delay| failed(error, true))
            .await;
        match settled {
            Ok(()) => self.note_announced(settlement.finished_batch).await,
            Err(error) => failed(&error, false),
        }
        self.services.progress.made();
    }

    async fn note_announced(&self, batch: Option<&FinishedBatch>) {
        let Some(batch) = batch else {
            return;
        };
        tracing::info!(batch_id = %batch.batch_id, users = batch.users(), "the batch is finished");
        let noting = self.services.checkpoints.note_batch_announced(batch);
        if let Err(failure) = noting.await {
            tracing::warn!(%failure, "the end of the batch may be announced again");
        }
    }
}

#[cfg(test)]
#[path = "job_runner_tests.rs"]
mod tests;
