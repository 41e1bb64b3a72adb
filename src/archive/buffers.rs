//! The buffers of large parts, which one archive leaves to the next: each that is freed and taken again would fragment the
//! heaps of the threads, so that the peak of memory would be above what archives reserve.

use std::sync::Arc;

use bytes::BytesMut;
use parking_lot::Mutex;

use crate::ports::part_size_bytes;

/// Until a part has as many bytes, its buffer grows by doubling.
pub(super) const SMALL_PART_BYTES: usize = 256 * 1024;

/// While a part fills, it may have as many bytes, and one batch of conversations more.
pub(super) fn part_bytes_at_most(number: u32) -> usize {
    part_size_bytes(number).saturating_mul(2)
}

/// The size of a buffer for a large part.
pub(super) fn large_part_bytes(number: u32) -> usize {
    part_bytes_at_most(number).saturating_add(2 * SMALL_PART_BYTES)
}

/// The size of the buffers that are kept: enough for each of the first thousand parts.
fn kept_bytes() -> usize {
    large_part_bytes(1)
}

/// The buffers that no archive uses, as long as there are archives.
#[derive(Debug, Clone)]
pub(super) struct SparePartBuffers(Arc<Mutex<Spare>>);

#[derive(Debug)]
struct Spare {
    buffers: Vec<BytesMut>,
    archives: usize,
    /// How many buffers are kept.
    most: usize,
}

impl SparePartBuffers {
    /// Keeps no more than half of the memory that archives may have.
    pub(super) fn new(memory_bytes: u64) -> Self {
        let most = memory_bytes / 2 / kept_bytes() as u64;
        Self(Arc::new(Mutex::new(Spare {
            buffers: Vec::new(),
            archives: 0,
            most: usize::try_from(most).unwrap_or(usize::MAX),
        })))
    }

    /// An archive began.
    pub(super) fn enter(&self) {
        self.0.lock().archives += 1;
    }

    /// An archive ended; with the last one, all buffers are freed.
    pub(super) fn leave(&self) {
        let mut spare = self.0.lock();
        spare.archives = spare.archives.saturating_sub(1);
        if spare.archives == 0 {
            spare.buffers.clear();
        }
    }

    /// An empty buffer for at least this many bytes.
    fn take(&self, bytes: usize) -> BytesMut {
        let spare = if bytes <= kept_bytes() {
            self.0.lock().buffers.pop()
        } else {
            None
        };
        // What is never written takes no memory.
        spare.unwrap_or_else(|| BytesMut::with_capacity(bytes.max(kept_bytes())))
    }

    fn give(&self, mut buffer: BytesMut) {
        buffer.clear();
        if (kept_bytes()..2 * kept_bytes()).contains(&buffer.capacity()) {
            let mut spare = self.0.lock();
            if spare.archives > 0 && spare.buffers.len() < spare.most {
                spare.buffers.push(buffer);
            }
        }
    }
}

/// The part that an archive fills, and the buffer of the one before once that is stored.
#[derive(Debug)]
pub(super) struct PartBuffers {
    part: BytesMut,
    stored: Option<BytesMut>,
    spare: SparePartBuffers,
}

impl PartBuffers {
    pub(super) fn new(spare: SparePartBuffers) -> Self {
        Self {
            part: BytesMut::new(),
            stored: None,
            spare,
        }
    }

    /// What the part has so far.
    pub(super) fn part(&self) -> &[u8] {
        &self.part
    }

    /// Adds to the part. A small one grows by doubling; one that is larger gets a buffer of `large` bytes at once.
    pub(super) fn extend(&mut self, bytes: &[u8], large: usize) {
        let need = self.part.len() + bytes.len();
        let have = self.part.capacity();
        if need > have {
            let mut larger = if need <= SMALL_PART_BYTES {
                let doubled = (have * 2).clamp(64 * 1024, SMALL_PART_BYTES);
                BytesMut::with_capacity(doubled.max(need))
            } else {
                self.spare.take(large.max(need))
            };
            larger.extend_from_slice(&self.part);
            let outgrown = std::mem::replace(&mut self.part, larger);
            self.spare.give(outgrown);
        }
        self.part.extend_from_slice(bytes);
    }

    /// Takes the first `size` bytes of the part, or all of it; the rest begins the next one.
    pub(super) fn take_part(&mut self, size: usize) -> BytesMut {
        let mut next = self.stored.take().unwrap_or_default();
        let rest = self.part.get(size..).unwrap_or_default();
        if rest.len() > next.capacity() {
            let larger = self.spare.take(rest.len());
            self.spare.give(std::mem::replace(&mut next, larger));
        }
        next.extend_from_slice(rest);
        let mut part = std::mem::replace(&mut self.part, next);
        part.truncate(size);
        part
    }

    /// The buffer of a part that is stored serves again.
    pub(super) fn stored(&mut self, mut buffer: BytesMut) {
        buffer.clear();
        if let Some(another) = self.stored.replace(buffer) {
            self.spare.give(another);
        }
    }
}

impl Drop for PartBuffers {
    fn drop(&mut self) {
        let part = std::mem::take(&mut self.part);
        for buffer in [Some(part), self.stored.take()].into_iter().flatten() {
            self.spare.give(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(spare: &SparePartBuffers) -> PartBuffers {
        let mut buffers = PartBuffers::new(spare.clone());
        buffers.extend(&vec![1; SMALL_PART_BYTES + 1], kept_bytes());
        buffers
    }

    /// Room for two that are kept.
    const FOUR: u64 = 52 * 1024 * 1024;

    #[test]
    fn archives_leave_their_buffers_to_the_next_and_the_last_one_frees_them() {
        let spare = SparePartBuffers::new(FOUR);
        let kept = || spare.0.lock().buffers.len();
        spare.enter();
        spare.enter();
        let first = filled(&spare);
        let place = first.part().as_ptr();
        drop(first);
        assert_eq!(kept(), 1);
        spare.leave();
        assert_eq!(kept(), 1, "one still runs");

        let second = filled(&spare);
        assert_eq!((second.part().as_ptr(), kept()), (place, 0));
        drop(second);
        spare.leave();
        assert_eq!(kept(), 0);
        drop(filled(&spare));
        assert_eq!(kept(), 0, "nobody would free it");

        spare.enter();
        drop([filled(&spare), filled(&spare), filled(&spare)]);
        assert_eq!(kept(), 2, "half of the memory");
    }

    #[test]
    fn small_parts_and_those_of_odd_sizes_are_not_kept() {
        let spare = SparePartBuffers::new(FOUR);
        spare.enter();
        let mut small = PartBuffers::new(spare.clone());
        small.extend(&[1; 1000], kept_bytes());
        drop(small);
        let mut odd = PartBuffers::new(spare.clone());
        odd.extend(&[1; 1000], kept_bytes());
        odd.extend(&vec![2; 2 * kept_bytes()], kept_bytes());
        assert_eq!(odd.part().len(), 1000 + 2 * kept_bytes());
        drop(odd);
        assert!(spare.0.lock().buffers.is_empty());
    }

    #[test]
    fn a_part_is_cut_where_it_is_asked_for_and_its_rest_begins_the_next() {
        let mut buffers = PartBuffers::new(SparePartBuffers::new(FOUR));
        buffers.extend(b"0123456789", kept_bytes());
        let first = buffers.take_part(6);
        assert_eq!((&first[..], buffers.part()), (&b"012345"[..], &b"6789"[..]));

        buffers.stored(first);
        let second = buffers.take_part(usize::MAX);
        assert_eq!((&second[..], buffers.part()), (&b"6789"[..], &b""[..]));
    }
}
