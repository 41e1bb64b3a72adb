//! Deletes the user: checks everything that must hold first, sends the DELETE, and interprets its answer.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::approval::{Look, Permit, permit};
use super::archived::archived;
use super::fate::decide_deletion;
use super::read_again::{Doubt, confirm_record};
use super::seal::{held, recorded};
use super::sealed_archive::check_sealed_archive;
use super::{CheckpointSession, Services, Stopped, guard, keep};
use crate::failure::{Class, Code, Failure};
use crate::guards::{Hold, Verdict};
use crate::job::{Action, Job, UserId};
use crate::limits::DeletePolicy;
use crate::machine::{Call, Checkpoint, Deletion, DeletionOutcome, Event, Pause};
use crate::ports::{Answered, DeleteAnswer};

/// A check of the guards that began longer ago is repeated before the DELETE is sent: with the age that a listing may have when a check
/// begins, no DELETE relies on one that began more than a second ago.
const FRESH: Duration = Duration::from_secs(1).saturating_sub(guard::LISTED_WITHIN);
/// If every check takes longer than that, the last one counts anyway: nothing waits after it.
const MAX_CHECKS: u32 = 3;

/// Deletes the user, if the guards and the stored archive still allow it. `maybe_sent`: an earlier run saved its intent,
/// so a user who is gone now was deleted by us.
pub(super) async fn delete(
    services: &Services,
    journal: &mut CheckpointSession,
    job: &Job,
    maybe_sent: bool,
    calls: &mut Vec<Call>,
) -> Result<Event, Stopped> {
    // Before the first DELETE its answer can tell: nothing was sent that could have made the user vanish.
    if maybe_sent || !services.tenant.deletion_shows_missing() {
        let exists = services.tenant.find_user(journal.user_id()).await?;
        let exists_at = exists.call.at;
        if !keep(calls, exists) {
            return gone_before(services, journal, maybe_sent, exists_at, calls).await;
        }
    }

    // After Redis was rolled back, a resumed run may be older than the manifest that it is on the way to.
    if maybe_sent
        && let Some(recorded) = recorded(&*services.archive_store, journal.checkpoint()).await?
    {
        return Ok(recorded);
    }
    // Before what takes long: the archive is read, and the place under the rate limit is waited for.
    if let Some(stop) = services.stop_recent(job, journal.checkpoint()).await? {
        return Ok(stop);
    }
    // Before access that came back is removed again, and before a place under the rate limit is taken, which others need.
    let look = if maybe_sent {
        Look::AtUser
    } else {
        Look::AtPlan
    };
    let checkpoint = journal.checkpoint();
    if let Some(access) = checkpoint.state.access()
        && not_wanted(services, checkpoint).is_none()
        && let Permit::Wait { until, why } =
            permit(services, job, checkpoint, access.at, look).await?
    {
        return Ok(Event::StepPostponed { until, why });
    }
    // The intent was read, and not from a checkpoint with a valid code: so account, routing and archive are read again.
    if maybe_sent
        && !journal.has_our_intent()
        && let Some(event) = doubt_intent(services, journal, calls).await?
    {
        return Ok(event);
    }

    let checkpoint = journal.checkpoint();
    let (access, archive) = archived(&checkpoint.state)?;
    if let Some(outcome) = not_wanted(services, checkpoint) {
        return Ok(Event::DeletionWithheld(Deletion::without_call(outcome)));
    }
    check_sealed_archive(services, checkpoint, archive, false).await?;

    let noted = journal.noted_holds();
    match send(services, job, checkpoint, access.at, noted).await? {
        Sent::Answered(answered, permit) => {
            if let Permit::Approved(permitted) = permit {
                permitted.note(journal.checkpoint_mut());
            }
            after_answer(services, journal.user_id(), maybe_sent, answered, calls).await
        }
        Sent::Postponed { until, why } => Ok(Event::StepPostponed { until, why }),
        Sent::Held(hold) => Ok(held(hold)),
        Sent::Stopped(stop) => Ok(*stop),
    }
}

/// The user does not exist before this run sends anything.
async fn gone_before(
    services: &Services,
    journal: &CheckpointSession,
    maybe_sent: bool,
    gone_at: Timestamp,
    calls: &mut Vec<Call>,
) -> Result<Event, Stopped> {
    let checkpoint = journal.checkpoint();

    if maybe_sent {
        // If the intent may not be ours, check the archive that the manifest will name.
        if !journal.has_our_intent() {
            let (_, archive) = archived(&checkpoint.state)?;
            check_sealed_archive(services, checkpoint, archive, true).await?;
        }
        calls.push(shown_as_deleted(services, checkpoint.user_id).await?);
        let deletion = Deletion::without_call(DeletionOutcome::Deleted);
        return Ok(gone(deletion, gone_at));
    }

    // Nothing of ours explains it: the rest of the API has to say the same.
    let missing = services.tenant.confirm_missing(checkpoint.user_id).await?;
    calls.push(missing);
    let deletion = Deletion::without_call(DeletionOutcome::AlreadyGone);
    Ok(gone(deletion, gone_at))
}

/// Checks an intent to delete that may not be ours. `Some` ends the step. The rate limit comes first, since it may
/// postpone the user many times, and the reads would be repeated each time.
async fn doubt_intent(
    services: &Services,
    journal: &mut CheckpointSession,
    calls: &mut Vec<Call>,
) -> Result<Option<Event>, Stopped> {
    let user_id = journal.user_id();
    let is_wanted = not_wanted(services, journal.checkpoint()).is_none();
    if is_wanted
        && let Verdict::Postpone { until, why } = guard::admit_deletion(services, user_id).await?
    {
        return Ok(Some(Event::StepPostponed { until, why }));
    }

    let holds = confirm_record(services, journal, Doubt::Intent, calls).await?;
    Ok((!holds).then_some(Event::AccessReturned))
}

/// Why settings or request do not want the deletion.
fn not_wanted(services: &Services, checkpoint: &Checkpoint) -> Option<DeletionOutcome> {
    if services.delete == DeletePolicy::Never {
        return Some(DeletionOutcome::NotOffered);
    }
    // The seal may be of a request that asked for more than this one.
    (checkpoint.request.action == Action::Deactivate).then_some(DeletionOutcome::NotRequested)
}

async fn after_answer(
    services: &Services,
    user_id: UserId,
    maybe_sent: bool,
    answered: Answered<DeleteAnswer>,
    calls: &mut Vec<Call>,
) -> Result<Event, Stopped> {
    let status = answered.call.status;
    let at = answered.call.at;
    let answer = |outcome, code| Deletion {
        outcome,
        status: Some(status),
        code,
        at: Some(at),
        confirmed_at: None,
        hold: None,
    };

    match keep(calls, answered) {
        DeleteAnswer::Deleted | DeleteAnswer::Accepted => {
            let deletion = answer(DeletionOutcome::Deleted, None);
            let shown = services.tenant.shows_deletion(user_id).await?;
            if !shown.value {
                return Ok(Event::DeletionAccepted(deletion));
            }
            let confirmed_at = shown.call.at;
            calls.push(shown.call);
            Ok(gone(deletion, confirmed_at))
        }
        // Our own DELETE of an earlier run took effect, or another client deleted the user, or the answer is wrong.
        DeleteAnswer::Gone => {
            let exists = services.tenant.find_user(user_id).await?;
            if exists.value {
                let text = "the DELETE was answered 404, and the user is still there";
                return Err(Failure::new(Class::Transient, Code::CxoneContradiction, text).into());
            }
            let confirmed_at = exists.call.at;
            calls.push(exists.call);
            let outcome = if maybe_sent {
                calls.push(shown_as_deleted(services, user_id).await?);
                DeletionOutcome::Deleted
            } else {
                // Nothing of ours explains it: the rest of the API has to say the same.
                calls.push(services.tenant.confirm_missing(user_id).await?);
                DeletionOutcome::AlreadyGone
            };
            Ok(gone(answer(outcome, None), confirmed_at))
        }
        DeleteAnswer::Refused { code } => {
            let deletion = answer(DeletionOutcome::Refused, code);
            Ok(Event::DeletionWithheld(deletion))
        }
        DeleteAnswer::NotOffered { code } => {
            let deletion = answer(DeletionOutcome::NotOffered, code);
            Ok(Event::DeletionWithheld(deletion))
        }
    }
}

/// The proof that a DELETE of an earlier run took effect. That no read finds the user is none where the API shows deleted
/// users.
async fn shown_as_deleted(services: &Services, user_id: UserId) -> Result<Call, Stopped> {
    let shown = services.tenant.shows_deletion(user_id).await?;
    if shown.value {
        return Ok(shown.call);
    }
    let text = "no read finds the user, and none shows the user as deleted: nothing counts as done";
    Err(Failure::new(Class::Transient, Code::CxoneContradiction, text).into())
}

/// What became of the DELETE.
enum Sent {
    Answered(Answered<DeleteAnswer>, Permit),
    /// A guard forbids it for now.
    Postponed {
        until: Timestamp,
        why: Pause,
    },
    Held(Hold),
    /// An operator cancelled the request, reactivated the user, or paused the batch.
    Stopped(Box<Event>),
}

/// Sends the DELETE. Whatever has to be waited for, e.g. the quota, comes first, and the guards are checked immediately
/// before the call. The place in the quota and the one under the deletion rate limit are taken once, and lost when a
/// guard forbids the deletion. `noted`: see [`guard::on_deletion`]; asked again if the check is repeated.
async fn send(
    services: &Services,
    job: &Job,
    checkpoint: &Checkpoint,
    deactivated_at: Timestamp,
    mut noted: Option<u32>,
) -> Result<Sent, Stopped> {
    let user_id = checkpoint.user_id;
    let mut deletion = services.tenant.ready_deletion(user_id).await?;

    let limited = guard::admit_deletion(services, user_id).await?;
    if let Verdict::Postpone { until, why } = limited {
        return Ok(Sent::Postponed { until, why });
    }

    let mut checks = 0;
    let mut renewed = false;
    let mut decided = false;
    loop {
        let begun = Instant::now();
        let guards = prevented(services, job, checkpoint, deactivated_at, noted.take());
        if let Some(prevented) = guards.await? {
            return Ok(prevented);
        }
        // The last guard: it reads the user where a plan was approved.
        let permit = permit(services, job, checkpoint, deactivated_at, Look::Last).await?;
        if let Permit::Wait { until, why } = permit {
            return Ok(Sent::Postponed { until, why });
        }
        // What is decided stays: so nothing may hold the deletion back after it.
        if !decided {
            if let Some(stop) = decide_deletion(services, checkpoint).await? {
                return Ok(Sent::Stopped(Box::new(stop)));
            }
            decided = true;
        }

        checks += 1;
        // The checks were slow, or the process was suspended.
        if begun.elapsed() > FRESH && checks < MAX_CHECKS {
            continue;
        }
        match deletion.send().await {
            Err(failure) if failure.code == Code::CxoneUnauthorized && !renewed => {
                deletion = services.tenant.ready_deletion(user_id).await?;
                checks = 0;
                renewed = true;
            }
            answered => {
                if let Permit::Approved(permitted) = &permit {
                    permitted.report(user_id);
                }
                return Ok(Sent::Answered(answered?, permit));
            }
        }
    }
}

/// What the guards, an operator or a pause say against the DELETE, all asked at once.
async fn prevented(
    services: &Services,
    job: &Job,
    checkpoint: &Checkpoint,
    deactivated_at: Timestamp,
    noted: Option<u32>,
) -> Result<Option<Sent>, Stopped> {
    let user_id = checkpoint.user_id;
    let request = &checkpoint.request;
    let ((), stop, verdict) = futures_util::try_join!(
        guard::not_paused(services),
        services.stop_deletion(job, checkpoint),
        guard::on_deletion(services, user_id, request, deactivated_at, noted)
    )?;
    if let Some(stop) = stop {
        return Ok(Some(Sent::Stopped(Box::new(stop))));
    }
    Ok(match verdict {
        Verdict::Proceed => None,
        Verdict::Postpone { until, why } => Some(Sent::Postponed { until, why }),
        Verdict::Held(hold) => Some(Sent::Held(hold)),
    })
}

pub(super) fn gone(deletion: Deletion, confirmed_at: Timestamp) -> Event {
    Event::UserDeleted(Deletion {
        confirmed_at: Some(confirmed_at),
        ..deletion
    })
}
