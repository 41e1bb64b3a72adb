use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::converge::ConvergencePoll;
use super::read_again::{Doubt, record_holds};
use super::seal::{archived, conflict, held, recorded};
use super::{CheckpointSession, Services, Stopped, guard, keep};
use crate::adapters::cxone::{Answered, CxoneError, DeleteAnswer};
use crate::archive::read_back;
use crate::failure::{Class, Code, Failure};
use crate::guards::Verdict;
use crate::job::Action;
use crate::limits::DeletePolicy;
use crate::machine::{
    Archive, Call, Checkpoint, Deletion, DeletionOutcome, Event, Pause, Sealing, State,
};
use crate::manifest::archive_key;
use crate::ports::{ArchiveStore, Found};

/// The pauses between visits that look whether an accepted deletion shows: as long as it has taken so
/// far, within these bounds. The job waits in the broker meanwhile.
const CONFIRM_AGAIN_AFTER: [SignedDuration; 2] =
    [SignedDuration::from_secs(3), SignedDuration::from_secs(60)];
/// From then on an accepted deletion that does not show is a failure.
const CONFIRM_AT_MOST: SignedDuration = SignedDuration::from_hours(2);

/// A look at the guards that began longer ago is repeated before the DELETE is sent.
const FRESH: Duration = Duration::from_secs(1);
/// Where each look takes longer, the last one counts all the same: nothing is waited for after it.
const MOST_LOOKS: u32 = 3;

/// Deletes the user, if the guards and the stored archive still allow it. `maybe_sent`: an earlier
/// run saved its intent, so that a user who is gone now was deleted by us.
pub(super) async fn delete(
    services: &Services,
    journal: &mut CheckpointSession,
    maybe_sent: bool,
    calls: &mut Vec<Call>,
) -> Result<Event, Stopped> {
    let checkpoint = journal.checkpoint();
    let user_id = checkpoint.user_id;

    let exists = services.cxone.find_user(user_id).await?;
    let exists_at = exists.call.at;
    if !keep(calls, exists) {
        if maybe_sent {
            // The archive that the manifest will name is looked at where the intent is not surely ours.
            if !journal.has_our_intent() {
                let (_, archive) = archived(&checkpoint.state)?;
                stands_as_sealed(&*services.archive_store, checkpoint, archive, true).await?;
            }
            return Ok(gone(
                Deletion::without_call(DeletionOutcome::Deleted),
                exists_at,
            ));
        }
        // Nothing of ours explains it: SCIM has to say the same.
        calls.push(services.cxone.missing_in_scim(user_id).await?);
        return Ok(gone(
            Deletion::without_call(DeletionOutcome::AlreadyGone),
            exists_at,
        ));
    }
    // A resumed run may be older than the end that it is on the way to, when Redis was rolled back.
    if maybe_sent && let Some(recorded) = recorded(&*services.archive_store, checkpoint).await? {
        return Ok(recorded);
    }
    // Where the intent was read, and not from a checkpoint with a valid code, account, routing and archive are read again;
    // the brake is asked first, since it may want the user to wait, time and again.
    if maybe_sent && !journal.has_our_intent() {
        let deletes =
            services.delete != DeletePolicy::Never && checkpoint.request.action == Action::Delete;
        if deletes && let Verdict::Postpone { until, why } = guard::brake(services, user_id).await?
        {
            return Ok(Event::StepPostponed { until, why });
        }
        if !record_holds(services, journal, Doubt::Intent, calls).await? {
            return Ok(Event::AccessReturned);
        }
    }
    let checkpoint = journal.checkpoint();
    let (access, archive) = archived(&checkpoint.state)?;
    if services.delete == DeletePolicy::Never {
        return Ok(Event::DeletionWithheld(Deletion::without_call(
            DeletionOutcome::NotOffered,
        )));
    }
    // A seal may be of a request that asked for more than this one.
    if checkpoint.request.action == Action::Deactivate {
        return Ok(Event::DeletionWithheld(Deletion::without_call(
            DeletionOutcome::NotRequested,
        )));
    }
    stands_as_sealed(&*services.archive_store, checkpoint, archive, false).await?;
    let answered = match send(services, checkpoint, access.at).await? {
        Sent::Answered(answered) => answered,
        Sent::Not(Verdict::Postpone { until, why }) => {
            return Ok(Event::StepPostponed { until, why });
        }
        Sent::Not(Verdict::Held | Verdict::Proceed) => return Ok(held()),
    };
    let (status, at) = (answered.call.status, answered.call.at);
    let answer = |outcome, code| Deletion {
        outcome,
        status: Some(status),
        code,
        at: Some(at),
        confirmed_at: None,
    };
    match keep(calls, answered) {
        DeleteAnswer::Deleted | DeleteAnswer::Accepted => {
            let deletion = answer(DeletionOutcome::Deleted, None);
            let exists = services.cxone.user_exists(user_id).await?;
            if exists.value {
                return Ok(Event::DeletionAccepted(deletion));
            }
            let confirmed_at = exists.call.at;
            calls.push(exists.call);
            Ok(gone(deletion, confirmed_at))
        }
        // It existed a moment ago: either our own DELETE of an earlier run took effect now, or
        // somebody else was faster, or the answer is wrong.
        DeleteAnswer::Gone => {
            let exists = services.cxone.find_user(user_id).await?;
            if exists.value {
                let text = "the DELETE was answered 404, and the user is still there";
                return Err(Failure::new(Class::Transient, Code::CxoneContradiction, text).into());
            }
            let confirmed_at = exists.call.at;
            calls.push(exists.call);
            let outcome = if maybe_sent {
                DeletionOutcome::Deleted
            } else {
                DeletionOutcome::AlreadyGone
            };
            Ok(gone(answer(outcome, None), confirmed_at))
        }
        DeleteAnswer::Refused { code } => Ok(Event::DeletionWithheld(answer(
            DeletionOutcome::Refused,
            code,
        ))),
        DeleteAnswer::NotOffered { code } => Ok(Event::DeletionWithheld(answer(
            DeletionOutcome::NotOffered,
            code,
        ))),
    }
}

/// What became of the DELETE.
enum Sent {
    Answered(Answered<DeleteAnswer>),
    /// A guard is against it.
    Not(Verdict),
}

/// Sends the DELETE, and looks at the guards as the last thing before it: whatever has to be waited for, such as the
/// quota, comes first. DeletionRateLimit and place are taken once, and lost when a guard is against it.
async fn send(
    services: &Services,
    checkpoint: &Checkpoint,
    deactivated_at: Timestamp,
) -> Result<Sent, Stopped> {
    let (user_id, cxone) = (checkpoint.user_id, &services.cxone);
    let mut permit = cxone.deletion_permit().await?;
    let braked = guard::brake(services, user_id).await?;
    if braked != Verdict::Proceed {
        return Ok(Sent::Not(braked));
    }
    let (mut looks, mut renewed) = (0, false);
    loop {
        let begun = Instant::now();
        let ((), verdict) = futures_util::try_join!(
            guard::not_paused(services),
            guard::on_deletion(services, user_id, &checkpoint.request, deactivated_at)
        )?;
        if verdict != Verdict::Proceed {
            return Ok(Sent::Not(verdict));
        }
        looks += 1;
        // The process may have been stopped, too.
        if begun.elapsed() > FRESH && looks < MOST_LOOKS {
            continue;
        }
        match cxone.delete_user(user_id, &permit).await {
            Err(CxoneError::Unauthorized { .. }) if !renewed => {
                permit = cxone.deletion_permit().await?;
                (looks, renewed) = (0, true);
            }
            answered => return Ok(Sent::Answered(answered?)),
        }
    }
}

/// The archive that was sealed has to stand when the DELETE is sent, not only when it was stored: the
/// same bytes, and nothing over them, since Object Lock keeps versions and not names. `whole`: it is fetched and hashed.
pub(super) async fn stands_as_sealed(
    store: &dyn ArchiveStore,
    checkpoint: &Checkpoint,
    archive: &Archive,
    whole: bool,
) -> Result<(), Stopped> {
    let key = archive_key(checkpoint.user_id, checkpoint.set);
    let found = store.find(&key, None).await?;
    if found.is_none() {
        // Where the whole store is gone, so is the archive, and no single user is at fault.
        store.probe().await?;
    }
    let found = found.filter(|found| {
        found.bytes == archive.bytes
            && found.version_id == archive.version_id
            && found.etag == archive.etag
    });
    let proven = |found: &Found| {
        store.refuses_wrong_checksums() && found.crc32c.is_some() && found.crc32c == archive.crc32c
    };
    let stands = match &found {
        None => false,
        Some(found) if !whole && proven(found) => true,
        Some(_) => read_back(store, &key, None)
            .await?
            .is_some_and(|contents| contents.sha256 == archive.sha256),
    };
    if stands {
        Ok(())
    } else {
        Err(conflict(
            &archive.key,
            "the archive is gone or changed since it was sealed",
        )
        .into())
    }
}

/// Reads until an accepted deletion shows. A timeout is never "gone".
pub(super) async fn confirm(
    services: &Services,
    journal: &mut CheckpointSession,
    calls: &mut Vec<Call>,
) -> Result<Event, Stopped> {
    let checkpoint = journal.checkpoint();
    let State::Archived {
        sealing: Sealing::Accepted { deletion, .. },
        ..
    } = &checkpoint.state
    else {
        let text = format!(
            "no deletion was accepted in the state {}",
            checkpoint.state.name()
        );
        return Err(Failure::new(Class::Defect, Code::IllegalTransition, text).into());
    };
    let mut patience = ConvergencePoll::new();
    loop {
        let exists = services.cxone.user_exists(checkpoint.user_id).await?;
        if !exists.value {
            let confirmed_at = exists.call.at;
            calls.push(exists.call);
            return Ok(gone(deletion.clone(), confirmed_at));
        }
        if !patience.wait().await {
            break;
        }
    }
    let deletion = deletion.clone();
    if !record_holds(services, journal, Doubt::Checkpoint, calls).await? {
        return Ok(Event::AccessReturned);
    }
    let now = Timestamp::now();
    let accepted_at = deletion.at.unwrap_or(now);
    if now.duration_since(accepted_at) > CONFIRM_AT_MOST {
        let text = format!("the deletion was accepted at {accepted_at}, and the user still exists");
        return Err(Failure::new(Class::Transient, Code::CxoneNotConverged, text).into());
    }
    let [shortest, longest] = CONFIRM_AGAIN_AFTER;
    let pause = now.duration_since(accepted_at).clamp(shortest, longest);
    Ok(Event::StepPostponed {
        until: now + pause,
        why: Pause::DeletionPending,
    })
}

fn gone(deletion: Deletion, confirmed_at: Timestamp) -> Event {
    Event::UserDeleted(Deletion {
        confirmed_at: Some(confirmed_at),
        ..deletion
    })
}
