//! Remembers in Redis which users were sent with which batch.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Message;
use crate::clock::Clock;
use crate::failure::Failure;
use crate::job::{BatchId, UserId};
use crate::ports::FileColumns;
use crate::ports::batches::Batches;
use crate::ports::users::UserIndex;

/// The users that were sent with each batch. Sending does not depend on Redis: once it fails, no user is known and nothing
/// is remembered. A user may then be sent again, which is harmless.
pub(crate) struct Memory {
    stores: Option<MemoryStores>,
    lost: AtomicBool,
    clock: Clock,
}

/// A user whose message the broker confirmed.
pub(super) struct Confirmed {
    pub(super) user_id: UserId,
    pub(super) batch: Option<BatchId>,
    pub(super) columns: FileColumns,
}

/// Where it is remembered which users were sent.
pub(crate) struct MemoryStores {
    pub batches: Arc<dyn Batches>,
    /// A user who was sent still has access, before any worker knows of the user.
    pub users: Arc<dyn UserIndex>,
}

impl Memory {
    pub(crate) const fn new(stores: Option<MemoryStores>, clock: Clock) -> Self {
        Self {
            stores,
            lost: AtomicBool::new(false),
            clock,
        }
    }

    fn stores(&self) -> Option<&MemoryStores> {
        self.stores
            .as_ref()
            .filter(|_| !self.lost.load(Ordering::Relaxed))
    }

    fn lose(&self, failure: &Failure) {
        if !self.lost.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                %failure, "the users that are sent from now on are not remembered; the same command would send the whole batch again"
            );
        }
    }

    /// Each message, and whether its user was already sent with the same batch.
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
            let Some(stores) = self.stores() else { break };
            match stores.batches.users_in(batch, &users).await {
                Ok(found) => known.extend(found),
                Err(failure) => self.lose(&failure),
            }
        }
        let recalled = chunk.into_iter().map(|message| {
            message.map(|message| {
                let before = known.contains(&message.user_id);
                (message, before)
            })
        });

        recalled.collect()
    }

    /// Remembers users whose message the broker confirmed.
    pub(super) async fn keep(&self, sent: Vec<Confirmed>) {
        let now = self.clock.now();
        let users: Vec<UserId> = sent.iter().map(|sent| sent.user_id).collect();
        let mut by_batch: HashMap<BatchId, Vec<(UserId, FileColumns)>> = HashMap::new();
        for sent in sent {
            if let Some(batch) = sent.batch {
                let users = by_batch.entry(batch).or_default();
                users.push((sent.user_id, sent.columns));
            }
        }
        for (batch, mut sent) in by_batch {
            let Some(stores) = self.stores() else {
                return;
            };
            let users: Vec<UserId> = sent.iter().map(|(user_id, _)| *user_id).collect();
            sent.retain(|(_, columns)| !columns.is_empty());
            // The columns first: users who are in the batch are not sent again, and neither are their columns.
            let kept = match sent.as_slice() {
                [] => Ok(()),
                sent => stores.batches.keep_columns(&batch, sent).await,
            };
            let added = stores.batches.add_users(&batch, &users, now).await;
            if let Err(failure) = added.and(kept) {
                self.lose(&failure);
            }
        }

        let Some(stores) = self.stores() else {
            return;
        };
        if let Err(failure) = stores.users.add_asked(&users, now).await {
            self.lose(&failure);
        }
    }

    /// Whether there is a place that keeps batches.
    pub(crate) const fn is_kept(&self) -> bool {
        self.stores.is_some()
    }
}
