//! Publishes what takes the place of a delivery, and acknowledges it.

use std::borrow::Cow;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::adapters::amqp::{
    BasicProperties, DEAD_EXCHANGE, DEATHS_HEADER, Delivery, EVENTS_EXCHANGE, EXCHANGE, Headers,
    Publisher, QueueError, REFUSED_HEADER, REVISION_HEADER, STAND_IN_HEADER, WAIT_HEADER,
    WAIT_LEFT_HEADER, acknowledge, as_long, bare, clean_headers, event_properties, letter, long,
    onward, plain, text, wait_exchange, wait_for,
};
use crate::job::Source;
use crate::machine::StateName;
use crate::worker::settle::delayed::PARKED;
use crate::worker::settle::results::{self, Announcement};

pub(crate) use super::disposition::{Disposition, Letter, disposition, malformed, panicked};

/// What is left of the body of a dead letter that RabbitMQ does not take whole.
const CUT_BYTES: usize = 1024;
/// Of an error in a header: all headers have to fit into one frame.
const MAX_ERROR_CHARS: usize = 2048;
/// How long a job waits before a worker looks at it again, whatever its headers say.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(24);
/// How long a stand-in waits before it looks how far the work is.
const STAND_IN: SignedDuration = SignedDuration::from_secs(30);

/// What of a message goes on.
#[derive(Clone, Copy)]
struct Content<'a> {
    properties: &'a BasicProperties,
    body: &'a [u8],
}

/// Settles a delivery exactly once: whatever takes its place is confirmed by the broker before it is
/// acknowledged. On an error it stays unacknowledged, and the broker delivers it again.
pub(crate) async fn settle(
    delivery: &Delivery,
    source: Source,
    disposition: &Disposition,
    publisher: &Publisher,
    worker: &str,
) -> Result<(), QueueError> {
    replace(delivery, source, disposition, publisher, worker).await?;
    acknowledge(delivery).await
}

/// Publishes what takes the place of a delivery, and returns when the broker has it. What RabbitMQ does not take in one
/// form is tried in the next.
pub(crate) async fn replace(
    delivery: &Delivery,
    source: Source,
    disposition: &Disposition,
    publisher: &Publisher,
    worker: &str,
) -> Result<(), QueueError> {
    let without = bare(&delivery.properties);
    let mut refused = Ok(());
    for form in Form::ALL {
        let why = match &refused {
            Err(QueueError::MessageRefused { why, .. }) => why.as_str(),
            Ok(()) | Err(_) => "",
        };
        let disposition = form.disposition(disposition, why, Timestamp::now());
        let content = form.content(delivery, &without);
        refused = publish_successor(content, source, &disposition, publisher, worker).await;
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

/// In which form a message is published. A refusal that is this message's ends with one of them.
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

    fn content<'a>(self, delivery: &'a Delivery, bare: &'a BasicProperties) -> Content<'a> {
        let body = delivery.data.as_slice();
        match self {
            Self::Whole => Content {
                properties: &delivery.properties,
                body,
            },
            Self::Bare | Self::GivenUp => Content {
                properties: bare,
                body,
            },
            Self::Cut => Content {
                properties: bare,
                body: body.get(..CUT_BYTES).unwrap_or(body),
            },
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

/// Whether RabbitMQ routed a publisher's message here besides, by a key in `CC` or `BCC`: the queue of the key that
/// it was published with has it, too.
pub(crate) fn is_copy(delivery: &Delivery, source: Source) -> bool {
    let key = delivery.routing_key.as_str();
    let elsewhere = |other: Source| other != source && other.routing_key() == key;
    delivery.exchange.as_str() == EXCHANGE && Source::ALL.into_iter().any(elsewhere)
}

async fn publish_successor(
    content: Content<'_>,
    source: Source,
    disposition: &Disposition,
    publisher: &Publisher,
    worker: &str,
) -> Result<(), QueueError> {
    let publish = |exchange: String, key: &'static str, mut headers: Headers| {
        headers.extend(onward(content.properties));
        let properties = clean_headers(content.properties, headers);
        async move {
            publisher
                .publish(&exchange, key, content.body, properties)
                .await
        }
    };
    match disposition {
        Disposition::Acknowledge => {}
        Disposition::Finish(user_id, ended) => {
            let event = results::of_end(*user_id, ended, correlation_id(content).as_deref());
            announce(content, &event, publisher).await?;
        }
        Disposition::Forward(next) => {
            publish(EXCHANGE.to_owned(), next.routing_key(), Vec::new()).await?
        }
        Disposition::GiveBack => {
            publish(
                EXCHANGE.to_owned(),
                source.routing_key(),
                deaths_so_far(content.properties),
            )
            .await?;
        }
        Disposition::Reissue { source, revision } => {
            let headers = vec![(REVISION_HEADER, long(i64::from(*revision)))];
            publish(EXCHANGE.to_owned(), source.routing_key(), headers).await?;
        }
        Disposition::Park {
            until, survived, ..
        } => {
            let (pause, waiting) = wait(*until, Timestamp::now());
            let mut headers = if *survived {
                Vec::new()
            } else {
                deaths_so_far(content.properties)
            };
            headers.extend(waiting);
            publish(wait_exchange(pause), source.routing_key(), headers).await?;
            PARKED.add(source, pause);
        }
        Disposition::DeadLetter(letter) => {
            let state = letter.state.map_or("", StateName::as_str);
            let mut headers = vec![
                (letter::REASON, text(letter.reason.as_str())),
                (letter::ERROR, text(&short(&letter.error))),
                (letter::STATE, text(state)),
                (
                    letter::STEP,
                    text(letter.state.map_or("", StateName::next_step)),
                ),
                (letter::ATTEMPTS, long(i64::from(letter.attempts))),
                (letter::AT, text(&letter.at.to_string())),
                (letter::WORKER, text(worker)),
            ];
            headers.extend(letter.code.map(|code| (letter::CODE, text(code.as_str()))));
            publish(DEAD_EXCHANGE.to_owned(), source.routing_key(), headers).await?;
            let event =
                results::of_letter(content.body, letter, correlation_id(content).as_deref());
            announce(content, &event, publisher).await?;
        }
    }
    Ok(())
}

fn correlation_id(content: Content<'_>) -> Option<String> {
    content
        .properties
        .correlation_id()
        .as_ref()
        .map(ToString::to_string)
}

fn short(error: &str) -> String {
    match error.char_indices().nth(MAX_ERROR_CHARS) {
        Some((end, _)) => format!("{}…", error.get(..end).unwrap_or_default()),
        None => error.to_owned(),
    }
}

/// Tells the systems around; where none listens nothing is kept.
async fn announce(
    content: Content<'_>,
    event: &Announcement,
    publisher: &Publisher,
) -> Result<(), QueueError> {
    let properties = event_properties(content.properties, &event.id);
    match publisher
        .announce(EVENTS_EXCHANGE, event.routing_key, &event.body, properties)
        .await
    {
        Err(error @ QueueError::MessageRefused { .. }) => {
            tracing::error!(%error, "an event is not published");
            Ok(())
        }
        announced => announced,
    }
}

/// Puts a parked copy in the place of a delivery that cannot be held any longer, though its work goes
/// on. When the copy comes back it finds the work done, or takes it over.
pub(crate) async fn stand_in(
    delivery: &Delivery,
    source: Source,
    publisher: &Publisher,
) -> Result<(), QueueError> {
    let now = Timestamp::now();
    let (pause, mut headers) = wait(now + STAND_IN, now);
    headers.push((STAND_IN_HEADER, long(now.as_millisecond())));
    headers.extend(onward(&delivery.properties));
    let properties = clean_headers(&delivery.properties, headers);
    publisher
        .publish(
            &wait_exchange(pause),
            source.routing_key(),
            &delivery.data,
            properties,
        )
        .await?;
    PARKED.add(source, pause);
    acknowledge(delivery).await
}

/// The pause of the queue that a job waits in, and what is to be known of the wait when it comes back.
fn wait(until: Timestamp, now: Timestamp) -> (Duration, Headers) {
    let until = until.min(now + LONGEST_WAIT);
    let remaining = Duration::try_from(until.duration_since(now)).unwrap_or_default();
    let pause = wait_for(remaining);
    let left = i64::try_from(remaining.saturating_sub(pause).as_millis()).unwrap_or(i64::MAX);
    (
        pause,
        vec![
            (WAIT_HEADER, long(until.as_millisecond())),
            (WAIT_LEFT_HEADER, long(left)),
        ],
    )
}

/// Until when a job that was parked waits: as it was asked for, but no longer than was left of the pause when
/// it came back. The clocks of two workers, or of one at two times, may be apart by more than the pause.
pub(crate) fn parked_until(delivery: &Delivery, now: Timestamp) -> Option<Timestamp> {
    let until = time_in(delivery, WAIT_HEADER)?.min(now + LONGEST_WAIT);
    let left = number_in(delivery, WAIT_LEFT_HEADER)
        .map(|left| SignedDuration::from_millis(left).min(LONGEST_WAIT));
    Some(
        left.and_then(|left| now.checked_add(left).ok())
            .map_or(until, |latest| until.min(latest)),
    )
}

/// How often a worker or its connection died with this message in hand: as a quorum queue counts it, and
/// before it was given back untouched.
pub(crate) fn deaths(delivery: &Delivery) -> i64 {
    deaths_in(&delivery.properties)
}

fn deaths_in(properties: &BasicProperties) -> i64 {
    let number = |header| number_among(properties, header).unwrap_or(0).max(0);
    number("x-delivery-count").saturating_add(number(DEATHS_HEADER))
}

fn deaths_so_far(properties: &BasicProperties) -> Headers {
    let deaths = deaths_in(properties);
    if deaths > 0 {
        vec![(DEATHS_HEADER, long(deaths))]
    } else {
        Vec::new()
    }
}

/// A time in a header of ours.
pub(crate) fn time_in(delivery: &Delivery, header: &str) -> Option<Timestamp> {
    Timestamp::from_millisecond(number_in(delivery, header)?).ok()
}

/// A number in a header of ours.
pub(crate) fn number_in(delivery: &Delivery, header: &str) -> Option<i64> {
    number_among(&delivery.properties, header)
}

fn number_among(properties: &BasicProperties, header: &str) -> Option<i64> {
    as_long(properties.headers().as_ref()?.inner().get(header)?)
}

/// Why the message is too large or too deep to be worked on, if it is.
pub(crate) fn refused(delivery: &Delivery) -> Option<String> {
    match plain(
        delivery
            .properties
            .headers()
            .as_ref()?
            .inner()
            .get(REFUSED_HEADER)?,
    ) {
        serde_json::Value::String(why) => Some(why),
        _ => None,
    }
}

#[cfg(test)]
#[path = "settlement_tests.rs"]
mod tests;
