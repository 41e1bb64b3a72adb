use std::time::Duration;

use super::parse::{between, duration, positive_duration, whole};
use super::reader::Reader;

/// How the work is paced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Worker {
    /// Users in progress at once, and the AMQP prefetch; 1 to 1000.
    pub concurrency: usize,
    /// Deliveries that may fail before the dead letter; at least 1.
    pub max_attempts: u32,
    pub retry_base: Duration,
    /// Where it ends; not below `retry_base`.
    pub retry_cap: Duration,
    /// How long a delivery is held at most; up to ten minutes.
    pub slice: Duration,
    /// How long a claim lasts without renewal.
    pub lease: Duration,
    /// What a SIGTERM leaves for steps in progress.
    pub shutdown_grace: Duration,
}

impl Worker {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let concurrency = reader.get("worker.concurrency", whole(1..=1000));
        let max_attempts = reader.get("worker.max_attempts", whole(1..=1000));
        let retry_base = reader.get("worker.retry_base", positive_duration);
        let retry_cap = reader.get("worker.retry_cap", positive_duration);
        let slice = reader.get(
            "worker.slice",
            between(Duration::from_secs(1), Duration::from_mins(10)),
        );
        let lease = reader.get(
            "worker.lease",
            between(Duration::from_secs(1), Duration::from_mins(10)),
        );
        let shutdown_grace = reader.get("worker.shutdown_grace", duration);
        let (retry_base, retry_cap) = (retry_base?, retry_cap?);
        if retry_cap < retry_base {
            reader.refuse(
                "worker.retry_cap",
                "is less than OFFBOARDER_WORKER_RETRY_BASE; raise it, or lower the base",
            );
        }
        Some(Self {
            concurrency: concurrency?,
            max_attempts: max_attempts?,
            retry_base,
            retry_cap,
            slice: slice?,
            lease: lease?,
            shutdown_grace: shutdown_grace?,
        })
    }
}
