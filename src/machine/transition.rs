use jiff::Timestamp;

use super::event::{Effect, Event, Pause, Wait};
use super::retry::{RetryPolicy, after_failure};
use super::{
    AccessRemoved, Archive, Deletion, DeletionOutcome, Recording, Seal, Sealing, State, StateName,
};
use crate::failure::Reason;
use crate::job::Action;
use crate::limits::DeletePolicy;

/// What a decision depends on besides state and event.
#[derive(Debug, Clone)]
pub(crate) struct Context<'a> {
    /// How far the request goes.
    pub action: Action,
    pub delete: DeletePolicy,
    /// How failures are tried again.
    pub retry: &'a RetryPolicy,
    /// An operator asked for the deletion once more, after the user ended at `DeactivatedOnly`.
    pub resubmitted: bool,
    /// Attempts that this job has spent.
    pub attempts: u32,
    /// Uniform in `[0, 1)`.
    pub jitter: f64,
}

/// What follows from an event: the state to save, and what to do then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transition {
    /// The state after the event.
    pub state: State,
    /// What to do once it is saved.
    pub effect: Effect,
}

/// An event that a state does not know. Always a defect of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the event {event} cannot happen in the state {state}")]
pub(crate) struct IllegalTransition {
    state: StateName,
    event: &'static str,
}

/// The whole machine. Each state has one function; each names every event.
pub(crate) fn transition(
    state: State,
    event: Event,
    context: &Context<'_>,
) -> Result<Transition, IllegalTransition> {
    let name = state.name();
    // A failure never moves a user: what follows depends on the failure alone.
    if let Event::StepFailed(failure) = &event {
        let effect = after_failure(failure, context.attempts, context.retry, context.jitter);
        return Ok(Transition { state, effect });
    }
    let illegal = |event| Err(IllegalTransition { state: name, event });
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

type Step = Result<Transition, &'static str>;

#[expect(
    clippy::unnecessary_wraps,
    reason = "the functions of the states read as a table of results"
)]
fn go(state: State, effect: Effect) -> Step {
    Ok(Transition { state, effect })
}

fn received(event: Event) -> Step {
    match event {
        Event::Resumed => go(State::Received, Effect::LookBack),
        Event::NoPriorEvidence(_) => go(State::Received, Effect::ClearQueues),
        Event::PriorEvidenceFound(traces) => found(traces.state),
        Event::StepPostponed { until, why } => later(State::Received, until, why),
        Event::UserNotFound => go(State::Received, Effect::DeadLetter(Reason::UserNotFound)),
        Event::QueuesCleared(queues) => go(State::QueuesCleared { queues }, Effect::Deactivate),
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
        | Event::StepFailed(_) => Err(event.name()),
    }
}

/// The step goes on later; the state stays.
fn later(state: State, until: Timestamp, why: Pause) -> Step {
    go(state, Effect::Wait(Wait::Until { until, why }))
}

/// What an earlier run left takes the place of the checkpoint, from the seal on.
fn found(state: State) -> Step {
    match &state {
        State::Archived {
            sealing: Sealing::Sealed { .. },
            ..
        } => go(state, Effect::Delete { maybe_sent: true }),
        State::Deleted { .. } | State::DeactivatedOnly { .. } if state.is_finished() => {
            go(state, Effect::LookAgain)
        }
        State::Received
        | State::QueuesCleared { .. }
        | State::Deactivated { .. }
        | State::Archived { .. }
        | State::Deleted { .. }
        | State::DeactivatedOnly { .. } => Err("PriorEvidenceFound"),
    }
}

fn queues_cleared(state: State, event: Event) -> Step {
    match event {
        Event::Resumed => go(state, Effect::Deactivate),
        Event::StepPostponed { until, why } => later(state, until, why),
        Event::UserDeactivated(access) => go(State::Deactivated { access }, Effect::Archive),
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
        | Event::StepFailed(_) => Err(event.name()),
    }
}

fn deactivated(access: AccessRemoved, event: Event, context: &Context<'_>) -> Step {
    match event {
        Event::Resumed => go(State::Deactivated { access }, Effect::Archive),
        Event::ArchiveStored(archive) => {
            let effect = before_deletion(&access, context);
            go(
                State::Archived {
                    access,
                    archive,
                    sealing: Sealing::Unsealed,
                },
                effect,
            )
        }
        Event::NoPriorEvidence(_)
        | Event::PriorEvidenceFound(_)
        | Event::UserNotFound
        | Event::QueuesCleared(_)
        | Event::UserDeactivated(_)
        | Event::EvidenceSealed(_)
        | Event::DeletionAccepted(_)
        | Event::StepPostponed { .. }
        | Event::UserDeleted(_)
        | Event::DeletionWithheld(_)
        | Event::ManifestStored(_)
        | Event::UserReturned
        | Event::UserStayedAway
        | Event::AccessReturned
        | Event::StepFailed(_) => Err(event.name()),
    }
}

/// What an archived user is due: the seal and the DELETE, or neither.
fn before_deletion(access: &AccessRemoved, context: &Context<'_>) -> Effect {
    match (context.action, context.delete) {
        (Action::Deactivate, DeletePolicy::Attempt | DeletePolicy::Never) => {
            Effect::Withhold(DeletionOutcome::NotRequested)
        }
        (Action::Delete, DeletePolicy::Never) => Effect::Withhold(DeletionOutcome::NotOffered),
        // What is left over may still route work to the user: a person looks first.
        (Action::Delete, DeletePolicy::Attempt) if !access.queues.confirmed => {
            Effect::Withhold(DeletionOutcome::Held)
        }
        (Action::Delete, DeletePolicy::Attempt) => Effect::Seal,
    }
}

/// One function per phase, since each allows other events: no user is deleted before the seal, and
/// an accepted deletion cannot be withheld any more.
fn archived(
    access: AccessRemoved,
    archive: Archive,
    sealing: Sealing,
    event: Event,
    context: &Context<'_>,
) -> Step {
    match sealing {
        Sealing::Unsealed => unsealed(access, archive, event, context),
        Sealing::Sealed { seal } => sealed(access, archive, seal, event),
        Sealing::Accepted { .. } => accepted(access, archive, sealing, event),
    }
}

fn unsealed(access: AccessRemoved, archive: Archive, event: Event, context: &Context<'_>) -> Step {
    let effect = before_deletion(&access, context);
    match event {
        Event::Resumed => go(
            State::Archived {
                access,
                archive,
                sealing: Sealing::Unsealed,
            },
            effect,
        ),
        Event::EvidenceSealed(seal) => go(
            State::Archived {
                access,
                archive,
                sealing: Sealing::Sealed { seal },
            },
            Effect::Delete { maybe_sent: false },
        ),
        Event::PriorEvidenceFound(traces) => found(traces.state),
        Event::StepPostponed { until, why } => later(
            State::Archived {
                access,
                archive,
                sealing: Sealing::Unsealed,
            },
            until,
            why,
        ),
        Event::DeletionWithheld(deletion) => stays(access, archive, deletion),
        // The whole way again: nobody is deleted who has access.
        Event::AccessReturned => go(State::Received, Effect::ClearQueues),
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
        | Event::StepFailed(_) => Err(event.name()),
    }
}

fn sealed(access: AccessRemoved, archive: Archive, seal: Seal, event: Event) -> Step {
    match event {
        Event::Resumed => go(
            State::Archived {
                access,
                archive,
                sealing: Sealing::Sealed { seal },
            },
            Effect::Delete { maybe_sent: true },
        ),
        Event::DeletionAccepted(deletion) => go(
            State::Archived {
                access,
                archive,
                sealing: Sealing::Accepted { seal, deletion },
            },
            Effect::ConfirmDeletion,
        ),
        Event::PriorEvidenceFound(traces) => found(traces.state),
        Event::StepPostponed { until, why } => later(
            State::Archived {
                access,
                archive,
                sealing: Sealing::Sealed { seal },
            },
            until,
            why,
        ),
        Event::UserDeleted(deletion) => is_gone(access, archive, deletion),
        Event::DeletionWithheld(deletion) => stays(access, archive, deletion),
        // The whole way again: nobody is deleted who has access.
        Event::AccessReturned => go(State::Received, Effect::ClearQueues),
        Event::NoPriorEvidence(_)
        | Event::UserNotFound
        | Event::QueuesCleared(_)
        | Event::UserDeactivated(_)
        | Event::ArchiveStored(_)
        | Event::EvidenceSealed(_)
        | Event::ManifestStored(_)
        | Event::UserReturned
        | Event::UserStayedAway
        | Event::StepFailed(_) => Err(event.name()),
    }
}

fn accepted(access: AccessRemoved, archive: Archive, sealing: Sealing, event: Event) -> Step {
    match event {
        Event::Resumed => go(
            State::Archived {
                access,
                archive,
                sealing,
            },
            Effect::ConfirmDeletion,
        ),
        Event::StepPostponed { until, why } => later(
            State::Archived {
                access,
                archive,
                sealing,
            },
            until,
            why,
        ),
        Event::UserDeleted(deletion) => is_gone(access, archive, deletion),
        Event::AccessReturned => go(State::Received, Effect::ClearQueues),
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
        | Event::StepFailed(_) => Err(event.name()),
    }
}

fn is_gone(access: AccessRemoved, archive: Archive, deletion: Deletion) -> Step {
    let recording = Recording::Unrecorded;
    go(
        State::Deleted {
            access,
            archive,
            deletion,
            recording,
        },
        Effect::Record,
    )
}

fn stays(access: AccessRemoved, archive: Archive, deletion: Deletion) -> Step {
    let recording = Recording::Unrecorded;
    go(
        State::DeactivatedOnly {
            access,
            archive,
            deletion,
            recording,
        },
        Effect::Record,
    )
}

/// `Deleted` and `DeactivatedOnly` alike: the manifest, and then nothing.
fn ended(mut state: State, event: Event, context: &Context<'_>) -> Step {
    match event {
        Event::Resumed if state.is_finished() => go(state, Effect::LookAgain),
        Event::Resumed => go(state, Effect::Record),
        Event::ManifestStored(manifest) if !state.is_finished() => {
            if let State::Deleted { recording, .. } | State::DeactivatedOnly { recording, .. } =
                &mut state
            {
                *recording = Recording::Recorded { manifest };
            }
            go(state, Effect::Finish)
        }
        // The whole way again, as the next revision.
        Event::UserReturned if state.is_finished() => go(State::Received, Effect::ClearQueues),
        Event::AccessReturned if !state.is_finished() => go(State::Received, Effect::ClearQueues),
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
        | Event::StepFailed(_) => Err(event.name()),
    }
}

/// The end stands, unless an operator asked for the deletion once more: then it alone is tried again,
/// as the next revision of the manifest. Where queue assignments were left over, somebody has looked
/// at them by now, and they are read again first.
fn stayed_away(state: State, context: &Context<'_>) -> Step {
    match state {
        State::DeactivatedOnly {
            access, archive, ..
        } if context.resubmitted => {
            if !access.queues.confirmed {
                return go(State::Received, Effect::ClearQueues);
            }
            let effect = before_deletion(&access, context);
            go(
                State::Archived {
                    access,
                    archive,
                    sealing: Sealing::Unsealed,
                },
                effect,
            )
        }
        State::Received
        | State::QueuesCleared { .. }
        | State::Deactivated { .. }
        | State::Archived { .. }
        | State::Deleted { .. }
        | State::DeactivatedOnly { .. } => go(state, Effect::Finish),
    }
}
