//! Plans a run: what is saved when, and what follows from an event. Pure, so that the model checker
//! runs the same function as the driver.

use std::ops::ControlFlow;

use jiff::{SignedDuration, Timestamp};

use super::commands::{Command, Commands, Save, is_shown_by_the_next};
use super::{AccessGone, CancelledEnd, Ended, GivenUp, Outcome};
use crate::failure::{Class, Code, Failure, Reason};
use crate::job::{Action, Job, Lane};
use crate::limits::DeletePolicy;
use crate::machine::{
    Call, Checkpoint, Context, Delay, Deletion, Effect, Event, RetryPolicy, State, StateName, Step,
    Transition, Verdict, transition,
};

/// The delay after a failure, where the policy asks for more than a time span can hold.
const LONGEST_RETRY: SignedDuration = SignedDuration::from_mins(15);

/// What a plan depends on besides the checkpoint and the event.
#[derive(Debug, Clone)]
pub(crate) struct Circumstances<'a> {
    pub(crate) job: &'a Job,
    pub(crate) delete: DeletePolicy,
    pub(crate) retry: &'a RetryPolicy,
    /// Uniform in `[0, 1)`.
    pub(crate) jitter: f64,
    pub(crate) now: Timestamp,
}

/// Takes an event into the checkpoint, and plans what follows.
pub(crate) fn plan_commands(
    checkpoint: &mut Checkpoint,
    event: Event,
    calls: Vec<Call>,
    circumstances: &Circumstances<'_>,
) -> Commands {
    let job = circumstances.job;
    if event == Event::Resumed {
        if is_obsolete(checkpoint, job) {
            return Commands::without_save(Command::End(Outcome::Obsolete));
        }
        if !checkpoint.state.is_finished() {
            checkpoint.request.narrow(&job.request);
        }
    }
    let noted = checkpoint.cancelled.as_ref().map(|noted| noted.at);
    if let Event::Cancelled(cancelled) = &event
        && noted != Some(cancelled.at)
        && !cancelled.covers(&checkpoint.request, circumstances.now)
    {
        // The user was asked for again, and that order is worked on.
        return Commands::without_save(Command::End(Outcome::Obsolete));
    }

    let found_in_store = matches!(event, Event::PriorEvidenceFound(_));
    let shown = is_shown_by_the_next(&event);
    let mut event = event;
    let mut calls = calls;
    let mut save = false;
    loop {
        let context = context(checkpoint, circumstances);
        let Transition { state, effect } =
            match transition(checkpoint.state.clone(), event.clone(), &context) {
                Ok(transition) => transition,
                Err(illegal) => {
                    let text = illegal.to_string();
                    let failure = Failure::new(Class::Defect, Code::IllegalTransition, text);
                    return give_up(checkpoint, Reason::Poison, &failure, circumstances.now);
                }
            };

        match take_in(checkpoint, event, calls, state, &effect, circumstances) {
            ControlFlow::Continue(changed) => save |= changed,
            ControlFlow::Break(commands) => return commands,
        }

        // The job itself may say whether the user is back. Where only a manifest says that the user
        // was off-boarded, and no checkpoint, that the user stayed away has to be read.
        let known = (effect == Effect::Step(Step::LookAgain))
            .then(|| known_without_reading(checkpoint, job))
            .flatten()
            .filter(|known| !found_in_store || *known == Event::UserReturned);
        match known {
            Some(known) => {
                event = known;
                calls = Vec::new();
            }
            None => return follow(checkpoint, effect, Save::of(save, shown), circumstances),
        }
    }
}

fn context<'a>(checkpoint: &Checkpoint, circumstances: &Circumstances<'a>) -> Context<'a> {
    let resubmitted = asks_again(checkpoint, circumstances.job);
    Context {
        action: if resubmitted {
            Action::Delete
        } else {
            checkpoint.request.action
        },
        delete: circumstances.delete,
        retry: circumstances.retry,
        resubmitted,
        attempts: checkpoint.attempts,
        jitter: circumstances.jitter,
    }
}

/// Changes the checkpoint by an event, which leads to `state`. Returns whether the change has to be
/// saved before what follows, or what to do instead.
fn take_in(
    checkpoint: &mut Checkpoint,
    event: Event,
    calls: Vec<Call>,
    state: State,
    effect: &Effect,
    circumstances: &Circumstances<'_>,
) -> ControlFlow<Commands, bool> {
    let job = circumstances.job;
    let now = circumstances.now;

    match event {
        // A command that reads the checkpoint while the DELETE may be under way must not find that the user waits.
        Event::Resumed if matches!(effect, Effect::Step(Step::Delete { .. })) => {
            return ControlFlow::Continue(checkpoint.ends_its_wait(now));
        }
        Event::Resumed => return ControlFlow::Continue(false),
        // Not worth a round trip: a run that begins again searches again.
        Event::NoPriorEvidence(beginning) => {
            checkpoint.begin(beginning);
            return ControlFlow::Continue(false);
        }
        Event::PriorEvidenceFound(evidence) => {
            let asked = checkpoint.request.clone();
            let is_asked_later = checkpoint.state.archive().is_some()
                && asked.requested_at > evidence.request.requested_at;
            checkpoint.adopt(&evidence);
            // The seal is of a request that was cancelled since; this one made the steps be done again.
            if is_asked_later && !state.is_finished() {
                checkpoint.request = asked;
                checkpoint.request.narrow(&evidence.request);
            }
            if !state.is_finished() {
                checkpoint.request.narrow(&job.request);
            }
            checkpoint.enter(state, now);
        }
        Event::AccessReturned => {
            access_returned(checkpoint, calls, state, circumstances)?;
        }
        // The verdict that follows is saved. Reads of a failed attempt prove nothing, but its writes
        // did happen.
        Event::StepFailed(_) | Event::StepPostponed { .. } => checkpoint.keep_writes(calls),
        Event::UserReturned => user_returned(checkpoint, state, circumstances)?,
        Event::UserStayedAway if *effect == Effect::End(Verdict::Finish) => {
            return ControlFlow::Continue(false);
        }
        Event::UserStayedAway => {
            checkpoint.revise(false, job.request.clone(), now);
            checkpoint.enter(state, now);
        }
        Event::Cancelled(_) if checkpoint.state.is_finished() => {
            return ControlFlow::Continue(false);
        }
        Event::Cancelled(cancelled) => {
            return ControlFlow::Continue(checkpoint.cancel_once(cancelled, now));
        }
        Event::UserNotFound
        | Event::QueuesCleared(_)
        | Event::UserDeactivated(_)
        | Event::ArchiveStored(_)
        | Event::EvidenceSealed(_)
        | Event::DeletionAccepted(_)
        | Event::UserDeleted(_)
        | Event::DeletionWithheld(_)
        | Event::ManifestStored(_) => checkpoint.advance(state, calls, now),
    }
    ControlFlow::Continue(true)
}

/// All steps again, unless this happened too often: two systems that want different things would
/// otherwise never end.
fn access_returned(
    checkpoint: &mut Checkpoint,
    calls: Vec<Call>,
    state: State,
    circumstances: &Circumstances<'_>,
) -> ControlFlow<Commands> {
    let attempts = checkpoint.attempts.saturating_add(1);
    if attempts >= circumstances.retry.max_attempts {
        let text = "the user's access came back after each time that it was removed";
        let failure = Failure::new(Class::Transient, Code::CxoneNotConverged, text);
        let reason = Reason::RetriesExhausted;
        return ControlFlow::Break(give_up(checkpoint, reason, &failure, circumstances.now));
    }

    checkpoint.keep_writes(calls);
    checkpoint.attempts = attempts;
    checkpoint.enter(state, circumstances.now);
    ControlFlow::Continue(())
}

/// The next revision begins, if this job may begin one.
fn user_returned(
    checkpoint: &mut Checkpoint,
    state: State,
    circumstances: &Circumstances<'_>,
) -> ControlFlow<Commands> {
    let job = circumstances.job;
    if known_without_reading(checkpoint, job) == Some(Event::UserStayedAway) {
        let outcome = Outcome::DeadLetter(GivenUp::contradicted(checkpoint));
        return ControlFlow::Break(Commands::without_save(Command::End(outcome)));
    }

    let revision = checkpoint.revision.saturating_add(1);
    if job.lane == Lane::Access && job.revision != Some(revision) {
        // First the broker stores which off-boarding this job belongs to, so that the job is not
        // taken for the one before when Redis forgets.
        let outcome = Outcome::Reissue { revision };
        return ControlFlow::Break(Commands::without_save(Command::End(outcome)));
    }

    checkpoint.revise(true, job.request.clone(), circumstances.now);
    checkpoint.enter(state, circumstances.now);
    ControlFlow::Continue(())
}

/// What follows once an event is taken in.
fn follow(
    checkpoint: &mut Checkpoint,
    effect: Effect,
    save: Save,
    circumstances: &Circumstances<'_>,
) -> Commands {
    let then = match effect {
        Effect::Step(Step::Archive) if circumstances.job.lane == Lane::Access => {
            let access_gone = AccessGone::of(checkpoint).map(Box::new);
            Command::End(Outcome::MoveToArchiveLane(access_gone))
        }
        Effect::Step(step) => Command::Perform(step),
        Effect::Withhold(outcome) => {
            let deletion = Deletion::without_call(outcome);
            return Commands::apply(Event::DeletionWithheld(deletion));
        }
        Effect::End(Verdict::Finish) => {
            Command::End(Outcome::Finished(Box::new(Ended::of(checkpoint))))
        }
        Effect::End(Verdict::Cancel) => {
            let cancelled = checkpoint.cancelled.as_ref();
            let end = cancelled.map(|cancelled| {
                CancelledEnd::of(checkpoint, cancelled, &circumstances.job.request)
            });
            Command::End(end.map_or(Outcome::Obsolete, |end| Outcome::Cancelled(Box::new(end))))
        }
        Effect::End(Verdict::Delay(delay)) => {
            return delay_job(checkpoint, delay, circumstances.now);
        }
        Effect::End(Verdict::DeadLetter { reason, failure }) => {
            return give_up(checkpoint, reason, &failure, circumstances.now);
        }
    };
    Commands { save, then }
}

fn delay_job(checkpoint: &mut Checkpoint, delay: Delay, now: Timestamp) -> Commands {
    let outcome = match delay {
        Delay::Retry {
            delay,
            spends_attempt,
            failure,
        } => {
            let until = now + SignedDuration::try_from(delay).unwrap_or(LONGEST_RETRY);
            let why = failure.to_string();
            let code = Some(failure.code);
            checkpoint.fail(failure, spends_attempt, until, now);
            Outcome::Delay { until, why, code }
        }
        Delay::Until { until, why } => {
            checkpoint.postpone(until, why, now);
            Outcome::Delay {
                until,
                why: why.to_string(),
                code: None,
            }
        }
    };
    Commands::save_then(Command::End(outcome))
}

fn give_up(
    checkpoint: &mut Checkpoint,
    reason: Reason,
    failure: &Failure,
    now: Timestamp,
) -> Commands {
    checkpoint.give_up(reason, failure.clone(), now);
    let attempts = checkpoint
        .dead_letter
        .as_ref()
        .map_or(0, |dead_letter| dead_letter.attempts);

    let state = checkpoint.state.name();
    let given_up = GivenUp::new(reason, failure, state, attempts);
    Commands::save_then(Command::End(Outcome::DeadLetter(given_up)))
}

/// Whether the user became a dead letter after this job was published as a placeholder or a replay.
/// Then another copy of the job ended as that dead letter, and this one has nothing to continue.
fn is_obsolete(checkpoint: &Checkpoint, job: &Job) -> bool {
    let dead_letter = checkpoint.dead_letter.as_ref();
    dead_letter
        .zip(job.stands_in_since)
        .is_some_and(|(dead_letter, since)| dead_letter.at >= since)
}

/// Whether a user who was off-boarded is back, where the job itself says so.
fn known_without_reading(checkpoint: &Checkpoint, job: &Job) -> Option<Event> {
    if job.revision == Some(checkpoint.revision.saturating_add(1)) {
        return Some(Event::UserReturned);
    }

    // Only a message of its own can ask for a user who came back. A job that continues earlier work,
    // or that was asked for before that work ended, must not off-board a person who has returned
    // since.
    let mut asked = job
        .request
        .requested_at
        .into_iter()
        .chain(job.stands_in_since);
    let stale = checkpoint
        .ended_at()
        .is_some_and(|end| asked.any(|asked| asked < end));

    (job.continuation || job.lane == Lane::Archive || stale).then_some(Event::UserStayedAway)
}

/// Whether this message asks again for the deletion of a user who ended at `DeactivatedOnly`: it names
/// the action itself, and it is none of the messages that were answered already.
fn asks_again(checkpoint: &Checkpoint, job: &Job) -> bool {
    let asked = &job.request;
    let answered = &checkpoint.request;
    let newer = asked
        .requested_at
        .zip(answered.requested_at)
        .is_none_or(|(asked, before)| asked > before);

    checkpoint.state.name() == StateName::DeactivatedOnly
        && checkpoint.state.is_finished()
        && asked.action_named
        && asked.action == Action::Delete
        && asked.message_sha256 != answered.message_sha256
        && asked
            .message_sha256
            .as_ref()
            .is_none_or(|sha256| !checkpoint.answered.contains(sha256))
        && newer
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
