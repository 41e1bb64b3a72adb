use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::read_again::{Doubt, record_holds};
use super::seal::{MAX_DOCUMENT_BYTES, conflict};
use super::{CheckpointSession, Services, Stopped};
use crate::failure::{Class, Code, Failure};
use crate::machine::{Call, Event, ManifestRef};
use crate::manifest::{Manifest, audit_key, tells_the_same};
use crate::ports::PutOnce;

/// Stores the manifest, once. A crash after it leaves a manifest that the next run recognises.
///
/// Where the checkpoint may be a stranger's, the world has to show first what it says.
pub(super) async fn record(
    services: &Services,
    journal: &mut CheckpointSession,
    calls: &mut Vec<Call>,
) -> Result<Event, Stopped> {
    if !record_holds(services, journal, Doubt::Checkpoint, calls).await? {
        return Ok(Event::AccessReturned);
    }
    let checkpoint = journal.checkpoint();
    let manifest = Manifest::of(checkpoint, &services.actor).ok_or_else(|| {
        let text = format!(
            "a manifest was asked for in the state {}",
            checkpoint.state.name()
        );
        Failure::new(Class::Defect, Code::IllegalTransition, text)
    })?;
    let bytes = manifest
        .to_bytes()
        .map(Bytes::from)
        .map_err(|error| Failure::internal("cannot write a manifest", error))?;
    let key = audit_key(checkpoint.user_id, checkpoint.revision);
    let full_key = services.archive_store.full_key(&key);
    let stored = match services
        .archive_store
        .put_once(&key, bytes.clone(), None)
        .await?
    {
        PutOnce::Stored(_) => bytes,
        PutOnce::AlreadyThere => services
            .archive_store
            .read(&key, MAX_DOCUMENT_BYTES)
            .await?
            .filter(|stored| {
                serde_json::from_slice::<Manifest>(stored)
                    .is_ok_and(|stored| tells_the_same(&stored, &manifest))
            })
            .ok_or_else(|| conflict(&full_key, "another manifest stands there"))?,
    };
    let sha256 = hex::encode(Sha256::digest(&stored));
    Ok(Event::ManifestStored(ManifestRef {
        key: full_key,
        sha256,
    }))
}
