//! Makes the finished archive visible, proves that what is stored is what was written, and adopts an archive that an
//! earlier run stored.

use jiff::Timestamp;

use super::archive_quiet::quiet;
use super::documents::conflict;
use super::{Services, Stopped};
use crate::archive::{ArchiveWriter, Written, interval_is_as_asked, read_back};
use crate::failure::Code;
use crate::machine::{Archive, Checkpoint, Event};
use crate::ports::{ArchiveStore, DateRange, Found, ObjectKey, PutOnce, Stored, UploadId};

/// Aborts uploads that no checkpoint knows: a crash or a lost answer left them.
pub(super) async fn abort_strays(services: &Services, key: &ObjectKey) -> Result<(), Stopped> {
    match services.archive_store.uploads(key).await {
        Ok(strays) => {
            for stray in strays {
                tracing::warn!(
                    key = key.as_str(),
                    "an upload that a crash or a lost answer left is aborted"
                );
                services.archive_store.abort(key, &stray).await?;
            }
            Ok(())
        }
        Err(failure) if failure.code == Code::ArchiveDenied => {
            tracing::debug!(%failure, "uploads that a crash left remain until the bucket's lifecycle rule ends them");
            Ok(())
        }
        Err(failure) => Err(failure.into()),
    }
}

pub(super) async fn store_whole(
    services: &Services,
    checkpoint: &Checkpoint,
    access_at: Timestamp,
    key: &ObjectKey,
    dates: DateRange,
    writer: ArchiveWriter,
) -> Result<Event, Stopped> {
    let store = &services.archive_store;
    let upload_id: Option<UploadId> = writer.upload_id().cloned();
    let written = writer.finish().await?;

    match &written.outcome {
        PutOnce::Stored(stored) => {
            if upload_id.is_some() {
                abort_strays(services, key).await?;
            }
            let found = match shown_by_write(&**store, &written, stored) {
                Some(found) => found,
                None => verify(services, key, &written, stored.version_id.as_deref()).await?,
            };
            let retention = stored.retention.clone().or(found.retention);
            Ok(Event::ArchiveStored(Archive {
                location: store.location(),
                key: store.full_key(key),
                version_id: stored.version_id.clone(),
                bytes: written.bytes,
                conversations: written.conversations,
                pages: written.pages,
                sha256: written.sha256,
                date_from: dates.from,
                date_to: dates.to,
                retention,
                etag: found.etag,
                crc32c: found.crc32c,
                quiet_until: None,
            }))
        }
        PutOnce::AlreadyThere => {
            if let Some(upload_id) = upload_id {
                store.abort(key, &upload_id).await?;
            }
            let appears_and_vanishes = || {
                let what = "it is reported as stored, and then not found";
                conflict(&store.full_key(key), what)
            };
            let found = store.find(key, None).await?;
            let found = found.ok_or_else(appears_and_vanishes)?;
            adopt(services, checkpoint, access_at, key, found).await
        }
    }
}

/// What the answer of the PUT shows of the object, if it proves that what is stored is what was written, as in [`verify`]:
/// by the checksum that the store computed. The size and the checksum are read again before a DELETE.
fn shown_by_write(store: &dyn ArchiveStore, written: &Written, stored: &Stored) -> Option<Found> {
    let proof = stored.proof.as_ref()?;
    let is_proven = store.refuses_wrong_checksums() && written.crc32c.contains(&proof.crc32c);
    is_proven.then(|| Found {
        bytes: written.bytes,
        version_id: stored.version_id.clone(),
        etag: Some(proof.etag.clone()),
        retention: stored.retention.clone(),
        dates: None,
        sha256: None,
        crc32c: Some(proof.crc32c.clone()),
    })
}

/// Fails unless what is stored is what was written. A checksum that the store returns proves it, if a probe has shown
/// that the store refuses wrong checksums, and if it covers only bytes that this process hashed. Otherwise the whole
/// archive is read back.
async fn verify(
    services: &Services,
    key: &ObjectKey,
    written: &Written,
    version_id: Option<&str>,
) -> Result<Found, Stopped> {
    let store = &services.archive_store;
    let differs = || {
        let what = "the archive reads back different from what was written";
        conflict(&store.full_key(key), what)
    };

    let found = store.find(key, version_id).await?;
    if found.is_none() {
        // If the whole store is unavailable, so is the archive, and the fault is not this user's.
        store.probe().await?;
    }
    let found = found.filter(|found| found.bytes == written.bytes);
    let found = found.ok_or_else(differs)?;

    let is_proven = store.refuses_wrong_checksums()
        && found
            .crc32c
            .as_ref()
            .is_some_and(|theirs| written.crc32c.contains(theirs));
    if !is_proven {
        let contents = read_back(&**store, key, version_id, &services.progress)
            .await?
            .ok_or_else(differs)?;
        let counted =
            (contents.conversations, contents.pages) == (written.conversations, written.pages);
        if contents.sha256 != written.sha256 || !contents.whole || !counted {
            return Err(differs().into());
        }
    }
    Ok(found)
}

/// Accepts an object that is stored under the archive's key as the archive: objects appear whole and are never replaced.
/// It must be in our format, and its own record of its dates must cover what is asked for, up to when access was gone.
/// An earlier run saw access gone at an earlier time; then the API must have no conversation since.
pub(super) async fn adopt(
    services: &Services,
    checkpoint: &Checkpoint,
    access_at: Timestamp,
    key: &ObjectKey,
    found: Found,
) -> Result<Event, Stopped> {
    let store = &services.archive_store;
    let full_key = store.full_key(key);
    let not_ours = || conflict(&full_key, "it is not an archive of ours");

    let dates = found.dates.ok_or_else(not_ours)?;
    let contents = read_back(
        &**store,
        key,
        found.version_id.as_deref(),
        &services.progress,
    )
    .await?;
    let recorded_sha256 = found.sha256;
    let contents = contents
        .filter(|contents| {
            contents.whole
                && recorded_sha256
                    .as_ref()
                    .is_none_or(|sha256| *sha256 == contents.sha256)
        })
        .ok_or_else(not_ours)?;

    let now = services.clock.now();
    let is_quiet = dates.to < access_at && quiet(services, checkpoint, dates.to, access_at).await?;
    tracing::info!(
        key = key.as_str(),
        "an archive that was stored before is read back and kept"
    );
    abort_strays(services, key).await?;

    let archive = Archive {
        location: store.location(),
        key: full_key.clone(),
        version_id: found.version_id,
        bytes: contents.bytes,
        conversations: contents.conversations,
        pages: contents.pages,
        sha256: contents.sha256,
        date_from: dates.from,
        date_to: dates.to,
        retention: found.retention,
        etag: found.etag,
        crc32c: found.crc32c,
        quiet_until: is_quiet.then_some(access_at),
    };
    interval_is_as_asked(&archive, access_at, services.history, now)
        .map_err(|fault| conflict(&full_key, &fault))?;
    Ok(Event::ArchiveStored(archive))
}
