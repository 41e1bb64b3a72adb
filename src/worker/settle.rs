use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::parked::PARKED;
use super::results::{self, Announcement};
use super::{Ended, Outcome};
use crate::adapters::amqp::{
    DEAD_EXCHANGE, DEATHS_HEADER, Delivery, EVENTS_EXCHANGE, EXCHANGE, Headers, Publisher, QueueError,
    REVISION_HEADER, STAND_IN_HEADER, Source, WAIT_HEADER, WAIT_LEFT_HEADER, acknowledge, as_long,
    clean_headers, event_properties, letter, long, onward, text, wait_exchange, wait_for,
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

/// Settles a delivery exactly once: whatever takes its place is confirmed by the broker before it is
/// acknowledged. On an error it stays unacknowledged, and the broker delivers it again.
pub(super) async fn settle(
    delivery: &Delivery,
    source: Source,
    disposition: &Disposition,
    publisher: &Publisher,
    worker: &str,
) -> Result<(), QueueError> {
    publish_successor(delivery, source, disposition, publisher, worker).await?;
    acknowledge(delivery).await
}

/// Publishes what takes the place of a delivery, and returns when the broker has it.
pub(super) async fn publish_successor(
    delivery: &Delivery,
    source: Source,
    disposition: &Disposition,
    publisher: &Publisher,
    worker: &str,
) -> Result<(), QueueError> {
    let publish = |exchange: String, key: &'static str, mut headers: Headers| {
        headers.extend(onward(&delivery.properties));
        let properties = clean_headers(&delivery.properties, headers);
        async move { publisher.publish(&exchange, key, &delivery.data, properties).await }
    };
    match disposition {
        Disposition::Acknowledge => {}
        Disposition::Finish(user_id, ended) => {
            announce(
                delivery,
                &results::of_end(*user_id, ended, correlation_id(delivery).as_deref()),
                publisher,
            )
            .await?;
        }
        Disposition::Forward(next) => publish(EXCHANGE.to_owned(), next.routing_key(), Vec::new()).await?,
        Disposition::GiveBack => {
            publish(EXCHANGE.to_owned(), source.routing_key(), deaths_so_far(delivery)).await?;
        }
        Disposition::Reissue { source, revision } => {
            let headers = vec![(REVISION_HEADER, long(i64::from(*revision)))];
            publish(EXCHANGE.to_owned(), source.routing_key(), headers).await?;
        }
        Disposition::Park { until, survived, .. } => {
            let (pause, waiting) = wait(*until, Timestamp::now());
            let mut headers = if *survived { Vec::new() } else { deaths_so_far(delivery) };
            headers.extend(waiting);
            publish(wait_exchange(pause), source.routing_key(), headers).await?;
            PARKED.add(source, pause);
        }
        Disposition::DeadLetter(letter) => {
            let state = letter.state.map_or("", StateName::as_str);
            let mut headers = vec![
                (letter::REASON, text(letter.reason.as_str())),
                (letter::ERROR, text(&letter.error)),
                (letter::STATE, text(state)),
                (letter::STEP, text(letter.state.map_or("", StateName::next_step))),
                (letter::ATTEMPTS, long(i64::from(letter.attempts))),
                (letter::AT, text(&letter.at.to_string())),
                (letter::WORKER, text(worker)),
            ];
            headers.extend(letter.code.map(|code| (letter::CODE, text(code.as_str()))));
            publish(DEAD_EXCHANGE.to_owned(), source.routing_key(), headers).await?;
            let event = results::of_letter(&delivery.data, letter, correlation_id(delivery).as_deref());
            announce(delivery, &event, publisher).await?;
        }
    }
    Ok(())
}

fn correlation_id(delivery: &Delivery) -> Option<String> {
    delivery.properties.correlation_id().as_ref().map(ToString::to_string)
}

/// Tells the systems around; where none listens nothing is kept.
async fn announce(
    delivery: &Delivery,
    event: &Announcement,
    publisher: &Publisher,
) -> Result<(), QueueError> {
    let properties = event_properties(&delivery.properties, &event.id);
    publisher.announce(EVENTS_EXCHANGE, event.routing_key, &event.body, properties).await
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
    let remaining = Duration::try_from(until.duration_since(now)).unwrap_or_default();
    let pause = wait_for(remaining);
    let left = i64::try_from(remaining.saturating_sub(pause).as_millis()).unwrap_or(i64::MAX);
    (pause, vec![(WAIT_HEADER, long(until.as_millisecond())), (WAIT_LEFT_HEADER, long(left))])
}

/// Until when a job that was parked waits: as it was asked for, but no longer than was left of the pause when
/// it came back. The clocks of two workers, or of one at two times, may be apart by more than the pause.
pub(super) fn parked_until(delivery: &Delivery, now: Timestamp) -> Option<Timestamp> {
    let until = time_in(delivery, WAIT_HEADER)?;
    let left = number_in(delivery, WAIT_LEFT_HEADER).map(SignedDuration::from_millis);
    Some(left.and_then(|left| now.checked_add(left).ok()).map_or(until, |latest| until.min(latest)))
}

/// How often a worker or its connection died with this message in hand: as a quorum queue counts it, and
/// before it was given back untouched.
pub(super) fn deaths(delivery: &Delivery) -> i64 {
    let number = |header| number_in(delivery, header).unwrap_or(0).max(0);
    number("x-delivery-count").saturating_add(number(DEATHS_HEADER))
}

fn deaths_so_far(delivery: &Delivery) -> Headers {
    let deaths = deaths(delivery);
    if deaths > 0 { vec![(DEATHS_HEADER, long(deaths))] } else { Vec::new() }
}

/// A time in a header of ours.
pub(super) fn time_in(delivery: &Delivery, header: &str) -> Option<Timestamp> {
    Timestamp::from_millisecond(number_in(delivery, header)?).ok()
}

/// A number in a header of ours.
pub(super) fn number_in(delivery: &Delivery, header: &str) -> Option<i64> {
    as_long(delivery.properties.headers().as_ref()?.inner().get(header)?)
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
