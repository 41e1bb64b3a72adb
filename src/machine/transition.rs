//! The transition table as code: one function for each state, and in it one line for each event.

use jiff::Timestamp;

use super::retry::after_failure;
use super::{
    AccessRemoved, Archive, Context, Delay, Deletion, DeletionOutcome, Effect, Event, Pause,
    Recording, Seal, Sealing, State, StateName, Step, Verdict,
};
use crate::job::Action;
use crate::limits::DeletePolicy;

/// What follows from an event: the state to save, and what to do then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transition {
    pub state: State,
    /// What to do once the state is saved.
    pub effect: Effect,
}

/// An event that cannot happen in this state: always a fault of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the event {event} cannot happen in the state {state}")]
pub(crate) struct IllegalTransition {
    state: StateName,
    event: &'static str,
}

/// What an event means in a state. Each state has one function, and each function names every event.
pub(crate) fn transition(
    state: State,
    event: Event,
    context: &Context<'_>,
) -> Result<Transition, IllegalTransition> {
    let name = state.name();
    let illegal = |event| IllegalTransition { state: name, event };

    // A failure never changes the state: what follows depends only on the failure.
    if let Event::StepFailed(failure) = event {
        let verdict = after_failure(failure, context.attempts, context.retry, context.jitter);
        return Ok(Transition {
            state,
            effect: Effect::End(verdict),
        });
    }
    if matches!(event, Event::Cancelled(_)) {
        let verdict = Verdict::of_cancellation(&state).ok_or_else(|| illegal(event.name()))?;
        let effect = Effect::End(verdict);
        return Ok(Transition { state, effect });
    }

    let illegal = |event| Err(illegal(event));
    match state {
        State::Received => received(event).or_else(illegal),
        State::QueuesCleared { queues } => {
            queues_cleared(State::QueuesCleared { queues }, event).or_else(illegal)
        }
        State::Deactivated { access } => deactivated(access, event, context).or_else(illegal),
        State::Archived {
            access,
            archive,
            sealing,
        } => archived(access, archive, sealing, event, context).or_else(illegal),
        State::Deleted { .. } | State::DeactivatedOnly { .. } => {
            ended(state, event, context).or_else(illegal)
        }
    }
}

/// `Err` names an event that the state does not allow.
type Next = Result<Transition, &'static str>;

#[expect(
    clippy::unnecessary_wraps,
    reason = "the functions of the states read as a table of results"
)]
fn go(state: State, effect: Effect) -> Next {
    Ok(Transition { state, effect })
}

fn step(state: State, step: Step) -> Next {
    go(state, Effect::Step(step))
}

fn end(state: State, verdict: Verdict) -> Next {
    go(state, Effect::End(verdict))
}

fn received(event: Event) -> Next {
    match event {
        Event::Resumed => step(State::Received, Step::LookBack),
        Event::NoPriorEvidence(_) => step(State::Received, Step::ClearQueues),
        Event::PriorEvidenceFound(evidence) => found(evidence.state),
        Event::StepPostponed { until, why } => postpone(State::Received, until, why),
        Event::UserNotFound => end(State::Received, Verdict::user_not_found()),
        Event::QueuesCleared(queues) => step(State::QueuesCleared { queues }, Step::Deactivate),
        Event::UserDeactivated(_)
        | Event::ArchiveStored(_)
        | Event::EvidenceSealed(_)
        | Event::DeletionAccepted(_)
        | Event::UserDeleted(_)
        | Event::DeletionWithheld(_)
        | Event::ManifestStored(_)
        | Event::UserReturned
        | Event::UserStayedAway
        | Event::AccessReturned
        | Event::Cancelled(_)
        | Event::StepFailed(_) => Err(event.name()),
    }
}

/// The step continues later; the state stays.
fn postpone(state: State, until: Timestamp, why: Pause) -> Next {
    end(state, Verdict::Delay(Delay::Until { until, why }))
}

/// From the seal on, what an earlier run stored replaces the checkpoint.
fn found(state: State) -> Next {
    match &state {
        State::Archived {
            sealing: Sealing::Sealed { .. },
            ..
        } => step(state, Step::Delete { maybe_sent: true }),
        State::Deleted { .. } | State::DeactivatedOnly { .. } if state.is_finished() => {
            step(state, Step::LookAgain)
        }
        State::Received
        | State::QueuesCleared { .. }
        | State::Deactivated { .. }
        | State::Archived { .. }
        | State::Deleted { .. }
        | State::DeactivatedOnly { .. } => Err("PriorEvidenceFound"),
    }
}

fn queues_cleared(state: State, event: Event) -> Next {
    match event {
        Event::Resumed => step(state, Step::Deactivate),
        Event::StepPostponed { until, why } => postpone(state, until, why),
        Event::UserDeactivated(access) => step(State::Deactivated { access }, Step::Archive),
        Event::NoPriorEvidence(_)
        | Event::PriorEvidenceFound(_)
        | Event::UserNotFound
        | Event::QueuesCleared(_)
        | Event::ArchiveStored(_)
        | Event::EvidenceSealed(_)
        | Event::DeletionAccepted(_)
        | Event::UserDeleted(_)
        | Event::DeletionWithheld(_)
        | Event::ManifestStored(_)
        | Event::UserReturned
        | Event::UserStayedAway
        | Event::AccessReturned
        | Event::Cancelled(_)
        | Event::StepFailed(_) => Err(event.name()),
    }
}

fn deactivated(access: AccessRemoved, event: Event, context: &Context<'_>) -> Next {
    match event {
        Event::Resumed => step(State::Deactivated { access }, Step::Archive),
        Event::StepPostponed { until, why } => postpone(State::Deactivated { access }, until, why),
        Event::ArchiveStored(archive) => {
            let effect = before_deletion(&access, context);
            go(in_archived(access, archive, Sealing::Unsealed), effect)
        }
        Event::NoPriorEvidence(_)
        | Event::PriorEvidenceFound(_)
        | Event::UserNotFound
        | Event::QueuesCleared(_)
        | Event::UserDeactivated(_)
        | Event::EvidenceSealed(_)
        | Event::DeletionAccepted(_)
        | Event::UserDeleted(_)
        | Event::DeletionWithheld(_)
        | Event::ManifestStored(_)
        | Event::UserReturned
        | Event::UserStayedAway
        | Event::AccessReturned
        | Event::Cancelled(_)
        | Event::StepFailed(_) => Err(event.name()),
    }
}

/// What comes after the archive: seal and DELETE, or neither.
fn before_deletion(access: &AccessRemoved, context: &Context<'_>) -> Effect {
    match (context.action, context.delete) {
        (Action::Deactivate, DeletePolicy::Attempt | DeletePolicy::Never) => {
            Effect::Withhold(DeletionOutcome::NotRequested)
        }
        (Action::Delete, DeletePolicy::Never) => Effect::Withhold(DeletionOutcome::NotOffered),
        // A queue that still names the user may route work to it: a person checks first.
        (Action::Delete, DeletePolicy::Attempt) if !access.queues.confirmed => {
            Effect::Withhold(DeletionOutcome::Held)
        }
        (Action::Delete, DeletePolicy::Attempt) => Effect::Step(Step::Seal),
    }
}

const fn in_archived(access: AccessRemoved, archive: Archive, sealing: Sealing) -> State {
    State::Archived {
        access,
        archive,
        sealing,
    }
}

/// One function for each phase, since each allows other events: no user is deleted before the seal,
/// and an accepted deletion can no longer be withheld.
fn archived(
    access: AccessRemoved,
    archive: Archive,
    sealing: Sealing,
    event: Event,
    context: &Context<'_>,
) -> Next {
    match sealing {
        Sealing::Unsealed => unsealed(access, archive, event, context),
        Sealing::Sealed { seal } => sealed(access, archive, seal, event),
        Sealing::Accepted { .. } => accepted(access, archive, sealing, event),
    }
}

fn unsealed(access: AccessRemoved, archive: Archive, event: Event, context: &Context<'_>) -> Next {
    match event {
        Event::Resumed => {
            let effect = before_deletion(&access, context);
            go(in_archived(access, archive, Sealing::Unsealed), effect)
        }
        Event::EvidenceSealed(seal) => {
            let state = in_archived(access, archive, Sealing::Sealed { seal });
            step(state, Step::Delete { maybe_sent: false })
        }
        Event::PriorEvidenceFound(evidence) => found(evidence.state),
        Event::StepPostponed { until, why } => {
            postpone(in_archived(access, archive, Sealing::Unsealed), until, why)
        }
        Event::DeletionWithheld(deletion) => stays(access, archive, deletion),
        // All steps again: no user is deleted who has access.
        Event::AccessReturned => step(State::Received, Step::ClearQueues),
        Event::NoPriorEvidence(_)
        | Event::UserNotFound
        | Event::QueuesCleared(_)
        | Event::UserDeactivated(_)
        | Event::ArchiveStored(_)
        | Event::DeletionAccepted(_)
        | Event::UserDeleted(_)
        | Event::ManifestStored(_)
        | Event::UserReturned
        | Event::UserStayedAway
        | Event::Cancelled(_)
        | Event::StepFailed(_) => Err(event.name()),
    }
}

fn sealed(access: AccessRemoved, archive: Archive, seal: Seal, event: Event) -> Next {
    match event {
        Event::Resumed => {
            let state = in_archived(access, archive, Sealing::Sealed { seal });
            step(state, Step::Delete { maybe_sent: true })
        }
        Event::DeletionAccepted(deletion) => {
            let state = in_archived(access, archive, Sealing::Accepted { seal, deletion });
            step(state, Step::ConfirmDeletion)
        }
        Event::PriorEvidenceFound(evidence) => found(evidence.state),
        Event::StepPostponed { until, why } => {
            let state = in_archived(access, archive, Sealing::Sealed { seal });
            postpone(state, until, why)
        }
        Event::UserDeleted(deletion) => is_gone(access, archive, deletion),
        Event::DeletionWithheld(deletion) => stays(access, archive, deletion),
        // All steps again: no user is deleted who has access.
        Event::AccessReturned => step(State::Received, Step::ClearQueues),
        Event::NoPriorEvidence(_)
        | Event::UserNotFound
        | Event::QueuesCleared(_)
        | Event::UserDeactivated(_)
        | Event::ArchiveStored(_)
        | Event::EvidenceSealed(_)
        | Event::ManifestStored(_)
        | Event::UserReturned
        | Event::UserStayedAway
        | Event::Cancelled(_)
        | Event::StepFailed(_) => Err(event.name()),
    }
}

fn accepted(access: AccessRemoved, archive: Archive, sealing: Sealing, event: Event) -> Next {
    match event {
        Event::Resumed => step(in_archived(access, archive, sealing), Step::ConfirmDeletion),
        Event::StepPostponed { until, why } => {
            postpone(in_archived(access, archive, sealing), until, why)
        }
        Event::UserDeleted(deletion) => is_gone(access, archive, deletion),
        Event::AccessReturned => step(State::Received, Step::ClearQueues),
        Event::NoPriorEvidence(_)
        | Event::PriorEvidenceFound(_)
        | Event::UserNotFound
        | Event::QueuesCleared(_)
        | Event::UserDeactivated(_)
        | Event::ArchiveStored(_)
        | Event::EvidenceSealed(_)
        | Event::DeletionAccepted(_)
        | Event::DeletionWithheld(_)
        | Event::ManifestStored(_)
        | Event::UserReturned
        | Event::UserStayedAway
        | Event::Cancelled(_)
        | Event::StepFailed(_) => Err(event.name()),
    }
}

fn is_gone(access: AccessRemoved, archive: Archive, deletion: Deletion) -> Next {
    let state = State::Deleted {
        access,
        archive,
        deletion,
        recording: Recording::Unrecorded,
    };
    step(state, Step::Record)
}

fn stays(access: AccessRemoved, archive: Archive, deletion: Deletion) -> Next {
    let state = State::DeactivatedOnly {
        access,
        archive,
        deletion,
        recording: Recording::Unrecorded,
    };
    step(state, Step::Record)
}

/// `Deleted` and `DeactivatedOnly` alike: the manifest, and then nothing.
fn ended(mut state: State, event: Event, context: &Context<'_>) -> Next {
    match event {
        Event::Resumed if state.is_finished() => step(state, Step::LookAgain),
        Event::Resumed => step(state, Step::Record),
        Event::ManifestStored(manifest) if !state.is_finished() => {
            if let State::Deleted { recording, .. } | State::DeactivatedOnly { recording, .. } =
                &mut state
            {
                *recording = Recording::Recorded { manifest };
            }
            end(state, Verdict::Finish)
        }
        // All steps again, as the next revision.
        Event::UserReturned if state.is_finished() => step(State::Received, Step::ClearQueues),
        Event::AccessReturned if !state.is_finished() => step(State::Received, Step::ClearQueues),
        Event::UserStayedAway if state.is_finished() => stayed_away(state, context),
        Event::NoPriorEvidence(_)
        | Event::PriorEvidenceFound(_)
        | Event::UserNotFound
        | Event::QueuesCleared(_)
        | Event::UserDeactivated(_)
        | Event::ArchiveStored(_)
        | Event::EvidenceSealed(_)
        | Event::DeletionAccepted(_)
        | Event::StepPostponed { .. }
        | Event::UserDeleted(_)
        | Event::DeletionWithheld(_)
        | Event::ManifestStored(_)
        | Event::UserReturned
        | Event::UserStayedAway
        | Event::AccessReturned
        | Event::Cancelled(_)
        | Event::StepFailed(_) => Err(event.name()),
    }
}

/// The end is final, unless an operator asked for the deletion again: then only the deletion is
/// tried, as the next revision of the manifest. Where queue assignments were left over, a person
/// has checked them by now, and they are read again first.
fn stayed_away(state: State, context: &Context<'_>) -> Next {
    match state {
        State::DeactivatedOnly {
            access, archive, ..
        } if context.resubmitted => {
            if !access.queues.confirmed {
                return step(State::Received, Step::ClearQueues);
            }

            let effect = before_deletion(&access, context);
            go(in_archived(access, archive, Sealing::Unsealed), effect)
        }
        State::Received
        | State::QueuesCleared { .. }
        | State::Deactivated { .. }
        | State::Archived { .. }
        | State::Deleted { .. }
        | State::DeactivatedOnly { .. } => end(state, Verdict::Finish),
    }
}
