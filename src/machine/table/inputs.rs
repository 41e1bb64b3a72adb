//! Every state and every event, with samples of the data that they carry.

use jiff::Timestamp;

use crate::failure::{Class, Code, Failure, Reason};
use crate::job::Request;
use crate::machine::samples::{
    access_removed, archived, cancelled, deactivated_only, deleted, empty_archive, empty_manifest,
    empty_seal, queues_cleared,
};
use crate::machine::{
    AccessRemoved, Beginning, Deletion, DeletionOutcome, Event, Pause, PriorEvidence, Recording,
    Sealing, State,
};
use crate::profile::TenantProfile;

const AT: Timestamp = Timestamp::UNIX_EPOCH;

pub(super) fn states() -> Vec<(String, State)> {
    let left_over = AccessRemoved {
        queues: queues_cleared(false),
        ..access_removed(AT)
    };
    let accepted = Sealing::Accepted {
        seal: empty_seal(AT),
        deletion: Deletion::without_call(DeletionOutcome::Deleted),
    };
    let recorded = || Recording::Recorded {
        manifest: empty_manifest(),
    };

    let all = [
        State::Received,
        State::QueuesCleared {
            queues: queues_cleared(true),
        },
        State::Deactivated {
            access: access_removed(AT),
        },
        State::Deactivated {
            access: left_over.clone(),
        },
        archived(AT, Sealing::Unsealed),
        State::Archived {
            access: left_over,
            archive: empty_archive(AT),
            sealing: Sealing::Unsealed,
        },
        archived(
            AT,
            Sealing::Sealed {
                seal: empty_seal(AT),
            },
        ),
        archived(AT, accepted),
        deleted(AT, Recording::Unrecorded),
        deleted(AT, recorded()),
        deactivated_only(AT, Recording::Unrecorded),
        deactivated_only(AT, recorded()),
    ];
    all.into_iter()
        .map(|state| (label(&state), state))
        .collect()
}

/// A state with its phase, as the document names it.
pub(super) fn label(state: &State) -> String {
    let phase = match state {
        State::Received | State::QueuesCleared { .. } => "",
        State::Deactivated { access } if access.queues.confirmed => "",
        State::Deactivated { .. } => " (queues left over)",
        State::Archived {
            sealing: Sealing::Unsealed,
            access,
            ..
        } if !access.queues.confirmed => " (queues left over)",
        State::Archived { sealing, .. } => match sealing {
            Sealing::Unsealed => "",
            Sealing::Sealed { .. } => " (sealed)",
            Sealing::Accepted { .. } => " (deletion accepted)",
        },
        State::Deleted { recording, .. } | State::DeactivatedOnly { recording, .. } => {
            match recording {
                Recording::Unrecorded => "",
                Recording::Recorded { .. } => " (recorded)",
            }
        }
    };
    format!("{}{phase}", state.name())
}

pub(super) fn events() -> Vec<(String, Event)> {
    let deletion = Deletion::without_call(DeletionOutcome::Deleted);
    let beginning = Beginning {
        revision: 1,
        previous: None,
        archived: false,
    };
    let looked_back = std::iter::once((
        "NoPriorEvidence".to_owned(),
        Event::NoPriorEvidence(beginning),
    ))
    .chain(prior_evidence());

    let others = [
        Event::Resumed,
        Event::UserNotFound,
        Event::QueuesCleared(queues_cleared(true)),
        Event::UserDeactivated(access_removed(AT)),
        Event::ArchiveStored(empty_archive(AT)),
        Event::EvidenceSealed(empty_seal(AT)),
        Event::DeletionAccepted(deletion.clone()),
        Event::StepPostponed {
            until: AT,
            why: Pause::NotDue,
        },
        Event::UserDeleted(deletion.clone()),
        Event::DeletionWithheld(deletion),
        Event::ManifestStored(empty_manifest()),
        Event::UserReturned,
        Event::UserStayedAway,
        Event::AccessReturned,
        Event::Cancelled(cancelled(AT)),
    ];
    let others = others
        .into_iter()
        .map(|event| (event.name().to_owned(), event));
    looked_back.chain(others).collect()
}

/// `PriorEvidenceFound`, with each state that an earlier run may have stored.
fn prior_evidence() -> impl Iterator<Item = (String, Event)> {
    let stored = states()
        .into_iter()
        .filter(|(label, state)| label == "Archived (sealed)" || state.is_finished());

    stored.map(|(label, state)| {
        let evidence = PriorEvidence {
            before_image: false,
            profile: TenantProfile::default(),
            revision: 1,
            evidence_revision: 1,
            previous: None,
            request: Request::default(),
            steps: Vec::new(),
            workers: Vec::new(),
            state,
        };
        let event = Event::PriorEvidenceFound(Box::new(evidence));
        (format!("PriorEvidenceFound: {label}"), event)
    })
}

/// Failures of a step: a description, the event, and the attempts that were spent before.
pub(super) fn failures() -> Vec<(&'static str, Event, u32)> {
    let failed = |class| Event::StepFailed(Failure::new(class, Code::CxoneServerError, ""));
    vec![
        ("transient or unknown outcome", failed(Class::Transient), 0),
        (
            "the same, at the last attempt",
            failed(Class::Transient),
            u32::MAX,
        ),
        ("throttled", failed(Class::Throttled), 0),
        (
            "refused for this user, for good",
            failed(Class::Permanent(Reason::ApiRejected)),
            0,
        ),
        ("a fault of ours", failed(Class::Defect), 0),
    ]
}
