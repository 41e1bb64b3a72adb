//! Whether the archive that was sealed is still stored as it was, when something final depends on it.

use super::documents::conflict;
use super::{Services, Stopped};
use crate::archive::read_back;
use crate::machine::{Archive, Checkpoint};
use crate::manifest::archive_key;
use crate::ports::Found;

/// Fails if the archive is gone or changed: it must be there when the DELETE is sent, not only when it was stored. The
/// current version has to be the sealed one, since Object Lock protects versions, not names. `whole`: the archive is
/// fetched and hashed, even where the store's checksum would be proof enough.
pub(super) async fn check_sealed_archive(
    services: &Services,
    checkpoint: &Checkpoint,
    archive: &Archive,
    whole: bool,
) -> Result<(), Stopped> {
    let store = &*services.archive_store;
    let key = archive_key(checkpoint.user_id, checkpoint.evidence_revision);
    let found = store.find(&key, None).await?;
    if found.is_none() {
        // If the whole store is unavailable, so is the archive, and the fault is not this user's.
        store.probe().await?;
    }

    let found = found.filter(|found| {
        found.bytes == archive.bytes
            && found.version_id == archive.version_id
            && found.etag == archive.etag
    });
    let proven = |found: &Found| {
        store.refuses_wrong_checksums() && found.crc32c.is_some() && found.crc32c == archive.crc32c
    };
    let unchanged = match &found {
        None => false,
        Some(found) if !whole && proven(found) => true,
        Some(_) => read_back(store, &key, None, &services.progress)
            .await?
            .is_some_and(|contents| contents.sha256 == archive.sha256),
    };

    if unchanged {
        Ok(())
    } else {
        let what = "the archive is gone or changed since it was sealed";
        Err(conflict(&archive.key, what).into())
    }
}
