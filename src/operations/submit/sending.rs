//! Publishes messages with publisher confirms.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::memory::Confirmed;
use super::{Memory, Message};
use crate::clock::Clock;
use crate::failure::{Class, Code, Failure};
use crate::job::{OrderName, Source};
use crate::ports::queue::Publisher;
use crate::queue::headers::ORDER;
use crate::queue::names::JOBS_EXCHANGE;
use crate::queue::{AddedHeaders, Properties, QueueError, following};
use crate::telemetry::span;

/// The number of channels; each has at most one unconfirmed publish.
const CHANNELS: usize = 64;
/// The number of users that are looked up or remembered in one call. After a crash, at most these and the unconfirmed ones
/// are sent a second time, which is harmless.
pub(crate) const CHUNK: usize = 200;
/// After this time without a confirm, the log says why that may be.
const SILENCE: Duration = Duration::from_secs(30);
/// Each message then fails by itself after a while, and says more.
const NO_ALARM: &str =
    "it reports no alarm (memory, disk); a queue may have lost the majority of its nodes";

/// Publishes messages with confirms, and remembers which users were sent with which batch.
pub(crate) struct Sending {
    pub publisher: Arc<dyn Publisher>,
    pub source: Source,
    pub memory: Memory,
    pub clock: Clock,
}

/// What was sent.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub confirmed: u64,
    /// Skipped, because they were already sent with the same batch.
    pub before: u64,
    /// The first failure; no message was started after it.
    pub failure: Option<Failure>,
}

impl Sending {
    /// The number of channels that the publisher needs.
    pub(crate) const CHANNELS: usize = CHANNELS;

    /// Sends until the end, the first failure, or `stop`, and waits for the messages in flight. Calls `progress` for each
    /// user that was sent (`true`) or skipped (`false`).
    pub(crate) async fn run(
        &self,
        messages: impl Iterator<Item = io::Result<Message>>,
        stop: &CancellationToken,
        mut progress: impl FnMut(bool),
    ) -> Sent {
        let mut sent = Sent::default();
        let mut confirmed: Vec<Confirmed> = Vec::new();
        let failed = CancellationToken::new();
        let chunks = stream::iter(messages)
            .chunks(CHUNK)
            .take_until(stop.cancelled());
        let asked = chunks
            .take_until(failed.cancelled())
            .then(|chunk| self.memory.recall(chunk));
        let publishing = asked.flat_map(stream::iter).map(|message| async {
            match message {
                Err(error) => Err(Some(unreadable(&error))),
                Ok((message, true)) => Ok((message, true)),
                // After a failure or a stop, no further message is started.
                Ok((_, false)) if failed.is_cancelled() || stop.is_cancelled() => Err(None),
                Ok((message, false)) => {
                    let span = span::message(JOBS_EXCHANGE, message.user_id);
                    let published = self.publish(&message).instrument(span).await;
                    published.map(|()| (message, false)).map_err(Some)
                }
            }
        });
        let mut results = std::pin::pin!(publishing.buffer_unordered(CHANNELS));

        loop {
            let result = match tokio::time::timeout(SILENCE, results.next()).await {
                Ok(Some(result)) => result,
                Ok(None) => break,
                Err(_elapsed) => {
                    let alarm = self.publisher.blocked_because();
                    let why = alarm.as_deref().unwrap_or(NO_ALARM);
                    let seconds = SILENCE.as_secs();
                    tracing::warn!(seconds, "RabbitMQ has confirmed nothing for a while: {why}");
                    continue;
                }
            };
            match result {
                Ok((_, true)) => {
                    sent.before += 1;
                    progress(false);
                }
                Ok((message, false)) => {
                    sent.confirmed += 1;
                    progress(true);
                    confirmed.push(Confirmed {
                        user_id: message.user_id,
                        batch: message.request.batch_id,
                        columns: message.columns,
                    });
                    if confirmed.len() >= CHUNK {
                        self.memory.keep(std::mem::take(&mut confirmed)).await;
                    }
                }
                Err(failure) => {
                    failed.cancel();
                    sent.failure = sent.failure.or(failure);
                }
            }
        }
        self.memory.keep(confirmed).await;

        sent
    }

    async fn publish(&self, message: &Message) -> Result<(), Failure> {
        let order = message.request.order.as_ref();
        let publishing = Publishing {
            publisher: &*self.publisher,
            source: self.source,
            clock: &self.clock,
        };
        publishing.publish(&message.body, order, Vec::new()).await
    }
}

/// How a request is published.
pub(crate) struct Publishing<'a> {
    pub publisher: &'a dyn Publisher,
    pub source: Source,
    pub clock: &'a Clock,
}

impl Publishing<'_> {
    /// Publishes a message that names this part of an order, with more headers, and waits for the confirm.
    pub(crate) async fn publish(
        &self,
        body: &[u8],
        order: Option<&OrderName>,
        more: AddedHeaders,
    ) -> Result<(), Failure> {
        let mut properties = Properties {
            content_type: Some("application/json".to_owned()),
            message_id: Some(uuid::Uuid::now_v7().to_string()),
            timestamp: u64::try_from(self.clock.now().as_second()).ok(),
            ..Properties::default()
        };
        // The worker that takes the message continues its trace.
        properties.add(following());
        properties.add(
            order
                .map(|name| (ORDER, name.to_string().as_str().into()))
                .into_iter()
                .chain(more)
                .collect(),
        );
        let key = self.source.routing_key();

        let publishing = || {
            self.publisher
                .publish(JOBS_EXCHANGE, key, body, &properties)
        };
        let published = match publishing().await {
            // RabbitMQ can lose a confirm. A second copy does no harm.
            Err(error @ QueueError::Unconfirmed { .. }) => {
                tracing::warn!(%error, "the message is published again, on a new channel");
                publishing().await
            }
            published => published,
        };
        published.map_err(Failure::from)
    }
}

pub(super) fn unreadable(error: &io::Error) -> Failure {
    let text =
        format!("the copy of the input cannot be read ({error}); no further message was sent");
    Failure::new(Class::Systemic, Code::SettingsUnreadable, text)
}
