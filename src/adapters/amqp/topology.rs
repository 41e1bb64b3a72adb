use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};

use super::QueueError;
use crate::job::Source;

pub(crate) const EXCHANGE: &str = "offboarding";
pub(crate) const DEAD_EXCHANGE: &str = "offboarding.dead";
/// Where dead letters wait for a person.
pub(crate) const DEAD_QUEUE: &str = "offboarding.dead";
pub(crate) const EVENTS_EXCHANGE: &str = "offboarding.events";
/// Not before: milliseconds since 1970, in the header of a parked job.
pub(crate) const WAIT_HEADER: &str = "x-offboarder-not-before";
/// Milliseconds that a parked job still has to wait when it comes back: what its queue could not do of the
/// pause. By no clock, since that of the worker which parked it may be an hour ahead.
pub(crate) const WAIT_LEFT_HEADER: &str = "x-offboarder-wait-left";
/// The login under which somebody else published the message, as RabbitMQ checked it (property `user_id`).
pub(crate) const PUBLISHED_BY_HEADER: &str = "x-offboarder-published-by";
/// Why a message is too large or too deep to be worked on, for people.
pub(crate) const REFUSED_HEADER: &str = "x-offboarder-refused";

/// Which off-boarding of a user who came back a job stands for.
pub(crate) const REVISION_HEADER: &str = "x-offboarder-revision";
/// How often workers died with a message in hand that was given back since.
pub(crate) const DEATHS_HEADER: &str = "x-offboarder-deaths";
/// Milliseconds since 1970: the work of this job was under way then, and it was parked in its place; or it
/// replays a dead letter that was written just before.
pub(crate) const STAND_IN_HEADER: &str = "x-offboarder-stand-in";

/// The pauses that a parked job can have. One queue each, because a message's own time to live
/// blocks behind a longer one at the head of its queue.
pub(crate) const WAITS: [Duration; 8] = [
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
    Duration::from_mins(30),
    Duration::from_hours(2),
];

/// The longest pause that is not over `remaining`, or the shortest there is. What is not due when it
/// comes back is parked again.
pub(crate) fn wait_for(remaining: Duration) -> Duration {
    let [shortest, ..] = WAITS;
    WAITS
        .into_iter()
        .rfind(|wait| *wait <= remaining)
        .unwrap_or(shortest)
}

/// The exchange of a pause. A message keeps its routing key there, and so finds its way back.
pub(crate) fn wait_exchange(wait: Duration) -> String {
    format!("offboarding.wait.{}s", wait.as_secs())
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

/// Quorum queues survive the loss of a node. Dead-lettering at least once needs a queue that rejects
/// when full, and keeps the message until the other queue has it. The delivery limit differs by
/// broker version (none in 3.10, 20 from 4.0), so it is said.
fn quorum(dead_letter_to: Option<&str>) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-overflow".into(), text("reject-publish"));
    if let Some(exchange) = dead_letter_to {
        arguments.insert("x-dead-letter-exchange".into(), text(exchange));
        arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    }
    arguments
}

/// A queue, and what leads to it.
pub(super) struct Declared {
    pub(super) queue: String,
    pub(super) arguments: FieldTable,
    exchange: String,
    key: &'static str,
}

pub(super) fn exchanges() -> Vec<(String, ExchangeKind)> {
    let waits = WAITS
        .into_iter()
        .map(|wait| (wait_exchange(wait), ExchangeKind::Fanout));
    let named = [
        (EXCHANGE, ExchangeKind::Topic),
        (DEAD_EXCHANGE, ExchangeKind::Fanout),
        (EVENTS_EXCHANGE, ExchangeKind::Topic),
    ];
    named
        .into_iter()
        .map(|(name, kind)| (name.to_owned(), kind))
        .chain(waits)
        .collect()
}

pub(super) fn queues() -> Vec<Declared> {
    // Looking at letters gives them back, which counts as a delivery from RabbitMQ 4.0 on.
    let mut arguments = quorum(None);
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(i32::MAX));
    let (queue, exchange) = (DEAD_QUEUE.to_owned(), DEAD_EXCHANGE.to_owned());
    let mut queues = vec![Declared {
        queue,
        arguments,
        exchange,
        key: "",
    }];
    queues.extend(Source::ALL.into_iter().map(|source| {
        let mut arguments = quorum(Some(DEAD_EXCHANGE));
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(20));
        let (queue, exchange) = (source.queue().to_owned(), EXCHANGE.to_owned());
        Declared {
            queue,
            arguments,
            exchange,
            key: source.routing_key(),
        }
    }));
    queues.extend(WAITS.into_iter().map(|wait| {
        let mut arguments = quorum(Some(EXCHANGE));
        let ttl_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(ttl_ms));
        Declared {
            queue: wait_exchange(wait),
            arguments,
            exchange: wait_exchange(wait),
            key: "",
        }
    }));
    queues
}

/// Declares every exchange, queue and binding. Doing it again changes nothing; a queue that exists
/// with other arguments is an error that names it.
pub(crate) async fn declare(channel: &Channel) -> Result<(), QueueError> {
    for (name, kind) in exchanges() {
        declare_exchange(channel, &name, kind, false)
            .await
            .map_err(|error| QueueError::of(&error, &format!("declare the exchange {name}")))?;
    }
    for Declared {
        queue,
        arguments,
        exchange,
        key,
    } in queues()
    {
        declare_queue(channel, &queue, arguments, false)
            .await
            .map_err(|error| QueueError::of(&error, &format!("declare the queue {queue}")))?;
        let (options, none) = (QueueBindOptions::default(), FieldTable::default());
        channel
            .queue_bind(
                queue.as_str().into(),
                exchange.as_str().into(),
                key.into(),
                options,
                none,
            )
            .await
            .map_err(|error| QueueError::of(&error, &format!("bind the queue {queue}")))?;
    }
    Ok(())
}

/// A passive declaration makes nothing, and looks only whether the exchange is there.
pub(super) async fn declare_exchange(
    channel: &Channel,
    name: &str,
    kind: ExchangeKind,
    passive: bool,
) -> Result<(), lapin::Error> {
    let options = ExchangeDeclareOptions {
        durable: true,
        passive,
        ..Default::default()
    };
    channel
        .exchange_declare(name.into(), kind, options, FieldTable::default())
        .await
}

/// The same of a queue.
pub(super) async fn declare_queue(
    channel: &Channel,
    name: &str,
    arguments: FieldTable,
    passive: bool,
) -> Result<(), lapin::Error> {
    let options = QueueDeclareOptions {
        durable: true,
        passive,
        ..Default::default()
    };
    channel
        .queue_declare(name.into(), options, arguments)
        .await
        .map(|_queue| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_never_overshoots_but_for_the_shortest() {
        assert_eq!(wait_for(Duration::ZERO), Duration::from_secs(1));
        assert_eq!(
            wait_for(Duration::from_millis(2999)),
            Duration::from_secs(1)
        );
        assert_eq!(wait_for(Duration::from_secs(3)), Duration::from_secs(3));
        assert_eq!(wait_for(Duration::from_secs(599)), Duration::from_mins(2));
        assert_eq!(
            wait_for(Duration::from_secs(1_000_000)),
            Duration::from_hours(2)
        );
    }
}
