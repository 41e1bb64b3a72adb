use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::archive_writer::{ArchiveWriter, Written};
use super::seal::conflict;
use super::{Journal, Services, Stopped};
use crate::adapters::cxone::{Client, NextPage, Page};
use crate::failure::{Class, Code, Failure, Reason};
use crate::job::UserId;
use crate::machine::{Archive, ArchiveInProgress, Event, UploadInProgress};
use crate::manifest::archive_key;
use crate::ports::{ObjectKey, PutOnce, Stored};

/// More pages than this are no history of one person, but a loop that changes its cursors.
const MAX_PAGES: usize = 200_000;

/// Streams the user's conversations into one object: a page is fetched while the one before it is
/// hashed and uploaded. A crash loses what came after the last confirmed part.
pub(super) async fn archive(services: &Services, journal: &mut Journal) -> Result<Event, Stopped> {
    let progress = begin(services.history, journal).await?;
    let result = Box::pin(stream(services, journal, &progress)).await;
    if let Err(Stopped::Failed(failure)) = &result
        && matches!(failure.code, Code::CxoneCursorLost | Code::ArchiveUploadLost)
    {
        begin_anew(services, journal).await?;
    }
    result
}

/// The dates of the history are chosen once and saved before the first page is asked for, so that
/// every later attempt makes the same object.
async fn begin(history: Duration, journal: &mut Journal) -> Result<ArchiveInProgress, Stopped> {
    if let Some(progress) = &journal.checkpoint().step.archive {
        return Ok(progress.clone());
    }
    // Milliseconds: some APIs read no more digits.
    let now = Timestamp::now();
    let date_to = Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now);
    let reach = SignedDuration::try_from(history).unwrap_or(SignedDuration::MAX);
    let date_from = date_to.checked_sub(reach).unwrap_or(Timestamp::UNIX_EPOCH);
    let progress = ArchiveInProgress { date_from, date_to, upload: None };
    journal.save_archive(progress.clone()).await.map_err(Stopped::Interrupted)?;
    Ok(progress)
}

/// Gives up an upload that cannot be continued.
async fn begin_anew(services: &Services, journal: &mut Journal) -> Result<(), Stopped> {
    let Some(mut progress) = journal.checkpoint().step.archive.clone() else { return Ok(()) };
    if let Some(upload) = progress.upload.take() {
        let key = archive_key(journal.user_id(), journal.checkpoint().revision);
        services.archive_store.abort(&key, &upload.id).await?;
        journal.save_archive(progress).await.map_err(Stopped::Interrupted)?;
    }
    Ok(())
}

async fn stream(
    services: &Services,
    journal: &mut Journal,
    progress: &ArchiveInProgress,
) -> Result<Event, Stopped> {
    let user_id = journal.user_id();
    let key = archive_key(user_id, journal.checkpoint().revision);
    let store = &services.archive_store;
    let mut writer = ArchiveWriter::new(Arc::clone(store), key.clone(), progress.upload.as_ref())?;

    // One page waits while one is written and one is fetched: flat memory, and no pause in either.
    let (sender, mut pages) = mpsc::channel(1);
    let fetching = fetch(services.cxone.clone(), user_id, progress.clone(), sender);
    let fetching = AbortOnDropHandle::new(tokio::spawn(fetching));
    let save = |upload: UploadInProgress| ArchiveInProgress { upload: Some(upload), ..progress.clone() };
    while let Some(page) = pages.recv().await {
        let page: Page = page?;
        writer.append(page.conversations());
        if writer.part_is_full() && page.next().is_some() {
            if let Some(begun) = writer.begin().await? {
                journal.save_archive(save(begun)).await.map_err(Stopped::Interrupted)?;
            }
            if let Some(confirmed) = writer.send_part(page.next().map(ToString::to_string)).await? {
                journal.save_archive(save(confirmed)).await.map_err(Stopped::Interrupted)?;
                journal.still_wanted().map_err(Stopped::Interrupted)?;
            }
        }
    }
    // The channel closes at the last page and when the fetching dies; only the first is an end.
    fetching.await.map_err(|error| Failure::new(Class::Defect, Code::Panicked, error.to_string()))?;

    let upload_id = writer.upload_id().cloned();
    let written = writer.finish().await?;
    let stored = match &written.outcome {
        PutOnce::Stored(stored) => {
            verify(services, &key, &written, stored.version_id.as_deref()).await?;
            stored.clone()
        }
        PutOnce::AlreadyThere => {
            if let Some(upload_id) = upload_id {
                store.abort(&key, &upload_id).await?;
            }
            our_own(services, &key, &written).await?
        }
    };
    Ok(Event::ArchiveStored(Archive {
        location: store.location(),
        key: store.full_key(&key),
        version_id: stored.version_id,
        bytes: written.bytes,
        conversations: written.conversations,
        pages: written.pages,
        sha256: written.sha256,
        date_from: progress.date_from,
        date_to: progress.date_to,
        retention: stored.retention,
    }))
}

/// Fetches page after page into `pages`. Ends at the last page, at a failure (which is the last
/// thing sent), or when nobody listens any more.
async fn fetch(
    cxone: Client,
    user_id: UserId,
    progress: ArchiveInProgress,
    pages: mpsc::Sender<Result<Page, Failure>>,
) {
    let mut next = match progress.upload.filter(|upload| !upload.parts.is_empty()) {
        Some(upload) => match upload.next_page.map(|link| link.parse::<NextPage>()) {
            Some(Ok(link)) => Some(link),
            Some(Err(error)) => {
                let _nobody_listens = pages.send(Err(error.into())).await;
                return;
            }
            None => return,
        },
        None => None,
    };
    let mut seen = HashSet::new();
    loop {
        let page = match &next {
            None => cxone.first_page(user_id, progress.date_from, progress.date_to).await,
            Some(link) => cxone.next_page(link).await,
        };
        let following = page.as_ref().ok().and_then(|page| page.next().cloned());
        let page = page.map_err(Failure::from);
        let failed = page.is_err();
        if pages.send(page).await.is_err() || failed {
            return;
        }
        let Some(link) = following else { return };
        if seen.len() == MAX_PAGES || !seen.insert(link.clone()) {
            let _nobody_listens = pages.send(Err(looping(seen.len()))).await;
            return;
        }
        next = Some(link);
    }
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
) -> Result<(), Stopped> {
    let store = &services.archive_store;
    let same = if store.verifies_on_arrival() {
        store.find(key, version_id).await?.is_some_and(|found| found.bytes == written.bytes)
    } else {
        store.digest(key, version_id).await? == Some((written.bytes, written.sha256.clone()))
    };
    if same {
        Ok(())
    } else {
        Err(conflict(&store.full_key(key), "the archive reads back otherwise than it was written").into())
    }
}

/// Something stands where the archive belongs. An earlier run may have stored it and crashed before
/// its checkpoint: then it is equal, and ours.
async fn our_own(services: &Services, key: &ObjectKey, written: &Written) -> Result<Stored, Stopped> {
    let store = &services.archive_store;
    let found = store.find(key, None).await?;
    let version_id = found.as_ref().and_then(|found| found.version_id.clone());
    let digest = store.digest(key, version_id.as_deref()).await?;
    match found {
        Some(found) if digest == Some((written.bytes, written.sha256.clone())) => {
            Ok(Stored { version_id: found.version_id, retention: found.retention })
        }
        Some(_) | None => Err(conflict(&store.full_key(key), "another archive stands there").into()),
    }
}
