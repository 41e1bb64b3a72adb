use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use super::archive_pages::fetch;
use super::archive_quiet::quiet;
use super::seal::conflict;
use super::{CheckpointSession, Services, Stopped};
use crate::adapters::cxone::Page;
use crate::archive::WindowDeduplicator;
use crate::archive::read_back;
use crate::archive::{ArchiveWriter, Written};
use crate::archive::{begin_of, interval_is_as_asked, is_before, may_go_on};
use crate::failure::{Class, Code, Failure};
use crate::machine::{
    Archive, ArchiveInProgress, Checkpoint, Crossing, Cursor, Event, State, UploadInProgress,
};
use crate::manifest::archive_key;
use crate::ports::DateRange;
use crate::ports::{Found, ObjectKey, PutOnce, UploadId};

/// Streams the user's conversations into one object: a page is fetched while the one before it is
/// hashed and uploaded. A crash loses what came after the last confirmed part.
///
/// An archive that is stored already is taken as it is, if its interval is what is asked for and the API knows
/// of nothing since: a run that lost its checkpoint stored it whole, and the conversations of a user who is
/// gone are gone too.
pub(super) async fn archive(
    services: &Services,
    journal: &mut CheckpointSession,
) -> Result<Event, Stopped> {
    let key = archive_key(journal.user_id(), journal.checkpoint().set);
    let access_at = access_at(journal.checkpoint())?;
    if !believable(services, journal.checkpoint(), access_at).await? {
        discard(services, journal, &key).await?;
    }
    let known = journal.checkpoint().step.archive.clone();
    let mut progress = known.unwrap_or_else(|| begin(services, access_at));
    if progress.upload.is_none() {
        // Nothing is stored that was asked for in other windows.
        progress.window_days = services.window_days;
    }
    if progress.upload.is_none()
        && let Some(found) = services.archive_store.find(&key, None).await?
    {
        return adopt(services, journal.checkpoint(), &key, found).await;
    }
    // The dates are kept from the first page on, so that every later attempt asks for the same.
    journal.checkpoint_mut().step.archive = Some(progress.clone());
    let result = Box::pin(stream(services, journal, &key, &progress)).await;
    if let Err(Stopped::Failed(failure)) = &result
        && matches!(
            failure.code,
            Code::CxoneCursorLost | Code::ArchiveUploadLost
        )
    {
        begin_anew(services, journal, &key).await?;
    }
    result
}

/// The archive reaches up to now, and to `access_at`, which another worker's clock may put a little later.
pub(crate) fn begin(services: &Services, access_at: Timestamp) -> ArchiveInProgress {
    let now = Timestamp::now();
    // Milliseconds: some APIs read no more digits.
    let gone = if is_before(now, access_at) {
        now
    } else {
        access_at
    };
    let milliseconds = gone
        .as_millisecond()
        .saturating_add(1)
        .max(now.as_millisecond());
    let date_to = Timestamp::from_millisecond(milliseconds).unwrap_or(now);
    let date_from = begin_of(date_to, services.history);
    ArchiveInProgress {
        date_from,
        date_to,
        window_days: services.window_days,
        upload: None,
    }
}

/// When the user's access was seen gone. The machine asks for this step in `Deactivated` only.
fn access_at(checkpoint: &Checkpoint) -> Result<Timestamp, Failure> {
    match &checkpoint.state {
        State::Deactivated { access } => Ok(access.at),
        State::Received
        | State::QueuesCleared { .. }
        | State::Archived { .. }
        | State::Deleted { .. }
        | State::DeactivatedOnly { .. } => {
            let text = format!(
                "an archive was asked for in the state {}",
                checkpoint.state.name()
            );
            Err(Failure::new(Class::Defect, Code::IllegalTransition, text))
        }
    }
}

/// Whether the progress in the checkpoint is of the archive that is asked for now. Redis is a hint: both dates
/// and the time when access was gone may be forged together, so one that ended a while ago counts only if the API
/// knows of nothing since.
async fn believable(
    services: &Services,
    checkpoint: &Checkpoint,
    access_at: Timestamp,
) -> Result<bool, Stopped> {
    let Some(progress) = &checkpoint.step.archive else {
        return Ok(true);
    };
    let now = Timestamp::now();
    if !may_go_on(
        progress,
        access_at,
        services.history,
        services.window_days,
        now,
    ) {
        return Ok(false);
    }
    let fresh = !is_before(progress.date_to, now);
    Ok(fresh || quiet(services, checkpoint.user_id, progress.date_to, now).await?)
}

/// Begins again: the progress in the checkpoint is not that of the archive that is asked for.
async fn discard(
    services: &Services,
    journal: &mut CheckpointSession,
    key: &ObjectKey,
) -> Result<(), Stopped> {
    let Some(progress) = journal.checkpoint_mut().step.archive.take() else {
        return Ok(());
    };
    tracing::warn!(
        from = %progress.date_from, to = %progress.date_to,
        "the archive under way in the checkpoint is not what the settings ask for; it begins again"
    );
    if progress.upload.is_some() {
        // The upload's name in the checkpoint may be forged, too.
        abort_strays(services, key).await?;
    }
    Ok(())
}

/// Gives up an upload that cannot be continued.
async fn begin_anew(
    services: &Services,
    journal: &mut CheckpointSession,
    key: &ObjectKey,
) -> Result<(), Stopped> {
    let Some(mut progress) = journal.checkpoint().step.archive.clone() else {
        return Ok(());
    };
    if let Some(upload) = progress.upload.take() {
        services.archive_store.abort(key, &upload.id).await?;
        journal
            .save_archive(progress)
            .await
            .map_err(Stopped::Interrupted)?;
    }
    Ok(())
}

async fn stream(
    services: &Services,
    journal: &mut CheckpointSession,
    key: &ObjectKey,
    progress: &ArchiveInProgress,
) -> Result<Event, Stopped> {
    let store = &services.archive_store;
    let span = DateRange {
        from: progress.date_from,
        to: progress.date_to,
    };
    let mut writer = ArchiveWriter::new(
        Arc::clone(store),
        key.clone(),
        span,
        progress.upload.as_ref(),
    )?;
    let (begin, crossing) = match &progress.upload {
        Some(upload) => (upload.cursor.clone(), upload.crossing.clone()),
        None => (
            Cursor::Window {
                from: progress.date_from,
            },
            Crossing::default(),
        ),
    };
    let mut door = WindowDeduplicator::new(&crossing, &begin);
    let save = |upload: UploadInProgress| ArchiveInProgress {
        upload: Some(upload),
        ..progress.clone()
    };

    if begin != Cursor::End {
        // One page waits while one is written and one is fetched: flat memory, and no pause in either.
        let (sender, mut pages) = mpsc::channel(1);
        let fetching = fetch(
            services.cxone.clone(),
            journal.user_id(),
            progress.clone(),
            begin,
            sender,
        );
        let fetching = AbortOnDropHandle::new(tokio::spawn(fetching.in_current_span()));
        loop {
            let page = tokio::select! {
                // Saved as soon as it is confirmed: a crash loses what came after it.
                confirmed = writer.settle(), if writer.is_sending() => {
                    if let Some(confirmed) = confirmed? {
                        journal.save_archive(save(confirmed)).await.map_err(Stopped::Interrupted)?;
                        journal.still_wanted().map_err(Stopped::Interrupted)?;
                    }
                    continue;
                }
                page = pages.recv() => page,
            };
            let Some(page) = page else { break };
            let (page, following): (Page, Cursor) = page?;
            writer.append(
                page.conversations()
                    .filter(|one| door.admits(one, progress)),
            );
            door.follow(&following);
            if writer.part_is_full() && following != Cursor::End {
                begin_upload(services, journal, key, &mut writer, save).await?;
                if let Some(confirmed) = writer.send_part(following, door.crossing()).await? {
                    journal
                        .save_archive(save(confirmed))
                        .await
                        .map_err(Stopped::Interrupted)?;
                    journal.still_wanted().map_err(Stopped::Interrupted)?;
                }
            }
        }
        // The channel closes at the last page and when the fetching dies; only the first is an end.
        fetching
            .await
            .map_err(|error| Failure::new(Class::Defect, Code::Panicked, error.to_string()))?;
        if writer.close() {
            begin_upload(services, journal, key, &mut writer, save).await?;
            let before = writer.send_part(Cursor::End, door.crossing()).await?;
            for confirmed in [before, writer.settle().await?].into_iter().flatten() {
                journal
                    .save_archive(save(confirmed))
                    .await
                    .map_err(Stopped::Interrupted)?;
            }
        }
    }
    store_whole(services, journal, key, span, writer).await
}

/// Begins the upload, if none is: saved before its first part is sent, so that a crash leaves none that
/// nobody knows of. What a crash between the two left is aborted here.
async fn begin_upload(
    services: &Services,
    journal: &mut CheckpointSession,
    key: &ObjectKey,
    writer: &mut ArchiveWriter,
    save: impl Fn(UploadInProgress) -> ArchiveInProgress,
) -> Result<(), Stopped> {
    if writer.upload_id().is_some() {
        return Ok(());
    }
    abort_strays(services, key).await?;
    if let Some(begun) = writer.begin().await? {
        journal
            .save_archive(save(begun))
            .await
            .map_err(Stopped::Interrupted)?;
    }
    Ok(())
}

/// Aborts what a crash or a lost answer left of uploads that no checkpoint knows of.
async fn abort_strays(services: &Services, key: &ObjectKey) -> Result<(), Stopped> {
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
            tracing::debug!(%failure, "uploads that a crash left stay until the bucket's lifecycle rule ends them");
            Ok(())
        }
        Err(failure) => Err(failure.into()),
    }
}

async fn store_whole(
    services: &Services,
    journal: &CheckpointSession,
    key: &ObjectKey,
    span: DateRange,
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
            let found = verify(services, key, &written, stored.version_id.as_deref()).await?;
            let retention = stored.retention.clone().or(found.retention);
            Ok(Event::ArchiveStored(Archive {
                location: store.location(),
                key: store.full_key(key),
                version_id: stored.version_id.clone(),
                bytes: written.bytes,
                conversations: written.conversations,
                pages: written.pages,
                sha256: written.sha256,
                date_from: span.from,
                date_to: span.to,
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
            let found = store.find(key, None).await?;
            let found = found.ok_or_else(|| conflict(&store.full_key(key), "it comes and goes"))?;
            adopt(services, journal.checkpoint(), key, found).await
        }
    }
}

/// Whether what was stored is what was written. A checksum that the store returns proves it, where a probe saw
/// that it refuses wrong ones, and where it is that of bytes which this process hashed; else all is read back.
async fn verify(
    services: &Services,
    key: &ObjectKey,
    written: &Written,
    version_id: Option<&str>,
) -> Result<Found, Stopped> {
    let store = &services.archive_store;
    let otherwise = || {
        conflict(
            &store.full_key(key),
            "the archive reads back otherwise than it was written",
        )
    };
    let found = store.find(key, version_id).await?;
    if found.is_none() {
        // Where the whole store is gone, so is the archive, and no single user is at fault.
        store.probe().await?;
    }
    let found = found.filter(|found| found.bytes == written.bytes);
    let found = found.ok_or_else(otherwise)?;
    let proven = store.refuses_wrong_checksums()
        && found
            .crc32c
            .as_ref()
            .is_some_and(|theirs| written.crc32c.contains(theirs));
    if !proven {
        let contents = read_back(&**store, key, version_id)
            .await?
            .ok_or_else(otherwise)?;
        let counted =
            (contents.conversations, contents.pages) == (written.conversations, written.pages);
        if contents.sha256 != written.sha256 || !contents.whole || !counted {
            return Err(otherwise().into());
        }
    }
    Ok(found)
}

/// Takes what is stored where the archive belongs for the archive: objects appear whole and are never
/// replaced. It has to be one of ours, which says of itself what it covers: what is asked for, up to when access
/// was gone. An earlier run saw that at an earlier time; then the API must know of nothing since.
async fn adopt(
    services: &Services,
    checkpoint: &Checkpoint,
    key: &ObjectKey,
    found: Found,
) -> Result<Event, Stopped> {
    let store = &services.archive_store;
    let full_key = store.full_key(key);
    let strange = || conflict(&full_key, "it is no archive of ours");
    let span = found.dates.ok_or_else(strange)?;
    let contents = read_back(&**store, key, found.version_id.as_deref()).await?;
    let said = found.sha256;
    let unchanged = |sha256: &String| said.as_ref().is_none_or(|said| said == sha256);
    let contents = contents
        .filter(|contents| contents.whole && unchanged(&contents.sha256))
        .ok_or_else(strange)?;
    let (access_at, now) = (access_at(checkpoint)?, Timestamp::now());
    let quiet_until = if span.to < access_at {
        quiet(services, checkpoint.user_id, span.to, access_at)
            .await?
            .then_some(access_at)
    } else {
        None
    };
    tracing::info!(
        key = key.as_str(),
        "an archive that was stored before is read back and kept"
    );
    abort_strays(services, key).await?;
    let archive = Archive {
        location: store.location(),
        key: store.full_key(key),
        version_id: found.version_id,
        bytes: contents.bytes,
        conversations: contents.conversations,
        pages: contents.pages,
        sha256: contents.sha256,
        date_from: span.from,
        date_to: span.to,
        retention: found.retention,
        etag: found.etag,
        crc32c: found.crc32c,
        quiet_until,
    };
    interval_is_as_asked(&archive, access_at, services.history, now)
        .map_err(|fault| conflict(&full_key, &fault))?;
    Ok(Event::ArchiveStored(archive))
}
