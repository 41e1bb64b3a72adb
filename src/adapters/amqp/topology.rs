//! The exchanges and queues that we declare. A queue's arguments cannot be changed later: who changes one here has to
//! say how existing queues are migrated.

use futures_util::future::try_join_all;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ErrorKind, ExchangeKind};

use super::error::queue_error;
use crate::job::Source;
use crate::queue::QueueError;
use crate::queue::names::{
    DEAD_LETTER_EXCHANGE, DEAD_LETTER_QUEUE, DELAYS, EVENTS_EXCHANGE, JOBS_EXCHANGE, delay_exchange,
};
use crate::queue::redelivery::BROKER_DELIVERY_LIMIT;

const ACCESS_REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;

/// A queue, and the binding that leads to it.
pub(super) struct Declared {
    pub(super) queue: String,
    pub(super) arguments: FieldTable,
    exchange: String,
    key: &'static str,
}

pub(super) fn exchanges() -> Vec<(String, ExchangeKind)> {
    let delays = DELAYS
        .into_iter()
        .map(|delay| (delay_exchange(delay), ExchangeKind::Fanout));
    let named = [
        (JOBS_EXCHANGE, ExchangeKind::Topic),
        (DEAD_LETTER_EXCHANGE, ExchangeKind::Fanout),
        (EVENTS_EXCHANGE, ExchangeKind::Topic),
    ];
    named
        .into_iter()
        .map(|(name, kind)| (name.to_owned(), kind))
        .chain(delays)
        .collect()
}

pub(super) fn queues() -> Vec<Declared> {
    let mut queues = vec![dead_letter_queue()];
    queues.extend(Source::ALL.map(job_queue));
    queues.extend(DELAYS.map(delay_queue));
    queues
}

/// The lowest value of a policy's `limit` that changes nothing in a queue of ours, since its own argument is as low.
pub(super) fn own_limit(queue: &str, limit: &str) -> Option<i64> {
    let declared = queues().into_iter().find(|ours| ours.queue == queue)?;
    let is_consumed = !declared.arguments.inner().contains_key("x-message-ttl");
    if limit == "delivery-limit" && !is_consumed {
        // RabbitMQ counts no deliveries there.
        return Some(0);
    }
    match declared
        .arguments
        .inner()
        .get(format!("x-{limit}").as_str())?
    {
        AMQPValue::LongInt(value) => Some(i64::from(*value)),
        AMQPValue::LongLongInt(value) => Some(*value),
        _ => None,
    }
}

fn dead_letter_queue() -> Declared {
    let mut arguments = quorum();
    // A scan of dead letters requeues them, which counts as a delivery from RabbitMQ 4.0 on.
    set(
        &mut arguments,
        "x-delivery-limit",
        AMQPValue::LongInt(i32::MAX),
    );
    Declared {
        queue: DEAD_LETTER_QUEUE.to_owned(),
        arguments,
        exchange: DEAD_LETTER_EXCHANGE.to_owned(),
        key: "",
    }
}

fn job_queue(source: Source) -> Declared {
    let mut arguments = quorum();
    dead_letter_to(&mut arguments, DEAD_LETTER_EXCHANGE);
    // The default differs by broker version: none in 3.10, 20 from 4.0.
    let limit = AMQPValue::LongInt(BROKER_DELIVERY_LIMIT);
    set(&mut arguments, "x-delivery-limit", limit);
    Declared {
        queue: source.queue().to_owned(),
        arguments,
        exchange: JOBS_EXCHANGE.to_owned(),
        key: source.routing_key(),
    }
}

/// A message that is in a delay queue for its whole delay is "dead-lettered" to the exchange of jobs, with the
/// routing key that it came with: back to its queue.
fn delay_queue(delay: std::time::Duration) -> Declared {
    let mut arguments = quorum();
    dead_letter_to(&mut arguments, JOBS_EXCHANGE);
    let milliseconds = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
    set(
        &mut arguments,
        "x-message-ttl",
        AMQPValue::LongLongInt(milliseconds),
    );

    Declared {
        queue: delay_exchange(delay),
        arguments,
        exchange: delay_exchange(delay),
        key: "",
    }
}

/// Quorum queues survive the loss of a node. A full one has to refuse publishes (`reject-publish`) instead of dropping
/// its oldest message: at-least-once dead-lettering needs that, too.
fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    set(&mut arguments, "x-queue-type", text("quorum"));
    set(&mut arguments, "x-overflow", text("reject-publish"));
    arguments
}

/// At least once: the queue keeps a message until the other queue has it.
fn dead_letter_to(arguments: &mut FieldTable, exchange: &str) {
    set(arguments, "x-dead-letter-exchange", text(exchange));
    set(arguments, "x-dead-letter-strategy", text("at-least-once"));
}

fn set(arguments: &mut FieldTable, name: &str, value: AMQPValue) {
    arguments.insert(name.into(), value);
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

/// Declares every exchange, queue and binding.
pub(super) async fn declare(channel: &Channel) -> Result<(), QueueError> {
    declare_or_say_why(channel)
        .await
        .map_err(|fault| match fault {
            Fault::Declaring(error) | Fault::Other(error) => error,
        })
}

/// Why not all of it is declared and bound.
enum Fault {
    /// This login may not declare.
    Declaring(QueueError),
    Other(QueueError),
}

async fn declare_or_say_why(channel: &Channel) -> Result<(), Fault> {
    let fault = |error: &lapin::Error, what: &str| {
        let is_refusal = is(error, ACCESS_REFUSED);
        let error = queue_error(error, &format!("declare {what}"));
        if is_refusal {
            Fault::Declaring(error)
        } else {
            Fault::Other(error)
        }
    };
    // RabbitMQ answers in the order of the requests, so that all of a kind are sent at once, and the first that has no answer is
    // the one that it refused.
    let exchanges = exchanges().into_iter().map(async |(name, kind)| {
        let declared = declare_exchange(channel, &name, kind, false).await;
        declared.map_err(|error| fault(&error, &format!("the exchange {name}")))
    });
    try_join_all(exchanges).await?;

    let made = queues().into_iter().map(async |declared| {
        let queue = declared.queue.as_str();
        let made = declare_queue(channel, queue, declared.arguments, false).await;
        made.map_err(|error| fault(&error, &format!("the queue {queue}")))
    });
    try_join_all(made).await?;

    let bound = queues().into_iter().map(async |declared| {
        let queue = declared.queue.as_str();
        let binding = channel.queue_bind(
            queue.into(),
            declared.exchange.as_str().into(),
            declared.key.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        binding
            .await
            .map_err(|error| Fault::Other(queue_error(&error, &format!("bind the queue {queue}"))))
    });
    try_join_all(bound).await.map(|_all| ())
}

/// Whether RabbitMQ answered with this.
fn is(error: &lapin::Error, answer: u16) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(said) if said.get_id() == answer)
}

/// Declares everything; with a login that may not, checks that everything is there.
pub(super) async fn declare_or_find(connection: &Connection) -> Result<(), QueueError> {
    let open = async || {
        let opening = connection.create_channel().await;
        opening.map_err(|error| queue_error(&error, "open a channel"))
    };
    let channel = open().await?;
    match declare_or_say_why(&channel).await {
        // Without a binding nothing arrives: what may declare and not bind is no login for this.
        Err(Fault::Declaring(_may_not)) => {
            // RabbitMQ closed the other one with its refusal.
            let channel = open().await?;
            find(&channel).await?;
            close(&channel).await;
            Ok(())
        }
        Err(Fault::Other(error)) => Err(error),
        Ok(()) => {
            close(&channel).await;
            Ok(())
        }
    }
}

async fn find(channel: &Channel) -> Result<(), QueueError> {
    let missing = |error: &lapin::Error, what: &str| {
        let by = "this login may not declare it: run `offboarder topology` with one that may";
        if is(error, NOT_FOUND) {
            queue_error(error, &format!("find {what} ({by})"))
        } else {
            queue_error(error, &format!("find {what}"))
        }
    };
    let exchanges = exchanges().into_iter().map(async |(name, kind)| {
        let found = declare_exchange(channel, &name, kind, true).await;
        found.map_err(|error| missing(&error, &format!("the exchange {name}")))
    });
    try_join_all(exchanges).await?;
    let queues = queues().into_iter().map(async |declared| {
        let name = declared.queue;
        let found = declare_queue(channel, &name, declared.arguments, true).await;
        found.map_err(|error| missing(&error, &format!("the queue {name}")))
    });
    try_join_all(queues).await.map(|_all| ())
}

/// One that was refused is closed already.
async fn close(channel: &Channel) {
    channel.close(200, "done".into()).await.ok();
}

/// A passive declaration only checks whether the exchange exists.
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

/// A passive declaration only checks whether the queue exists.
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
