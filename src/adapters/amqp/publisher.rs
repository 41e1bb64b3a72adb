//! Publishing with confirms.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::alarm::Alarm;
use super::connection::Connector;
use super::convert::to_amqp;
use super::error::{publishing_error, queue_error, refuses_login};
use crate::failpoint::{effect, time_scaled};
use crate::failure::Classify as _;
use crate::ports::queue::{Depths, Publisher};
use crate::queue::{Properties, QueueError};
use crate::telemetry::span;

/// How long a confirm may take while no alarm blocks us. A queue that lost its majority never confirms.
const CONFIRM_WITHIN: Duration = Duration::from_secs(30);
/// How long a channel may take to open, likewise.
const OPEN_WITHIN: Duration = Duration::from_secs(15);
/// As the broker's list of connections shows it.
const PURPOSE: &str = "publish";
/// How long a connection may take to close. What was confirmed stays in any case.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// Publishes with `mandatory` and waits for the broker's confirm. One publish is in flight on a
/// channel, since the library credits a returned message to the wrong confirm otherwise; several
/// channels make up for the speed. Its connection is its own: a broker short of memory blocks
/// publishing connections, and acknowledgements must not wait with them.
pub(super) struct AmqpPublisher {
    connector: Connector,
    connection: Mutex<Option<Arc<Connection>>>,
    channels: Vec<Mutex<Option<Opened>>>,
    turn: AtomicUsize,
    alarm: Alarm,
    confirm_within: Duration,
}

/// A channel, and the connection that it keeps open.
struct Opened {
    channel: Channel,
    connection: Arc<Connection>,
}

/// Where a confirmed message is.
enum Stored {
    InAQueue,
    Nowhere,
}

impl AmqpPublisher {
    pub(super) fn new(connector: Connector, channels: usize) -> Self {
        Self {
            connector,
            connection: Mutex::new(None),
            channels: (0..channels.max(1)).map(|_| Mutex::new(None)).collect(),
            turn: AtomicUsize::new(0),
            alarm: Alarm::default(),
            confirm_within: time_scaled(CONFIRM_WITHIN).max(Duration::from_secs(2)),
        }
    }

    /// Publishes under our login, so that headers of ours are believed when they come back.
    async fn under_our_login(
        &self,
        exchange: &str,
        key: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<Stored, QueueError> {
        // A name that RabbitMQ refuses may have a successor; there is always the way without one.
        for _ in 0..2 {
            let Some(login) = self.connector.login().await? else {
                break;
            };
            let named = properties.clone().with_user_id(login.as_str().into());
            match self.confirmed(exchange, key, body, named).await {
                Err(error) if refuses_login(&error) => {
                    self.connector.forget_login(&login, &error).await;
                }
                stored => return stored,
            }
        }
        self.confirmed(exchange, key, body, properties).await
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
        let opened = match slot.take() {
            Some(opened) if opened.channel.status().connected() => opened,
            Some(_) | None => self.open_channel().await?,
        };
        let channel = &opened.channel;
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
                confirmation.map_err(|error| publishing_error(&error, exchange, key))?
            }
            () = self.alarm.time_without_alarm(Instant::now(), self.confirm_within) => {
                self.leave(&opened.connection).await;
                give_up(opened.channel);
                let seconds = self.confirm_within.as_secs();
                return Err(QueueError::Unconfirmed { exchange: exchange.to_owned(), key: key.to_owned(), seconds });
            }
        };

        // Only a channel that answered is used again.
        *slot = Some(opened);
        match confirmation {
            Confirmation::Ack(None) => Ok(Stored::InAQueue),
            Confirmation::Ack(Some(_returned)) => Ok(Stored::Nowhere),
            Confirmation::Nack(_) | Confirmation::NotRequested => Err(QueueError::NotStored {
                exchange: exchange.to_owned(),
                key: key.to_owned(),
            }),
        }
    }

    /// A channel without a publish in flight, or else the next in turn; there is always one.
    async fn free_slot(&self) -> Option<MutexGuard<'_, Option<Opened>>> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.channels.len();
        let (before, from) = self.channels.split_at(turn);
        let in_turn = || from.iter().chain(before);
        match in_turn().find_map(|slot| slot.try_lock().ok()) {
            Some(slot) => Some(slot),
            None => Some(in_turn().next()?.lock().await),
        }
    }

    /// Where there are other hosts, publishing continues at one of them: a node that is cut off from the others confirms
    /// nothing. Only what is in flight there waits until its own time is over.
    async fn leave(&self, left: &Arc<Connection>) {
        let mut connection = self.connection.lock().await;
        let is_current = connection
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, left));
        if !is_current || !self.connector.distrust(PURPOSE) {
            return;
        }
        *connection = None;
        let idle = self.channels.iter().filter_map(|slot| slot.try_lock().ok());
        for mut slot in idle {
            slot.take_if(|opened| Arc::ptr_eq(&opened.connection, left));
        }
    }

    async fn open_channel(&self) -> Result<Opened, QueueError> {
        let mut connection = self.connection.lock().await;
        let open = match connection.take() {
            Some(open) if open.status().connected() => open,
            Some(_) | None => {
                self.alarm.set(None);
                let made = self.connector.connect(PURPOSE).await?;
                self.alarm.watch(&made);
                Arc::new(made)
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
            opened = opening => opened.map_err(|error| queue_error(&error, "open a channel"))?,
            () = self.alarm.time_without_alarm(Instant::now(), OPEN_WITHIN) => {
                let why = format!("no answer within {} s", OPEN_WITHIN.as_secs());
                return Err(QueueError::Broken { what: "open a channel".to_owned(), why });
            }
        };
        *connection = Some(Arc::clone(&open));

        Ok(Opened {
            channel,
            connection: open,
        })
    }
}

#[async_trait]
impl Publisher for AmqpPublisher {
    async fn publish(
        &self,
        exchange: &str,
        key: &str,
        body: &[u8],
        properties: &Properties,
    ) -> Result<(), QueueError> {
        let publishing = async {
            match self
                .under_our_login(exchange, key, body, to_amqp(properties))
                .await?
            {
                Stored::InAQueue => Ok(()),
                Stored::Nowhere => Err(unroutable(exchange, key)),
            }
        };
        traced(exchange, key, publishing).await
    }

    async fn announce(
        &self,
        exchange: &str,
        key: &str,
        body: &[u8],
        properties: &Properties,
    ) -> Result<(), QueueError> {
        let announcing = async {
            self.confirmed(exchange, key, body, to_amqp(properties))
                .await
                .map(|_anywhere| ())
        };
        traced(exchange, key, announcing).await
    }

    async fn depths(&self, queues: &[&str]) -> Result<Depths, QueueError> {
        let mut depths = Depths::new();
        let mut opened = self.open_channel().await?;

        for queue in queues {
            let passive = QueueDeclareOptions {
                passive: true,
                ..Default::default()
            };
            let channel = &opened.channel;
            let asking = channel.queue_declare((*queue).into(), passive, FieldTable::default());
            match asking.await {
                Ok(found) => {
                    depths.insert((*queue).to_owned(), u64::from(found.message_count()));
                }
                // The queue does not exist. RabbitMQ closes the channel with this answer.
                Err(_not_found) if !channel.status().connected() => {
                    opened = self.open_channel().await?;
                }
                Err(error) => {
                    return Err(queue_error(&error, &format!("check the queue {queue}")));
                }
            }
        }
        let closing = opened.channel.close(200, "done".into());
        closing
            .await
            .map_err(|error| queue_error(&error, "close a channel"))?;

        Ok(depths)
    }

    fn blocked_because(&self) -> Option<String> {
        let reason = self.alarm.reason()?;
        Some(format!(
            "RabbitMQ takes no messages ({reason}); free memory or disk space on its node"
        ))
    }

    async fn close(&self) {
        let Some(connection) = self.connection.lock().await.take() else {
            return;
        };
        // RabbitMQ waits with the answer for a queue that does not answer it, and for the end of an alarm.
        let closing = connection.close(200, "done".into());
        match tokio::time::timeout(CLOSE_WITHIN, closing).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(%error, "the publishing connection did not close in order");
            }
            Err(_elapsed) => tracing::debug!("the publishing connection is dropped"),
        }
    }
}

/// Closes a channel that does not answer, in the background: the broker may never answer that, either.
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
