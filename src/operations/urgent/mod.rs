//! Moving users to the urgent lane: what was asked for is published once more, unchanged, to the queue that workers take
//! from first. The message that waits stays where it is; the worker that takes it later finds the work done, or under way.

mod report;
mod request;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;

use super::Partial;
use super::status::Known;
use super::submit::Publishing;
use crate::clock::Clock;
use crate::failure::Failure;
use crate::job::{Request, Source, UserId};
use crate::machine::Checkpoint;
use crate::ports::queue::Publisher;
use crate::ports::users::UserIndex;
use crate::ports::{ArchiveStore, Checkpoints};
use crate::queue::AddedHeaders;
use crate::queue::headers::{PLACEHOLDER_SINCE, REVISION};
use crate::registers::audit_log::{AuditLog, Change, Operator};
use crate::registers::{StopOrders, StopRegister, ordered_requests};
pub(crate) use report::{MovedToUrgentLane, NotMoved, NotMovedReason};
use request::{agreed, body_of};

/// Where requests are stored, and where they are published.
pub(crate) struct UrgentLane<'a> {
    pub checkpoints: &'a dyn Checkpoints,
    pub users: &'a dyn UserIndex,
    pub store: &'a Arc<dyn ArchiveStore>,
    pub stop_orders: &'a StopRegister,
    pub publisher: &'a dyn Publisher,
    pub clock: &'a Clock,
}

/// What is published of one user.
struct Asked {
    user_id: UserId,
    request: Request,
    headers: AddedHeaders,
}

impl UrgentLane<'_> {
    /// Records it in the audit log, and publishes the request of each user who still has access. After a failure, the users
    /// who are listed were moved; to do it again is harmless.
    pub(crate) async fn move_users(
        &self,
        users: &[UserId],
        operator: &Operator,
    ) -> Partial<MovedToUrgentLane> {
        let mut report = MovedToUrgentLane::default();
        let failure = self.fill(users, operator, &mut report).await.err();
        Partial {
            done: report,
            failure,
        }
    }

    async fn fill(
        &self,
        users: &[UserId],
        operator: &Operator,
        report: &mut MovedToUrgentLane,
    ) -> Result<(), Failure> {
        let users: BTreeSet<UserId> = users.iter().copied().collect();
        let asked = self.look_up(&users, &mut report.refused).await?;
        if asked.is_empty() {
            return Ok(());
        }
        let named: Vec<UserId> = asked.iter().map(|asked| asked.user_id).collect();
        let change = Change {
            what: "urgent",
            count: named.len(),
            details: json!({ "users": named, "queue": Source::UsersUrgent.queue() }),
        };
        let log = AuditLog::new(Arc::clone(self.store), self.clock.clone());
        log.record(operator, change).await?;

        let publishing = Publishing {
            publisher: self.publisher,
            source: Source::UsersUrgent,
            clock: self.clock,
        };
        for Asked {
            user_id,
            request,
            headers,
        } in asked
        {
            let body = body_of(user_id, &request)?;
            let order = request.order.as_ref();
            publishing.publish(&body, order, headers).await?;
            report.moved.push(user_id);
        }
        Ok(())
    }

    /// The stored request of each user who still has access; the others are refused.
    async fn look_up(
        &self,
        users: &BTreeSet<UserId>,
        refused: &mut Vec<NotMoved>,
    ) -> Result<Vec<Asked>, Failure> {
        let stops = self.stop_orders.recent(&**self.store).await?;
        let mut asked = Vec::new();
        let mut not_begun = BTreeSet::new();
        for user_id in users.iter().copied() {
            match self.checkpoints.read(user_id).await? {
                Some(checkpoint) => match self.judge(&checkpoint, &stops) {
                    None => {
                        asked.push(self.again(user_id, checkpoint.request, checkpoint.revision));
                    }
                    Some(reason) => refused.push(reason.of(user_id)),
                },
                None if self.users.asked_at(user_id).await?.is_some() => {
                    not_begun.insert(user_id);
                }
                None => {
                    let known = Known::look_up(user_id, self.checkpoints, &**self.store).await?;
                    refused.push(match known {
                        Known::Manifest(..) => NotMovedReason::Finished.of(user_id),
                        Known::Checkpoint(_) | Known::Nothing => {
                            NotMovedReason::Unknown.of(user_id)
                        }
                    });
                }
            }
        }
        if !not_begun.is_empty() {
            let ordered = ordered_requests(&**self.store, &not_begun).await?;
            self.look_into(&not_begun, ordered, &stops, &mut asked, refused);
        }
        Ok(asked)
    }

    /// Why a user whom a worker has taken is not moved, if so.
    fn judge(&self, checkpoint: &Checkpoint, stops: &StopOrders) -> Option<NotMovedReason> {
        let cancelled = || {
            let now = self.clock.now();
            stops.cancelled(checkpoint.user_id, &checkpoint.request, now)
        };
        if checkpoint.dead_letter.is_some() {
            Some(NotMovedReason::DeadLetter)
        } else if checkpoint.state.is_finished() {
            Some(NotMovedReason::Finished)
        } else if checkpoint.cancelled.is_some() || cancelled().is_some() {
            Some(NotMovedReason::Cancelled)
        } else if checkpoint.state.access().is_some() {
            Some(NotMovedReason::NoAccess)
        } else {
            None
        }
    }

    /// Users of whom only the order of `submit` says what was asked for.
    fn look_into(
        &self,
        users: &BTreeSet<UserId>,
        mut ordered: BTreeMap<UserId, Vec<Option<Request>>>,
        stops: &StopOrders,
        asked: &mut Vec<Asked>,
        refused: &mut Vec<NotMoved>,
    ) {
        let now = self.clock.now();
        for user_id in users.iter().copied() {
            let requests = ordered.remove(&user_id).unwrap_or_default();
            let is_cancelled = |request: &Request| stops.cancelled(user_id, request, now).is_some();
            match agreed(requests, is_cancelled, now) {
                Ok(request) => asked.push(self.again(user_id, request, 1)),
                Err(reason) => refused.push(reason.of(user_id)),
            }
        }
    }

    /// The message is a placeholder for the one that waits: once that one has ended, this one does nothing, and reads nobody.
    fn again(&self, user_id: UserId, request: Request, revision: u32) -> Asked {
        let since = self.clock.now().as_millisecond();
        let mut headers: AddedHeaders = vec![(PLACEHOLDER_SINCE, since.into())];
        if revision > 1 {
            headers.push((REVISION, revision.into()));
        }
        Asked {
            user_id,
            request,
            headers,
        }
    }
}
