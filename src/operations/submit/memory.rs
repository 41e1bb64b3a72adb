use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;

use super::Message;
use crate::failure::Failure;
use crate::job::{BatchId, UserId};
use crate::ports::batches::Batches;

/// Who was sent with which batch, as Redis knows it. Sending does not depend on it: once Redis fails, nobody
/// is known and nothing is remembered, and what is sent again for that is harmless.
pub(crate) struct Memory {
    batches: Option<Arc<dyn Batches>>,
    lost: AtomicBool,
}

impl Memory {
    pub(crate) const fn new(batches: Option<Arc<dyn Batches>>) -> Self {
        Self {
            batches,
            lost: AtomicBool::new(false),
        }
    }

    fn batches(&self) -> Option<&dyn Batches> {
        self.batches
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
            let Some(batches) = self.batches() else { break };
            match batches.users_in(batch, &users).await {
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
            let Some(batches) = self.batches() else {
                return;
            };
            if let Err(failure) = batches.add_users(&batch, &users, Timestamp::now()).await {
                self.lose(&failure);
            }
        }
    }
}
