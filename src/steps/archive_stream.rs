//! Streams pages from the API into the store, with a checkpoint after each confirmed part.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use super::archive_pages::{Fetched, fetch};
use super::archive_store::{abort_strays, store_whole};
use super::{CheckpointSession, Services, Stopped};
use crate::archive::{ArchiveWriter, ReservedMemory, WindowDeduplicator};
use crate::failure::{Class, Code, Failure};
use crate::machine::{ArchiveInProgress, Crossing, Cursor, Event, UploadInProgress};
use crate::ports::{Batch, DateRange, ObjectKey};

/// One archive under way.
struct ArchiveStream<'a> {
    services: &'a Services,
    journal: &'a mut CheckpointSession,
    key: &'a ObjectKey,
    progress: &'a ArchiveInProgress,
    writer: ArchiveWriter,
    deduplicator: WindowDeduplicator,
    memory: ReservedMemory,
}

/// How streaming an archive ended.
pub(super) enum Streamed {
    Stored(Box<Event>),
    /// This many bytes of memory are needed, and would have to be waited for. All that was held is dropped; the archive continues from
    /// its checkpoint.
    Outgrown(usize),
}

pub(super) async fn stream(
    services: &Services,
    journal: &mut CheckpointSession,
    access_at: Timestamp,
    key: &ObjectKey,
    progress: &ArchiveInProgress,
    memory: ReservedMemory,
) -> Result<Streamed, Stopped> {
    let dates = DateRange {
        from: progress.date_from,
        to: progress.date_to,
    };
    let writer = ArchiveWriter::new(
        Arc::clone(&services.archive_store),
        key.clone(),
        dates,
        progress.upload.as_ref(),
        &memory,
    )?;

    let (begin, crossing) = if let Some(upload) = &progress.upload {
        (upload.cursor.clone(), upload.crossing.clone())
    } else {
        let from = progress.date_from;
        (Cursor::Window { from }, Crossing::default())
    };
    let mut stream = ArchiveStream {
        services,
        journal,
        key,
        progress,
        writer,
        deduplicator: WindowDeduplicator::new(&crossing, &begin),
        memory,
    };
    if begin != Cursor::End {
        if let Some(bytes) = stream.copy_pages(begin).await? {
            return Ok(Streamed::Outgrown(bytes));
        }
        stream.close().await?;
    }

    let ArchiveStream {
        journal,
        writer,
        memory: _held_until_the_end,
        ..
    } = stream;
    let stored = store_whole(
        services,
        journal.checkpoint(),
        access_at,
        key,
        dates,
        writer,
    );
    Ok(Streamed::Stored(Box::new(stored.await?)))
}

impl ArchiveStream<'_> {
    /// `Some` if more memory is needed than there is.
    async fn copy_pages(&mut self, begin: Cursor) -> Result<Option<usize>, Stopped> {
        // One batch waits while one is written and one is fetched: flat memory, and no pause in either.
        let (sender, mut pages) = mpsc::channel(1);
        let fetching = fetch(
            Arc::clone(&self.services.tenant),
            self.journal.user_id(),
            self.journal.checkpoint().state.agent(),
            self.progress.clone(),
            begin,
            sender,
        );
        let fetching = self.journal.under_lease(fetching);
        let fetching = AbortOnDropHandle::new(tokio::spawn(fetching.in_current_span()));

        loop {
            let page = tokio::select! {
                // Saved as soon as it is confirmed: a crash loses only what came after it.
                confirmed = self.writer.settle(), if self.writer.is_sending() => {
                    if let Some(confirmed) = confirmed? {
                        self.save_and_check(confirmed).await?;
                    }
                    continue;
                }
                page = pages.recv() => page,
            };
            let Some(fetched) = page else { break };
            match fetched? {
                Fetched::Conversations(batch) => {
                    let bytes = self.writer.needs_bytes(batch.bytes() + 3 * batch.count());
                    if !self.services.memory.try_extend(&mut self.memory, bytes) {
                        return Ok(Some(bytes));
                    }
                    self.append(&batch).await?;
                }
                Fetched::PageEnd(following) => self.end_page(following).await?,
            }
        }

        // The channel closes after the last page, and also when the task dies; only the first is an end.
        fetching
            .await
            .map_err(|error| Failure::new(Class::Defect, Code::Panicked, error.to_string()))?;
        Ok(None)
    }

    async fn append(&mut self, batch: &Batch) -> Result<(), Stopped> {
        let tenant = &self.services.tenant;
        self.writer.append(batch.conversations().filter(|one| {
            self.deduplicator
                .admits(one, |one| tenant.facts_of(one), self.progress)
        }));

        if self.writer.part_overflows() {
            self.begin_upload().await?;
            if let Some(confirmed) = self.writer.send_within_page().await? {
                self.save_and_check(confirmed).await?;
            }
        }
        Ok(())
    }

    async fn end_page(&mut self, following: Cursor) -> Result<(), Stopped> {
        self.writer.end_page();
        self.deduplicator.follow(&following);

        if self.writer.part_is_full() && following != Cursor::End {
            self.begin_upload().await?;
            let crossing = self.deduplicator.crossing();
            if let Some(confirmed) = self.writer.send_part(following, crossing).await? {
                self.save_and_check(confirmed).await?;
            }
        }
        Ok(())
    }

    /// Closes the array, and sends the last part if there are parts.
    async fn close(&mut self) -> Result<(), Stopped> {
        if !self.writer.close() {
            return Ok(());
        }

        self.begin_upload().await?;
        let crossing = self.deduplicator.crossing();
        let before = self.writer.send_part(Cursor::End, crossing).await?;
        for confirmed in [before, self.writer.settle().await?].into_iter().flatten() {
            self.save(confirmed).await?;
        }
        Ok(())
    }

    /// Begins the upload, if none is under way. It is saved before its first part is sent, so that no crash leaves an
    /// upload that no checkpoint knows; what a crash between the two left is aborted here. Fails if an archive is stored
    /// already, so that none is uploaded that the store would refuse at the end.
    async fn begin_upload(&mut self) -> Result<(), Stopped> {
        if self.writer.upload_id().is_some() {
            return Ok(());
        }

        if self
            .services
            .archive_store
            .find(self.key, None)
            .await?
            .is_some()
        {
            return Err(already_stored().into());
        }
        abort_strays(self.services, self.key).await?;
        if let Some(begun) = self.writer.begin().await? {
            self.save(begun).await?;
        }
        Ok(())
    }

    async fn save_and_check(&mut self, confirmed: UploadInProgress) -> Result<(), Stopped> {
        self.save(confirmed).await?;
        self.journal.still_wanted().map_err(Stopped::Interrupted)
    }

    async fn save(&mut self, upload: UploadInProgress) -> Result<(), Stopped> {
        let progress = ArchiveInProgress {
            upload: Some(upload),
            ..self.progress.clone()
        };
        let now = self.services.clock.now();
        self.journal
            .save_archive(progress, now)
            .await
            .map_err(Stopped::Interrupted)
    }
}

/// The step then adopts it.
fn already_stored() -> Failure {
    let text = "an archive of this user is stored already";
    Failure::new(Class::Transient, Code::ArchiveUploadLost, text)
}
