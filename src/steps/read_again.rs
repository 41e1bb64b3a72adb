//! Reads again what a record says, before anything final follows from it. Redis is a hint: anyone who can write to it can
//! forge a checkpoint.

use super::converge::ConvergencePoll;
use super::documents::conflict;
use super::sealed_archive::check_sealed_archive;
use super::{CheckpointSession, Services, Stopped};
use crate::archive::interval_is_as_asked;
use crate::job::UserId;
use crate::machine::{AccessRemoved, Call, Residual, Sealing, State};
use crate::ports::UNKNOWN_ROUTING;

/// Which record has to be confirmed by reads before anything follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// A checkpoint that a third party may have written.
    Checkpoint,
    /// The intent to delete, which was loaded and not saved by this run, or a seal that was found without a checkpoint.
    Intent,
}

/// Reads again that the access is gone, and that the archive is what the record says. `false`: the user has more access
/// than was recorded, or exists though recorded as deleted. At most once a run. No read shows
/// that sessions and keys were ended, and a second write is none of a clean run: of those, the record is believed.
pub(super) async fn confirm_record(
    services: &Services,
    journal: &mut CheckpointSession,
    doubt: Doubt,
    calls: &mut Vec<Call>,
) -> Result<bool, Stopped> {
    if journal.is_confirmed() || (doubt == Doubt::Checkpoint && journal.is_trusted()) {
        return Ok(true);
    }

    let checkpoint = journal.checkpoint();
    let user_id = checkpoint.user_id;
    let holds = match &checkpoint.state {
        // This run itself saw the deletion.
        State::Deleted { .. } if !journal.was_loaded_as_deleted() => true,
        State::Deleted { .. } => !services.tenant.find_user(user_id).await?.value,
        State::Archived { access, .. } | State::DeactivatedOnly { access, .. } => {
            access_is_gone(services, user_id, access, calls).await?
        }
        State::Received | State::QueuesCleared { .. } | State::Deactivated { .. } => true,
    };

    // While an accepted deletion is pending, only the access matters; the archive is checked before the manifest.
    let accepted = matches!(
        &checkpoint.state,
        State::Archived {
            sealing: Sealing::Accepted { .. },
            ..
        }
    );
    if holds
        && !accepted
        && let Some(archive) = checkpoint.state.archive()
    {
        let is_whole = doubt == Doubt::Intent || journal.was_loaded_as_archived();
        check_sealed_archive(services, checkpoint, archive, is_whole).await?;
        if let Some(access_at) = checkpoint.state.deactivated_at().filter(|_| is_whole) {
            interval_is_as_asked(archive, access_at, services.history, services.clock.now())
                .map_err(|why| conflict(&archive.key, &why))?;
        }
    }

    if holds && !accepted {
        journal.confirm();
    }
    Ok(holds)
}

/// Polls for a moment, since reads may lag; `false` when the user then still has more access than was recorded.
async fn access_is_gone(
    services: &Services,
    user_id: UserId,
    access: &AccessRemoved,
    calls: &mut Vec<Call>,
) -> Result<bool, Stopped> {
    let mut poll = ConvergencePoll::new();
    loop {
        // In sequence: calls of one user never overlap.
        let account = services.tenant.account(user_id).await?;
        let mut proof = Vec::new();
        let left = services.tenant.left_over(user_id, &[], &mut proof).await?;
        // Some servers show `active` only while it is true.
        let active = account
            .account
            .is_some_and(|account| account.active == Some(true));
        // If the record says that no queue names the user, no queue is excused.
        let is_recorded = |left: &Residual| {
            let mut residual = access.queues.residual.iter();
            !access.queues.confirmed
                && residual
                    .any(|known| known.kind == left.kind && known.reference == left.reference)
        };
        let mut more = left
            .iter()
            .filter(|left| left.kind != UNKNOWN_ROUTING && !is_recorded(left));
        if !active && more.next().is_none() {
            calls.extend(account.calls);
            calls.extend(proof);
            return Ok(true);
        }

        if !poll.wait().await {
            tracing::warn!(%user_id, active, "the user has more access than was recorded; it is removed again");
            return Ok(false);
        }
    }
}
