use bytes::Bytes;
use jiff::Timestamp;

use super::guard::on_deletion;
use super::look_back::{recorded_traces, sealed_traces};
use super::read_again::{Doubt, record_holds};
use super::{CheckpointSession, Services, Stopped};
use crate::failure::{Class, Code, Failure, Reason};
use crate::guards::Verdict;
use crate::integrity::Purpose;
use crate::machine::{
    AccessRemoved, Archive, Call, Checkpoint, Deletion, DeletionOutcome, Event, Seal, Sealing,
    State,
};
use crate::manifest::{SealDocument, audit_key, sealed_key};
use crate::ports::{ArchiveStore, PutOnce};

/// The largest seal or manifest that is read back.
pub(crate) const MAX_DOCUMENT_BYTES: usize = 4 * 1024 * 1024;

/// Stores the evidence so far, before the DELETE. Where the checkpoint may be a stranger's, account and routing have to
/// show first what it says; so do they where an earlier revision removed the access. A crash after it leaves a seal that the next run
/// recognises as its own.
///
/// A seal that stands already is this off-boarding's own, of a run that lost its checkpoint or crashed
/// before saving it: then the DELETE may have been sent, and what the seal says counts. Or it is the
/// seal of the revision before, whose deletion was refused and is tried again.
pub(super) async fn seal(
    services: &Services,
    journal: &mut CheckpointSession,
    calls: &mut Vec<Call>,
) -> Result<Event, Stopped> {
    let checkpoint = journal.checkpoint();
    let (access, _archive) = archived(&checkpoint.state)?;
    let now = Timestamp::now();
    match on_deletion(services, checkpoint.user_id, &checkpoint.request, access.at).await? {
        Verdict::Proceed => {}
        Verdict::Postpone { until, why } => return Ok(Event::StepPostponed { until, why }),
        Verdict::Held => return Ok(held()),
    }
    // An earlier revision may have removed the access long ago.
    let doubt = if checkpoint.set < checkpoint.revision {
        Doubt::Intent
    } else {
        Doubt::Checkpoint
    };
    if !record_holds(services, journal, doubt, calls).await? {
        return Ok(Event::AccessReturned);
    }
    let checkpoint = journal.checkpoint();
    let (access, archive) = archived(&checkpoint.state)?;
    let document = SealDocument {
        schema_version: 1,
        user_id: checkpoint.user_id,
        revision: checkpoint.set,
        sealed_at: now,
        request: checkpoint.request.clone(),
        steps: checkpoint.steps.clone(),
        access: access.clone(),
        archive: archive.clone(),
    };
    let key = sealed_key(checkpoint.user_id, checkpoint.set);
    let full_key = services.archive_store.full_key(&key);
    let body = to_bytes(&document)?;
    let body = Bytes::from(services.archive_store.integrity().sign(
        Purpose::Seal,
        key.as_str(),
        body,
    ));
    match services.archive_store.put_once(&key, body, None).await? {
        PutOnce::Stored(_) => Ok(Event::EvidenceSealed(Seal {
            key: full_key,
            at: now,
        })),
        PutOnce::AlreadyThere => {
            let (store, user_id) = (&*services.archive_store, checkpoint.user_id);
            if let Some(recorded) = recorded(store, checkpoint).await? {
                return Ok(recorded);
            }
            let recorded = checkpoint.revision.saturating_sub(1);
            let traces = sealed_traces(store, user_id, checkpoint.set, recorded).await?;
            let State::Archived {
                archive: sealed,
                sealing: Sealing::Sealed { seal },
                ..
            } = &traces.state
            else {
                return Err(conflict(&full_key, "another seal stands there").into());
            };
            if sealed.sha256 != archive.sha256 || sealed.bytes != archive.bytes {
                return Err(conflict(&full_key, "it seals another archive").into());
            }
            Ok(if checkpoint.set < checkpoint.revision {
                Event::EvidenceSealed(seal.clone())
            } else {
                Event::PriorEvidenceFound(Box::new(traces))
            })
        }
    }
}

/// A hold ends the off-boarding before the deletion.
pub(super) fn held() -> Event {
    Event::DeletionWithheld(Deletion::without_call(DeletionOutcome::Held))
}

/// The manifest of this very revision, when it is stored already: the checkpoint is older than it.
pub(super) async fn recorded(
    store: &dyn ArchiveStore,
    checkpoint: &Checkpoint,
) -> Result<Option<Event>, Stopped> {
    let (user_id, revision) = (checkpoint.user_id, checkpoint.revision);
    if store
        .find(&audit_key(user_id, revision), None)
        .await?
        .is_none()
    {
        return Ok(None);
    }
    Ok(Some(Event::PriorEvidenceFound(Box::new(
        recorded_traces(store, user_id, revision).await?,
    ))))
}

/// The evidence of an archived user.
pub(super) fn archived(state: &State) -> Result<(&AccessRemoved, &Archive), Failure> {
    match state {
        State::Archived {
            access, archive, ..
        } => Ok((access, archive)),
        State::Received
        | State::QueuesCleared { .. }
        | State::Deactivated { .. }
        | State::Deleted { .. }
        | State::DeactivatedOnly { .. } => Err(Failure::new(
            Class::Defect,
            Code::IllegalTransition,
            format!("a deletion was asked for in the state {}", state.name()),
        )),
    }
}

/// The archive that a state knows of.
pub(super) const fn archive_of(state: &State) -> Option<&Archive> {
    match state {
        State::Archived { archive, .. }
        | State::Deleted { archive, .. }
        | State::DeactivatedOnly { archive, .. } => Some(archive),
        State::Received | State::QueuesCleared { .. } | State::Deactivated { .. } => None,
    }
}

/// A document of ours, as it is stored.
pub(super) fn to_bytes(document: &impl serde::Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec_pretty(document)
        .map_err(|error| Failure::internal("cannot write a document", error))
}

/// What is stored contradicts this run.
pub(super) fn conflict(full_key: &str, what: &str) -> Failure {
    Failure::new(
        Class::Permanent(Reason::ArchiveConflict),
        Code::ArchiveConflict,
        format!("{full_key}: {what}; nothing was overwritten, a person has to compare"),
    )
}
