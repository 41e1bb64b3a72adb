//! Stores the manifest, once.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::documents::{MAX_DOCUMENT_BYTES, conflict};
use super::read_again::{Doubt, confirm_record};
use super::{CheckpointSession, Services, Stopped};
use crate::failure::{Class, Code, Failure};
use crate::machine::{Call, Event, ManifestRef};
use crate::manifest::{Manifest, audit_key, has_same_evidence};
use crate::ports::PutOnce;

/// A crash afterwards leaves a manifest that the next run recognises. If the checkpoint may be forged, reads have to
/// confirm first what it says.
pub(super) async fn record(
    services: &Services,
    journal: &mut CheckpointSession,
    calls: &mut Vec<Call>,
) -> Result<Event, Stopped> {
    if !confirm_record(services, journal, Doubt::Checkpoint, calls).await? {
        return Ok(Event::AccessReturned);
    }

    let checkpoint = journal.checkpoint();
    let manifest = Manifest::of(checkpoint, &services.actor).ok_or_else(|| {
        let state = checkpoint.state.name();
        let text = format!("a manifest was asked for in the state {state}");
        Failure::new(Class::Defect, Code::IllegalTransition, text)
    })?;
    let bytes = manifest
        .to_bytes()
        .map(Bytes::from)
        .map_err(|error| Failure::internal("cannot write a manifest", error))?;

    let store = &*services.archive_store;
    let key = audit_key(checkpoint.user_id, checkpoint.revision);
    let full_key = store.full_key(&key);
    let stored = match store.put_once(&key, bytes.clone(), None).await? {
        PutOnce::Stored(_) => bytes,
        PutOnce::AlreadyThere => store
            .read(&key, MAX_DOCUMENT_BYTES)
            .await?
            .filter(|stored| {
                serde_json::from_slice::<Manifest>(stored)
                    .is_ok_and(|stored| has_same_evidence(&stored, &manifest))
            })
            .ok_or_else(|| conflict(&full_key, "another manifest is stored there"))?,
    };

    let sha256 = hex::encode(Sha256::digest(&stored));
    Ok(Event::ManifestStored(ManifestRef {
        key: full_key,
        sha256,
    }))
}
