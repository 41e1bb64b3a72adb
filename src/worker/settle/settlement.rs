//! Publishes what takes the place of a delivery, and acknowledges it.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};

use crate::job::Source;
use crate::machine::StateName;
use crate::ports::queue::{Delivery, Publisher};
use crate::queue::headers::{PLACEHOLDER_SINCE, REVISION, dead_letter};
use crate::queue::names::{DEAD_LETTER_EXCHANGE, EVENTS_EXCHANGE, JOBS_EXCHANGE, delay_exchange};
use crate::queue::{
    AddedHeaders, Envelope, QueueError, bare, delay_headers, event_properties, onward, successor,
};
use crate::worker::settle::delayed::DELAYED;
use crate::worker::settle::results::{self, Announcement};

pub(crate) use super::disposition::{Disposition, Letter, disposition, malformed, panicked};

/// What is left of the body of a dead letter that RabbitMQ does not take whole.
const CUT_BYTES: usize = 1024;
/// Of an error in a header: all headers have to fit into one frame.
const MAX_ERROR_CHARS: usize = 2048;
/// How long a placeholder waits before it checks how far the work is.
const PLACEHOLDER_DELAY: SignedDuration = SignedDuration::from_secs(30);

/// Settles a delivery exactly once: whatever takes its place is confirmed by the broker before it is
/// acknowledged. On an error it stays unacknowledged, and the broker delivers it again.
pub(crate) async fn settle(
    delivery: &Delivery,
    source: Source,
    disposition: &Disposition,
    publisher: &dyn Publisher,
    worker: &str,
) -> Result<(), QueueError> {
    replace(&delivery.envelope, source, disposition, publisher, worker).await?;
    delivery.acknowledge().await
}

/// Publishes what takes the place of a delivery, and returns when the broker has it. What RabbitMQ does not take in one
/// form is tried in the next.
pub(crate) async fn replace(
    envelope: &Envelope,
    source: Source,
    disposition: &Disposition,
    publisher: &dyn Publisher,
    worker: &str,
) -> Result<(), QueueError> {
    let mut refused = Ok(());
    for form in Form::ALL {
        let why = match &refused {
            Err(QueueError::MessageRefused { why, .. }) => why.as_str(),
            Ok(()) | Err(_) => "",
        };
        let disposition = form.disposition(disposition, why, Timestamp::now());
        let envelope = form.envelope(envelope);
        refused = publish_successor(&envelope, source, &disposition, publisher, worker).await;
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

/// In which form a message is published. If RabbitMQ refuses this message, and not every message, it takes one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Whole,
    /// Without anything that its publisher added to the body.
    Bare,
    GivenUp,
    /// As a dead letter with the begin of its body.
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

    fn disposition<'a>(
        self,
        disposition: &'a Disposition,
        why: &str,
        now: Timestamp,
    ) -> Cow<'a, Disposition> {
        match (self, disposition) {
            (Self::Whole | Self::Bare, _) | (_, Disposition::DeadLetter(_)) => {
                Cow::Borrowed(disposition)
            }
            (Self::GivenUp | Self::Cut, _) => Cow::Owned(malformed(
                format!("RabbitMQ does not take the message on: {why}"),
                now,
            )),
        }
    }
}

async fn publish_successor(
    envelope: &Envelope,
    source: Source,
    disposition: &Disposition,
    publisher: &dyn Publisher,
    worker: &str,
) -> Result<(), QueueError> {
    let publish = |exchange: String, key: &'static str, mut headers: AddedHeaders| {
        headers.extend(onward(&envelope.properties));
        let properties = successor(&envelope.properties, headers);
        async move {
            publisher
                .publish(&exchange, key, envelope.body(), &properties)
                .await
        }
    };
    match disposition {
        Disposition::Acknowledge => {}
        Disposition::Finish(user_id, ended) => {
            let correlation_id = envelope.properties.correlation_id.as_deref();
            let event = results::of_end(*user_id, ended, correlation_id);
            announce(envelope, &event, publisher).await?;
        }
        Disposition::Forward(next) => {
            publish(JOBS_EXCHANGE.to_owned(), next.routing_key(), Vec::new()).await?;
        }
        Disposition::GiveBack => {
            let headers = envelope.deaths_header();
            publish(JOBS_EXCHANGE.to_owned(), source.routing_key(), headers).await?;
        }
        Disposition::Reissue { source, revision } => {
            let headers = vec![(REVISION, (*revision).into())];
            publish(JOBS_EXCHANGE.to_owned(), source.routing_key(), headers).await?;
        }
        Disposition::Park {
            until, survived, ..
        } => {
            let (delay, delayed) = delay_headers(*until, Timestamp::now());
            let mut headers = if *survived {
                Vec::new()
            } else {
                envelope.deaths_header()
            };
            headers.extend(delayed);
            publish(delay_exchange(delay), source.routing_key(), headers).await?;
            DELAYED.add(source, delay);
        }
        Disposition::DeadLetter(letter) => {
            let headers = dead_letter_headers(letter, worker);
            publish(
                DEAD_LETTER_EXCHANGE.to_owned(),
                source.routing_key(),
                headers,
            )
            .await?;
            let event = results::of_letter(envelope, letter);
            announce(envelope, &event, publisher).await?;
        }
    }
    Ok(())
}

fn dead_letter_headers(letter: &Letter, worker: &str) -> AddedHeaders {
    let state = letter.state.map_or("", StateName::as_str);
    let step = letter.state.map_or("", StateName::next_step);
    let mut headers = vec![
        (dead_letter::REASON, letter.reason.as_str().into()),
        (dead_letter::ERROR, short(&letter.error).into()),
        (dead_letter::STATE, state.into()),
        (dead_letter::STEP, step.into()),
        (dead_letter::ATTEMPTS, letter.attempts.into()),
        (dead_letter::AT, letter.at.to_string().into()),
        (dead_letter::WORKER, worker.into()),
    ];
    let code = letter
        .code
        .map(|code| (dead_letter::CODE, code.as_str().into()));
    headers.extend(code);
    headers
}

fn short(error: &str) -> String {
    match error.char_indices().nth(MAX_ERROR_CHARS) {
        Some((end, _)) => format!("{}…", error.get(..end).unwrap_or_default()),
        None => error.to_owned(),
    }
}

/// Publishes a result event; where no queue is bound for events nothing is kept.
async fn announce(
    envelope: &Envelope,
    event: &Announcement,
    publisher: &dyn Publisher,
) -> Result<(), QueueError> {
    let properties = event_properties(&envelope.properties, &event.id);
    match publisher
        .announce(EVENTS_EXCHANGE, event.routing_key, &event.body, &properties)
        .await
    {
        Err(error @ QueueError::MessageRefused { .. }) => {
            tracing::error!(%error, "an event is not published");
            Ok(())
        }
        announced => announced,
    }
}

/// Publishes a delayed placeholder for a delivery that cannot be held any longer although its work continues, and
/// acknowledges the delivery. When the placeholder comes back its run finds the work done, or takes it over.
pub(crate) async fn publish_placeholder(
    delivery: &Delivery,
    source: Source,
    publisher: &dyn Publisher,
) -> Result<(), QueueError> {
    let envelope = &delivery.envelope;
    let now = Timestamp::now();
    let (delay, mut headers) = delay_headers(now + PLACEHOLDER_DELAY, now);
    headers.push((PLACEHOLDER_SINCE, now.as_millisecond().into()));
    headers.extend(onward(&envelope.properties));
    let properties = successor(&envelope.properties, headers);
    publisher
        .publish(
            &delay_exchange(delay),
            source.routing_key(),
            envelope.body(),
            &properties,
        )
        .await?;
    DELAYED.add(source, delay);
    delivery.acknowledge().await
}

#[cfg(test)]
#[path = "settlement_tests.rs"]
mod tests;
