//! The memory that all archives of a process share: `OFFBOARDER_WORKER_MEMORY`.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::buffers::{PartBuffers, SMALL_PART_BYTES, SparePartBuffers, part_bytes_at_most};

const KIB: usize = 1024;
/// What an archive needs until its first part has [`SMALL_PART_BYTES`]: that part, and as much again three times, of a page
/// that arrives.
pub(super) const SMALL_BYTES: usize = 4 * SMALL_PART_BYTES;

/// What an archive needs while it writes part `number`: one part that fills, one that is sent, and batches of a page.
pub(super) fn large_bytes(number: u32) -> usize {
    part_bytes_at_most(number)
        .saturating_mul(2)
        .saturating_add(2 * SMALL_BYTES)
}

/// Archives reserve what they need as one piece, before they hold anything, and wait for it in order. So nobody waits for
/// memory while holding some, and there is no deadlock.
#[derive(Debug, Clone)]
pub(crate) struct ArchiveMemory {
    free_kib: Arc<Semaphore>,
    all_kib: u32,
    spare: SparePartBuffers,
}

/// Released when dropped.
#[derive(Debug)]
pub(crate) struct ReservedMemory {
    kib: OwnedSemaphorePermit,
    spare: SparePartBuffers,
}

impl ReservedMemory {
    pub(super) fn part_buffers(&self) -> PartBuffers {
        PartBuffers::new(self.spare.clone())
    }
}

impl Drop for ReservedMemory {
    fn drop(&mut self) {
        self.spare.leave();
    }
}

impl ArchiveMemory {
    pub(crate) fn new(bytes: u64) -> Self {
        let all_kib = u32::try_from(bytes / KIB as u64).unwrap_or(u32::MAX).max(1);
        Self {
            free_kib: Arc::new(Semaphore::new(all_kib as usize)),
            all_kib,
            spare: SparePartBuffers::new(bytes),
        }
    }

    /// Waits until there is room. Who needs more than there is gets all of it, alone.
    pub(crate) async fn reserve(&self, bytes: usize) -> Option<ReservedMemory> {
        let free = Arc::clone(&self.free_kib);
        let kib = free.acquire_many_owned(self.kib(bytes)).await.ok()?;
        self.spare.enter();
        Some(ReservedMemory {
            kib,
            spare: self.spare.clone(),
        })
    }

    /// Extends a reservation to this size, unless somebody would have to wait for it.
    pub(crate) fn try_extend(&self, reserved: &mut ReservedMemory, bytes: usize) -> bool {
        let have = u32::try_from(reserved.kib.num_permits()).unwrap_or(u32::MAX);
        let more = self.kib(bytes).saturating_sub(have);
        if more == 0 {
            return true;
        }
        match Arc::clone(&self.free_kib).try_acquire_many_owned(more) {
            Ok(more) => {
                reserved.kib.merge(more);
                true
            }
            Err(_none_left) => false,
        }
    }

    fn kib(&self, bytes: usize) -> u32 {
        let kib = u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX);
        kib.min(self.all_kib)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn archives_wait_for_room_in_order_and_who_needs_too_much_gets_all() {
        let memory = ArchiveMemory::new(100 * 1024);
        let mut small = memory.reserve(10 * 1024).await.unwrap();
        let mut large = Box::pin(memory.reserve(1024 * 1024));
        assert!(large.as_mut().now_or_never().is_none(), "10 KiB are taken");
        assert!(
            !memory.try_extend(&mut small, 20 * 1024),
            "one who waits comes first"
        );
        assert!(memory.try_extend(&mut small, 10 * 1024), "it has as much");

        drop(small);
        let all = large.await.unwrap();
        assert!(memory.reserve(1).now_or_never().is_none(), "alone");
        drop(all);
        let mut grows = memory.reserve(1024).await.unwrap();
        assert!(memory.try_extend(&mut grows, 100 * 1024));
        assert!(memory.reserve(1).now_or_never().is_none());
    }
}
