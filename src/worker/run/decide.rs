//! The order of a visit: what is saved when, and what follows. Pure, so that the model checker runs
//! the very same.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Ended, Outcome};
use crate::failure::{Class, Code, Failure, Reason};
use crate::job::{Action, Job, Lane};
use crate::limits::DeletePolicy;
use crate::machine::{
    Call, Checkpoint, Context, Effect, Event, RetryPolicy, StateName, Transition, Wait, transition,
};

/// What the driver does, in the order in which [`decide`] lists it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Act {
    Save,
    /// Do a step; its event is decided upon next.
    Perform(Effect),
    /// The visit ends; the delivery may be settled.
    End(Outcome),
}

/// What a decision depends on besides the checkpoint and the event.
#[derive(Debug, Clone)]
pub(crate) struct Circumstances<'a> {
    pub(crate) job: &'a Job,
    pub(crate) delete: DeletePolicy,
    pub(crate) retry: &'a RetryPolicy,
    /// Uniform in `[0, 1)`.
    pub(crate) jitter: f64,
    pub(crate) now: Timestamp,
}

/// Takes an event into the checkpoint and says what to do then. Whatever changed the checkpoint is
/// saved before anything follows from it: before the next step, and before the delivery is settled.
pub(crate) fn decide(
    checkpoint: &mut Checkpoint,
    event: Event,
    calls: Vec<Call>,
    circumstances: &Circumstances<'_>,
) -> Vec<Act> {
    let (job, now) = (circumstances.job, circumstances.now);
    if event == Event::Resumed && is_replaced(checkpoint, job) {
        return vec![Act::End(Outcome::Replaced)];
    }
    if event == Event::Resumed && !checkpoint.state.is_finished() {
        checkpoint.request.narrow(&job.request);
    }
    let resubmitted = asks_once_more(checkpoint, job);
    let context = Context {
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
    };
    let Transition { state, effect } =
        match transition(checkpoint.state.clone(), event.clone(), &context) {
            Ok(transition) => transition,
            Err(illegal) => {
                let failure =
                    Failure::new(Class::Defect, Code::IllegalTransition, illegal.to_string());
                return give_up(checkpoint, Reason::Poison, failure, now);
            }
        };
    let found_in_store = matches!(event, Event::PriorEvidenceFound(_));
    let saved = match event {
        Event::Resumed => false,
        // Not worth a round trip: a run that begins again looks again.
        Event::NoPriorEvidence(beginning) => {
            checkpoint.begin(beginning);
            false
        }
        Event::PriorEvidenceFound(traces) => {
            checkpoint.adopt(&traces);
            if !state.is_finished() {
                checkpoint.request.narrow(&job.request);
            }
            checkpoint.enter(state, now);
            true
        }
        // Else two who want different things would go on for ever.
        Event::AccessReturned
            if checkpoint.attempts.saturating_add(1) >= circumstances.retry.max_attempts =>
        {
            let text = "the user's access came back after each time that it was removed";
            let failure = Failure::new(Class::Transient, Code::CxoneNotConverged, text);
            return give_up(checkpoint, Reason::RetriesExhausted, failure, now);
        }
        Event::AccessReturned => {
            checkpoint.keep_writes(calls);
            checkpoint.attempts = checkpoint.attempts.saturating_add(1);
            checkpoint.enter(state, now);
            true
        }
        Event::StepFailed(failure) => {
            // Reads of a failed attempt prove nothing; its writes did happen.
            checkpoint.keep_writes(calls);
            return after_failure(checkpoint, &effect, failure, now);
        }
        Event::StepPostponed { until, why } => {
            checkpoint.keep_writes(calls);
            checkpoint.postpone(until, why, now);
            return vec![
                Act::Save,
                Act::End(Outcome::Wait {
                    until,
                    why: why.to_string(),
                    code: None,
                }),
            ];
        }
        Event::UserReturned if without_looking(checkpoint, job) == Some(Event::UserStayedAway) => {
            return vec![Act::End(contradicted(checkpoint))];
        }
        Event::UserReturned => {
            let revision = checkpoint.revision.saturating_add(1);
            if job.lane == Lane::Access && job.revision != Some(revision) {
                // The broker is told first which off-boarding this job stands for, so that it is not
                // taken for the one before when Redis forgets.
                return vec![Act::End(Outcome::Reissue { revision })];
            }
            checkpoint.revise(true, job.request.clone(), now);
            checkpoint.enter(state, now);
            true
        }
        Event::UserStayedAway if effect == Effect::Finish => false,
        Event::UserStayedAway => {
            checkpoint.revise(false, job.request.clone(), now);
            checkpoint.enter(state, now);
            true
        }
        Event::UserNotFound
        | Event::QueuesCleared(_)
        | Event::UserDeactivated(_)
        | Event::ArchiveStored(_)
        | Event::EvidenceSealed(_)
        | Event::DeletionAccepted(_)
        | Event::UserDeleted(_)
        | Event::DeletionWithheld(_)
        | Event::ManifestStored(_) => {
            checkpoint.advance(state, calls, now);
            true
        }
    };
    let acts = if saved { vec![Act::Save] } else { Vec::new() };
    follow(checkpoint, effect, acts, found_in_store, circumstances)
}

/// What follows once an event is taken in. `found_in_store`: the end was found there, and no checkpoint says so.
fn follow(
    checkpoint: &mut Checkpoint,
    effect: Effect,
    mut acts: Vec<Act>,
    found_in_store: bool,
    circumstances: &Circumstances<'_>,
) -> Vec<Act> {
    let (job, now) = (circumstances.job, circumstances.now);
    match effect {
        Effect::Finish => acts.push(Act::End(Outcome::Finished(Box::new(Ended::of(checkpoint))))),
        Effect::Archive if job.lane == Lane::Access => acts.push(Act::End(Outcome::HandOver)),
        Effect::DeadLetter(reason) => {
            let failure = Failure::new(
                Class::Permanent(reason),
                Code::UserNotFound,
                "the API does not know this user, and neither do we",
            );
            return give_up(checkpoint, reason, failure, now);
        }
        Effect::LookAgain => match without_looking(checkpoint, job) {
            Some(event) if !found_in_store || event == Event::UserReturned => {
                let following = decide(checkpoint, event, Vec::new(), circumstances);
                if following.first() == Some(&Act::Save) {
                    return following;
                }
                acts.extend(following);
            }
            Some(_) | None => acts.push(Act::Perform(Effect::LookAgain)),
        },
        other => acts.push(Act::Perform(other)),
    }
    acts
}

/// Whether the work that this job stands for ended as a dead letter meanwhile: work that it stood in for, or
/// that another copy of it did, where a replay published two.
fn is_replaced(checkpoint: &Checkpoint, job: &Job) -> bool {
    let letter = checkpoint.dead_letter.as_ref();
    letter
        .zip(job.stands_in_since)
        .is_some_and(|(letter, since)| letter.at >= since)
}

/// A manifest alone, without a checkpoint, may be a stranger's; or the user came back since. Nothing is saved, so that the
/// same is found again.
fn contradicted(checkpoint: &Checkpoint) -> Outcome {
    let text = "the user is active, though a manifest says that it left after this was asked for; a person has to \
                compare, and to submit the user again if it is to leave";
    let class = Class::Permanent(Reason::ArchiveConflict);
    let failure = Failure::new(class, Code::ArchiveConflict, text);
    let (state, attempts) = (checkpoint.state.name(), checkpoint.attempts);
    Outcome::DeadLetter {
        reason: Reason::ArchiveConflict,
        failure,
        state,
        attempts,
    }
}

/// Whether a user who was off-boarded is back, where the job itself says so.
fn without_looking(checkpoint: &Checkpoint, job: &Job) -> Option<Event> {
    if job.revision == Some(checkpoint.revision.saturating_add(1)) {
        return Some(Event::UserReturned);
    }
    // Only a message of its own can ask for somebody who came back: what goes on with earlier work, or
    // was asked for before that work ended, must not off-board a person who has returned since.
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

/// Whether this message asks for the deletion of a user who ended at `DeactivatedOnly` once more: it
/// says so itself, and is none of the messages that were answered already.
fn asks_once_more(checkpoint: &Checkpoint, job: &Job) -> bool {
    let (asked, answered) = (&job.request, &checkpoint.request);
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

/// A step failed: what the machine says of it is saved before anything is settled.
fn after_failure(
    checkpoint: &mut Checkpoint,
    effect: &Effect,
    failure: Failure,
    now: Timestamp,
) -> Vec<Act> {
    let (delay, spends_attempt) = match effect {
        Effect::Wait(Wait::Retry {
            delay,
            spends_attempt,
        }) => (*delay, *spends_attempt),
        Effect::DeadLetter(reason) => return give_up(checkpoint, *reason, failure, now),
        _ => (Duration::from_secs(1), true),
    };
    let until = now + SignedDuration::try_from(delay).unwrap_or(SignedDuration::from_mins(15));
    let (why, code) = (failure.to_string(), Some(failure.code));
    checkpoint.fail(failure, spends_attempt, until, now);
    vec![Act::Save, Act::End(Outcome::Wait { until, why, code })]
}

fn give_up(
    checkpoint: &mut Checkpoint,
    reason: Reason,
    failure: Failure,
    now: Timestamp,
) -> Vec<Act> {
    checkpoint.give_up(reason, failure.clone(), now);
    let attempts = checkpoint
        .dead_letter
        .as_ref()
        .map_or(0, |letter| letter.attempts);
    let state = checkpoint.state.name();
    vec![
        Act::Save,
        Act::End(Outcome::DeadLetter {
            reason,
            failure,
            state,
            attempts,
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Request;
    use crate::machine::{
        AccessRemoved, Archive, Deletion, DeletionOutcome, ManifestRef, PriorEvidence,
        QueuesCleared, Recording, State, StepRecord,
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A job that replays a letter of this second.
    fn replay_of(second: i64) -> Job {
        Job {
            user_id: "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap(),
            request: Request::default(),
            lane: Lane::Access,
            revision: None,
            stands_in_since: Some(at(second) + SignedDuration::from_millis(1)),
            continuation: false,
        }
    }

    #[test]
    fn of_two_copies_of_a_replayed_letter_the_second_is_dropped_once_the_first_is_a_letter() {
        let job = replay_of(100);
        let mut checkpoint = Checkpoint::new(job.user_id, Request::default(), at(1));
        let failure = Failure::new(Class::Transient, Code::CxoneTimeout, "slow");
        checkpoint.give_up(Reason::RetriesExhausted, failure.clone(), at(100));
        assert!(
            !is_replaced(&checkpoint, &job),
            "this is the letter that it replays"
        );
        checkpoint.give_up(Reason::RetriesExhausted, failure, at(101));
        assert!(is_replaced(&checkpoint, &job));
    }

    #[test]
    fn a_replay_does_not_off_board_a_person_who_returned_after_the_letter_was_answered() {
        let ended = |second| {
            let mut checkpoint = Checkpoint::new(replay_of(0).user_id, Request::default(), at(1));
            let (state, completed_at) = (StateName::Deleted, at(second));
            let step = StepRecord {
                state,
                started_at: at(1),
                completed_at,
                attempts: 1,
                calls: Vec::new(),
            };
            checkpoint.steps.push(step);
            checkpoint
        };
        assert_eq!(
            without_looking(&ended(200), &replay_of(100)),
            Some(Event::UserStayedAway)
        );
        assert_eq!(
            without_looking(&ended(50), &replay_of(100)),
            None,
            "it asked for one who had returned"
        );
    }

    #[test]
    fn an_active_user_whom_a_manifest_alone_calls_gone_is_nobodys_finished_job() {
        let job = replay_of(100);
        let retry = RetryPolicy {
            max_attempts: 8,
            base: Duration::ZERO,
            cap: Duration::ZERO,
        };
        let circumstances = Circumstances {
            job: &job,
            delete: DeletePolicy::Attempt,
            retry: &retry,
            jitter: 0.0,
            now: at(300),
        };
        let step = StepRecord {
            state: StateName::Deleted,
            started_at: at(1),
            completed_at: at(200),
            attempts: 1,
            calls: Vec::new(),
        };
        let found = PriorEvidence {
            revision: 1,
            set: 1,
            previous: None,
            request: Request::default(),
            steps: vec![step],
            state: finished(at(200)),
        };
        let mut checkpoint = Checkpoint::new(job.user_id, Request::default(), at(1));
        let acts = decide(
            &mut checkpoint,
            Event::PriorEvidenceFound(Box::new(found)),
            Vec::new(),
            &circumstances,
        );
        assert_eq!(
            acts.last(),
            Some(&Act::Perform(Effect::LookAgain)),
            "the times are not believed: {acts:?}"
        );
        let acts = decide(
            &mut checkpoint,
            Event::UserReturned,
            Vec::new(),
            &circumstances,
        );
        let [Act::End(Outcome::DeadLetter { reason, .. })] = acts.as_slice() else {
            panic!("{acts:?}")
        };
        assert_eq!(*reason, Reason::ArchiveConflict);
    }

    /// A user who was deleted, as a manifest says.
    fn finished(at: Timestamp) -> State {
        let queues = QueuesCleared {
            confirmed: true,
            residual: Vec::new(),
        };
        State::Deleted {
            access: AccessRemoved {
                queues,
                scim_active: Some(false),
                at,
            },
            archive: Archive {
                location: String::new(),
                key: String::new(),
                version_id: None,
                bytes: 1,
                conversations: 1,
                pages: 1,
                sha256: String::new(),
                date_from: at,
                date_to: at,
                retention: None,
                etag: None,
                crc32c: None,
                quiet_until: None,
            },
            deletion: Deletion::without_call(DeletionOutcome::Deleted),
            recording: Recording::Recorded {
                manifest: ManifestRef {
                    key: String::new(),
                    sha256: String::new(),
                },
            },
        }
    }
}
