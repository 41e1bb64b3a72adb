//! Cancelling requests: those not begun are dropped, those begun stop at their checkpoint and are not deleted.
//!
//! What counts is the order in the archive store, which workers read. The checkpoints are marked as well, so that every
//! view says so at once, and not only when a message comes up.

mod mark;
mod report;

use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;
use serde_json::json;

use super::Partial;
use crate::clock::Clock;
use crate::failure::{Class, Failure};
use crate::job::{BatchId, UserId};
use crate::ports::batches::Batches;
use crate::ports::users::UserIndex;
use crate::ports::{ArchiveStore, Checkpoints};
use crate::registers::audit_log::{AuditLog, Change, Operator, Recorded};
use crate::registers::{StopAct, StopRegister, give_order, in_orders};
use mark::Marking;
pub(crate) use report::CancelReport;

/// How many checkpoints are marked at once.
const AT_ONCE: usize = 32;
/// How many users of a batch are read in one round trip.
const PAGE: usize = 2000;
/// The audit log names at most this many users; the order itself names all.
const NAMED_IN_LOG: usize = 1000;

/// Whose requests are cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CancelTarget {
    Users(Vec<UserId>),
    Batch(BatchId),
}

/// Where orders and checkpoints are kept.
pub(crate) struct Cancelling<'a> {
    pub store: &'a Arc<dyn ArchiveStore>,
    pub checkpoints: &'a dyn Checkpoints,
    pub users: &'a dyn UserIndex,
    /// Only a store that processes share keeps batches.
    pub batches: Option<&'a dyn Batches>,
    pub clock: &'a Clock,
}

/// A user of the target, and when the user was added to the batch.
type Member = (UserId, Option<Timestamp>);

impl Cancelling<'_> {
    /// Records the cancellation in the audit log, gives the order, and marks the checkpoints. A deletion that was under
    /// way is waited for, and reported.
    pub(crate) async fn cancel(
        &self,
        target: &CancelTarget,
        operator: &Operator,
    ) -> Partial<CancelReport> {
        let mut report = CancelReport::default();
        let members = match self.order(target, operator).await {
            Ok(members) => members,
            Err(failure) => return Partial::cut_short(report, failure),
        };
        report.ordered = true;

        let orders = match StopRegister::default().fresh(&**self.store).await {
            Ok(orders) => orders,
            Err(failure) => return Partial::cut_short(report, failure),
        };
        let batch = match target {
            CancelTarget::Users(_) => None,
            CancelTarget::Batch(batch) => Some(batch),
        };
        let marking = Marking {
            checkpoints: self.checkpoints,
            store: &**self.store,
            users: self.users,
            batches: self.batches,
            clock: self.clock,
            orders: &orders,
            batch,
        };
        let marks = members.into_iter().map(|(user_id, added_at)| {
            let marking = &marking;
            async move { (user_id, marking.mark(user_id, added_at).await) }
        });

        let mut marks = stream::iter(marks).buffer_unordered(AT_ONCE);
        while let Some((user_id, marked)) = marks.next().await {
            match marked {
                Ok(marked) => report.add(user_id, marked),
                // Redis is gone: the order counts all the same.
                Err(failure) if failure.class == Class::Systemic => {
                    report.sort();
                    return Partial::cut_short(report, failure);
                }
                Err(failure) => report.add_unclear(user_id, &failure.to_string()),
            }
        }
        report.sort();
        Partial::whole(report)
    }

    /// Gives the order, and returns the users whom it is about, as far as they are known.
    async fn order(
        &self,
        target: &CancelTarget,
        operator: &Operator,
    ) -> Result<Vec<Member>, Failure> {
        let now = self.clock.now();
        match target {
            CancelTarget::Users(users) => {
                let named: &[UserId] = if users.len() > NAMED_IN_LOG {
                    &[]
                } else {
                    users
                };
                let details = json!({ "users": named });
                let recorded = self.record(operator, users.len(), details).await?;
                for act in in_orders(users) {
                    give_order(&**self.store, act, &recorded, now).await?;
                }
                Ok(users.iter().map(|user_id| (*user_id, None)).collect())
            }
            CancelTarget::Batch(batch) => {
                let members = self.members(batch).await?;
                let details = json!({ "batch": batch });
                let recorded = self.record(operator, members.len(), details).await?;
                let act = StopAct::CancelBatch {
                    batch: batch.clone(),
                };
                give_order(&**self.store, act, &recorded, now).await?;
                Ok(members)
            }
        }
    }

    async fn record(
        &self,
        operator: &Operator,
        count: usize,
        details: serde_json::Value,
    ) -> Result<Recorded, Failure> {
        let change = Change {
            what: "cancel",
            count,
            details,
        };
        AuditLog::new(Arc::clone(self.store), self.clock.clone())
            .record(operator, change)
            .await
    }

    /// The users of a batch, as far as Redis knows them. Messages that come later are covered by the order.
    async fn members(&self, batch: &BatchId) -> Result<Vec<Member>, Failure> {
        let mut members = Vec::new();
        let Some(batches) = self.batches else {
            return Ok(members);
        };
        let mut from = Some(0);
        while let Some(first) = from {
            let page = batches.page(batch, first, PAGE).await?;
            let added = page.added_at.into_iter().map(Some);
            members.extend(page.users.into_iter().zip(added));
            from = page.next;
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests;
