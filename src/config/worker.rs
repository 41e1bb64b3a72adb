//! `[worker]`: how the work is paced.

use std::time::Duration;

use super::reader::Reader;
use super::table;
use crate::limits::parse::{between, bytes, duration, positive_duration, whole};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Worker {
    /// Users in progress at once, and the AMQP prefetch; 1 to 1000.
    pub concurrency: usize,
    /// Attempts that may fail before the message becomes a dead letter; at least 1.
    /// Of all archives together.
    pub memory_bytes: u64,
    pub max_attempts: u32,
    pub retry_base: Duration,
    /// Not below `retry_base`.
    pub retry_cap: Duration,
    /// The longest time that a delivery is held; up to ten minutes.
    pub slice: Duration,
    /// How long a claim lasts without renewal.
    pub lease: Duration,
    /// Time that steps in progress have to finish after SIGTERM.
    pub shutdown_grace: Duration,
}

impl Worker {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        const SECOND: Duration = Duration::from_secs(1);
        const TEN_MINUTES: Duration = Duration::from_mins(10);

        let concurrency = reader.get(&table::WORKER_CONCURRENCY, whole(1..=1000));
        let memory_bytes = reader.get(&table::WORKER_MEMORY, bytes(32 * 1024 * 1024));
        let max_attempts = reader.get(&table::WORKER_MAX_ATTEMPTS, whole(1..=1000));
        let retry_base = reader.get(&table::WORKER_RETRY_BASE, positive_duration);
        let retry_cap = reader.get(&table::WORKER_RETRY_CAP, positive_duration);
        let slice = reader.get(&table::WORKER_SLICE, between(SECOND, TEN_MINUTES));
        let lease = reader.get(&table::WORKER_LEASE, between(SECOND, TEN_MINUTES));
        let shutdown_grace = reader.get(&table::WORKER_SHUTDOWN_GRACE, duration);

        let retry_base = retry_base?;
        let retry_cap = retry_cap?;
        if retry_cap < retry_base {
            reader.refuse(
                &table::WORKER_RETRY_CAP,
                "is less than OFFBOARDER_WORKER_RETRY_BASE; raise it, or lower the base",
            );
        }
        Some(Self {
            concurrency: concurrency?,
            memory_bytes: memory_bytes?,
            max_attempts: max_attempts?,
            retry_base,
            retry_cap,
            slice: slice?,
            lease: lease?,
            shutdown_grace: shutdown_grace?,
        })
    }
}
