use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::parked::PARKED;
use super::results::{self, Announcement};
use super::{Ended, Outcome};
use crate::adapters::amqp::{
    BasicProperties, DEAD_EXCHANGE, DEATHS_HEADER, Delivery, EVENTS_EXCHANGE, EXCHANGE, Headers, Publisher,
    QueueError, REFUSED_HEADER, REVISION_HEADER, STAND_IN_HEADER, Source, WAIT_HEADER, WAIT_LEFT_HEADER,
    acknowledge, as_long, bare, clean_headers, event_properties, letter, long, onward, plain, text,
    wait_exchange, wait_for,
};
use crate::failure::{Code, Failure, Reason};
use crate::job::UserId;
use crate::machine::StateName;
use crate::steps::Interrupt;

/// What becomes of a delivery. Pure, so that it can be read and tested alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Disposition {
    /// Its work is done.
    Acknowledge,
    /// Its user's manifest is stored, which is announced.
    Finish(UserId, Box<Ended>),
    /// It goes on in another queue.
    Forward(Source),
    /// It goes to the end of its queue, untouched: how often workers died with it is not forgotten.
    GiveBack,
    /// It begins again, for a user who came back.
    Reissue {
        /// Where.
        source: Source,
        /// Which off-boarding it stands for.
        revision: u32,
    },
    /// It waits in a queue of its own.
    Park {
        /// Not before then.
        until: Timestamp,
        /// Whether a visit came to an end of its own: what a worker survived is no poison.
        survived: bool,
        /// Why, for people.
        why: String,
        /// The failure that it waits after, if it does.
        code: Option<Code>,
    },
    /// It is given up.
    DeadLetter(Letter),
}

impl Disposition {
    /// A wait that no visit of its own came to.
    pub(super) fn park(until: Timestamp, why: &str) -> Self {
        Self::Park { until, survived: false, why: why.to_owned(), code: None }
    }

    /// The word in traces.
    pub(super) const fn as_str(&self) -> &'static str {
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
pub(super) struct Letter {
    pub(super) reason: Reason,
    pub(super) error: String,
    pub(super) code: Option<Code>,
    pub(super) state: Option<StateName>,
    pub(super) attempts: u32,
    pub(super) at: Timestamp,
}

/// How long a job waits after something that was not its own fault.
const AFTER_INTERRUPT: SignedDuration = SignedDuration::from_secs(3);
const AFTER_SYSTEMIC: SignedDuration = SignedDuration::from_secs(10);
/// How long a job waits before a worker looks at it again, whatever its headers say.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(24);
/// How long a stand-in waits before it looks how far the work is.
const STAND_IN: SignedDuration = SignedDuration::from_secs(30);

/// What follows from a visit.
pub(super) fn disposition(
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
        Ok(Outcome::Wait { until, why, code }) => Disposition::Park { until, survived: true, why, code },
        Ok(Outcome::Busy { for_at_most }) => {
            let pause = SignedDuration::try_from(for_at_most).unwrap_or(AFTER_INTERRUPT).min(AFTER_SYSTEMIC);
            Disposition::park(now + pause, "another worker has the user")
        }
        Ok(Outcome::DeadLetter { reason, failure, state, attempts }) => Disposition::DeadLetter(Letter {
            reason,
            error: failure.to_string(),
            code: Some(failure.code),
            state: Some(state),
            attempts,
            at: now,
        }),
        Err(Interrupt::Draining) => Disposition::GiveBack,
        Err(Interrupt::SliceOver) => Disposition::Forward(source),
        Err(Interrupt::LeaseLost) => {
            Disposition::park(now + AFTER_INTERRUPT, "the lease is lost: another worker may have the user")
        }
        Err(Interrupt::Systemic(failure)) => Disposition::Park {
            until: now + AFTER_SYSTEMIC,
            survived: false,
            why: failure.to_string(),
            code: Some(failure.code),
        },
    }
}

/// A step panicked: the job is given up, since it would panic again.
pub(super) fn panicked(failure: &Failure, now: Timestamp) -> Disposition {
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
pub(super) async fn settle(
    delivery: &Delivery,
    source: Source,
    disposition: &Disposition,
    publisher: &Publisher,
    worker: &str,
) -> Result<(), QueueError> {
    replace(delivery, source, disposition, publisher, worker).await?;
    acknowledge(delivery).await
}

/// Publishes what takes the place of a delivery, and returns when the broker has it. A message that RabbitMQ does not
/// take goes on without what its publisher added; when that is refused, too, it becomes a dead letter, cut at last.
pub(super) async fn replace(
    delivery: &Delivery,
    source: Source,
    disposition: &Disposition,
    publisher: &Publisher,
    worker: &str,
) -> Result<(), QueueError> {
    let whole = Content { properties: &delivery.properties, body: &delivery.data };
    let refused = publish_successor(whole, source, disposition, publisher, worker).await;
    let Err(QueueError::MessageRefused { why, .. }) = refused else { return refused };
    tracing::warn!(why, "RabbitMQ does not take this message: it goes on without its publisher's headers");
    let properties = bare(&delivery.properties);
    let without = Content { properties: &properties, ..whole };
    let refused = publish_successor(without, source, disposition, publisher, worker).await;
    let Err(QueueError::MessageRefused { why, .. }) = refused else { return refused };
    let given_up = match disposition {
        Disposition::DeadLetter(_) => disposition.clone(),
        Disposition::Acknowledge
        | Disposition::Finish(..)
        | Disposition::Forward(_)
        | Disposition::GiveBack
        | Disposition::Reissue { .. }
        | Disposition::Park { .. } => refused_by_broker(&why, Timestamp::now()),
    };
    let refused = publish_successor(without, source, &given_up, publisher, worker).await;
    let Err(QueueError::MessageRefused { .. }) = refused else { return refused };
    let cut = Content { body: delivery.data.get(..CUT_BYTES).unwrap_or(&delivery.data), ..without };
    publish_successor(cut, source, &given_up, publisher, worker).await
}

/// What is left of the body of a dead letter that RabbitMQ does not take whole.
const CUT_BYTES: usize = 1024;
/// Of the text of an error in a header: all headers have to fit into one frame.
const MAX_ERROR_CHARS: usize = 2048;

fn refused_by_broker(why: &str, now: Timestamp) -> Disposition {
    malformed(format!("RabbitMQ does not take the message on: {why}"), now)
}

/// It is no message that can be worked on.
pub(super) fn malformed(error: String, now: Timestamp) -> Disposition {
    let reason = Reason::MalformedMessage;
    Disposition::DeadLetter(Letter { reason, error, code: None, state: None, attempts: 0, at: now })
}

/// Whether RabbitMQ routed a publisher's message here besides, by a key in `CC` or `BCC`: the queue of the key that
/// it was published with has it, too.
pub(super) fn is_copy(delivery: &Delivery, source: Source) -> bool {
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
        async move { publisher.publish(&exchange, key, content.body, properties).await }
    };
    match disposition {
        Disposition::Acknowledge => {}
        Disposition::Finish(user_id, ended) => {
            let event = results::of_end(*user_id, ended, correlation_id(content).as_deref());
            announce(content, &event, publisher).await?;
        }
        Disposition::Forward(next) => publish(EXCHANGE.to_owned(), next.routing_key(), Vec::new()).await?,
        Disposition::GiveBack => {
            publish(EXCHANGE.to_owned(), source.routing_key(), deaths_so_far(content.properties)).await?;
        }
        Disposition::Reissue { source, revision } => {
            let headers = vec![(REVISION_HEADER, long(i64::from(*revision)))];
            publish(EXCHANGE.to_owned(), source.routing_key(), headers).await?;
        }
        Disposition::Park { until, survived, .. } => {
            let (pause, waiting) = wait(*until, Timestamp::now());
            let mut headers = if *survived { Vec::new() } else { deaths_so_far(content.properties) };
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
                (letter::STEP, text(letter.state.map_or("", StateName::next_step))),
                (letter::ATTEMPTS, long(i64::from(letter.attempts))),
                (letter::AT, text(&letter.at.to_string())),
                (letter::WORKER, text(worker)),
            ];
            headers.extend(letter.code.map(|code| (letter::CODE, text(code.as_str()))));
            publish(DEAD_EXCHANGE.to_owned(), source.routing_key(), headers).await?;
            let event = results::of_letter(content.body, letter, correlation_id(content).as_deref());
            announce(content, &event, publisher).await?;
        }
    }
    Ok(())
}

fn correlation_id(content: Content<'_>) -> Option<String> {
    content.properties.correlation_id().as_ref().map(ToString::to_string)
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
    match publisher.announce(EVENTS_EXCHANGE, event.routing_key, &event.body, properties).await {
        Err(error @ QueueError::MessageRefused { .. }) => {
            tracing::error!(%error, "an event is not published");
            Ok(())
        }
        announced => announced,
    }
}

/// Puts a parked copy in the place of a delivery that cannot be held any longer, though its work goes
/// on. When the copy comes back it finds the work done, or takes it over.
pub(super) async fn stand_in(
    delivery: &Delivery,
    source: Source,
    publisher: &Publisher,
) -> Result<(), QueueError> {
    let now = Timestamp::now();
    let (pause, mut headers) = wait(now + STAND_IN, now);
    headers.push((STAND_IN_HEADER, long(now.as_millisecond())));
    headers.extend(onward(&delivery.properties));
    let properties = clean_headers(&delivery.properties, headers);
    publisher.publish(&wait_exchange(pause), source.routing_key(), &delivery.data, properties).await?;
    PARKED.add(source, pause);
    acknowledge(delivery).await
}

/// The pause of the queue that a job waits in, and what is to be known of the wait when it comes back.
fn wait(until: Timestamp, now: Timestamp) -> (Duration, Headers) {
    let until = until.min(now + LONGEST_WAIT);
    let remaining = Duration::try_from(until.duration_since(now)).unwrap_or_default();
    let pause = wait_for(remaining);
    let left = i64::try_from(remaining.saturating_sub(pause).as_millis()).unwrap_or(i64::MAX);
    (pause, vec![(WAIT_HEADER, long(until.as_millisecond())), (WAIT_LEFT_HEADER, long(left))])
}

/// Until when a job that was parked waits: as it was asked for, but no longer than was left of the pause when
/// it came back. The clocks of two workers, or of one at two times, may be apart by more than the pause.
pub(super) fn parked_until(delivery: &Delivery, now: Timestamp) -> Option<Timestamp> {
    let until = time_in(delivery, WAIT_HEADER)?.min(now + LONGEST_WAIT);
    let left =
        number_in(delivery, WAIT_LEFT_HEADER).map(|left| SignedDuration::from_millis(left).min(LONGEST_WAIT));
    Some(left.and_then(|left| now.checked_add(left).ok()).map_or(until, |latest| until.min(latest)))
}

/// How often a worker or its connection died with this message in hand: as a quorum queue counts it, and
/// before it was given back untouched.
pub(super) fn deaths(delivery: &Delivery) -> i64 {
    deaths_in(&delivery.properties)
}

fn deaths_in(properties: &BasicProperties) -> i64 {
    let number = |header| number_among(properties, header).unwrap_or(0).max(0);
    number("x-delivery-count").saturating_add(number(DEATHS_HEADER))
}

fn deaths_so_far(properties: &BasicProperties) -> Headers {
    let deaths = deaths_in(properties);
    if deaths > 0 { vec![(DEATHS_HEADER, long(deaths))] } else { Vec::new() }
}

/// A time in a header of ours.
pub(super) fn time_in(delivery: &Delivery, header: &str) -> Option<Timestamp> {
    Timestamp::from_millisecond(number_in(delivery, header)?).ok()
}

/// A number in a header of ours.
pub(super) fn number_in(delivery: &Delivery, header: &str) -> Option<i64> {
    number_among(&delivery.properties, header)
}

fn number_among(properties: &BasicProperties, header: &str) -> Option<i64> {
    as_long(properties.headers().as_ref()?.inner().get(header)?)
}

/// Why the message is too large or too deep to be worked on, if it is.
pub(super) fn refused(delivery: &Delivery) -> Option<String> {
    match plain(delivery.properties.headers().as_ref()?.inner().get(REFUSED_HEADER)?) {
        serde_json::Value::String(why) => Some(why),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Class;

    fn somebody() -> UserId {
        "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap()
    }

    #[test]
    fn only_a_finished_user_is_acknowledged_without_a_successor() {
        let now = Timestamp::UNIX_EPOCH;
        let failure = Failure::new(Class::Systemic, Code::CxoneUnauthorized, "401");
        let visits = [
            Ok(Outcome::HandOver),
            Ok(Outcome::Wait { until: now, why: String::new(), code: None }),
            Ok(Outcome::Busy { for_at_most: Duration::from_mins(1) }),
            Ok(Outcome::DeadLetter {
                reason: Reason::ApiRejected,
                failure: failure.clone(),
                state: StateName::Received,
                attempts: 1,
            }),
            Err(Interrupt::Draining),
            Err(Interrupt::LeaseLost),
            Err(Interrupt::Systemic(failure)),
        ];
        for visit in visits {
            let text = format!("{visit:?}");
            let done = disposition(visit, somebody(), Source::Users, now);
            assert!(!matches!(done, Disposition::Acknowledge | Disposition::Finish(..)), "{text}");
        }
        let replaced = disposition(Ok(Outcome::Replaced), somebody(), Source::Users, now);
        assert_eq!(replaced, Disposition::Acknowledge);
    }

    fn parked(until: Timestamp, left: SignedDuration) -> Delivery {
        let mut delivery = Delivery::mock(1, EXCHANGE.into(), "users".into(), false, Vec::new());
        let left = i64::try_from(left.as_millis()).unwrap();
        let headers = vec![(WAIT_HEADER, long(until.as_millisecond())), (WAIT_LEFT_HEADER, long(left))];
        let mut table = lapin::types::FieldTable::default();
        for (name, value) in headers {
            table.insert(name.into(), value);
        }
        delivery.properties = BasicProperties::default().with_headers(table);
        delivery
    }

    #[test]
    fn a_wait_of_900_years_is_looked_at_after_a_day() {
        let now = Timestamp::UNIX_EPOCH;
        let far = now + SignedDuration::from_hours(900 * 365 * 24);
        assert_eq!(
            parked_until(&parked(far, SignedDuration::from_hours(1_000_000)), now),
            Some(now + LONGEST_WAIT)
        );
        let (pause, headers) = wait(far, now);
        assert_eq!(pause, Duration::from_hours(2));
        let told = headers.iter().map(|(_, value)| as_long(value).unwrap()).collect::<Vec<_>>();
        assert_eq!(told, [24 * 3_600_000, 22 * 3_600_000]);
    }

    #[test]
    fn a_copy_by_cc_is_told_from_the_message_and_from_what_others_route() {
        let routed = |exchange: &str, key: &str, source| {
            is_copy(&Delivery::mock(1, exchange.into(), key.into(), false, Vec::new()), source)
        };
        assert!(routed(EXCHANGE, "users", Source::Archive) && routed(EXCHANGE, "users", Source::UsersUrgent));
        assert!(!routed(EXCHANGE, "users", Source::Users), "the message itself");
        assert!(!routed(EXCHANGE, "hr.leavers", Source::Users), "a binding of an operator");
        assert!(!routed("", "offboarding.users", Source::Users), "a shovel");
        assert!(!routed("other", "users", Source::Archive));
    }

    #[test]
    fn a_drained_job_goes_back_where_it_came_from_and_a_handed_over_one_goes_on() {
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(
            disposition(Err(Interrupt::Draining), somebody(), Source::UsersUrgent, now),
            Disposition::GiveBack
        );
        assert_eq!(
            disposition(Ok(Outcome::HandOver), somebody(), Source::UsersUrgent, now),
            Disposition::Forward(Source::ArchiveUrgent)
        );
    }
}
