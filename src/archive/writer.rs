//! Writes an archive: pages of conversations become one JSON array in the store.

use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use super::buffers::{PartBuffers, SMALL_PART_BYTES, large_part_bytes, part_bytes_at_most};
use super::hash_state::{restore, save};
use super::memory::{ReservedMemory, SMALL_BYTES, large_bytes};
use crate::failure::{Class, Code, Failure};
use crate::machine::{Crossing, Cursor, UploadInProgress};
use crate::ports::{
    ArchiveStore, DateRange, ObjectKey, Part, PutOnce, UploadId, crc32c, crc32c_of_parts,
    part_size_bytes,
};

/// A smaller object has to be stored with one PUT: S3 accepts a smaller part only as the last one.
const SMALLEST_UPLOAD_BYTES: usize = 5 * 1024 * 1024;

/// What the archive needs at its beginning, or to continue `resumed`.
pub(crate) fn memory_to_begin(resumed: Option<&UploadInProgress>) -> usize {
    resumed.map_or(SMALL_BYTES, |upload| {
        let parts = u32::try_from(upload.parts.len()).unwrap_or(u32::MAX);
        large_bytes(parts.saturating_add(1))
    })
}

/// A small archive is one PUT, a larger one an upload in parts. At most one part is being sent while the next one fills,
/// so that memory does not grow with the archive or with a page.
///
/// Where a page ends, a part ends once it is large enough: that part and the link to the page after it are all that a
/// resume needs. In a page that is larger, parts end anywhere, and no checkpoint names them before the page has ended. A
/// resume sends them again, under the same numbers.
pub(crate) struct ArchiveWriter {
    store: Arc<dyn ArchiveStore>,
    key: ObjectKey,
    dates: DateRange,
    buffers: PartBuffers,
    sha256: Sha256,
    conversations: u64,
    pages: u64,
    upload: Option<Upload>,
    /// Another process sent its first parts; what is known of them is only in the checkpoint.
    resumed: bool,
}

/// A part that the store confirmed, and its buffer.
type Sent = Result<(Part, Bytes), Failure>;

struct Upload {
    confirmed: UploadInProgress,
    sent_bytes: u64,
    /// The part that is being sent, and what will be confirmed with it, if a page ends with it.
    sending: Option<(Option<UploadInProgress>, AbortOnDropHandle<Sent>)>,
}

pub(crate) struct Written {
    pub(crate) outcome: PutOnce,
    pub(crate) bytes: u64,
    pub(crate) conversations: u64,
    pub(crate) pages: u64,
    pub(crate) sha256: String,
    /// The checksums that a store may return for bytes that this process hashed itself; empty for an archive that another
    /// process began, since the checkpoint proves nothing about its bytes.
    pub(crate) crc32c: Vec<String>,
}

impl ArchiveWriter {
    /// Begins a new object, or continues after the last confirmed part of `resumed`.
    pub(crate) fn new(
        store: Arc<dyn ArchiveStore>,
        key: ObjectKey,
        dates: DateRange,
        resumed: Option<&UploadInProgress>,
        memory: &ReservedMemory,
    ) -> Result<Self, Failure> {
        let fresh = Self {
            store,
            key,
            dates,
            buffers: memory.part_buffers(),
            sha256: Sha256::new(),
            conversations: 0,
            pages: 0,
            upload: None,
            resumed: false,
        };
        let Some(confirmed) = resumed else {
            return Ok(fresh);
        };
        Ok(Self {
            sha256: restore(&confirmed.sha256_midstate)?,
            conversations: confirmed.conversations,
            pages: confirmed.pages,
            upload: Some(Upload {
                sent_bytes: confirmed.bytes(),
                confirmed: confirmed.clone(),
                sending: None,
            }),
            resumed: !confirmed.parts.is_empty(),
            ..fresh
        })
    }

    /// Adds conversations, byte for byte: one a line, so that line tools can read it.
    pub(crate) fn append<'a>(&mut self, conversations: impl Iterator<Item = &'a [u8]>) {
        let before = self.buffers.part().len();
        self.open();
        let large = self.large_buffer_bytes();
        for conversation in conversations {
            let separator: &[u8] = if self.conversations == 0 {
                b"\n"
            } else {
                b",\n"
            };
            self.buffers.extend(separator, large);
            self.buffers.extend(conversation, large);
            self.conversations += 1;
        }
        self.hash_from(before);
    }

    /// Ends a page with a space, so that a run that lost its checkpoint can count the pages.
    pub(crate) fn end_page(&mut self) {
        let before = self.buffers.part().len();
        self.open();
        self.buffers.extend(b" ", self.large_buffer_bytes());
        self.pages += 1;
        self.hash_from(before);
    }

    fn open(&mut self) {
        if self.pages == 0 && self.conversations == 0 && self.buffers.part().is_empty() {
            self.buffers.extend(b"[", self.large_buffer_bytes());
        }
    }

    fn hash_from(&mut self, before: usize) {
        let added = self.buffers.part().get(before..).unwrap_or_default();
        self.sha256.update(added);
    }

    /// Of a part in a large page, which takes memory only as far as it is filled.
    fn large_buffer_bytes(&self) -> usize {
        large_part_bytes(self.next_number())
    }

    /// The memory that this archive needs to take `more` bytes. A batch is larger than others only if a single
    /// conversation is.
    pub(crate) fn needs_bytes(&self, more: usize) -> usize {
        if self.upload.is_none() && self.buffers.part().len() + more <= SMALL_PART_BYTES {
            return SMALL_BYTES;
        }
        let odd = more.saturating_sub(2 * SMALL_PART_BYTES);
        large_bytes(self.next_number()).saturating_add(4 * odd)
    }

    /// Whether it is time for [`Self::send_part`].
    pub(crate) fn part_is_full(&self) -> bool {
        self.buffers.part().len() >= part_size_bytes(self.next_number())
    }

    /// Whether it is time for [`Self::send_within_page`].
    pub(crate) fn part_overflows(&self) -> bool {
        self.buffers.part().len() >= part_bytes_at_most(self.next_number())
    }

    /// Begins an upload, if none is under way. The caller saves it before the first part is sent.
    pub(crate) async fn begin(&mut self) -> Result<Option<UploadInProgress>, Failure> {
        if self.upload.is_some() {
            return Ok(None);
        }
        let id = self.store.begin(&self.key, &self.dates).await?;
        let confirmed = UploadInProgress {
            id,
            parts: Vec::new(),
            cursor: Cursor::Window {
                from: self.dates.from,
            },
            crossing: Crossing::default(),
            conversations: 0,
            pages: 0,
            sha256_midstate: save(&Sha256::new()),
        };
        self.upload = Some(Upload {
            confirmed: confirmed.clone(),
            sent_bytes: 0,
            sending: None,
        });

        Ok(Some(confirmed))
    }

    /// Waits for the part before, sends the buffer as the next part, and returns what is confirmed by then. `cursor` is
    /// what follows this part.
    pub(crate) async fn send_part(
        &mut self,
        cursor: Cursor,
        crossing: Crossing,
    ) -> Result<Option<UploadInProgress>, Failure> {
        let confirmed = self.settle().await?;
        let body = self.buffers.take_part(usize::MAX);
        let after = self.upload.as_ref().map(|upload| UploadInProgress {
            cursor,
            crossing,
            conversations: self.conversations,
            pages: self.pages,
            sha256_midstate: save(&self.sha256),
            ..upload.confirmed.clone()
        });
        self.send(body.freeze(), after);
        Ok(confirmed)
    }

    /// The same within a page, which leaves enough for the part at its end.
    pub(crate) async fn send_within_page(&mut self) -> Result<Option<UploadInProgress>, Failure> {
        let confirmed = self.settle().await?;
        let size = part_size_bytes(self.next_number());
        let body = self.buffers.take_part(size);
        self.send(body.freeze(), None);
        Ok(confirmed)
    }

    fn send(&mut self, body: Bytes, after: Option<UploadInProgress>) {
        let number = self.next_number();
        let Some(upload) = &mut self.upload else {
            return;
        };

        let store = Arc::clone(&self.store);
        let key = self.key.clone();
        let id = upload.confirmed.id.clone();
        let offset_bytes = upload.sent_bytes;
        upload.sent_bytes += body.len() as u64;
        let sending = async move {
            let part = store
                .put_part(&key, &id, number, offset_bytes, body.clone())
                .await?;
            Ok((part, body))
        };
        let sending = tokio::spawn(sending.in_current_span());
        upload.sending = Some((after, AbortOnDropHandle::new(sending)));
    }

    /// Whether a part is being sent.
    pub(crate) fn is_sending(&self) -> bool {
        self.upload
            .as_ref()
            .is_some_and(|upload| upload.sending.is_some())
    }

    /// Waits for the part that is being sent; returns what is confirmed then, if it is new and a resume can begin there. Dropping the future loses
    /// nothing.
    pub(crate) async fn settle(&mut self) -> Result<Option<UploadInProgress>, Failure> {
        let Some(upload) = &mut self.upload else {
            return Ok(None);
        };
        let Some((_, sending)) = &mut upload.sending else {
            return Ok(None);
        };
        let sent = sending.await;
        let Some((after, _ended)) = upload.sending.take() else {
            return Ok(None);
        };
        let (part, body) =
            sent.map_err(|error| Failure::new(Class::Defect, Code::Panicked, error.to_string()))??;

        if let Ok(buffer) = body.try_into_mut() {
            self.buffers.stored(buffer);
        }
        let resumable = after.is_some();
        if let Some(after) = after {
            upload.confirmed = after;
        }
        upload.confirmed.parts.push(part);
        Ok(resumable.then(|| upload.confirmed.clone()))
    }

    /// Closes the array; `true` when the buffer has to be sent as a last part, since it is too large for one PUT.
    pub(crate) fn close(&mut self) -> bool {
        let end: &[u8] = if self.conversations == 0 {
            b"]\n"
        } else {
            b"\n]\n"
        };
        self.buffers.extend(end, self.large_buffer_bytes());
        self.sha256.update(end);
        self.upload.is_some() || self.buffers.part().len() >= SMALLEST_UPLOAD_BYTES
    }

    /// Makes the closed array visible.
    pub(crate) async fn finish(mut self) -> Result<Written, Failure> {
        let (outcome, bytes, crc32c) = match &self.upload {
            None => {
                let body = self.buffers.take_part(usize::MAX).freeze();
                let bytes = body.len() as u64;
                let crc32c = vec![crc32c(&body)];
                let outcome = self
                    .store
                    .put_once(&self.key, body.clone(), Some(&self.dates))
                    .await?;
                if let Ok(buffer) = body.try_into_mut() {
                    self.buffers.stored(buffer);
                }
                (outcome, bytes, crc32c)
            }
            Some(Upload { confirmed, .. }) => {
                let outcome = self
                    .store
                    .complete(&self.key, &confirmed.id, &confirmed.parts)
                    .await?;
                let ours = if self.resumed {
                    Vec::new()
                } else {
                    crc32c_of_parts(&confirmed.parts)
                };
                (outcome, confirmed.bytes(), ours)
            }
        };
        Ok(Written {
            outcome,
            bytes,
            conversations: self.conversations,
            pages: self.pages,
            sha256: hex::encode(self.sha256.finalize()),
            crc32c,
        })
    }

    /// The upload under way.
    pub(crate) fn upload_id(&self) -> Option<&UploadId> {
        self.upload.as_ref().map(|upload| &upload.confirmed.id)
    }

    fn next_number(&self) -> u32 {
        let parts = self.upload.as_ref().map_or(0, |upload| {
            upload.confirmed.parts.len() + usize::from(upload.sending.is_some())
        });
        u32::try_from(parts).unwrap_or(u32::MAX).saturating_add(1)
    }
}
