//! What operators ordered not to be done: requests that they cancelled, and batches that they paused.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::job::{BatchId, Request, UserId};
use crate::machine::Cancelled;

/// One stored order of an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StopOrder {
    pub act: StopAct,
    /// Which operator gave it.
    pub who: String,
    /// Why, in the words of that operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    pub at: Timestamp,
}

/// What is ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(crate) enum StopAct {
    /// The requests of these users, until now, are not carried out.
    CancelUsers {
        users: Vec<UserId>,
    },
    /// The requests of this batch, until now, are not carried out.
    CancelBatch {
        batch: BatchId,
    },
    /// The users of this batch are not taken further than their next checkpoint.
    PauseBatch {
        batch: BatchId,
        /// When the pause ends by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    ResumeBatch {
        batch: BatchId,
    },
    /// These objects, which are not as we would have written them, are no longer a reason to stop.
    PassOver {
        objects: Vec<String>,
    },
}

/// The pause of a batch
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BatchPause {
    /// The operator who paused.
    pub who: String,
    /// Why, in the words of that operator.
    pub why: Option<String>,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// When the pause ends by itself.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
}

/// What the orders say of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    Cancelled(Cancelled),
    Paused(BatchPause),
}

/// All orders that are stored, in the order of their numbers.
#[derive(Debug, Clone, Default)]
pub(crate) struct StopOrders {
    users: HashMap<UserId, Vec<Given>>,
    cancelled_batches: HashMap<BatchId, Vec<Given>>,
    paused_batches: HashMap<BatchId, BatchPause>,
    /// Why what is stored is in doubt, so that nobody is taken further. The text names the object.
    doubt: Option<String>,
}

/// Who ordered it, why and when.
#[derive(Debug, Clone)]
struct Given {
    who: std::sync::Arc<str>,
    why: Option<std::sync::Arc<str>>,
    at: Timestamp,
}

impl Given {
    fn cancelled(&self, batch: Option<&BatchId>) -> Cancelled {
        Cancelled {
            at: self.at,
            who: self.who.to_string(),
            why: self.why.as_deref().map(str::to_owned),
            batch_id: batch.cloned(),
            message_due: None,
            reactivation: None,
        }
    }
}

impl StopOrders {
    pub(super) fn of<'a>(
        orders: impl Iterator<Item = &'a StopOrder>,
        doubt: Option<String>,
    ) -> Self {
        let mut all = Self {
            doubt,
            ..Self::default()
        };
        orders.for_each(|order| all.add(order));
        all
    }

    fn add(&mut self, order: &StopOrder) {
        let given = Given {
            who: order.who.as_str().into(),
            why: order.why.as_deref().map(Into::into),
            at: order.at,
        };
        match &order.act {
            StopAct::CancelUsers { users } => {
                for user_id in users {
                    self.users.entry(*user_id).or_default().push(given.clone());
                }
            }
            StopAct::CancelBatch { batch } => {
                let cancelled = self.cancelled_batches.entry(batch.clone());
                cancelled.or_default().push(given);
            }
            StopAct::PauseBatch { batch, until } => {
                let pause = BatchPause {
                    who: order.who.clone(),
                    why: order.why.clone(),
                    at: order.at,
                    until: *until,
                };
                self.paused_batches.insert(batch.clone(), pause);
            }
            StopAct::ResumeBatch { batch } => {
                self.paused_batches.remove(batch);
            }
            StopAct::PassOver { .. } => {}
        }
    }

    /// Why nobody is taken further, if what is stored is in doubt.
    pub(crate) fn doubt(&self) -> Option<&str> {
        self.doubt.as_deref()
    }

    /// The first cancellation that covers a request.
    pub(crate) fn cancelled(
        &self,
        user_id: UserId,
        request: &Request,
        now: Timestamp,
    ) -> Option<Cancelled> {
        let named = self.users.get(&user_id).into_iter().flatten();
        let named = named.map(|given| given.cancelled(None));
        let batch = request.batch_id.as_ref();
        let of_batch = batch.and_then(|batch| self.cancelled_batches.get(batch));
        let of_batch = of_batch.into_iter().flatten();
        let of_batch = of_batch.map(|given| given.cancelled(batch));

        named
            .chain(of_batch)
            .filter(|cancelled| cancelled.covers(request, now))
            .min_by_key(|cancelled| cancelled.at)
    }

    /// The last time when the user, or the batch, was cancelled.
    pub(crate) fn last_cancelled(
        &self,
        user_id: UserId,
        batch: Option<&BatchId>,
    ) -> Option<(Timestamp, String)> {
        let of_batch = batch.and_then(|batch| self.cancelled_batches.get(batch));
        let named = self.users.get(&user_id);
        let all = named.into_iter().chain(of_batch).flatten();
        let last = all.max_by_key(|given| given.at)?;
        Some((last.at, last.who.to_string()))
    }

    /// The last order that names this user, whatever was asked for and when.
    pub(crate) fn last_order_of(&self, user_id: UserId) -> Option<Cancelled> {
        let given = self
            .users
            .get(&user_id)?
            .iter()
            .max_by_key(|given| given.at)?;
        Some(given.cancelled(None))
    }

    /// The users whom orders name.
    pub(crate) fn users(&self) -> impl Iterator<Item = UserId> {
        self.users.keys().copied()
    }

    /// Whether a request of this user may have been cancelled: an order names the user, or a batch.
    pub(crate) fn may_have_cancelled(&self, user_id: UserId) -> bool {
        self.users.contains_key(&user_id) || !self.cancelled_batches.is_empty()
    }

    /// The pause of a batch, if it is in force.
    pub(crate) fn paused(&self, batch: &BatchId, now: Timestamp) -> Option<&BatchPause> {
        let pause = self.paused_batches.get(batch)?;
        pause.until.is_none_or(|until| until > now).then_some(pause)
    }

    /// What keeps a request from being taken further. A cancellation comes before a pause.
    pub(crate) fn stop(&self, user_id: UserId, request: &Request, now: Timestamp) -> Option<Stop> {
        let cancelled = self.cancelled(user_id, request, now);
        cancelled.map(Stop::Cancelled).or_else(|| {
            let pause = self.paused(request.batch_id.as_ref()?, now)?;
            Some(Stop::Paused(pause.clone()))
        })
    }
}

#[cfg(test)]
#[path = "stop_order_tests.rs"]
mod tests;
