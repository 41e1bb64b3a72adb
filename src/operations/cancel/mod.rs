//! Cancelling requests: those not begun are dropped, those begun stop at their checkpoint and are not deleted.
//!
//! What counts is the order in the archive store, which workers read. The checkpoints are marked as well, so that every
//! view says so at once, and not only when a message comes up.

mod mark;
mod report;

use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::Partial;
use crate::clock::Clock;
use crate::failure::{Class, Failure};
use crate::job::{BatchId, UserId};
use crate::ports::batches::Batches;
use crate::ports::users::UserIndex;
use crate::ports::{ArchiveStore, Checkpoints};
use crate::registers::audit_log::{AuditLog, Change, Operator, Recorded};
use crate::registers::{StopAct, StopRegister, USERS_IN_ONE, give_order, in_orders};
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

/// For which command it is done, and where orders and checkpoints are kept.
pub(crate) struct Cancelling<'a> {
    /// The command, as the audit log names it.
    pub what: &'static str,
    pub store: &'a Arc<dyn ArchiveStore>,
    pub checkpoints: &'a dyn Checkpoints,
    pub users: &'a dyn UserIndex,
    /// Only a store that processes share keeps batches.
    pub batches: Option<&'a dyn Batches>,
    pub clock: &'a Clock,
}

/// The clocks of operators and publishers differ at most by this.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(10);

/// Whom the stored orders are about, as far as they are known.
#[derive(Default)]
struct Ordered {
    members: Vec<Member>,
    /// Why the other users are not covered.
    cut_short: Option<Failure>,
}

fn only_some(ordered: &Ordered, all: usize, mut failure: Failure) -> Failure {
    let covered = ordered.members.len();
    failure.text = format!(
        "only the first {covered} of {all} users are cancelled, do it again for all: {}",
        failure.text
    );
    failure
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
        let Ordered { members, cut_short } = match self.order(target, operator).await {
            Ok(ordered) => ordered,
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
        match cut_short {
            Some(failure) => Partial::cut_short(report, failure),
            None => Partial::whole(report),
        }
    }

    /// Gives the order, and returns the users whom it is about, as far as they are known.
    async fn order(&self, target: &CancelTarget, operator: &Operator) -> Result<Ordered, Failure> {
        match target {
            CancelTarget::Users(users) => {
                let at = self.at_or_after(&self.asked_at(users).await);
                let named: &[UserId] = if users.len() > NAMED_IN_LOG {
                    &[]
                } else {
                    users
                };
                let details = json!({ "users": named });
                let recorded = self.record(operator, users.len(), details).await?;
                let mut ordered = Ordered::default();
                for (act, named) in in_orders(users).zip(users.chunks(USERS_IN_ONE)) {
                    match give_order(&**self.store, act, &recorded, at).await {
                        Ok(()) => ordered
                            .members
                            .extend(named.iter().map(|user| (*user, None))),
                        Err(failure) if ordered.members.is_empty() => return Err(failure),
                        // What is stored counts.
                        Err(failure) => {
                            ordered.cut_short = Some(only_some(&ordered, users.len(), failure));
                            break;
                        }
                    }
                }
                Ok(ordered)
            }
            CancelTarget::Batch(batch) => {
                let members = self.members(batch).await?;
                let details = json!({ "batch": batch });
                let recorded = self.record(operator, members.len(), details).await?;
                let act = StopAct::CancelBatch {
                    batch: batch.clone(),
                };
                let added: Vec<Timestamp> = members.iter().filter_map(|member| member.1).collect();
                let at = self.at_or_after(&added);
                give_order(&**self.store, act, &recorded, at).await?;
                Ok(Ordered {
                    members,
                    cut_short: None,
                })
            }
        }
    }

    /// When these users were asked for, as far as it can be read: Redis may be gone, and the order counts all the same.
    async fn asked_at(&self, users: &[UserId]) -> Vec<Timestamp> {
        let reads: Vec<_> = users
            .iter()
            .copied()
            .map(|user_id| async move {
                let asked = self.users.asked_at(user_id).await.ok().flatten();
                let checkpoint = self.checkpoints.read(user_id).await.ok().flatten();
                asked.max(checkpoint.and_then(|checkpoint| checkpoint.request.requested_at))
            })
            .collect();
        let mut reads = stream::iter(reads).buffer_unordered(AT_ONCE);
        let mut known = Vec::new();
        while let Some(asked) = reads.next().await {
            known.extend(asked);
        }
        known
    }

    /// The time of an order that covers all requests that are known now. The clock of this operator may be behind that of
    /// a publisher. But a time that somebody made up covers nothing that is submitted later.
    fn at_or_after(&self, asked: &[Timestamp]) -> Timestamp {
        let now = self.clock.now();
        let furthest = now.checked_add(CLOCKS_DIFFER).unwrap_or(now);
        let known = asked.iter().copied().filter(|asked| *asked <= furthest);
        known.fold(now, Timestamp::max)
    }

    async fn record(
        &self,
        operator: &Operator,
        count: usize,
        details: serde_json::Value,
    ) -> Result<Recorded, Failure> {
        let change = Change {
            what: self.what,
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
