use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::Message;
use crate::adapters::amqp::{BasicProperties, EXCHANGE, Publisher, Source};
use crate::adapters::redis::RedisCheckpoints;
use crate::failure::{Class, Code, Failure};
use crate::job::{BatchId, UserId};

/// One publish is in flight on each.
const CHANNELS: usize = 64;
/// So many users are asked for, or noted down, at once. A process that is killed sends at most these and
/// those in flight a second time, which is harmless.
pub const CHUNK: usize = 200;
/// After so long without a confirm it is said why that may be.
const SILENCE: Duration = Duration::from_secs(30);

/// Publishes messages with confirms, and remembers who was sent with which batch.
pub struct Sending {
    /// Where to.
    pub publisher: Arc<Publisher>,
    /// Which queue.
    pub source: Source,
    /// Where the users of batches are kept, if anywhere.
    pub memory: Option<Arc<RedisCheckpoints>>,
}

/// What became of the messages.
#[derive(Debug, Default)]
pub struct Sent {
    /// Confirmed by the broker.
    pub sent: u64,
    /// Left out, since they were sent with the same batch before.
    pub before: u64,
    /// The first thing that went wrong; nothing was begun after it.
    pub failure: Option<Failure>,
}

impl Sending {
    /// How many channels the publisher should have.
    pub const CHANNELS: usize = CHANNELS;

    /// Sends until the end, the first failure, or `stop`; what is in flight then is still waited for.
    /// `progress` is told of each user who was sent (`true`) or left out.
    pub async fn run(
        &self,
        messages: impl Iterator<Item = io::Result<Message>>,
        stop: &CancellationToken,
        mut progress: impl FnMut(bool),
    ) -> Sent {
        let mut sent = Sent::default();
        let mut memory = Memory { redis: self.memory.clone(), pending: HashMap::new(), count: 0 };
        let failed = CancellationToken::new();
        let asked = self.memory.clone();
        let chunks = stream::iter(messages).chunks(CHUNK).take_until(stop.cancelled());
        let missing = chunks.take_until(failed.cancelled()).then(|chunk| missing(asked.clone(), chunk));
        let publishing = missing.flat_map(stream::iter).map(|message| async {
            match message {
                Err(error) => Err(Some(unreadable(&error))),
                Ok((message, true)) => Ok((message, true)),
                // What was not begun when something failed is not begun any more.
                Ok((_, false)) if failed.is_cancelled() || stop.is_cancelled() => Err(None),
                Ok((message, false)) => self.publish(&message).await.map(|()| (message, false)).map_err(Some),
            }
        });
        let mut results = std::pin::pin!(publishing.buffer_unordered(CHANNELS));
        loop {
            let result = match tokio::time::timeout(SILENCE, results.next()).await {
                Ok(Some(result)) => result,
                Ok(None) => break,
                Err(_elapsed) => {
                    tracing::warn!(
                        "RabbitMQ confirmed nothing for {} s; an alarm (memory, disk) blocks publishers",
                        SILENCE.as_secs()
                    );
                    continue;
                }
            };
            match result {
                Ok((_, true)) => {
                    sent.before += 1;
                    progress(false);
                }
                Ok((message, false)) => {
                    sent.sent += 1;
                    progress(true);
                    memory.note(message).await;
                }
                Err(failure) => {
                    failed.cancel();
                    sent.failure = sent.failure.or(failure);
                }
            }
        }
        memory.write().await;
        sent
    }

    async fn publish(&self, message: &Message) -> Result<(), Failure> {
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(2)
            .with_message_id(uuid::Uuid::now_v7().to_string().as_str().into())
            .with_app_id("offboarder".into())
            .with_timestamp(u64::try_from(Timestamp::now().as_second()).unwrap_or(0));
        let key = self.source.routing_key();
        self.publisher.publish(EXCHANGE, key, &message.body, properties).await.map_err(Failure::from)
    }
}

/// A message, and whether it was sent with the same batch before.
pub(super) type Asked = io::Result<(Message, bool)>;

/// Who of these was sent with the same batch before.
pub async fn missing(redis: Option<Arc<RedisCheckpoints>>, chunk: Vec<io::Result<Message>>) -> Vec<Asked> {
    let mut by_batch: HashMap<&BatchId, Vec<UserId>> = HashMap::new();
    for message in chunk.iter().flatten() {
        if let Some(batch) = &message.request.batch_id {
            by_batch.entry(batch).or_default().push(message.user_id);
        }
    }
    let mut known = std::collections::HashSet::new();
    if let Some(redis) = redis {
        for (batch, users) in by_batch {
            match redis.known_in_batch(batch, &users).await {
                Ok(found) => known.extend(found),
                Err(failure) => tracing::warn!(%failure, "who was sent before is not known; all are sent"),
            }
        }
    }
    chunk
        .into_iter()
        .map(|message| {
            message.map(|message| {
                let before = known.contains(&message.user_id);
                (message, before)
            })
        })
        .collect()
}

/// Notes down in chunks who was confirmed.
struct Memory {
    redis: Option<Arc<RedisCheckpoints>>,
    pending: HashMap<BatchId, Vec<UserId>>,
    count: usize,
}

impl Memory {
    async fn note(&mut self, message: Message) {
        if self.redis.is_none() {
            return;
        }
        if let Some(batch) = message.request.batch_id {
            self.pending.entry(batch).or_default().push(message.user_id);
            self.count += 1;
        }
        if self.count >= CHUNK {
            self.write().await;
        }
    }

    async fn write(&mut self) {
        self.count = 0;
        for (batch, users) in self.pending.drain() {
            let Some(redis) = &self.redis else { return };
            if let Err(failure) = redis.add_to_batch(&batch, &users, Timestamp::now()).await {
                tracing::warn!(%failure, "who was sent is not remembered; an interrupted batch is sent again");
                self.redis = None;
            }
        }
    }
}

fn unreadable(error: &io::Error) -> Failure {
    let text = format!("the copy of the input cannot be read ({error}); nothing more was sent");
    Failure::new(Class::Systemic, Code::SettingsUnreadable, text)
}
