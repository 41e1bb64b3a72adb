//! Putting users on hold and lifting holds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;

use super::Partial;
use crate::clock::Clock;
use crate::failure::{Class, Failure};
use crate::guards::Hold;
use crate::job::UserId;
use crate::machine::{Checkpoint, Sealing, State};
use crate::ports::{ArchiveStore, Checkpoints};
use crate::registers::audit_log::{AuditLog, Change, Operator, Recorded};
use crate::registers::{HoldRecords, set_hold};

/// A worker sends its DELETE within a second after it has read the holds, and waits this long for the response at most.
pub(super) const DELETION_ENDS_WITHIN: Duration = Duration::from_secs(90);
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Where holds are stored, and where a deletion that is under way shows.
pub(crate) struct Holds<'a> {
    pub store: &'a Arc<dyn ArchiveStore>,
    /// A failure where the checkpoints cannot be opened: holds are set and lifted all the same.
    pub checkpoints: Result<&'a dyn Checkpoints, &'a Failure>,
    pub clock: &'a Clock,
}

/// A user whose hold was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HoldChanged {
    pub user_id: UserId,
    /// The user was on hold before, and this hold stays as it is.
    pub already: Option<Hold>,
    /// The hold is stored, but it came too late for a deletion, or nothing shows whether a deletion is under way.
    pub warning: Option<String>,
}

/// An entry of the audit log names at most this many users: it has a greatest size.
const USERS_PER_ENTRY: usize = 10_000;

impl Holds<'_> {
    /// Records the change in the audit log, then changes the hold of each user. Each hold is read back in the way in
    /// which workers read it. A deletion that began before the hold is waited for, and reported. A user who is on hold
    /// keeps the hold with its operator and reason, which the new one would hide.
    pub(crate) async fn change(
        &self,
        users: &[UserId],
        held: bool,
        operator: &Operator,
    ) -> Partial<Vec<HoldChanged>> {
        let mut done = Vec::new();
        let known = match self.known(users, held).await {
            Ok(known) => known,
            Err(failure) => return Partial::cut_short(done, failure),
        };

        for users in users.chunks(USERS_PER_ENTRY) {
            let new: Vec<UserId> = users
                .iter()
                .copied()
                .filter(|user_id| !known.contains_key(user_id))
                .collect();
            let recorded = match self.record(&new, held, operator).await {
                Ok(recorded) => recorded,
                Err(failure) => return Partial::cut_short(done, failure),
            };

            for user_id in users {
                let changed = match (known.get(user_id), &recorded) {
                    (Some((before, number)), _) => {
                        let warning = self.note(*user_id, held, *number).await;
                        Ok((Some(before.clone()), warning))
                    }
                    (None, Some(recorded)) => self
                        .change_one(*user_id, held, recorded)
                        .await
                        .map(|warning| (None, warning)),
                    // Every user who is not known is in the entry.
                    (None, None) => continue,
                };
                match changed {
                    Ok((already, warning)) => done.push(HoldChanged {
                        user_id: *user_id,
                        already,
                        warning,
                    }),
                    Err(failure) => return Partial::cut_short(done, failure),
                }
            }
        }
        Partial::whole(done)
    }

    /// Those of the users who need no new hold, and the number of their last record. A hold that is only assumed, because
    /// what is stored is in doubt, is set.
    async fn known(
        &self,
        users: &[UserId],
        held: bool,
    ) -> Result<BTreeMap<UserId, (Hold, u32)>, Failure> {
        if !held {
            return Ok(BTreeMap::new());
        }
        let mut records = HoldRecords::list(&**self.store).await?;
        records.retain(&users.iter().copied().collect());
        let holds = records.clone().holds(self.store).await?;
        Ok(holds
            .into_iter()
            .filter(|(_, hold)| !hold.is_doubtful())
            .map(|(user_id, hold)| (user_id, (hold, records.last(user_id))))
            .collect())
    }

    /// `None` if there is nobody to name.
    async fn record(
        &self,
        users: &[UserId],
        held: bool,
        operator: &Operator,
    ) -> Result<Option<Recorded>, Failure> {
        if users.is_empty() {
            return Ok(None);
        }
        let change = Change {
            what: if held { "hold add" } else { "hold remove" },
            count: users.len(),
            details: json!({ "users": users }),
        };
        AuditLog::new(Arc::clone(self.store), self.clock.clone())
            .record(operator, change)
            .await
            .map(Some)
    }

    /// Returns the warning for the operator, if there is one.
    async fn change_one(
        &self,
        user_id: UserId,
        held: bool,
        recorded: &Recorded,
    ) -> Result<Option<String>, Failure> {
        let number = set_hold(&**self.store, user_id, held, recorded, self.clock.now()).await?;
        Ok(self.note(user_id, held, number).await)
    }

    /// Notes the number of the record beside the checkpoint, and looks for a deletion that is under way. A user who is on
    /// hold gets this, too: the command that set the hold may have been killed before.
    async fn note(&self, user_id: UserId, held: bool, number: u32) -> Option<String> {
        let noted = match self.checkpoints {
            Ok(checkpoints) => checkpoints
                .note_holds(user_id, number)
                .await
                .map(|()| checkpoints),
            Err(failure) => Err(failure.clone()),
        };

        match noted {
            Ok(checkpoints) if held => deletion_under_way(checkpoints, user_id).await,
            Ok(_) => None,
            Err(failure) if held => Some(cannot_see(&failure)),
            // The note only ever restricts; the hold itself is lifted.
            Err(failure) => {
                tracing::warn!(%user_id, %failure, "the number of the hold could not be noted beside the checkpoint");
                None
            }
        }
    }
}

fn cannot_see(failure: &Failure) -> String {
    format!(
        "the hold is stored, but it is unknown whether a deletion was under way before it ({failure}); \
         `offboarder status` shows it later"
    )
}

/// A worker that reads the holds from now on sees this one. A worker that read them before has saved the intent to
/// delete and has the lease: this waits for it.
async fn deletion_under_way(checkpoints: &dyn Checkpoints, user_id: UserId) -> Option<String> {
    let until = Instant::now() + DELETION_ENDS_WITHIN;
    loop {
        let seen = async {
            // In this order, since a worker saves the checkpoint before it releases the lease.
            let lease_left = checkpoints.lease_left(user_id).await?;
            Ok::<_, Failure>((checkpoints.read(user_id).await?, lease_left))
        };
        let deletion_before_hold = match seen.await {
            Ok((Some(checkpoint), lease_left)) => {
                deletion_before_hold(&checkpoint, lease_left.is_some())
            }
            Ok((None, Some(_worked_on))) => DeletionBeforeHold::MayBeUnderWay,
            Ok((None, None)) => DeletionBeforeHold::NotSent,
            Err(failure) => return Some(cannot_see(&failure)),
        };
        match deletion_before_hold {
            DeletionBeforeHold::NotSent => return None,
            DeletionBeforeHold::Sent(at) => {
                let at = at.map(|at| format!(" at {at}")).unwrap_or_default();
                return Some(format!(
                    "too late: the user was deleted{at}, before the hold"
                ));
            }
            DeletionBeforeHold::LeftUnknown => {
                return Some(
                    "a worker that was interrupted may have sent the DELETE before the hold; the next worker sees \
                     the hold, and `offboarder status` shows what became of the user"
                        .to_owned(),
                );
            }
            DeletionBeforeHold::MayBeUnderWay if Instant::now() < until => {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            DeletionBeforeHold::MayBeUnderWay => {
                return Some(format!(
                    "a deletion that began before the hold may still be under way: a worker has had the user for {} s; \
                     `offboarder status` shows how it ends",
                    DELETION_ENDS_WITHIN.as_secs()
                ));
            }
        }
    }
}

/// What a checkpoint says about a deletion that began before a hold, or before a cancellation.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DeletionBeforeHold {
    NotSent,
    Sent(Option<Timestamp>),
    /// A worker has the user now, with the intent to delete.
    MayBeUnderWay,
    /// A worker had the intent to delete, and was interrupted before it saved the outcome.
    LeftUnknown,
}

/// Whether the API refused the last call because of its rate.
fn was_throttled(checkpoint: &Checkpoint) -> bool {
    checkpoint
        .last_failure
        .as_ref()
        .is_some_and(|failure| failure.class == Class::Throttled)
}

pub(super) fn deletion_before_hold(
    checkpoint: &Checkpoint,
    is_claimed: bool,
) -> DeletionBeforeHold {
    match &checkpoint.state {
        State::Deleted { deletion, .. } => {
            DeletionBeforeHold::Sent(deletion.at.or(deletion.confirmed_at))
        }
        State::Archived {
            sealing: Sealing::Accepted { deletion, .. },
            ..
        } => DeletionBeforeHold::Sent(deletion.at),
        State::Archived {
            sealing: Sealing::Sealed { .. },
            ..
        } if is_claimed => DeletionBeforeHold::MayBeUnderWay,
        // The user waits for a guard: the DELETE was not sent, and the guards are checked again before it is.
        State::Archived {
            sealing: Sealing::Sealed { .. },
            ..
        } if checkpoint.pause.is_some() || was_throttled(checkpoint) => DeletionBeforeHold::NotSent,
        State::Archived {
            sealing: Sealing::Sealed { .. },
            ..
        } => DeletionBeforeHold::LeftUnknown,
        State::Received
        | State::QueuesCleared { .. }
        | State::Deactivated { .. }
        | State::Archived {
            sealing: Sealing::Unsealed,
            ..
        }
        | State::DeactivatedOnly { .. } => DeletionBeforeHold::NotSent,
    }
}
