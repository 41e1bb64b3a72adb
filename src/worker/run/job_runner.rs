use std::sync::Arc;
use std::time::Duration;

use backon::Retryable as _;
use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument as _, Span};

use super::{Outcome, drive};
use crate::failure::{Class, Code, Failure};
use crate::job::{Job, Request, Source};
use crate::ports::queue::{Delivery, Publisher};
use crate::progress;
use crate::queue::{Envelope, QueueError, delivery_span};
use crate::steps::{Cancellation, Interrupt, Services};
use crate::telemetry::{metrics, span};
use crate::worker::intake::backoff::broker_backoff;
use crate::worker::intake::circuit_breaker::CircuitBreaker;
use crate::worker::intake::in_progress::{InProgress, Unsettled};
use crate::worker::intake::ready_queue::Received;
use crate::worker::intake::shutdown::Shutdown;
use crate::worker::intake::slots::Slot;
use crate::worker::settle::settlement::{self, Disposition, settle};

/// After this time a placeholder that could not be published is tried again.
const PLACEHOLDER_AGAIN: Duration = Duration::from_secs(5);

/// What one delivery is worked on with.
pub(crate) struct Hand {
    pub(crate) services: Arc<Services>,
    pub(crate) publisher: Arc<dyn Publisher>,
    pub(crate) breaker: Arc<CircuitBreaker>,
    pub(crate) in_progress: Arc<InProgress>,
    /// A pause that begins meanwhile ends the visit at its next checkpoint.
    pub(crate) until_paused: CancellationToken,
    pub(crate) unsettled: Arc<Unsettled>,
    pub(crate) slice: Duration,
    pub(crate) name: String,
}

impl Hand {
    /// One delivery, from its bytes to its settlement. The task owns the slot.
    pub(crate) async fn visit(self, held: Received, shutdown: Shutdown, slot: Slot) {
        let span = delivery_span(held.source.queue(), &held.delivery.envelope.properties);
        self.work_on(held, shutdown).instrument(span).await;
        drop(slot);
    }

    async fn work_on(&self, held: Received, shutdown: Shutdown) {
        let Received {
            source,
            delivery,
            since,
            in_flight: _in_flight,
        } = held;
        // Steps are asked to stop a little before the delivery has to go.
        let limits = Cancellation::new(
            &shutdown.draining,
            &shutdown.abandon,
            Some(since + self.slice * 3 / 4),
        )
        .and_until(&self.until_paused);
        let working = self.dispose(source, &delivery.envelope, &limits);
        tokio::pin!(working);
        let mut hand_on = since + self.slice;
        let disposition = loop {
            tokio::select! {
                disposition = &mut working => break disposition,
                () = tokio::time::sleep_until(hand_on), if !limits.is_handed_off() => {
                    match settlement::publish_placeholder(&delivery, source, &*self.publisher).await {
                        Ok(()) => limits.hand_off(),
                        Err(error) => {
                            tracing::warn!(%error, "no stand-in for a long job yet");
                            hand_on = Instant::now() + PLACEHOLDER_AGAIN;
                        }
                    }
                }
            }
        };
        tell(&delivery.envelope, &disposition);
        match (&disposition, limits.is_handed_off()) {
            (_, false) => self.settle_at_last(&delivery, source, &disposition).await,
            // The stand-in goes on with whatever is left, but it cannot become a dead letter.
            (Disposition::DeadLetter(_), true) => {
                let (envelope, publisher) = (&delivery.envelope, &*self.publisher);
                let sent =
                    settlement::replace(envelope, source, &disposition, publisher, &self.name)
                        .await;
                if let Err(error) = sent {
                    tracing::warn!(%error, "no dead letter yet: its stand-in will try again");
                    self.breaker.trip(&Failure::from(error));
                }
            }
            (_, true) => {}
        }
    }

    /// To the end of its queue, untouched, where another worker may have a slot for it.
    pub(crate) async fn give_back(self, held: Received) {
        let span = delivery_span(held.source.queue(), &held.delivery.envelope.properties);
        let giving = async {
            let copy = held.delivery.envelope.is_copy(held.source);
            let disposition = if copy {
                Disposition::Acknowledge
            } else {
                Disposition::GiveBack
            };
            tell(&held.delivery.envelope, &disposition);
            self.settle_at_last(&held.delivery, held.source, &disposition)
                .await;
        };
        giving.instrument(span).await;
    }

    /// Settles, and tries again as long as the delivery's connection lives: a delivery that was dropped here would stay
    /// in flight until then. After that the broker delivers it again by itself.
    async fn settle_at_last(&self, delivery: &Delivery, source: Source, disposition: &Disposition) {
        let settling = self.unsettled.begin();
        let failed = |error: &QueueError, again: bool| {
            tracing::warn!(%error, again, "not settled; where we do not try again, the broker delivers it again");
            settling.failed(error.to_string());
            self.breaker.trip(&Failure::from(error.clone()));
        };
        let settled = (|| settle(delivery, source, disposition, &*self.publisher, &self.name))
            .retry(broker_backoff())
            .when(|_| delivery.is_usable())
            .notify(|error, _pause| failed(error, true))
            .await;
        if let Err(error) = settled {
            failed(&error, false);
        }
        progress::made();
    }

    /// What becomes of a delivery, after a visit if there is to be one.
    async fn dispose(
        &self,
        source: Source,
        envelope: &Envelope,
        limits: &Cancellation,
    ) -> Disposition {
        let now = Timestamp::now();
        if envelope.is_copy(source) {
            tracing::warn!("a copy by CC or BCC is dropped; the message itself has another queue");
            return Disposition::Acknowledge;
        }
        if let Some(why) = envelope.refused() {
            return settlement::malformed(
                format!("the message is too large or too deep: {why}"),
                now,
            );
        }
        let parked_until = envelope.delayed_until(now);
        if let Some(until) = parked_until.filter(|until| now < *until) {
            return Disposition::park(until, "it is not due yet");
        }
        let message = match envelope.message() {
            Ok(message) => message,
            Err(malformed) => return settlement::malformed(malformed.to_string(), now),
        };
        let user_id = message.user_id;
        let job = Job {
            user_id,
            request: Request {
                received_at: Some(now),
                ..message.request.clone()
            },
            lane: source.lane(),
            revision: envelope.revision(),
            stands_in_since: envelope.placeholder_since(),
            continuation: parked_until.is_some(),
        };
        // A task of its own, so that a panic is this user's alone.
        let (services, limits) = (Arc::clone(&self.services), limits.clone());
        let entry = self.in_progress.enter(user_id);
        let driving = async move { Box::pin(drive(&services, &job, &limits)).await };
        let driving = tokio::spawn(driving.in_current_span());
        let visit = match AbortOnDropHandle::new(driving).await {
            Ok(visit) => visit,
            Err(died) => {
                let failure = Failure::new(
                    Class::Defect,
                    Code::Panicked,
                    format!("a step died: {died}"),
                );
                return settlement::panicked(&failure, Timestamp::now());
            }
        };
        drop(entry);
        match &visit {
            Ok(Outcome::Finished(ended)) => {
                self.breaker.passed();
                tracing::info!(%user_id, state = %ended.state, "finished");
            }
            Ok(
                Outcome::MoveToArchiveLane
                | Outcome::Obsolete
                | Outcome::Delay { .. }
                | Outcome::DeadLetter { .. },
            ) => {
                self.breaker.passed();
            }
            Ok(Outcome::Reissue { revision }) => {
                tracing::info!(%user_id, revision, "the user came back, and is off-boarded again");
            }
            Err(Interrupt::Systemic(failure)) => self.breaker.trip(failure),
            Err(Interrupt::SliceOver) => tracing::info!(%user_id, "goes on in another slice"),
            Ok(Outcome::Busy { .. }) | Err(Interrupt::Draining | Interrupt::LeaseLost) => {}
        }
        settlement::disposition(visit, user_id, source, Timestamp::now())
    }
}

/// One line for whatever is not the way to the end, with its reason, and the span of the delivery. A dead letter
/// is an error, since somebody has to act; a wait after a failure is a warning, since it may pass by itself.
fn tell(envelope: &Envelope, disposition: &Disposition) {
    let message = envelope.message().ok();
    let user_id = message.map(|message| tracing::field::display(message.user_id));
    let span = Span::current();
    span.record("offboarder.user_id", &user_id);
    let batch_id = message.and_then(|message| message.request.batch_id.as_ref());
    let batch_id = batch_id.map(ToString::to_string);
    span.record("offboarder.batch_id", batch_id);
    span.record("offboarder.disposition", disposition.as_str());
    match disposition {
        Disposition::DeadLetter(letter) => {
            metrics::dead_lettered(letter.reason);
            span.record("offboarder.reason", letter.reason.as_str());
            span::failed_with(
                &span,
                letter.code.map_or(letter.reason.as_str(), Code::as_str),
            );
            tracing::error!(user_id, reason = %letter.reason, error = letter.error,
                attempts = letter.attempts, "dead letter");
        }
        Disposition::Park {
            until,
            why,
            code: Some(code),
            ..
        } => {
            span.record("offboarder.reason", code.as_str());
            tracing::warn!(user_id, %until, why, "parked");
        }
        Disposition::Park {
            until,
            why,
            code: None,
            ..
        } => tracing::info!(user_id, %until, why, "parked"),
        Disposition::Acknowledge
        | Disposition::Finish(..)
        | Disposition::Forward(_)
        | Disposition::GiveBack
        | Disposition::Reissue { .. } => {}
    }
}
