use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use super::archive_reader::read_back;
use super::archive_windows::{Doorkeeper, after_window, end_of};
use super::archive_writer::{ArchiveWriter, Written};
use super::seal::conflict;
use super::{Journal, Services, Stopped};
use crate::adapters::cxone::{Client, NextPage, Page};
use crate::failure::{Class, Code, Failure, Reason};
use crate::job::UserId;
use crate::machine::{Archive, ArchiveInProgress, Crossing, Cursor, Event, UploadInProgress};
use crate::manifest::archive_key;
use crate::ports::{Found, ObjectKey, PutOnce, Span, UploadId};

/// More pages than this are no history of one person, but a loop that changes its cursors.
const MAX_PAGES: usize = 200_000;

/// Streams the user's conversations into one object: a page is fetched while the one before it is
/// hashed and uploaded. A crash loses what came after the last confirmed part.
///
/// An archive that stands already is taken as it is, whatever the API says by now: it was stored whole
/// by a run that lost its checkpoint, and the conversations of a user who is gone are gone too.
pub(super) async fn archive(services: &Services, journal: &mut Journal) -> Result<Event, Stopped> {
    let key = archive_key(journal.user_id(), journal.checkpoint().set);
    let mut progress = journal.checkpoint().step.archive.clone().unwrap_or_else(|| begin(services));
    if progress.upload.is_none() {
        // Nothing stands that was asked for in other windows.
        progress.window_days = services.window_days;
    }
    if progress.upload.is_none()
        && let Some(found) = services.archive_store.find(&key, None).await?
    {
        return adopt(services, &key, found).await;
    }
    // The dates are kept from the first page on, so that every later attempt asks for the same.
    journal.checkpoint_mut().step.archive = Some(progress.clone());
    let result = Box::pin(stream(services, journal, &key, &progress)).await;
    if let Err(Stopped::Failed(failure)) = &result
        && matches!(failure.code, Code::CxoneCursorLost | Code::ArchiveUploadLost)
    {
        begin_anew(services, journal, &key).await?;
    }
    result
}

pub(super) fn begin(services: &Services) -> ArchiveInProgress {
    // Milliseconds: some APIs read no more digits.
    let now = Timestamp::now();
    let date_to = Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now);
    let reach = SignedDuration::try_from(services.history).unwrap_or(SignedDuration::MAX);
    let date_from = date_to.checked_sub(reach).unwrap_or(Timestamp::UNIX_EPOCH);
    ArchiveInProgress { date_from, date_to, window_days: services.window_days, upload: None }
}

/// Gives up an upload that cannot be continued.
async fn begin_anew(services: &Services, journal: &mut Journal, key: &ObjectKey) -> Result<(), Stopped> {
    let Some(mut progress) = journal.checkpoint().step.archive.clone() else { return Ok(()) };
    if let Some(upload) = progress.upload.take() {
        services.archive_store.abort(key, &upload.id).await?;
        journal.save_archive(progress).await.map_err(Stopped::Interrupted)?;
    }
    Ok(())
}

async fn stream(
    services: &Services,
    journal: &mut Journal,
    key: &ObjectKey,
    progress: &ArchiveInProgress,
) -> Result<Event, Stopped> {
    let store = &services.archive_store;
    let span = Span { from: progress.date_from, to: progress.date_to };
    let mut writer = ArchiveWriter::new(Arc::clone(store), key.clone(), span, progress.upload.as_ref())?;
    let (begin, crossing) = match &progress.upload {
        Some(upload) => (upload.cursor.clone(), upload.crossing.clone()),
        None => (Cursor::Window { from: progress.date_from }, Crossing::default()),
    };
    let mut door = Doorkeeper::new(&crossing, &begin);
    let save = |upload: UploadInProgress| ArchiveInProgress { upload: Some(upload), ..progress.clone() };

    if begin != Cursor::End {
        // One page waits while one is written and one is fetched: flat memory, and no pause in either.
        let (sender, mut pages) = mpsc::channel(1);
        let fetching = fetch(services.cxone.clone(), journal.user_id(), progress.clone(), begin, sender);
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
            writer.append(page.conversations().filter(|one| door.admits(one, progress)));
            door.follow(&following);
            if writer.part_is_full() && following != Cursor::End {
                begin_upload(services, journal, key, &mut writer, save).await?;
                if let Some(confirmed) = writer.send_part(following, door.crossing()).await? {
                    journal.save_archive(save(confirmed)).await.map_err(Stopped::Interrupted)?;
                    journal.still_wanted().map_err(Stopped::Interrupted)?;
                }
            }
        }
        // The channel closes at the last page and when the fetching dies; only the first is an end.
        fetching.await.map_err(|error| Failure::new(Class::Defect, Code::Panicked, error.to_string()))?;
        if writer.close() {
            begin_upload(services, journal, key, &mut writer, save).await?;
            let before = writer.send_part(Cursor::End, door.crossing()).await?;
            for confirmed in [before, writer.settle().await?].into_iter().flatten() {
                journal.save_archive(save(confirmed)).await.map_err(Stopped::Interrupted)?;
            }
        }
    }
    store_whole(services, key, span, writer).await
}

/// Begins the upload, if none is: saved before its first part is sent, so that a crash leaves none that
/// nobody knows of. What a crash between the two left is aborted here.
async fn begin_upload(
    services: &Services,
    journal: &mut Journal,
    key: &ObjectKey,
    writer: &mut ArchiveWriter,
    save: impl Fn(UploadInProgress) -> ArchiveInProgress,
) -> Result<(), Stopped> {
    if writer.upload_id().is_some() {
        return Ok(());
    }
    abort_strays(services, key).await?;
    if let Some(begun) = writer.begin().await? {
        journal.save_archive(save(begun)).await.map_err(Stopped::Interrupted)?;
    }
    Ok(())
}

/// Aborts what a crash or a lost answer left of uploads that no checkpoint knows of.
async fn abort_strays(services: &Services, key: &ObjectKey) -> Result<(), Stopped> {
    match services.archive_store.uploads(key).await {
        Ok(strays) => {
            for stray in strays {
                tracing::warn!(key = key.as_str(), "an upload that a crash or a lost answer left is aborted");
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
    key: &ObjectKey,
    span: Span,
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
            }))
        }
        PutOnce::AlreadyThere => {
            if let Some(upload_id) = upload_id {
                store.abort(key, &upload_id).await?;
            }
            let found = store.find(key, None).await?;
            let found = found.ok_or_else(|| conflict(&store.full_key(key), "it comes and goes"))?;
            adopt(services, key, found).await
        }
    }
}

/// What to ask for, and what comes after it.
type Fetched = Result<(Page, Cursor), Failure>;

/// Fetches page after page into `pages`. Ends at the last page, at a failure (which is the last
/// thing sent), or when nobody listens any more.
async fn fetch(
    cxone: Client,
    user_id: UserId,
    progress: ArchiveInProgress,
    mut cursor: Cursor,
    pages: mpsc::Sender<Fetched>,
) {
    // Digests, so that a long history costs little memory.
    let (mut seen, hasher) = (HashSet::new(), RandomState::new());
    loop {
        let fetched = page(&cxone, user_id, &progress, &cursor).await;
        let following = fetched.as_ref().ok().map(|(_, following)| following.clone());
        if pages.send(fetched).await.is_err() {
            return;
        }
        match following {
            None | Some(Cursor::End) => return,
            Some(following) => cursor = following,
        }
        if seen.len() == MAX_PAGES || !seen.insert(hasher.hash_one(&cursor)) {
            let _nobody_listens = pages.send(Err(looping(seen.len()))).await;
            return;
        }
    }
}

pub(super) async fn page(
    cxone: &Client,
    user_id: UserId,
    progress: &ArchiveInProgress,
    cursor: &Cursor,
) -> Fetched {
    let (page, from) = match cursor {
        Cursor::Window { from } => (cxone.first_page(user_id, *from, end_of(*from, progress)).await?, *from),
        Cursor::Page { from, link } => (cxone.next_page(&link.parse::<NextPage>()?).await?, *from),
        Cursor::End => {
            let text = "a page was asked for after the last one";
            return Err(Failure::new(Class::Defect, Code::IllegalTransition, text));
        }
    };
    let following = match page.next() {
        Some(link) => Cursor::Page { from, link: link.to_string() },
        None => after_window(from, progress),
    };
    Ok((page, following))
}

fn looping(pages: usize) -> Failure {
    Failure::new(
        Class::Permanent(Reason::ApiRejected),
        Code::CxoneBadNextPage,
        format!(
            "the conversations do not end: after {pages} pages a cursor came again, or there are too many"
        ),
    )
}

/// Reads back what was stored.
async fn verify(
    services: &Services,
    key: &ObjectKey,
    written: &Written,
    version_id: Option<&str>,
) -> Result<Found, Stopped> {
    let store = &services.archive_store;
    let otherwise = || conflict(&store.full_key(key), "the archive reads back otherwise than it was written");
    let found = store.find(key, version_id).await?;
    if found.is_none() {
        // Where the whole store is gone, so is the archive, and no single user is at fault.
        store.probe().await?;
    }
    let found = found.filter(|found| found.bytes == written.bytes);
    let found = found.ok_or_else(otherwise)?;
    if !store.verifies_on_arrival() {
        let contents = read_back(&**store, key, version_id).await?;
        if contents.is_none_or(|contents| contents.sha256 != written.sha256) {
            return Err(otherwise().into());
        }
    }
    Ok(found)
}

/// Takes what stands where the archive belongs for the archive: objects appear whole and are never
/// replaced. It has to be one of ours, which says of itself what it covers.
async fn adopt(services: &Services, key: &ObjectKey, found: Found) -> Result<Event, Stopped> {
    let store = &services.archive_store;
    let strange = || conflict(&store.full_key(key), "what stands there is no archive of ours");
    let span = found.span.ok_or_else(strange)?;
    let contents = read_back(&**store, key, found.version_id.as_deref()).await?;
    let contents = contents.filter(|contents| contents.whole).ok_or_else(strange)?;
    tracing::info!(key = key.as_str(), "an archive that was stored before is read back and kept");
    abort_strays(services, key).await?;
    Ok(Event::ArchiveStored(Archive {
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
    }))
}
