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
/// than was recorded, or exists though recorded as deleted. At most once a run. No read shows that sessions are over, so
/// they are ended once more.
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
    // This run saw neither the account inactive nor the sessions ended.
    let not_seen = doubt == Doubt::Intent || journal.access_is_hearsay();
    if holds && !accepted && not_seen && !matches!(checkpoint.state, State::Deleted { .. }) {
        end_access_again(services, journal, calls).await?;
    }
    let checkpoint = journal.checkpoint();
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

/// Ends sessions and keys of a user whose account is inactive, whatever the record says of them. A user who is protected
/// by now is not touched, and then nothing is claimed.
async fn end_access_again(
    services: &Services,
    journal: &mut CheckpointSession,
    calls: &mut Vec<Call>,
) -> Result<(), Stopped> {
    if !services.tenant.profile().preset().ends_sessions {
        return Ok(());
    }

    let checkpoint = journal.checkpoint();
    let (user_id, agent) = (checkpoint.user_id, checkpoint.state.agent());
    let protection = services.protection(user_id).await?;
    if let Some(why) = &protection {
        tracing::warn!(%user_id, why, "sessions and keys are not ended once more: the user is protected");
    } else {
        services.tenant.end_access(user_id, agent, calls).await?;
    }

    let now = services.clock.now();
    if let Some(access) = journal.checkpoint_mut().state.access_mut() {
        let recorded = access.sessions_ended_at.filter(|at| *at <= now);
        access.sessions_ended_at = protection.is_none().then(|| recorded.unwrap_or(now));
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use parking_lot::Mutex;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::job::Request;
    use crate::machine::Checkpoint;
    use crate::machine::samples::archived;
    use crate::ports::Lease;
    use crate::registers::ProtectedSource;
    use crate::steps::Cancellation;
    use crate::steps::test_services::{Answer, TestCheckpoints, services};

    const USER: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";
    const THEN: Timestamp = Timestamp::constant(1_700_000_000, 0);

    fn checkpoint(state: State) -> Checkpoint {
        Checkpoint {
            state,
            ..Checkpoint::new(USER.parse().unwrap(), Request::default(), THEN)
        }
    }

    fn session(
        services: &Services,
        trusted: bool,
        claimed: Option<Timestamp>,
    ) -> CheckpointSession {
        let mut checkpoint = checkpoint(archived(THEN, Sealing::Unsealed));
        checkpoint.state.access_mut().unwrap().sessions_ended_at = claimed;
        let lease = Lease {
            user_id: checkpoint.user_id,
            owner: "test".to_owned(),
            fence: 1,
        };
        CheckpointSession::new(
            Arc::clone(&services.checkpoints),
            lease,
            1,
            checkpoint,
            trusted,
            Cancellation::new(&CancellationToken::new(), &CancellationToken::new(), None),
            services.progress.clone(),
        )
    }

    /// How often access was ended, and what is claimed of the sessions after it.
    async fn confirmed(
        trusted: bool,
        protected: bool,
        claimed: Option<Timestamp>,
    ) -> (u32, Option<Timestamp>) {
        let directory = tempfile::tempdir().unwrap();
        let ended = Arc::new(Mutex::new(0));
        let mut services = services(
            directory.path(),
            Arc::new(TestCheckpoints::default()),
            Answer::Inactive(Arc::clone(&ended)),
        );
        if protected {
            let list = directory.path().join("protected");
            std::fs::write(&list, USER).unwrap();
            services.protected = ProtectedSource::file(list);
        }
        let mut session = session(&services, trusted, claimed);
        // The archive that it names is in no store, which is another matter.
        let mut calls = Vec::new();
        confirm_record(&services, &mut session, Doubt::Checkpoint, &mut calls)
            .await
            .ok();
        let access = session.checkpoint().state.access().unwrap();
        let times = *ended.lock();
        (times, access.sessions_ended_at)
    }

    #[tokio::test]
    async fn sessions_that_only_a_checkpoint_calls_ended_are_ended_once_more() {
        assert_eq!(confirmed(false, false, Some(THEN)).await, (1, Some(THEN)));
        let (times, at) = confirmed(false, false, None).await;
        assert!(times == 1 && at > Some(THEN), "{at:?}");
        let to_come = THEN + jiff::SignedDuration::from_hours(24 * 3650);
        let (_, at) = confirmed(false, false, Some(to_come)).await;
        assert!(at < Some(to_come), "{at:?}");

        assert_eq!(confirmed(true, false, Some(THEN)).await, (0, Some(THEN)));
        assert_eq!(
            confirmed(false, true, Some(THEN)).await,
            (0, None),
            "nobody touches a protected user, and nothing is claimed"
        );
    }
}
