//! What each step does to the world, after the product's steps: read, write only what is missing, read
//! back.

use super::broken_rules::Rule;
use super::world::{NOW, World, user};
use crate::failure::{Class, Code, Failure, Reason};
use crate::job::Request;
use crate::machine::samples::{
    access_removed, empty_archive, empty_manifest, empty_seal, queues_cleared,
};
use crate::machine::{
    Beginning, Checkpoint, Deletion, DeletionOutcome, Event, Pause, PriorEvidence, Recording,
    Sealing, State, StateName, Step,
};

pub(super) fn failed(class: Class) -> Event {
    Event::StepFailed(Failure::new(class, Code::CxoneUnreachable, ""))
}

/// Performs a step. `refused`: the tenant refuses deletions. `approved`: what a worker read before a DELETE.
pub(super) fn perform(
    world: &mut World,
    checkpoint: &Checkpoint,
    step: &Step,
    refused: bool,
    approved: bool,
    broken: Option<Rule>,
) -> Event {
    let asks_for_approval = broken != Some(Rule::AskForApproval);
    let reads_again = broken != Some(Rule::ReadAgainBeforeTheDeletion);
    match step {
        Step::LookBack if broken == Some(Rule::LookBackFirst) => no_prior_evidence(false),
        Step::LookBack => stored(world).map_or_else(|| no_prior_evidence(world.archive), found),
        Step::LookAgain if world.exists && world.active => Event::UserReturned,
        Step::LookAgain => Event::UserStayedAway,
        Step::ClearQueues if !world.exists && broken == Some(Rule::LookBackFirst) => {
            Event::UserNotFound
        }
        Step::ClearQueues if !world.exists => stored(world).map_or(Event::UserNotFound, found),
        Step::ClearQueues => {
            world.has_queues = false;
            Event::QueuesCleared(queues_cleared(true))
        }
        Step::Deactivate => deactivate(world, checkpoint, broken),
        Step::Archive => archive(world),
        Step::Seal if !world.is_approved() => not_approved(world),
        Step::Delete { maybe_sent: true }
            if world.exists && asks_for_approval && !world.is_approved() =>
        {
            not_approved(world)
        }
        Step::Seal | Step::Delete { maybe_sent: true } | Step::Record
            if reads_again && world.has_access(checkpoint) =>
        {
            Event::AccessReturned
        }
        Step::Seal => seal(world, checkpoint),
        Step::Delete { .. } if world.exists && !approved && asks_for_approval => {
            not_approved(world)
        }
        Step::Delete { maybe_sent } => delete(world, *maybe_sent, refused, approved),
        Step::Record => record(world, checkpoint),
        Step::ConfirmDeletion => failed(Class::Defect),
    }
}

/// The deletion waits, and nothing else does.
fn not_approved(world: &mut World) -> Event {
    world.expect(
        !world.active || world.forged || world.hired_again,
        "I14: the removal of access waits for an approval",
    );
    Event::StepPostponed {
        until: NOW,
        why: Pause::NotApproved,
    }
}

fn no_prior_evidence(archived: bool) -> Event {
    Event::NoPriorEvidence(Beginning {
        revision: 1,
        previous: None,
        archived,
    })
}

/// What the store has of the user.
fn stored(world: &World) -> Option<&PriorEvidence> {
    world.manifest.as_ref().or(world.seal.as_ref())
}

fn found(evidence: &PriorEvidence) -> Event {
    Event::PriorEvidenceFound(Box::new(evidence.clone()))
}

/// What a run that lost its checkpoint will find.
fn evidence(checkpoint: &Checkpoint, state: State) -> PriorEvidence {
    PriorEvidence {
        before_image: false,
        profile: checkpoint.profile,
        revision: checkpoint.revision,
        evidence_revision: checkpoint.evidence_revision,
        previous: None,
        request: checkpoint.request.clone(),
        steps: checkpoint.steps.clone(),
        workers: Vec::new(),
        state,
    }
}

impl World {
    /// Whether persons approved the deletion of the user as the plan saw the user. That it is another user now is stored.
    pub(super) fn is_approved(&mut self) -> bool {
        self.moved |= self.has_plan && self.approved && self.active;
        self.approved && !self.moved
    }

    /// Whether the user has more access than the checkpoint says.
    fn has_access(&self, checkpoint: &Checkpoint) -> bool {
        let is_called_deleted = checkpoint.state.name() == StateName::Deleted;
        self.exists && (self.active || self.has_queues || is_called_deleted)
    }
}

fn deactivate(world: &mut World, checkpoint: &Checkpoint, broken: Option<Rule>) -> Event {
    let notes_it = broken != Some(Rule::NoteThatAccessReturned);
    world.moved |= world.has_plan && checkpoint.archived_before && world.active && notes_it;
    world.expect(
        !world.has_queues || !world.exists,
        "I3: deactivated before its queues were cleared",
    );

    world.active = false;
    Event::UserDeactivated(access_removed(NOW))
}

fn archive(world: &mut World) -> Event {
    world.expect(
        !world.active || world.forged || world.hired_again,
        "I3: archived before the access was gone",
    );
    world.expect(
        world.exists || world.archive,
        "I1: an empty archive, of a user that we deleted",
    );

    world.archive = true;
    Event::ArchiveStored(empty_archive(NOW))
}

fn seal(world: &mut World, checkpoint: &Checkpoint) -> Event {
    if let Some(stored) = world.manifest.as_ref().or(world.seal.as_ref()) {
        return found(stored);
    }
    let State::Archived {
        access, archive, ..
    } = &checkpoint.state
    else {
        return failed(Class::Defect);
    };

    let seal = empty_seal(NOW);
    let state = State::Archived {
        access: access.clone(),
        archive: archive.clone(),
        sealing: Sealing::Sealed { seal: seal.clone() },
    };
    world.seal = Some(evidence(checkpoint, state));
    Event::EvidenceSealed(seal)
}

fn delete(world: &mut World, maybe_sent: bool, refused: bool, approved: bool) -> Event {
    if maybe_sent && let Some(manifest) = &world.manifest {
        return found(manifest);
    }
    if !world.exists {
        return Event::UserDeleted(Deletion::without_call(if maybe_sent {
            DeletionOutcome::Deleted
        } else {
            DeletionOutcome::AlreadyGone
        }));
    }

    world.expect(
        approved,
        "I14: a DELETE although nobody had approved it when the worker looked",
    );
    world.expect(
        !world.hired_again,
        "I14: a DELETE of a user who was hired again after the plan",
    );
    world.expect(
        world.archive && world.seal.is_some(),
        "I1: a DELETE without archive or seal",
    );
    world.expect(
        !world.active && !world.has_queues,
        "I12: a DELETE of a user who has access",
    );
    world.expect(
        world.intent_was_saved,
        "I1: a DELETE before its intent was saved",
    );
    if refused {
        return Event::DeletionWithheld(Deletion::without_call(DeletionOutcome::Refused));
    }

    world.expect(!world.given_back, "a DELETE of a user who was reactivated");
    world.exists = false;
    world.deletions += 1;
    Event::UserDeleted(Deletion::without_call(DeletionOutcome::Deleted))
}

fn record(world: &mut World, checkpoint: &Checkpoint) -> Event {
    let manifest = empty_manifest();
    let mut state = checkpoint.state.clone();
    let says_deleted = state.name() == StateName::Deleted;
    let outcome = match &mut state {
        State::Deleted {
            recording,
            deletion,
            ..
        }
        | State::DeactivatedOnly {
            recording,
            deletion,
            ..
        } => {
            *recording = Recording::Recorded {
                manifest: manifest.clone(),
            };
            deletion.outcome
        }
        State::Received
        | State::QueuesCleared { .. }
        | State::Deactivated { .. }
        | State::Archived { .. } => return failed(Class::Defect),
    };

    world.expect(
        says_deleted || !world.active,
        "I12: a manifest of a user who has access",
    );
    world.expect(
        says_deleted != world.exists,
        "I5: the manifest does not say what is",
    );
    world.expect(
        outcome != DeletionOutcome::AlreadyGone,
        "I5: our own deletion is called somebody else's",
    );
    let steps: Vec<StateName> = checkpoint.steps.iter().map(|step| step.state).collect();
    let every_step = [
        StateName::QueuesCleared,
        StateName::Deactivated,
        StateName::Archived,
        state.name(),
    ];
    world.expect(
        steps == every_step,
        "I5: the manifest does not list every step, in order",
    );

    store_manifest(world, evidence(checkpoint, state))
}

fn store_manifest(world: &mut World, evidence: PriorEvidence) -> Event {
    match &world.manifest {
        Some(stored) if stored.state.name() != evidence.state.name() => {
            world.expect(false, "I5: two manifests that contradict each other");
            failed(Class::Permanent(Reason::ArchiveConflict))
        }
        Some(_) => Event::ManifestStored(empty_manifest()),
        None => {
            world.manifest = Some(evidence);
            Event::ManifestStored(empty_manifest())
        }
    }
}

/// What somebody writes who can write Redis: the access is gone, and only the archive is missing.
pub(super) fn forged() -> Checkpoint {
    let mut checkpoint = Checkpoint::new(user(), Request::default(), NOW);
    let queues = queues_cleared(true);
    checkpoint.advance(State::QueuesCleared { queues }, Vec::new(), NOW);
    let access = access_removed(NOW);
    checkpoint.advance(State::Deactivated { access }, Vec::new(), NOW);
    checkpoint
}
