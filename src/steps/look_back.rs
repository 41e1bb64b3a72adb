use sha2::{Digest, Sha256};

use super::seal::{MAX_DOCUMENT_BYTES, conflict};
use super::{Services, Stopped};
use crate::integrity::Purpose;
use crate::job::{Job, UserId};
use crate::machine::{
    AccessRemoved, Beginning, Checkpoint, Event, ManifestRef, PriorEvidence, QueuesCleared,
    Recording, Sealing, State, StateName,
};
use crate::manifest::{
    Kind, Manifest, SealDocument, Status, archive_key, audit_key, parse_key, sealed_key,
};
use crate::ports::ArchiveStore;

/// Looks in the store for what an earlier run left, when Redis knows of nothing: a manifest or a seal is
/// as good as the checkpoint that was lost. One listing; a user who is new costs no more.
pub(crate) async fn look_back(services: &Services, job: &Job) -> Result<Event, Stopped> {
    let store = &*services.archive_store;
    let keys = store.keys(&job.user_id.to_string()).await?;
    let latest = |wanted: Kind| {
        let parsed = keys.iter().filter_map(|key| parse_key(job.user_id, key));
        parsed
            .filter(|(kind, _)| *kind == wanted)
            .map(|(_, revision)| revision)
            .max()
            .unwrap_or(0)
    };
    let (archived, sealed, recorded) = (
        latest(Kind::Archive),
        latest(Kind::Sealed),
        latest(Kind::Audit),
    );
    if sealed > recorded {
        return Ok(found(
            sealed_traces(store, job.user_id, sealed, recorded).await?,
        ));
    }
    // A job says itself when it stands for a user who came back after the last manifest.
    let begun = archived.max(
        job.revision
            .filter(|named| *named == recorded + 1)
            .unwrap_or(0),
    );
    if recorded > 0 && begun <= recorded {
        return Ok(found(recorded_traces(store, job.user_id, recorded).await?));
    }
    let previous = previous(store, job.user_id, recorded).await?;
    Ok(Event::NoPriorEvidence(Beginning {
        revision: recorded + 1,
        previous,
    }))
}

/// Reads whether a user who was off-boarded is back: one who was deleted exists, one who stayed is active.
pub(super) async fn look_again(
    services: &Services,
    checkpoint: &Checkpoint,
) -> Result<Event, Stopped> {
    let user_id = checkpoint.user_id;
    let is_back = if checkpoint.state.name() == StateName::Deleted {
        services.cxone.find_user(user_id).await?.value
    } else {
        let user = services.cxone.account(user_id).await?.user;
        user.is_some_and(|user| user.active() == Some(true))
    };
    Ok(if is_back {
        Event::UserReturned
    } else {
        Event::UserStayedAway
    })
}

fn found(traces: PriorEvidence) -> Event {
    Event::PriorEvidenceFound(Box::new(traces))
}

/// The seal of this set, whose manifest is not stored.
pub(super) async fn sealed_traces(
    store: &dyn ArchiveStore,
    user_id: UserId,
    set: u32,
    recorded: u32,
) -> Result<PriorEvidence, Stopped> {
    let key = sealed_key(user_id, set);
    let full_key = store.full_key(&key);
    let stored = store.read(&key, MAX_DOCUMENT_BYTES).await?;
    let stored = stored.ok_or_else(|| conflict(&full_key, "the seal is gone"))?;
    let document: SealDocument = store
        .integrity()
        .open(Purpose::Seal, key.as_str(), &stored)
        .map_err(|untrusted| conflict(&full_key, &untrusted.to_string()))?;
    let document = Some(document)
        .filter(|document| document.user_id == user_id && document.revision == set)
        .filter(|document| document.archive.key == store.full_key(&archive_key(user_id, set)))
        .ok_or_else(|| conflict(&full_key, "another seal stands there"))?;
    let seal = crate::machine::Seal {
        key: full_key,
        at: document.sealed_at,
    };
    Ok(PriorEvidence {
        revision: set,
        set,
        previous: previous(store, user_id, recorded).await?,
        request: document.request,
        steps: document.steps,
        state: State::Archived {
            access: document.access,
            archive: document.archive,
            sealing: Sealing::Sealed { seal },
        },
    })
}

/// The end that the manifest of this revision tells of.
pub(super) async fn recorded_traces(
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
        },
        scim_active: manifest.scim_active,
        at: deactivated.map_or(manifest.timestamp, |step| step.completed_at),
    };
    let archive = manifest.archive.archive;
    let (deletion, recording) = (
        manifest.deletion,
        Recording::Recorded {
            manifest: reference,
        },
    );
    let set = (1..=revision)
        .rev()
        .find(|set| store.full_key(&archive_key(user_id, *set)) == archive.key);
    Ok(PriorEvidence {
        revision,
        set: set.unwrap_or(revision),
        previous: manifest.previous,
        request: manifest.request,
        steps: manifest.steps,
        state: match manifest.status {
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
        },
    })
}

async fn previous(
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
        .ok_or_else(|| conflict(&full_key, "another manifest stands there"))?;
    Ok((
        manifest,
        ManifestRef {
            key: full_key,
            sha256,
        },
    ))
}

/// Whether the manifest of a finished off-boarding is in the store, with this digest, and says the same end.
pub(crate) async fn is_recorded(
    store: &dyn ArchiveStore,
    checkpoint: &Checkpoint,
    manifest: &ManifestRef,
) -> Result<bool, Stopped> {
    let key = audit_key(checkpoint.user_id, checkpoint.revision);
    let Some(stored) = store.read(&key, MAX_DOCUMENT_BYTES).await? else {
        return Ok(false);
    };
    let Ok(read) = serde_json::from_slice::<Manifest>(&stored) else {
        return Ok(false);
    };
    let end = StateName::from(read.status);
    Ok(manifest.key == store.full_key(&key)
        && hex::encode(Sha256::digest(&stored)) == manifest.sha256
        && read.user_id == checkpoint.user_id
        && end == checkpoint.state.name()
        && checkpoint.ended_at() == Some(read.timestamp))
}
