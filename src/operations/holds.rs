//! Putting users on hold and taking them off, as an operator does it by a command or by the API.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::failure::{Class, Failure};
use crate::job::UserId;
use crate::machine::{Checkpoint, Sealing, State};
use crate::ports::{ArchiveStore, Checkpoints};
use crate::registers::audit_log::By;
use crate::registers::{record_holds, set_hold};

/// A worker sends its DELETE within a second after it looked at the holds, and waits this long for the answer at most.
const DELETION_ENDS_WITHIN: Duration = Duration::from_secs(90);
const LOOKS_EVERY: Duration = Duration::from_millis(200);

/// A user whose hold was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HoldChanged {
    pub user_id: UserId,
    /// What the person who asked has to know besides: a deletion that the hold came too late for, or that it could
    /// not be seen whether there is one.
    pub but: Option<String>,
}

/// Changes the holds of these users, on the record; `done` says how far it got, also on an error. A hold is read back in
/// the way in which workers look at it; then a deletion that was out already is waited for, and named. A hold is set
/// whether the checkpoints can be opened or not.
pub(crate) async fn change_holds(
    store: &dyn ArchiveStore,
    checkpoints: Result<&dyn Checkpoints, &Failure>,
    users: &[UserId],
    held: bool,
    by: &By,
    done: &mut Vec<HoldChanged>,
) -> Result<(), Failure> {
    record_holds(store, users, held, by).await?;
    for user_id in users {
        let number = set_hold(store, *user_id, held, by).await?;
        let noted = match checkpoints {
            Ok(checkpoints) => checkpoints
                .note_holds(*user_id, number)
                .await
                .map(|()| checkpoints),
            Err(failure) => Err(failure.clone()),
        };
        let but = match noted {
            Ok(checkpoints) if held => deletion_under_way(checkpoints, *user_id).await,
            Ok(_) => None,
            Err(failure) if held => Some(cannot_see(&failure)),
            // The note only ever restricts; the hold itself is lifted.
            Err(failure) => {
                tracing::warn!(%user_id, %failure, "the act on the hold was not noted beside the checkpoint");
                None
            }
        };
        done.push(HoldChanged {
            user_id: *user_id,
            but,
        });
    }
    Ok(())
}

fn cannot_see(failure: &Failure) -> String {
    format!(
        "the hold is stored, and it cannot be seen whether a deletion was under way before it ({failure}); \
         `offboarder status` shows it later"
    )
}

/// Whoever looks at the holds from now on sees this one. Whoever looked before has saved the intent to delete, and has
/// the lease: it is waited for.
async fn deletion_under_way(checkpoints: &dyn Checkpoints, user_id: UserId) -> Option<String> {
    let until = Instant::now() + DELETION_ENDS_WITHIN;
    loop {
        let seen = async {
            // In this order: who gives the lease back in between has saved before.
            let lease_left = checkpoints.lease_left(user_id).await?;
            Ok::<_, Failure>((checkpoints.read(user_id).await?, lease_left))
        };
        let of_deletion = match seen.await {
            Ok((Some(checkpoint), lease_left)) => of_deletion(&checkpoint, lease_left.is_some()),
            Ok((None, Some(_worked_on))) => OfDeletion::MayBeOut,
            Ok((None, None)) => OfDeletion::NotSent,
            Err(failure) => return Some(cannot_see(&failure)),
        };
        match of_deletion {
            OfDeletion::NotSent => return None,
            OfDeletion::Sent(at) => {
                let at = at.map(|at| format!(" at {at}")).unwrap_or_default();
                return Some(format!(
                    "too late: the user was deleted{at}, before the hold"
                ));
            }
            OfDeletion::LeftUnknown => {
                return Some(
                    "a worker that did not end its work may have sent the DELETE before the hold; the next one sees \
                     the hold, and `offboarder status` shows what became of the user"
                        .to_owned(),
                );
            }
            OfDeletion::MayBeOut if Instant::now() < until => tokio::time::sleep(LOOKS_EVERY).await,
            OfDeletion::MayBeOut => {
                return Some(format!(
                    "a deletion may be out since before the hold: a worker has had the user for {} s; `offboarder \
                     status` shows what becomes of it",
                    DELETION_ENDS_WITHIN.as_secs()
                ));
            }
        }
    }
}

/// What a checkpoint says of a deletion that began before a hold.
#[derive(Debug, PartialEq, Eq)]
enum OfDeletion {
    NotSent,
    Sent(Option<Timestamp>),
    /// A worker has the user now, with the intent to delete.
    MayBeOut,
    /// A worker had it, and did not say how it ended.
    LeftUnknown,
}

/// The API did not take the last call, and said so.
fn was_throttled(checkpoint: &Checkpoint) -> bool {
    checkpoint
        .last_failure
        .as_ref()
        .is_some_and(|failure| failure.class == Class::Throttled)
}

fn of_deletion(checkpoint: &Checkpoint, is_claimed: bool) -> OfDeletion {
    match &checkpoint.state {
        State::Deleted { deletion, .. } => OfDeletion::Sent(deletion.at.or(deletion.confirmed_at)),
        State::Archived {
            sealing: Sealing::Accepted { deletion, .. },
            ..
        } => OfDeletion::Sent(deletion.at),
        State::Archived {
            sealing: Sealing::Sealed { .. },
            ..
        } if is_claimed => OfDeletion::MayBeOut,
        // It waits for a guard: the DELETE was not sent, and the guards are asked again.
        State::Archived {
            sealing: Sealing::Sealed { .. },
            ..
        } if checkpoint.pause.is_some() || was_throttled(checkpoint) => OfDeletion::NotSent,
        State::Archived {
            sealing: Sealing::Sealed { .. },
            ..
        } => OfDeletion::LeftUnknown,
        State::Received
        | State::QueuesCleared { .. }
        | State::Deactivated { .. }
        | State::Archived {
            sealing: Sealing::Unsealed,
            ..
        }
        | State::DeactivatedOnly { .. } => OfDeletion::NotSent,
    }
}
