//! Writes an archive: pages of conversations become one JSON array in the store.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest, Sha256};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use crate::failure::{Class, Code, Failure};
use crate::machine::{Crossing, Cursor, UploadInProgress};
use crate::ports::{
    ArchiveStore, DateRange, ObjectKey, Part, PutOnce, UploadId, crc32c, crc32c_of_parts,
    part_size_bytes,
};

/// A smaller object has to be stored with one PUT: S3 accepts a smaller part only as the last one.
const SMALLEST_UPLOAD_BYTES: usize = 5 * 1024 * 1024;

/// A small archive is one PUT, a larger one an upload in parts. At most one part is being sent while the next one fills,
/// so that memory does not grow with the archive. Parts end where pages end: a part and the link to the page after it
/// are all that a resume needs.
pub(crate) struct ArchiveWriter {
    store: Arc<dyn ArchiveStore>,
    key: ObjectKey,
    dates: DateRange,
    part: BytesMut,
    /// The buffer of a part that was confirmed. Two buffers take turns: a new one for each part would fragment the heaps
    /// of the threads, and raise the peak of memory.
    spare: BytesMut,
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
    /// The part that is being sent, and what will be confirmed with it.
    sending: Option<(UploadInProgress, AbortOnDropHandle<Sent>)>,
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
    ) -> Result<Self, Failure> {
        let fresh = Self {
            store,
            key,
            dates,
            part: BytesMut::new(),
            spare: BytesMut::new(),
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

    /// Adds one page, byte for byte: one conversation a line, so that line tools can read it; and a space at the end of
    /// each page, so that a run that lost its checkpoint can count the pages.
    pub(crate) fn append<'a>(&mut self, conversations: impl Iterator<Item = &'a [u8]>) {
        let before = self.part.len();
        if self.pages == 0 {
            self.part.extend_from_slice(b"[");
        }

        for conversation in conversations {
            self.make_room(conversation.len() + 3);
            self.part.extend_from_slice(if self.conversations == 0 {
                b"\n"
            } else {
                b",\n"
            });
            self.part.extend_from_slice(conversation);
            self.conversations += 1;
        }
        self.part.extend_from_slice(b" ");
        self.pages += 1;
        self.sha256
            .update(self.part.get(before..).unwrap_or_default());
    }

    /// Grows the buffer by doubling up to the size of a part, and by an eighth beyond it, where only the rest of a page is
    /// missing: to double a full part would waste memory.
    fn make_room(&mut self, more: usize) {
        let have = self.part.capacity();
        let need = self.part.len() + more;
        if need > have {
            let part = part_size_bytes(self.next_number());
            let grown = if have < part {
                (have * 2).clamp(64 * 1024, part)
            } else {
                have + have / 8
            };
            let mut larger = BytesMut::with_capacity(grown.max(need));
            larger.extend_from_slice(&self.part);
            self.part = larger;
        }
    }

    /// Whether it is time for [`Self::send_part`].
    pub(crate) fn part_is_full(&self) -> bool {
        self.part.len() >= part_size_bytes(self.next_number())
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
        let number = self.next_number();
        let Some(upload) = &mut self.upload else {
            return Ok(confirmed);
        };
        let body = std::mem::replace(&mut self.part, std::mem::take(&mut self.spare)).freeze();
        let after = UploadInProgress {
            cursor,
            crossing,
            conversations: self.conversations,
            pages: self.pages,
            sha256_midstate: save(&self.sha256),
            ..upload.confirmed.clone()
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
        Ok(confirmed)
    }

    /// Whether a part is being sent.
    pub(crate) fn is_sending(&self) -> bool {
        self.upload
            .as_ref()
            .is_some_and(|upload| upload.sending.is_some())
    }

    /// Waits for the part that is being sent; returns what is confirmed then, if it is new. Dropping the future loses
    /// nothing.
    pub(crate) async fn settle(&mut self) -> Result<Option<UploadInProgress>, Failure> {
        let Some(upload) = &mut self.upload else {
            return Ok(None);
        };
        let Some((_, sending)) = &mut upload.sending else {
            return Ok(None);
        };
        let sent = sending.await;
        let Some((mut after, _ended)) = upload.sending.take() else {
            return Ok(None);
        };
        let (part, body) =
            sent.map_err(|error| Failure::new(Class::Defect, Code::Panicked, error.to_string()))??;

        if let Ok(mut buffer) = body.try_into_mut() {
            buffer.clear();
            self.spare = buffer;
        }
        after.parts.push(part);
        upload.confirmed = after.clone();

        Ok(Some(after))
    }

    /// Closes the array; `true` when the buffer has to be sent as a last part, since it is too large for one PUT.
    pub(crate) fn close(&mut self) -> bool {
        let end: &[u8] = if self.conversations == 0 {
            b"]\n"
        } else {
            b"\n]\n"
        };
        self.part.extend_from_slice(end);
        self.sha256.update(end);
        self.upload.is_some() || self.part.len() >= SMALLEST_UPLOAD_BYTES
    }

    /// Makes the closed array visible.
    pub(crate) async fn finish(mut self) -> Result<Written, Failure> {
        let (outcome, bytes, crc32c) = match &self.upload {
            None => {
                let body = std::mem::take(&mut self.part).freeze();
                let bytes = body.len() as u64;
                let crc32c = vec![crc32c(&body)];
                let outcome = self
                    .store
                    .put_once(&self.key, body, Some(&self.dates))
                    .await?;
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

fn save(sha256: &Sha256) -> String {
    STANDARD.encode(sha256.serialize())
}

fn parse(midstate: &str) -> Option<Sha256> {
    let bytes = STANDARD.decode(midstate).ok()?;
    let state = SerializedState::<Sha256>::try_from(bytes.as_slice()).ok()?;
    Sha256::deserialize(&state).ok()
}

/// How many bytes a saved hash state has seen; `None` for a text that is not a state. A state is the eight words, then the
/// number of whole blocks, then the bytes since, which begin with their count.
pub(crate) fn hashed_bytes(midstate: &str) -> Option<u64> {
    let state = parse(midstate)?.serialize();
    let blocks = state.get(32..40)?.try_into().ok().map(u64::from_le_bytes)?;
    let pending = state.get(40)?;
    blocks.checked_mul(64)?.checked_add(u64::from(*pending))
}

fn restore(midstate: &str) -> Result<Sha256, Failure> {
    parse(midstate).ok_or_else(|| {
        let text =
            "the saved hash state of an archive under way is damaged; the archive begins again";
        Failure::new(Class::Transient, Code::ArchiveUploadLost, text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_state_says_how_many_bytes_it_has_seen() {
        for bytes in [0_usize, 1, 63, 64, 65, 6 * 1024 * 1024 + 7] {
            let hash = Sha256::new().chain_update(vec![b'x'; bytes]);
            assert_eq!(hashed_bytes(&save(&hash)), Some(bytes as u64), "{bytes}");
        }
        assert_eq!(hashed_bytes("bm9uZQ=="), None);
    }
}
