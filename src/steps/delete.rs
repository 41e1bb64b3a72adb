use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::converge::Patience;
use super::seal::{archived, conflict};
use super::{Services, Stopped, keep};
use crate::adapters::cxone::DeleteAnswer;
use crate::failure::{Class, Code, Failure};
use crate::guards::Verdict;
use crate::machine::{Call, Checkpoint, DeletePolicy, Deletion, DeletionOutcome, Event, Sealing, State};
use crate::manifest::archive_key;

/// How long one visit waits for an accepted deletion to show.
const CONFIRM_FOR: Duration = Duration::from_secs(15);
/// The pause between visits; the job waits in the broker meanwhile.
const CONFIRM_AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(30);
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
    if services.delete == DeletePolicy::Never {
        return Ok(Event::DeletionWithheld(Deletion::without_call(DeletionOutcome::NotOffered)));
    }
    // The archive that was sealed has to stand when the DELETE is sent, not only when it was stored.
    let key = archive_key(user_id, checkpoint.revision);
    let found = services.archive_store.find(&key, archive.version_id.as_deref()).await?;
    if found.is_none_or(|found| found.bytes != archive.bytes) {
        return Err(conflict(&archive.key, "the archive is gone or changed since it was sealed").into());
    }
    let verdict = services.guards.on_deletion(&checkpoint.request, access.at, Timestamp::now());
    if let Verdict::Postpone(until) = verdict {
        return Ok(Event::DeletionPostponed { until });
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
    let mut patience = Patience::lasting(CONFIRM_FOR);
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
    Ok(Event::DeletionPostponed { until: now + CONFIRM_AGAIN_AFTER })
}

fn gone(deletion: Deletion, confirmed_at: Timestamp) -> Event {
    Event::UserDeleted(Deletion { confirmed_at: Some(confirmed_at), ..deletion })
}
