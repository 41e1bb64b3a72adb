//! Remembers in Redis which users were sent with which batch.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Message;
use super::cancelled::{Cancellations, Standing};
use crate::clock::Clock;
use crate::failure::Failure;
use crate::job::{BatchId, UserId};
use crate::ports::FileColumns;
use crate::ports::batches::{Batches, Known};
use crate::ports::users::UserIndex;

/// The users that were sent with each batch. Sending does not depend on Redis: once it fails, no user is known and nothing
/// is remembered. A user may then be sent again, which is harmless.
pub(crate) struct Memory {
    stores: Option<MemoryStores>,
    cancellations: Option<Cancellations>,
    lost: AtomicBool,
    /// Sends all, also those who were sent before.
    again: bool,
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
            cancellations: None,
            lost: AtomicBool::new(false),
            again: false,
            clock,
        }
    }

    /// Knows which requests operators cancelled.
    #[must_use]
    pub(crate) fn with_cancellations(self, cancellations: Option<Cancellations>) -> Self {
        Self {
            cancellations,
            ..self
        }
    }

    /// Sends users again who were sent with the same batch: the messages of before name no plan.
    #[must_use]
    pub(crate) fn sending_again(self, again: bool) -> Self {
        Self { again, ..self }
    }

    pub(crate) const fn cancellations(&self) -> Option<&Cancellations> {
        self.cancellations.as_ref()
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

    /// Each message, and whether it is left out: its user was already sent with the same batch, or workers would drop it
    /// because the request was cancelled.
    pub(crate) async fn recall<E>(
        &self,
        chunk: Vec<Result<Message, E>>,
    ) -> Vec<Result<(Message, bool), E>> {
        let mut by_batch: HashMap<&BatchId, Vec<UserId>> = HashMap::new();
        for message in chunk.iter().flatten().filter(|_| !self.again) {
            if let Some(batch) = &message.request.batch_id {
                by_batch.entry(batch).or_default().push(message.user_id);
            }
        }
        let mut known = HashSet::new();
        for (batch, users) in by_batch {
            let Some(stores) = self.stores() else { break };
            match stores.batches.users_in(batch, &users).await {
                Ok(found) => known.extend(self.not_cancelled(batch, found).await),
                Err(failure) => self.lose(&failure),
            }
        }
        let recalled = chunk.into_iter().map(|message| {
            message.map(|message| {
                let before = known.contains(&message.user_id);
                let is_dropped = self.is_dropped(&message, before);
                (message, before || is_dropped)
            })
        });

        recalled.collect()
    }

    /// Those whose last request with this batch is not cancelled. The others are sent again.
    async fn not_cancelled(&self, batch: &BatchId, users: Vec<UserId>) -> Vec<UserId> {
        let (Some(stores), Some(_)) = (self.stores(), &self.cancellations) else {
            return users;
        };
        let known = match stores.batches.summaries(batch, &users).await {
            Ok(known) => known,
            Err(failure) => {
                self.lose(&failure);
                return users;
            }
        };
        let is_cancelled = |known: &Known| matches!(known, Known::Summary(summary) if summary.cancelled_at.is_some());
        let users = users.into_iter().zip(known);
        let others = users.filter(|(_, known)| !is_cancelled(known));
        others.map(|(user_id, _)| user_id).collect()
    }

    /// Whether workers would drop the message; notes what has to be said of the user.
    fn is_dropped(&self, message: &Message, before: bool) -> bool {
        let Some(cancellations) = &self.cancellations else {
            return false;
        };
        match cancellations.standing(message) {
            Standing::Dropped(at, who) => {
                cancellations.note_dropped(message.user_id, at, who);
                true
            }
            Standing::Again(at, who) if !before => {
                cancellations.note_again(message, at, who);
                false
            }
            Standing::Again(..) | Standing::NeverCancelled => false,
        }
    }

    /// Remembers users whose message the broker confirmed.
    pub(super) async fn keep(&self, sent: Vec<Confirmed>) {
        let now = self.clock.now();
        let users: Vec<UserId> = sent.iter().map(|sent| sent.user_id).collect();
        if let Some(cancellations) = &self.cancellations {
            cancellations.confirmed(&users).await;
        }
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
