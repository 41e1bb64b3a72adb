//! Whether this process makes progress, which `/healthz` reports. Like the metrics, it is one for
//! the whole process.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

static MADE: AtomicU64 = AtomicU64::new(0);
static BY_QUOTA: AtomicUsize = AtomicUsize::new(0);

/// Call it when something is answered, saved, read or settled.
pub(crate) fn made() {
    MADE.fetch_add(1, Ordering::Relaxed);
}

/// How often [`made`] was called since the process began.
pub(crate) fn so_far() -> u64 {
    MADE.load(Ordering::Relaxed)
}

/// Exists while a call waits for the tenant's quota: such a wait is no lack of progress.
pub(crate) struct ByQuota(());

impl ByQuota {
    pub(crate) fn wait() -> Self {
        BY_QUOTA.fetch_add(1, Ordering::Relaxed);
        Self(())
    }

    pub(crate) fn holds_any() -> bool {
        BY_QUOTA.load(Ordering::Relaxed) > 0
    }
}

impl Drop for ByQuota {
    fn drop(&mut self) {
        BY_QUOTA.fetch_sub(1, Ordering::Relaxed);
    }
}
