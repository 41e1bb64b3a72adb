//! Reads seals and manifests of earlier runs back into the evidence that a checkpoint would have held.

use sha2::{Digest, Sha256};

use super::Stopped;
use super::documents::{MAX_DOCUMENT_BYTES, conflict};
use crate::integrity::Purpose;
use crate::job::UserId;
use crate::machine::{
    AccessRemoved, ManifestRef, PriorEvidence, QueuesCleared, Recording, Seal, Sealing, State,
    StateName,
};
use crate::manifest::{Manifest, SealDocument, Status, archive_key, audit_key, sealed_key};
use crate::ports::ArchiveStore;

/// The evidence of a seal whose manifest is not stored.
pub(super) async fn sealed_evidence(
    store: &dyn ArchiveStore,
    user_id: UserId,
    evidence_revision: u32,
    recorded: u32,
) -> Result<PriorEvidence, Stopped> {
    let key = sealed_key(user_id, evidence_revision);
    let full_key = store.full_key(&key);

    let stored = store.read(&key, MAX_DOCUMENT_BYTES).await?;
    let stored = stored.ok_or_else(|| conflict(&full_key, "the seal is gone"))?;
    let document: SealDocument = store
        .integrity()
        .open(Purpose::Seal, key.as_str(), &stored)
        .map_err(|untrusted| conflict(&full_key, &untrusted.to_string()))?;
    let document = Some(document)
        .filter(|document| document.user_id == user_id && document.revision == evidence_revision)
        .filter(|document| {
            document.archive.key == store.full_key(&archive_key(user_id, evidence_revision))
        })
        .ok_or_else(|| conflict(&full_key, "another seal is stored there"))?;

    let seal = Seal {
        key: full_key,
        at: document.sealed_at,
    };
    Ok(PriorEvidence {
        profile: document.profile,
        revision: evidence_revision,
        evidence_revision,
        before_image: false,
        previous: previous(store, user_id, recorded).await?,
        request: document.request,
        steps: document.steps,
        workers: document.workers,
        state: State::Archived {
            access: document.access,
            archive: document.archive,
            sealing: Sealing::Sealed { seal },
        },
    })
}

/// The evidence of a finished off-boarding, by the manifest of this revision.
pub(super) async fn recorded_evidence(
    store: &dyn ArchiveStore,
    user_id: UserId,
    revision: u32,
) -> Result<PriorEvidence, Stopped> {
    let (manifest, reference) = manifest(store, user_id, revision).await?;
    let deactivated = manifest
        .steps
        .iter()
        .find(|step| step.state == StateName::Deactivated);
    let access = AccessRemoved {
        queues: QueuesCleared {
            confirmed: manifest.queue_assignments_cleared,
            residual: manifest.residual,
            agent: None,
        },
        scim_active: manifest.scim_active,
        at: deactivated.map_or(manifest.timestamp, |step| step.completed_at),
        sessions_ended_at: manifest.sessions_ended_at,
    };

    let archive = manifest.archive.archive;
    // A revision that only tried the deletion again has no archive of its own.
    let evidence_revision = (1..=revision)
        .rev()
        .find(|number| store.full_key(&archive_key(user_id, *number)) == archive.key);

    let deletion = manifest.deletion;
    let recording = Recording::Recorded {
        manifest: reference,
    };
    let state = match manifest.status {
        Status::Deleted => State::Deleted {
            access,
            archive,
            deletion,
            recording,
        },
        Status::DeactivatedOnly => State::DeactivatedOnly {
            access,
            archive,
            deletion,
            recording,
        },
    };
    Ok(PriorEvidence {
        profile: manifest.profile,
        revision,
        evidence_revision: evidence_revision.unwrap_or(revision),
        before_image: false,
        previous: manifest.previous,
        request: manifest.request,
        steps: manifest.steps,
        workers: manifest.workers,
        state,
    })
}

/// The newest manifest; the next one names its digest.
pub(super) async fn previous(
    store: &dyn ArchiveStore,
    user_id: UserId,
    recorded: u32,
) -> Result<Option<ManifestRef>, Stopped> {
    if recorded == 0 {
        return Ok(None);
    }
    Ok(Some(manifest(store, user_id, recorded).await?.1))
}

async fn manifest(
    store: &dyn ArchiveStore,
    user_id: UserId,
    revision: u32,
) -> Result<(Manifest, ManifestRef), Stopped> {
    let key = audit_key(user_id, revision);
    let full_key = store.full_key(&key);

    let stored = store.read(&key, MAX_DOCUMENT_BYTES).await?;
    let read = stored.and_then(|bytes| {
        let manifest = serde_json::from_slice::<Manifest>(&bytes).ok()?;
        Some((manifest, hex::encode(Sha256::digest(&bytes))))
    });
    let (manifest, sha256) = read
        .filter(|(manifest, _)| manifest.user_id == user_id && manifest.revision == revision)
        .ok_or_else(|| conflict(&full_key, "another manifest is stored there"))?;
    let reference = ManifestRef {
        key: full_key,
        sha256,
    };
    Ok((manifest, reference))
}
