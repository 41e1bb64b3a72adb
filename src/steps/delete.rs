use jiff::{SignedDuration, Timestamp};

use super::archive_reader::read_back;
use super::converge::Patience;
use super::seal::{archived, conflict, held, recorded};
use super::{Services, Stopped, guard, keep};
use crate::adapters::cxone::DeleteAnswer;
use crate::failure::{Class, Code, Failure};
use crate::guards::Verdict;
use crate::machine::{
    Archive, Call, Checkpoint, DeletePolicy, Deletion, DeletionOutcome, Event, Pause, Sealing, State,
};
use crate::manifest::archive_key;
use crate::ports::{ArchiveStore, Found};

/// The pauses between visits that look whether an accepted deletion shows: as long as it has taken so
/// far, within these bounds. The job waits in the broker meanwhile.
const CONFIRM_AGAIN_AFTER: [SignedDuration; 2] =
    [SignedDuration::from_secs(3), SignedDuration::from_secs(60)];
/// From then on an accepted deletion that does not show is a failure.
const CONFIRM_AT_MOST: SignedDuration = SignedDuration::from_hours(2);

/// Deletes the user, if the guards and the stored archive still allow it. `maybe_sent`: an earlier
/// run saved its intent, so that a user who is gone now was deleted by us.
pub(super) async fn delete(
    services: &Services,
    checkpoint: &Checkpoint,
    maybe_sent: bool,
    calls: &mut Vec<Call>,
) -> Result<Event, Stopped> {
    let user_id = checkpoint.user_id;
    let (access, archive) = archived(&checkpoint.state)?;

    let exists = services.cxone.user_exists(user_id).await?;
    let exists_at = exists.call.at;
    if !keep(calls, exists) {
        let outcome = if maybe_sent { DeletionOutcome::Deleted } else { DeletionOutcome::AlreadyGone };
        return Ok(gone(Deletion::without_call(outcome), exists_at));
    }
    // A resumed run may be older than the end that it is on the way to, when Redis was rolled back.
    if maybe_sent && let Some(recorded) = recorded(&*services.archive_store, checkpoint).await? {
        return Ok(recorded);
    }
    if services.delete == DeletePolicy::Never {
        return Ok(Event::DeletionWithheld(Deletion::without_call(DeletionOutcome::NotOffered)));
    }
    stands_as_sealed(&*services.archive_store, checkpoint, archive).await?;
    let mut verdict = guard::on_deletion(services, user_id, &checkpoint.request, access.at).await?;
    if verdict == Verdict::Proceed {
        verdict = guard::brake(services, user_id).await?;
    }
    match verdict {
        Verdict::Proceed => {}
        Verdict::Postpone { until, why } => return Ok(Event::StepPostponed { until, why }),
        Verdict::Held => return Ok(held()),
    }

    let answered = services.cxone.delete_user(user_id).await?;
    let (status, at) = (answered.call.status, answered.call.at);
    let answer =
        |outcome, code| Deletion { outcome, status: Some(status), code, at: Some(at), confirmed_at: None };
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
        // somebody else was faster.
        DeleteAnswer::Gone => {
            let outcome = if maybe_sent { DeletionOutcome::Deleted } else { DeletionOutcome::AlreadyGone };
            Ok(gone(answer(outcome, None), at))
        }
        DeleteAnswer::Refused { code } => Ok(Event::DeletionWithheld(answer(DeletionOutcome::Refused, code))),
        DeleteAnswer::NotOffered { code } => {
            Ok(Event::DeletionWithheld(answer(DeletionOutcome::NotOffered, code)))
        }
    }
}

/// The archive that was sealed has to stand when the DELETE is sent, not only when it was stored: the
/// same bytes, and nothing over them, since Object Lock keeps versions and not names.
async fn stands_as_sealed(
    store: &dyn ArchiveStore,
    checkpoint: &Checkpoint,
    archive: &Archive,
) -> Result<(), Stopped> {
    let key = archive_key(checkpoint.user_id, checkpoint.set);
    let found = store.find(&key, None).await?;
    if found.is_none() {
        // Where the whole store is gone, so is the archive, and no single user is at fault.
        store.probe().await?;
    }
    let found = found.filter(|found| {
        found.bytes == archive.bytes && found.version_id == archive.version_id && found.etag == archive.etag
    });
    let proven = |found: &Found| {
        store.refuses_wrong_checksums() && found.crc32c.is_some() && found.crc32c == archive.crc32c
    };
    let stands = match &found {
        None => false,
        Some(found) if proven(found) => true,
        Some(_) => {
            read_back(store, &key, None).await?.is_some_and(|contents| contents.sha256 == archive.sha256)
        }
    };
    if stands {
        Ok(())
    } else {
        Err(conflict(&archive.key, "the archive is gone or changed since it was sealed").into())
    }
}

/// Reads until an accepted deletion shows. A timeout is never "gone".
pub(super) async fn confirm(
    services: &Services,
    checkpoint: &Checkpoint,
    calls: &mut Vec<Call>,
) -> Result<Event, Stopped> {
    let State::Archived { sealing: Sealing::Accepted { deletion, .. }, .. } = &checkpoint.state else {
        let text = format!("no deletion was accepted in the state {}", checkpoint.state.name());
        return Err(Failure::new(Class::Defect, Code::IllegalTransition, text).into());
    };
    let mut patience = Patience::new();
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
    let now = Timestamp::now();
    let accepted_at = deletion.at.unwrap_or(now);
    if now.duration_since(accepted_at) > CONFIRM_AT_MOST {
        let text = format!("the deletion was accepted at {accepted_at}, and the user still exists");
        return Err(Failure::new(Class::Transient, Code::CxoneNotConverged, text).into());
    }
    let [shortest, longest] = CONFIRM_AGAIN_AFTER;
    let pause = now.duration_since(accepted_at).clamp(shortest, longest);
    Ok(Event::StepPostponed { until: now + pause, why: Pause::DeletionPending })
}

fn gone(deletion: Deletion, confirmed_at: Timestamp) -> Event {
    Event::UserDeleted(Deletion { confirmed_at: Some(confirmed_at), ..deletion })
}
