use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, Event};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::{Broker, QueueError};
use crate::failpoint::{effect, time_scaled};
use crate::failure::Classify as _;
use crate::telemetry::span;

/// How long a confirm may take while no alarm blocks us. A queue that lost its majority never confirms.
const CONFIRM_WITHIN: Duration = Duration::from_secs(30);
/// The same of a channel.
const OPEN_WITHIN: Duration = Duration::from_secs(15);

/// Publishes with `mandatory` and waits for the broker's confirm. One publish is in flight on a
/// channel, since the library credits a returned message to the wrong confirm otherwise; several
/// channels make up for the speed. Its connection is its own: a broker short of memory blocks
/// publishing connections, and acknowledgements must not wait with them.
pub(crate) struct Publisher {
    broker: Broker,
    connection: Mutex<Option<Connection>>,
    channels: Vec<Mutex<Option<Channel>>>,
    turn: AtomicUsize,
    alarm: Alarm,
    confirm_within: Duration,
    /// The broker knows us under another name than the one in the URL, and refuses that as `user_id`.
    nameless: AtomicBool,
}

/// Why the broker takes nothing from publishers, as long as it does not: `low on memory`, `low on disk`.
#[derive(Clone, Default)]
struct Alarm(Arc<parking_lot::Mutex<Blocked>>);

#[derive(Default)]
struct Blocked {
    because: Option<String>,
    /// When an alarm was last over.
    until: Option<Instant>,
}

impl Alarm {
    fn set(&self, reason: Option<String>) {
        let mut blocked = self.0.lock();
        if blocked.because.is_some() && reason.is_none() {
            blocked.until = Some(Instant::now());
        }
        blocked.because = reason;
    }

    fn reason(&self) -> Option<String> {
        self.0.lock().because.clone()
    }

    /// Returns once what began at `since` had so long without an alarm.
    async fn patience(&self, since: Instant, within: Duration) {
        let mut until = since + within;
        loop {
            tokio::time::sleep_until(until).await;
            let now = Instant::now();
            let over = {
                let blocked = self.0.lock();
                if blocked.because.is_some() {
                    Some(now)
                } else {
                    blocked.until
                }
            };
            until = over.map_or(until, |over| over.max(since) + within);
            if until <= now {
                return;
            }
        }
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
    pub(crate) fn new(broker: Broker, channels: usize) -> Self {
        Self {
            broker,
            connection: Mutex::new(None),
            channels: (0..channels.max(1)).map(|_| Mutex::new(None)).collect(),
            turn: AtomicUsize::new(0),
            alarm: Alarm::default(),
            confirm_within: time_scaled(CONFIRM_WITHIN).max(Duration::from_secs(2)),
            nameless: AtomicBool::new(false),
        }
    }

    /// Why nothing can be published now, if the broker says so.
    pub(crate) fn blocked_because(&self) -> Option<String> {
        let reason = self.alarm.reason()?;
        Some(format!(
            "RabbitMQ takes no messages ({reason}); free memory or disk space on its node"
        ))
    }

    /// Returns once the broker has the message in a queue. An error means that it may or may not
    /// have it: publishing again is the caller's to decide. The broker checks the login that it is under.
    pub(crate) async fn publish(
        &self,
        exchange: &str,
        key: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<(), QueueError> {
        let publishing = async {
            let named = match self.broker.login() {
                Some(login) if !self.nameless.load(Ordering::Relaxed) => {
                    properties.clone().with_user_id(login.into())
                }
                Some(_) | None => properties.clone(),
            };
            let stored = match self.confirmed(exchange, key, body, named).await {
                Err(error) if error.minds_login() => {
                    if !self.nameless.swap(true, Ordering::Relaxed) {
                        tracing::warn!(%error, "RabbitMQ knows this login under another name: headers of ours are \
                            not believed when they come back; use a user of RabbitMQ's own in OFFBOARDER_QUEUE_URL");
                    }
                    self.confirmed(exchange, key, body, properties).await?
                }
                stored => stored?,
            };
            match stored {
                Stored::InAQueue => Ok(()),
                Stored::Nowhere => Err(unroutable(exchange, key)),
            }
        };
        traced(exchange, key, publishing).await
    }

    /// The same for what nobody may be waiting for: it is no error when no queue took it.
    pub(crate) async fn announce(
        &self,
        exchange: &str,
        key: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<(), QueueError> {
        let announcing = async {
            self.confirmed(exchange, key, body, properties)
                .await
                .map(|_anywhere| ())
        };
        traced(exchange, key, announcing).await
    }

    async fn confirmed(
        &self,
        exchange: &str,
        key: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<Stored, QueueError> {
        let Some(mut slot) = self.free_slot().await else {
            return Err(unroutable(exchange, key));
        };
        let channel = match slot.take() {
            Some(channel) if channel.status().connected() => channel,
            Some(_) | None => self.open_channel().await?,
        };
        let options = BasicPublishOptions {
            mandatory: true,
            ..Default::default()
        };
        let publishing = async {
            channel
                .basic_publish(exchange.into(), key.into(), options, body, properties)
                .await?
                .await
        };
        let publishing = effect("the publish", publishing);
        let confirmation = tokio::select! {
            confirmation = publishing => {
                confirmation.map_err(|error| QueueError::publishing(&error, exchange, key))?
            }
            () = self.alarm.patience(Instant::now(), self.confirm_within) => {
                give_up(channel);
                let seconds = self.confirm_within.as_secs();
                return Err(QueueError::Unconfirmed { exchange: exchange.to_owned(), key: key.to_owned(), seconds });
            }
        };
        // Only a channel that answered is used again.
        *slot = Some(channel);
        match confirmation {
            Confirmation::Ack(None) => Ok(Stored::InAQueue),
            Confirmation::Ack(Some(_returned)) => Ok(Stored::Nowhere),
            Confirmation::Nack(_) | Confirmation::NotRequested => Err(QueueError::NotStored {
                exchange: exchange.to_owned(),
                key: key.to_owned(),
            }),
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
    pub(crate) async fn depths(
        &self,
        queues: &[&str],
    ) -> Result<BTreeMap<String, u64>, QueueError> {
        let mut depths = BTreeMap::new();
        let mut channel = self.open_channel().await?;
        for queue in queues {
            let (options, none) = (
                QueueDeclareOptions {
                    passive: true,
                    ..Default::default()
                },
                FieldTable::default(),
            );
            match channel.queue_declare((*queue).into(), options, none).await {
                Ok(found) => {
                    depths.insert((*queue).to_owned(), u64::from(found.message_count()));
                }
                // The broker ends the channel with its answer.
                Err(_not_there) if !channel.status().connected() => {
                    channel = self.open_channel().await?
                }
                Err(error) => {
                    return Err(QueueError::of(
                        &error,
                        &format!("look at the queue {queue}"),
                    ));
                }
            }
        }
        channel
            .close(200, "done".into())
            .await
            .map_err(|error| QueueError::of(&error, "close a channel"))?;
        Ok(depths)
    }

    /// Ends the connection; what was confirmed stays.
    pub(crate) async fn close(&self) {
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
        let opening = async {
            let channel = open.create_channel().await?;
            channel
                .confirm_select(ConfirmSelectOptions::default())
                .await?;
            Ok(channel)
        };
        // After a failure the next try has a connection of its own.
        let channel = tokio::select! {
            opened = opening => opened.map_err(|error| QueueError::of(&error, "open a channel"))?,
            () = self.alarm.patience(Instant::now(), OPEN_WITHIN) => {
                let why = format!("no answer within {} s", OPEN_WITHIN.as_secs());
                return Err(QueueError::Broken { what: "open a channel".to_owned(), why });
            }
        };
        *connection = Some(open);
        Ok(channel)
    }
}

/// Leaves a channel that does not answer. The broker may never hear that it is to be closed.
fn give_up(channel: Channel) {
    tokio::spawn(async move {
        let closing = channel.close(200, "no confirm".into());
        tokio::time::timeout(OPEN_WITHIN, closing).await.ok();
    });
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
    QueueError::Unroutable {
        exchange: exchange.to_owned(),
        key: key.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_confirm_has_its_time_without_the_time_of_an_alarm() {
        let alarm = Alarm::default();
        let begun = Instant::now();
        alarm.patience(begun, WITHIN).await;
        assert_eq!(begun.elapsed().as_secs(), 30);

        let begun = Instant::now();
        let (blocked, waiting) = (
            alarm.clone(),
            tokio::spawn({
                let alarm = alarm.clone();
                async move { alarm.patience(begun, WITHIN).await }
            }),
        );
        tokio::time::sleep(Duration::from_secs(10)).await;
        blocked.set(Some("low on memory".to_owned()));
        tokio::time::sleep(Duration::from_hours(1)).await;
        assert!(!waiting.is_finished(), "an alarm is no lost confirm");
        blocked.set(None);
        let over = Instant::now();
        waiting.await.unwrap();
        assert_eq!(over.elapsed().as_secs(), 30);
    }
}
