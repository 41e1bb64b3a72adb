//! Limits that settings give and that more than one room keeps.

use std::time::Duration;

/// At most `count` deletions within `per`, counted over all workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DeletionRateLimit {
    pub count: u32,
    pub per: Duration,
}
