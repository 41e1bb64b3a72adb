use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

use futures_util::StreamExt as _;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, Event};
use tokio::sync::{Mutex, MutexGuard};
use tracing::Instrument as _;

use super::{Broker, QueueError};
use crate::failure::Classify as _;
use crate::kill_point::effect;
use crate::telemetry::span;

/// Publishes with `mandatory` and waits for the broker's confirm. One publish is in flight on a
/// channel, since the library credits a returned message to the wrong confirm otherwise; several
/// channels make up for the speed. Its connection is its own: a broker short of memory blocks
/// publishing connections, and acknowledgements must not wait with them.
pub struct Publisher {
    broker: Broker,
    connection: Mutex<Option<Connection>>,
    channels: Vec<Mutex<Option<Channel>>>,
    turn: AtomicUsize,
    alarm: Alarm,
}

/// Why the broker takes nothing from publishers, as long as it does not: `low on memory`, `low on disk`.
#[derive(Clone, Default)]
struct Alarm(Arc<std::sync::Mutex<Option<String>>>);

impl Alarm {
    fn set(&self, reason: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// Listens as long as the connection lives.
    fn watch(&self, connection: &Connection) {
        let (alarm, mut events) = (self.clone(), connection.events_listener());
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                match event {
                    Event::ConnectionBlocked(reason) => {
                        tracing::warn!(
                            reason,
                            "RabbitMQ takes no messages: work waits until its alarm is over"
                        );
                        alarm.set(Some(reason));
                    }
                    Event::ConnectionUnblocked => {
                        tracing::info!("RabbitMQ takes messages again");
                        alarm.set(None);
                    }
                    Event::Error(_) => alarm.set(None),
                    _ => {}
                }
            }
        });
    }
}

/// What became of a message that the broker confirmed.
enum Stored {
    InAQueue,
    Nowhere,
}

impl Publisher {
    /// Connects at the first publish.
    pub fn new(broker: Broker, channels: usize) -> Self {
        Self {
            broker,
            connection: Mutex::new(None),
            channels: (0..channels.max(1)).map(|_| Mutex::new(None)).collect(),
            turn: AtomicUsize::new(0),
            alarm: Alarm::default(),
        }
    }

    /// Why nothing can be published now, if the broker says so.
    pub fn blocked_because(&self) -> Option<String> {
        let reason = self.alarm.0.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        Some(format!("RabbitMQ takes no messages ({reason}); free memory or disk space on its node"))
    }

    /// Returns once the broker has the message in a queue. An error means that it may or may not
    /// have it: publishing again is the caller's to decide.
    pub async fn publish(
        &self,
        exchange: &str,
        key: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<(), QueueError> {
        let publishing = async {
            match self.confirmed(exchange, key, body, properties).await? {
                Stored::InAQueue => Ok(()),
                Stored::Nowhere => Err(unroutable(exchange, key)),
            }
        };
        traced(exchange, key, publishing).await
    }

    /// The same for what nobody may be waiting for: it is no error when no queue took it.
    pub async fn announce(
        &self,
        exchange: &str,
        key: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<(), QueueError> {
        let announcing = async { self.confirmed(exchange, key, body, properties).await.map(|_anywhere| ()) };
        traced(exchange, key, announcing).await
    }

    async fn confirmed(
        &self,
        exchange: &str,
        key: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<Stored, QueueError> {
        let Some(mut slot) = self.free_slot().await else { return Err(unroutable(exchange, key)) };
        let channel = match slot.take() {
            Some(channel) if channel.status().connected() => channel,
            Some(_) | None => self.open_channel().await?,
        };
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let failed = |error| QueueError::of(&error, "publish");
        let publishing = async {
            channel.basic_publish(exchange.into(), key.into(), options, body, properties).await?.await
        };
        let confirmation = effect("the publish", publishing).await.map_err(failed)?;
        // Only a channel that answered is used again.
        *slot = Some(channel);
        match confirmation {
            Confirmation::Ack(None) => Ok(Stored::InAQueue),
            Confirmation::Ack(Some(_returned)) => Ok(Stored::Nowhere),
            Confirmation::Nack(_) | Confirmation::NotRequested => {
                Err(QueueError::NotStored { exchange: exchange.to_owned(), key: key.to_owned() })
            }
        }
    }

    /// A channel that nobody publishes on, or the next in turn; there is always one.
    async fn free_slot(&self) -> Option<MutexGuard<'_, Option<Channel>>> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.channels.len();
        let (before, from) = self.channels.split_at(turn);
        let in_turn = || from.iter().chain(before);
        match in_turn().find_map(|slot| slot.try_lock().ok()) {
            Some(slot) => Some(slot),
            None => Some(in_turn().next()?.lock().await),
        }
    }

    /// Messages in each queue that are in nobody's hands. A queue that is not there is left out.
    pub async fn depths(&self, queues: &[&str]) -> Result<BTreeMap<String, u64>, QueueError> {
        let mut depths = BTreeMap::new();
        let mut channel = self.open_channel().await?;
        for queue in queues {
            let (options, none) =
                (QueueDeclareOptions { passive: true, ..Default::default() }, FieldTable::default());
            match channel.queue_declare((*queue).into(), options, none).await {
                Ok(found) => {
                    depths.insert((*queue).to_owned(), u64::from(found.message_count()));
                }
                // The broker ends the channel with its answer.
                Err(_not_there) if !channel.status().connected() => channel = self.open_channel().await?,
                Err(error) => return Err(QueueError::of(&error, &format!("look at the queue {queue}"))),
            }
        }
        channel.close(200, "done".into()).await.map_err(|error| QueueError::of(&error, "close a channel"))?;
        Ok(depths)
    }

    /// Ends the connection; what was confirmed stays.
    pub async fn close(&self) {
        if let Some(connection) = self.connection.lock().await.take()
            && let Err(error) = connection.close(200, "done".into()).await
        {
            tracing::debug!(%error, "the publishing connection did not close in order");
        }
    }

    async fn open_channel(&self) -> Result<Channel, QueueError> {
        let mut connection = self.connection.lock().await;
        let open = match connection.take() {
            Some(open) if open.status().connected() => open,
            Some(_) | None => {
                self.alarm.set(None);
                let made = self.broker.connect("publish").await?;
                self.alarm.watch(&made);
                made
            }
        };
        let open = connection.insert(open);
        let failed = |error| QueueError::of(&error, "open a channel");
        let channel = open.create_channel().await.map_err(failed)?;
        channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(failed)?;
        Ok(channel)
    }
}

async fn traced(
    exchange: &str,
    key: &str,
    publishing: impl Future<Output = Result<(), QueueError>>,
) -> Result<(), QueueError> {
    let span = span::publish(exchange, key);
    let published = publishing.instrument(span.clone()).await;
    if let Err(error) = &published {
        span::failed(&span, error.code());
    }
    published
}

fn unroutable(exchange: &str, key: &str) -> QueueError {
    QueueError::Unroutable { exchange: exchange.to_owned(), key: key.to_owned() }
}
