use std::borrow::Cow;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::adapters::amqp::{
    BasicProperties, DEAD_EXCHANGE, DEATHS_HEADER, Delivery, EVENTS_EXCHANGE, EXCHANGE, Headers,
    Publisher, QueueError, REFUSED_HEADER, REVISION_HEADER, STAND_IN_HEADER, WAIT_HEADER,
    WAIT_LEFT_HEADER, acknowledge, as_long, bare, clean_headers, event_properties, letter, long,
    onward, plain, text, wait_exchange, wait_for,
};
use crate::failure::{Code, Failure, Reason};
use crate::job::Source;
use crate::job::UserId;
use crate::machine::StateName;
use crate::steps::Interrupt;
use crate::worker::run::{Ended, Outcome};
use crate::worker::settle::delayed::PARKED;
use crate::worker::settle::results::{self, Announcement};

/// What becomes of a delivery. Pure, so that it can be read and tested alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Disposition {
    Acknowledge,
    /// Its user's manifest is stored, which is announced.
    Finish(UserId, Box<Ended>),
    /// It goes on in another queue.
    Forward(Source),
    /// It goes to the end of its queue, untouched: how often workers died with it is not forgotten.
    GiveBack,
    /// It begins again, for a user who came back.
    Reissue {
        source: Source,
        /// Which off-boarding it stands for.
        revision: u32,
    },
    /// It waits in a queue of its own.
    Park {
        until: Timestamp,
        /// Whether a visit came to an end of its own: what a worker survived is no poison.
        survived: bool,
        why: String,
        /// The failure that it waits after, if it does.
        code: Option<Code>,
    },
    DeadLetter(Letter),
}

impl Disposition {
    /// A wait that no visit of its own came to.
    pub(crate) fn park(until: Timestamp, why: &str) -> Self {
        Self::Park {
            until,
            survived: false,
            why: why.to_owned(),
            code: None,
        }
    }

    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledged",
            Self::Finish(..) => "finished",
            Self::Forward(_) => "forwarded",
            Self::GiveBack => "given back",
            Self::Reissue { .. } => "reissued",
            Self::Park { .. } => "parked",
            Self::DeadLetter(_) => "dead-lettered",
        }
    }
}

/// The headers of a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) reason: Reason,
    pub(crate) error: String,
    pub(crate) code: Option<Code>,
    pub(crate) state: Option<StateName>,
    pub(crate) attempts: u32,
    pub(crate) at: Timestamp,
}

/// How long a job waits after something that was not its own fault.
const AFTER_INTERRUPT: SignedDuration = SignedDuration::from_secs(3);
const AFTER_SYSTEMIC: SignedDuration = SignedDuration::from_secs(10);
/// What is left of the body of a dead letter that RabbitMQ does not take whole.
const CUT_BYTES: usize = 1024;
/// Of an error in a header: all headers have to fit into one frame.
const MAX_ERROR_CHARS: usize = 2048;
/// How long a job waits before a worker looks at it again, whatever its headers say.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(24);
/// How long a stand-in waits before it looks how far the work is.
const STAND_IN: SignedDuration = SignedDuration::from_secs(30);

/// What follows from a visit.
pub(crate) fn disposition(
    visit: Result<Outcome, Interrupt>,
    user_id: UserId,
    source: Source,
    now: Timestamp,
) -> Disposition {
    match visit {
        Ok(Outcome::Finished(ended)) => Disposition::Finish(user_id, ended),
        Ok(Outcome::Replaced) => Disposition::Acknowledge,
        Ok(Outcome::Reissue { revision }) => Disposition::Reissue { source, revision },
        Ok(Outcome::HandOver) => Disposition::Forward(source.after_access()),
        Ok(Outcome::Wait { until, why, code }) => Disposition::Park {
            until,
            survived: true,
            why,
            code,
        },
        Ok(Outcome::Busy { for_at_most }) => {
            let pause = SignedDuration::try_from(for_at_most)
                .unwrap_or(AFTER_INTERRUPT)
                .min(AFTER_SYSTEMIC);
            Disposition::park(now + pause, "another worker has the user")
        }
        Ok(Outcome::DeadLetter {
            reason,
            failure,
            state,
            attempts,
        }) => Disposition::DeadLetter(Letter {
            reason,
            error: failure.to_string(),
            code: Some(failure.code),
            state: Some(state),
            attempts,
            at: now,
        }),
        Err(Interrupt::Draining) => Disposition::GiveBack,
        Err(Interrupt::SliceOver) => Disposition::Forward(source),
        Err(Interrupt::LeaseLost) => Disposition::park(
            now + AFTER_INTERRUPT,
            "the lease is lost: another worker may have the user",
        ),
        Err(Interrupt::Systemic(failure)) => Disposition::Park {
            until: now + AFTER_SYSTEMIC,
            survived: false,
            why: failure.to_string(),
            code: Some(failure.code),
        },
    }
}

/// A step panicked: the job is given up, since it would panic again.
pub(crate) fn panicked(failure: &Failure, now: Timestamp) -> Disposition {
    Disposition::DeadLetter(Letter {
        reason: Reason::Poison,
        error: failure.to_string(),
        code: Some(failure.code),
        state: None,
        attempts: 1,
        at: now,
    })
}

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

/// It is no message that can be worked on.
pub(crate) fn malformed(error: String, now: Timestamp) -> Disposition {
    let reason = Reason::MalformedMessage;
    Disposition::DeadLetter(Letter {
        reason,
        error,
        code: None,
        state: None,
        attempts: 0,
        at: now,
    })
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
