//! Publishes what takes the place of a delivery, and then acknowledges the delivery.

use std::borrow::Cow;

use futures_util::future::join_all;

use super::delayed::Delayed;
use super::results::{self, ResultEvent};
use super::settlement::{Route, Settlement, Successor, placeholder};
use crate::clock::Clock;
use crate::job::Source;
use crate::ports::queue::{Delivery, Publisher};
use crate::queue::names::{DEAD_LETTER_EXCHANGE, EVENTS_EXCHANGE, JOBS_EXCHANGE, delay_exchange};
use crate::queue::{Envelope, QueueError, bare, event_properties, onward, successor};
use crate::worker::run::Outcome;

/// What is left of the body of a dead letter that RabbitMQ does not take whole.
const CUT_BYTES: usize = 1024;

/// Settles deliveries.
#[derive(Clone, Copy)]
pub(crate) struct Settler<'a> {
    pub(crate) publisher: &'a dyn Publisher,
    pub(crate) clock: &'a Clock,
    /// Where delayed jobs are counted.
    pub(crate) delayed: &'a Delayed,
    /// The name of this worker, for dead letters.
    pub(crate) worker: &'a str,
}

impl Settler<'_> {
    /// Settles a delivery exactly once: the broker has confirmed whatever takes its place before it is
    /// acknowledged. After an error it stays unacknowledged, and the broker delivers it again.
    pub(crate) async fn settle(
        &self,
        delivery: &Delivery,
        settlement: Settlement<'_>,
    ) -> Result<(), QueueError> {
        let envelope = &delivery.envelope;
        self.publish_successor(envelope, settlement).await?;
        delivery.acknowledge().await
    }

    /// Publishes what takes the place of a delivery, and returns once the broker has it. What RabbitMQ
    /// does not take in one form is published in the next.
    pub(crate) async fn publish_successor(
        &self,
        envelope: &Envelope,
        settlement: Settlement<'_>,
    ) -> Result<(), QueueError> {
        let mut refused = Ok(());
        for form in Form::ALL {
            let why = match &refused {
                Err(QueueError::MessageRefused { why, .. }) => why.as_str(),
                Ok(()) | Err(_) => "",
            };
            let outcome = form.outcome(settlement.outcome, why);
            let settlement = Settlement {
                outcome: &outcome,
                ..settlement
            };
            let envelope = form.envelope(envelope);
            refused = self.publish_once(&envelope, settlement).await;

            let Err(QueueError::MessageRefused { why, .. }) = &refused else {
                return refused;
            };
            tracing::warn!(
                why,
                ?form,
                "RabbitMQ does not take this message; it is tried in another form"
            );
        }
        refused
    }

    async fn publish_once(
        &self,
        envelope: &Envelope,
        settlement: Settlement<'_>,
    ) -> Result<(), QueueError> {
        let now = self.clock.now();
        let publishing = async {
            match settlement.successor(envelope, self.worker, now) {
                Some(next) => self.publish(envelope, settlement.source, next).await,
                None => Ok(()),
            }
        };
        let events = events_of(envelope, settlement);
        let announcing = async {
            let each = events.iter().map(|event| self.announce(envelope, event));
            join_all(each).await.into_iter().collect()
        };

        // An event says that the broker has the dead letter, so it comes after that. All other
        // events are true already, and wait for no confirm but their own.
        if matches!(settlement.outcome, Outcome::DeadLetter(_)) {
            publishing.await?;
            announcing.await
        } else {
            let done: (Result<(), QueueError>, _) = futures_util::join!(announcing, publishing);
            done.0.and(done.1)
        }
    }

    /// Publishes a placeholder for a delivery that cannot be held any longer although its work
    /// continues, and acknowledges the delivery. When the placeholder comes back, its run finds the
    /// work done, or takes it over.
    pub(crate) async fn publish_placeholder(
        &self,
        delivery: &Delivery,
        source: Source,
    ) -> Result<(), QueueError> {
        let placeholder = placeholder(self.clock.now());
        self.publish(&delivery.envelope, source, placeholder)
            .await?;
        delivery.acknowledge().await
    }

    async fn publish(
        &self,
        envelope: &Envelope,
        source: Source,
        next: Successor,
    ) -> Result<(), QueueError> {
        let exchange = match next.route {
            Route::Jobs(_) => JOBS_EXCHANGE.to_owned(),
            Route::Delayed(delay) => delay_exchange(delay),
            Route::DeadLetters => DEAD_LETTER_EXCHANGE.to_owned(),
        };
        let key = match next.route {
            Route::Jobs(source) => source.routing_key(),
            Route::Delayed(_) | Route::DeadLetters => source.routing_key(),
        };
        let mut headers = next.headers;
        headers.extend(onward(&envelope.properties));
        let properties = successor(&envelope.properties, headers);

        let publishing = self
            .publisher
            .publish(&exchange, key, envelope.body(), &properties);
        publishing.await?;
        if let Route::Delayed(delay) = next.route {
            self.delayed.add(source, delay);
        }
        Ok(())
    }

    /// Publishes a result event. Where no queue is bound for events, the broker keeps nothing.
    async fn announce(&self, envelope: &Envelope, event: &ResultEvent) -> Result<(), QueueError> {
        let mut properties = event_properties(&envelope.properties, &event.id);
        if event.is_of_batch {
            // The event is about all messages of the batch, and not about this one.
            properties.correlation_id = None;
        }
        let announcing =
            self.publisher
                .announce(EVENTS_EXCHANGE, event.routing_key, &event.body, &properties);
        match announcing.await {
            Err(error @ QueueError::MessageRefused { .. }) => {
                tracing::error!(%error, "an event is not published");
                Ok(())
            }
            announced => announced,
        }
    }
}

/// The events for the systems that asked.
fn events_of(envelope: &Envelope, settlement: Settlement<'_>) -> Vec<ResultEvent> {
    let correlation_id = envelope.properties.correlation_id.as_deref();
    let access_gone = settlement
        .access_gone()
        .map(|gone| results::of_access_removed(gone, correlation_id));
    let end = match settlement.outcome {
        Outcome::Finished(ended) => Some(results::of_end(ended, correlation_id)),
        Outcome::Cancelled(end) => Some(results::of_cancelled(end, correlation_id)),
        Outcome::DeadLetter(given_up) => {
            let at = settlement.ended_at;
            Some(results::of_dead_letter(envelope, given_up, at))
        }
        Outcome::MoveToArchiveLane(_)
        | Outcome::Reissue { .. }
        | Outcome::Obsolete
        | Outcome::Delay { .. }
        | Outcome::NotDue { .. }
        | Outcome::Busy { .. }
        | Outcome::Interrupted(_) => None,
    };
    let batch = settlement.finished_batch.map(results::of_batch);
    access_gone.into_iter().chain(end).chain(batch).collect()
}

/// In which form a message is published. If RabbitMQ refuses this message, and not every message, it
/// takes one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Whole,
    /// Without anything that its publisher added to the body.
    Bare,
    GivenUp,
    /// As a dead letter with the start of its body.
    Cut,
}

impl Form {
    const ALL: [Self; 4] = [Self::Whole, Self::Bare, Self::GivenUp, Self::Cut];

    fn envelope(self, whole: &Envelope) -> Cow<'_, Envelope> {
        let bare = || whole.with_properties(bare(&whole.properties));
        match self {
            Self::Whole => Cow::Borrowed(whole),
            Self::Bare | Self::GivenUp => Cow::Owned(bare()),
            Self::Cut => Cow::Owned(bare().cut_to(CUT_BYTES)),
        }
    }

    fn outcome<'a>(self, outcome: &'a Outcome, why: &str) -> Cow<'a, Outcome> {
        match (self, outcome) {
            (Self::Whole | Self::Bare, _) | (_, Outcome::DeadLetter(_)) => Cow::Borrowed(outcome),
            (Self::GivenUp | Self::Cut, _) => {
                let error = format!("RabbitMQ does not take the message on: {why}");
                Cow::Owned(Outcome::malformed(error))
            }
        }
    }
}

#[cfg(test)]
#[path = "settler_tests.rs"]
mod tests;
