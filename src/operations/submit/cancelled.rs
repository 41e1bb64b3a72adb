//! Users whose earlier request was cancelled. A message that was asked for later is a new order; one that was asked for
//! before would be dropped by the workers, so it is not sent.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;
use parking_lot::Mutex;

use super::Message;
use crate::clock::Clock;
use crate::failure::Failure;
use crate::job::{Request, UserId};
use crate::ports::{Checkpoints, Claim};
use crate::registers::StopOrders;

/// At most this many users of a kind are named.
const NAMED: usize = 20;
const AT_ONCE: usize = 16;

/// What the orders of operators mean for the messages that are sent.
pub(crate) struct Cancellations {
    orders: Arc<StopOrders>,
    checkpoints: Arc<dyn Checkpoints>,
    clock: Clock,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    again: Named,
    dropped: Named,
    /// The requests of users whose checkpoints still say that they are cancelled.
    pending: HashMap<UserId, Request>,
}

/// Users with the last cancellation of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Named {
    /// The first of them: user, when it was cancelled, and by whom.
    pub first: Vec<(UserId, Timestamp, String)>,
    pub total: u64,
}

impl Named {
    fn add(&mut self, user_id: UserId, at: Timestamp, who: String) {
        self.total += 1;
        if self.first.len() < NAMED {
            self.first.push((user_id, at, who));
        }
    }
}

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing was cancelled.
    NeverCancelled,
    /// It is asked for after this cancellation.
    Again(Timestamp, String),
    /// Workers would drop it: it is asked for before this cancellation.
    Dropped(Timestamp, String),
}

impl Cancellations {
    pub(crate) fn new(
        orders: Arc<StopOrders>,
        checkpoints: Arc<dyn Checkpoints>,
        clock: Clock,
    ) -> Self {
        Self {
            orders,
            checkpoints,
            clock,
            found: Mutex::default(),
        }
    }

    pub(super) fn standing(&self, message: &Message) -> Standing {
        // No worker has the message yet: only the time that it names counts.
        let request = Request {
            received_at: None,
            ..message.request.clone()
        };
        let user_id = message.user_id;
        if let Some(order) = self.orders.cancelled(user_id, &request, self.clock.now()) {
            return Standing::Dropped(order.at, order.who);
        }
        let last = self
            .orders
            .last_cancelled(user_id, request.batch_id.as_ref());
        last.map_or(Standing::NeverCancelled, |(at, who)| {
            Standing::Again(at, who)
        })
    }

    /// A user who is sent although an earlier request was cancelled.
    pub(super) fn note_again(&self, message: &Message, at: Timestamp, who: String) {
        // No worker has it: a time would make it look older than the cancellation.
        let request = Request {
            received_at: None,
            ..message.request.clone()
        };
        let mut found = self.found.lock();
        found.again.add(message.user_id, at, who);
        found.pending.insert(message.user_id, request);
    }

    /// A user who is not sent.
    pub(super) fn note_dropped(&self, user_id: UserId, at: Timestamp, who: String) {
        self.found.lock().dropped.add(user_id, at, who);
    }

    /// The users who were submitted again, and those who were not sent.
    pub(crate) fn found(&self) -> (Named, Named) {
        let found = self.found.lock();
        (found.again.clone(), found.dropped.clone())
    }

    /// The broker has the messages of these users: their checkpoints no longer say that they are cancelled.
    pub(super) async fn confirmed(&self, users: &[UserId]) {
        let pending: Vec<(UserId, Request)> = {
            let mut found = self.found.lock();
            let taken = users.iter();
            taken
                .filter_map(|user_id| Some((*user_id, found.pending.remove(user_id)?)))
                .collect()
        };
        let ordering = pending.into_iter().map(|(user_id, request)| async move {
            if let Err(failure) = self.order_again(user_id, request).await {
                tracing::warn!(%user_id, %failure, "shown as cancelled until a worker takes the new message");
            }
        });
        stream::iter(ordering)
            .buffer_unordered(AT_ONCE)
            .collect::<()>()
            .await;
    }

    /// A worker may have taken the message already; then its checkpoint says more.
    async fn order_again(&self, user_id: UserId, request: Request) -> Result<(), Failure> {
        let stored = self.checkpoints.read(user_id).await?;
        if stored.is_none_or(|checkpoint| checkpoint.cancelled.is_none()) {
            return Ok(());
        }
        let Claim::Granted {
            lease,
            version,
            checkpoint,
            ..
        } = self.checkpoints.claim(user_id).await?
        else {
            return Ok(());
        };

        let saving = async {
            if let Some(mut checkpoint) = checkpoint
                && checkpoint.cancelled.is_some()
            {
                checkpoint.order_again(request, self.clock.now());
                self.checkpoints.save(&lease, version, &checkpoint).await?;
            }
            Ok(())
        };
        let saved = saving.await;
        self.checkpoints.release(&lease).await?;
        saved
    }
}
