use bytes::Bytes;
use jiff::Timestamp;

use super::{Services, Stopped};
use crate::failure::{Class, Code, Failure, Reason};
use crate::guards::Verdict;
use crate::machine::{AccessRemoved, Archive, Checkpoint, Event, Seal, State};
use crate::manifest::{SealDocument, sealed_key};
use crate::ports::PutOnce;

/// The largest seal or manifest that is read back.
pub(super) const MAX_DOCUMENT_BYTES: usize = 4 * 1024 * 1024;

/// Stores the evidence so far, before the DELETE. A crash after it leaves a seal that the next run
/// recognises as its own.
pub(super) async fn seal(services: &Services, checkpoint: &Checkpoint) -> Result<Event, Stopped> {
    let (access, archive) = archived(&checkpoint.state)?;
    let now = Timestamp::now();
    if let Verdict::Postpone(until) = services.guards.on_deletion(&checkpoint.request, access.at, now) {
        return Ok(Event::DeletionPostponed { until });
    }
    let document = SealDocument {
        schema_version: 1,
        user_id: checkpoint.user_id,
        revision: checkpoint.revision,
        sealed_at: now,
        request: checkpoint.request.clone(),
        steps: checkpoint.steps.clone(),
        access: access.clone(),
        archive: archive.clone(),
    };
    let key = sealed_key(checkpoint.user_id, checkpoint.revision);
    let full_key = services.archive_store.full_key(&key);
    let body = to_bytes(&document)?;
    let at = match services.archive_store.put_once(&key, body).await? {
        PutOnce::Stored(_) => now,
        PutOnce::AlreadyThere => {
            let stored = services.archive_store.read(&key, MAX_DOCUMENT_BYTES).await?;
            let ours = stored
                .and_then(|bytes| serde_json::from_slice::<SealDocument>(&bytes).ok())
                .filter(|stored| stored.archive == document.archive && stored.user_id == document.user_id);
            ours.ok_or_else(|| conflict(&full_key, "another seal stands there"))?.sealed_at
        }
    };
    Ok(Event::EvidenceSealed(Seal { key: full_key, at }))
}

/// The evidence of an archived user.
pub(super) fn archived(state: &State) -> Result<(&AccessRemoved, &Archive), Failure> {
    match state {
        State::Archived { access, archive, .. } => Ok((access, archive)),
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

/// A document of ours, as it is stored.
pub(super) fn to_bytes(document: &impl serde::Serialize) -> Result<Bytes, Failure> {
    serde_json::to_vec_pretty(document)
        .map(Bytes::from)
        .map_err(|error| Failure::new(Class::Defect, Code::IllegalTransition, error.to_string()))
}

/// What is stored contradicts this run.
pub(super) fn conflict(full_key: &str, what: &str) -> Failure {
    Failure::new(
        Class::Permanent(Reason::ArchiveConflict),
        Code::ArchiveConflict,
        format!("{full_key}: {what}; nothing was overwritten, a person has to compare"),
    )
}
