use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;

use super::Message;
use crate::adapters::redis::RedisCheckpoints;
use crate::failure::Failure;
use crate::job::{BatchId, UserId};

/// Who was sent with which batch, as Redis knows it. Sending does not depend on it: once Redis fails, nobody
/// is known and nothing is remembered, and what is sent again for that is harmless.
pub(crate) struct Memory {
    redis: Option<Arc<RedisCheckpoints>>,
    lost: AtomicBool,
}

impl Memory {
    pub(crate) const fn new(redis: Option<Arc<RedisCheckpoints>>) -> Self {
        Self {
            redis,
            lost: AtomicBool::new(false),
        }
    }

    fn redis(&self) -> Option<&RedisCheckpoints> {
        self.redis
            .as_deref()
            .filter(|_| !self.lost.load(Ordering::Relaxed))
    }

    fn lose(&self, failure: &Failure) {
        if !self.lost.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                %failure, "who is sent with this batch is not remembered from here on; sent again, it is sent whole"
            );
        }
    }

    /// Each of these, and whether it was sent with the same batch before.
    pub(crate) async fn recall<E>(
        &self,
        chunk: Vec<Result<Message, E>>,
    ) -> Vec<Result<(Message, bool), E>> {
        let mut by_batch: HashMap<&BatchId, Vec<UserId>> = HashMap::new();
        for message in chunk.iter().flatten() {
            if let Some(batch) = &message.request.batch_id {
                by_batch.entry(batch).or_default().push(message.user_id);
            }
        }
        let mut known = HashSet::new();
        for (batch, users) in by_batch {
            let Some(redis) = self.redis() else { break };
            match redis.known_in_batch(batch, &users).await {
                Ok(found) => known.extend(found),
                Err(failure) => self.lose(&failure),
            }
        }
        let asked = chunk.into_iter().map(|message| {
            message.map(|message| {
                let before = known.contains(&message.user_id);
                (message, before)
            })
        });
        asked.collect()
    }

    /// Notes down users whom the broker confirmed.
    pub(super) async fn keep(&self, sent: Vec<(BatchId, UserId)>) {
        let mut by_batch: HashMap<BatchId, Vec<UserId>> = HashMap::new();
        for (batch, user_id) in sent {
            by_batch.entry(batch).or_default().push(user_id);
        }
        for (batch, users) in by_batch {
            let Some(redis) = self.redis() else { return };
            if let Err(failure) = redis.add_to_batch(&batch, &users, Timestamp::now()).await {
                self.lose(&failure);
            }
        }
    }
}
