//! Marks the checkpoint of one user, and finds out whether the cancellation came in time.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::failure::Failure;
use crate::job::{BatchId, Request, UserId};
use crate::machine::{Checkpoint, State, StateName};
use crate::operations::holds::{
    DELETION_ENDS_WITHIN, DeletionBeforeHold, POLL_INTERVAL, deletion_before_hold,
};
use crate::operations::status::Known;
use crate::ports::batches::{Batches, Known as InBatch};
use crate::ports::users::UserIndex;
use crate::ports::{ArchiveStore, Checkpoints, Claim, Saved};
use crate::registers::StopOrders;

/// How long a worker that has the user is waited for, unless a deletion may be under way.
const STOPS_WITHIN: Duration = Duration::from_secs(5);

/// What became of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Marked {
    Cancelled {
        /// Whether a step was done.
        begun: bool,
        keeps_access: bool,
    },
    /// A worker has the user, and has not stopped yet.
    Stopping,
    Finished,
    NotKnown,
    /// The checkpoint is of a request that the order does not cover.
    AskedOtherwise,
    TooLate(String),
}

pub(super) struct Marking<'a> {
    pub(super) checkpoints: &'a dyn Checkpoints,
    pub(super) store: &'a dyn ArchiveStore,
    pub(super) users: &'a dyn UserIndex,
    pub(super) batches: Option<&'a dyn Batches>,
    pub(super) clock: &'a Clock,
    /// As they are stored now, with the order that is carried out.
    pub(super) orders: &'a StopOrders,
    pub(super) batch: Option<&'a BatchId>,
}

impl Marking<'_> {
    /// Marks the user as soon as no worker has it. `added_at`: when the user was added to the batch.
    pub(super) async fn mark(
        &self,
        user_id: UserId,
        added_at: Option<Timestamp>,
    ) -> Result<Marked, Failure> {
        let begun = Instant::now();
        loop {
            // In this order, since a worker saves the checkpoint before it releases the lease.
            let lease_left = self.checkpoints.lease_left(user_id).await?;
            let checkpoint = self.checkpoints.read(user_id).await?;
            let is_worked_on = lease_left.is_some();

            match &checkpoint {
                Some(checkpoint) => {
                    if let Some(end) = self.already(checkpoint, is_worked_on) {
                        return Ok(end);
                    }
                }
                None if is_worked_on => {}
                None => {
                    if let Some(end) = self.without_checkpoint(user_id, added_at).await? {
                        return Ok(end);
                    }
                }
            }
            if !is_worked_on && let Some(marked) = self.claim_and_mark(user_id, added_at).await? {
                return Ok(marked);
            }

            // From the seal on, a worker may have read the orders before this one, and send the DELETE now.
            let may_delete = checkpoint.as_ref().is_none_or(|checkpoint| {
                let deletion = deletion_before_hold(checkpoint, true);
                deletion == DeletionBeforeHold::MayBeUnderWay
            });
            let patience = if may_delete {
                DELETION_ENDS_WITHIN
            } else {
                STOPS_WITHIN
            };
            if begun.elapsed() >= patience {
                return Ok(if may_delete {
                    Marked::TooLate(format!(
                        "a worker has had the user for {} s, and may have sent the DELETE before; `offboarder status` \
                         shows how it ends",
                        patience.as_secs()
                    ))
                } else {
                    Marked::Stopping
                });
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// What is true already, so that nothing has to be marked.
    fn already(&self, checkpoint: &Checkpoint, is_worked_on: bool) -> Option<Marked> {
        if checkpoint.cancelled.is_some() && !is_worked_on {
            return Some(cancelled(checkpoint));
        }
        if checkpoint.state.is_finished() {
            return Some(self.ended(checkpoint));
        }
        match deletion_before_hold(checkpoint, is_worked_on) {
            DeletionBeforeHold::Sent(at) => Some(Marked::TooLate(deleted(at))),
            DeletionBeforeHold::LeftUnknown => Some(Marked::TooLate(
                "a worker that was interrupted may have sent the DELETE before; the next worker reads whether it did, \
                 and stops if it did not; `offboarder status` shows it later"
                    .to_owned(),
            )),
            DeletionBeforeHold::MayBeUnderWay => None,
            // Only the manifest is missing.
            DeletionBeforeHold::NotSent => {
                let is_over = checkpoint.state.name() == StateName::DeactivatedOnly;
                is_over.then_some(Marked::Finished)
            }
        }
    }

    /// A user who was deleted after the order was given is not one who was finished before.
    fn ended(&self, checkpoint: &Checkpoint) -> Marked {
        let now = self.clock.now();
        let last = self
            .orders
            .cancelled(checkpoint.user_id, &checkpoint.request, now);
        let ended_after = last
            .zip(checkpoint.ended_at())
            .is_some_and(|(order, ended_at)| ended_at > order.at);
        match &checkpoint.state {
            State::Deleted { deletion, .. } if ended_after => {
                Marked::TooLate(deleted(deletion.at.or(deletion.confirmed_at)))
            }
            State::Received
            | State::QueuesCleared { .. }
            | State::Deactivated { .. }
            | State::Archived { .. }
            | State::Deleted { .. }
            | State::DeactivatedOnly { .. } => Marked::Finished,
        }
    }

    /// `None`: the user was submitted, and no worker took it yet.
    async fn without_checkpoint(
        &self,
        user_id: UserId,
        added_at: Option<Timestamp>,
    ) -> Result<Option<Marked>, Failure> {
        if let Some((batches, batch)) = self.batches.zip(self.batch) {
            let known = batches.summaries(batch, &[user_id]).await?;
            // The checkpoint has expired, and the batch kept how the user ended.
            return Ok(match known.first() {
                Some(InBatch::Summary(summary)) if summary.cancelled_at.is_some() => {
                    Some(Marked::Cancelled {
                        begun: summary.state != StateName::Received,
                        keeps_access: summary.has_access(),
                    })
                }
                Some(InBatch::Summary(_)) => Some(Marked::Finished),
                Some(InBatch::Nothing | InBatch::Unreadable) | None => None,
            });
        }
        if added_at.is_some() || self.users.asked_at(user_id).await?.is_some() {
            return Ok(None);
        }
        let known = Known::look_up(user_id, self.checkpoints, self.store).await?;
        Ok(Some(match known {
            Known::Manifest(..) => Marked::Finished,
            Known::Checkpoint(_) | Known::Nothing => Marked::NotKnown,
        }))
    }

    /// `None`: a worker has the user.
    async fn claim_and_mark(
        &self,
        user_id: UserId,
        added_at: Option<Timestamp>,
    ) -> Result<Option<Marked>, Failure> {
        let Claim::Granted {
            lease,
            version,
            checkpoint,
            ..
        } = self.checkpoints.claim(user_id).await?
        else {
            return Ok(None);
        };

        let marking = async {
            let now = self.clock.now();
            let mut checkpoint = if let Some(checkpoint) = checkpoint {
                *checkpoint
            } else {
                let request = self.request(user_id, added_at).await?;
                Checkpoint::new(user_id, request, now)
            };
            if let Some(end) = self.already(&checkpoint, false) {
                return Ok(Some(end));
            }
            let Some(order) = self.orders.cancelled(user_id, &checkpoint.request, now) else {
                return Ok(Some(Marked::AskedOtherwise));
            };
            checkpoint.cancel(order, now);
            let saved = self.checkpoints.save(&lease, version, &checkpoint).await?;
            Ok(match saved {
                Saved::Version(_) => Some(cancelled(&checkpoint)),
                Saved::Refused => None,
            })
        };
        let marked = marking.await;
        self.checkpoints.release(&lease).await?;
        marked
    }

    /// What is known of a request that no worker has taken.
    async fn request(
        &self,
        user_id: UserId,
        added_at: Option<Timestamp>,
    ) -> Result<Request, Failure> {
        let asked_at = match added_at {
            Some(at) => Some(at),
            None => self.users.asked_at(user_id).await?,
        };
        Ok(Request {
            batch_id: self.batch.cloned(),
            requested_at: asked_at,
            ..Request::default()
        })
    }
}

fn cancelled(checkpoint: &Checkpoint) -> Marked {
    Marked::Cancelled {
        begun: checkpoint.state != State::Received,
        keeps_access: checkpoint.state.access().is_none(),
    }
}

fn deleted(at: Option<Timestamp>) -> String {
    let at = at.map(|at| format!(" at {at:.0}")).unwrap_or_default();
    format!("too late: the user was deleted{at}, before the cancellation was seen")
}
