//! Whether a process makes progress, which `/healthz` reports.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What a process got done. Clones share the counts: the code that puts a process together makes one, and everything that
/// answers, saves, reads or settles for this process gets a clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    made: AtomicU64,
    quota_waits: AtomicUsize,
}

impl Progress {
    /// Call it when something is answered, saved, read or settled.
    pub(crate) fn made(&self) {
        self.0.made.fetch_add(1, Ordering::Relaxed);
    }

    /// How often [`Self::made`] was called since the process began.
    pub(crate) fn so_far(&self) -> u64 {
        self.0.made.load(Ordering::Relaxed)
    }

    /// Hold it while a call waits for the tenant's quota: such a wait is no lack of progress.
    pub(crate) fn wait_for_quota(&self) -> QuotaWait {
        self.0.quota_waits.fetch_add(1, Ordering::Relaxed);
        QuotaWait(Arc::clone(&self.0))
    }

    /// Whether any call waits for the quota now.
    pub(crate) fn waits_for_quota(&self) -> bool {
        self.0.quota_waits.load(Ordering::Relaxed) > 0
    }
}

/// A wait for the quota, as long as it lives.
pub(crate) struct QuotaWait(Arc<Counts>);

impl Drop for QuotaWait {
    fn drop(&mut self) {
        self.0.quota_waits.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_their_counts_and_other_processes_have_their_own() {
        let progress = Progress::default();
        let other = Progress::default();
        progress.clone().made();
        assert_eq!((progress.so_far(), other.so_far()), (1, 0));

        let waiting = progress.clone().wait_for_quota();
        assert!(progress.waits_for_quota() && !other.waits_for_quota());
        drop(waiting);
        assert!(!progress.waits_for_quota());
    }
}
