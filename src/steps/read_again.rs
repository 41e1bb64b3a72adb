use jiff::Timestamp;

use super::converge::ConvergencePoll;
use super::delete::stands_as_sealed;
use super::seal::conflict;
use super::{CheckpointSession, Services, Stopped};
use crate::adapters::cxone::RoutingProfile;
use crate::archive::interval_is_as_asked;
use crate::job::UserId;
use crate::machine::{AccessRemoved, Call, Sealing, State};

/// Which records have to be shown by the world itself before anything follows from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// A checkpoint that a stranger may have written.
    Checkpoint,
    /// The intent to delete, which was read and not saved in this visit, or a seal that was found without a checkpoint.
    Intent,
}

/// Reads again what was recorded: that the access is gone, and that the archive is what the record says. `false`: the
/// user has more access than was recorded, or is there though recorded as deleted. Once a visit.
pub(super) async fn record_holds(
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
        // A deletion of this visit was seen in this visit.
        State::Deleted { .. } if !journal.was_loaded_as_deleted() => true,
        State::Deleted { .. } => !services.cxone.find_user(user_id).await?.value,
        State::Archived { access, .. } | State::DeactivatedOnly { access, .. } => {
            access_is_gone(services, user_id, access, calls).await?
        }
        State::Received | State::QueuesCleared { .. } | State::Deactivated { .. } => true,
    };
    // While an accepted deletion is waited for only the access matters; the archive is looked at before the manifest.
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
        let whole = doubt == Doubt::Intent || journal.was_loaded_as_archived();
        stands_as_sealed(&*services.archive_store, checkpoint, archive, whole).await?;
        if let Some(access_at) = checkpoint.state.deactivated_at().filter(|_| whole) {
            interval_is_as_asked(archive, access_at, services.history, Timestamp::now())
                .map_err(|why| conflict(&archive.key, &why))?;
        }
    }
    if holds && !accepted {
        journal.confirm();
    }
    Ok(holds)
}

/// `false` when the user still has more access than was recorded after a moment, since reads may lag.
async fn access_is_gone(
    services: &Services,
    user_id: UserId,
    access: &AccessRemoved,
    calls: &mut Vec<Call>,
) -> Result<bool, Stopped> {
    let mut patience = ConvergencePoll::new();
    loop {
        // One after the other: calls of one user never overlap.
        let account = services.cxone.account(user_id).await?;
        let profile = services.cxone.routing_profile(user_id).await?;
        // Some servers show `active` only while it is true.
        let active = account.user.is_some_and(|user| user.active() == Some(true));
        // Who is said to be in no queue has none left over.
        let recorded = |queue: &str| {
            !access.queues.confirmed
                && access
                    .queues
                    .residual
                    .iter()
                    .any(|left| left.reference == queue)
        };
        let mut queues = profile.value.iter().flat_map(RoutingProfile::queues);
        if !active && queues.all(|queue| recorded(&queue.to_string())) {
            calls.extend(account.calls);
            calls.push(profile.call);
            return Ok(true);
        }
        if !patience.wait().await {
            tracing::warn!(%user_id, active, "the user has more access than was recorded; it is removed again");
            return Ok(false);
        }
    }
}
