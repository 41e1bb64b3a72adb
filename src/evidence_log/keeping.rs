//! The task that writes the log.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::writer::Writer;
use crate::failpoint::time_scaled;
use crate::telemetry::metrics;

/// How often a worker asks whether there is something to write, a step at most once a minute.
const LOOKS_EVERY: Duration = Duration::from_secs(15);

/// Writes the log until the handle is dropped. Nothing waits for it: if it cannot be written, it follows later.
pub(crate) fn keep_evidence_log(mut writer: Writer) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        let mut failing_since: Option<Instant> = None;
        loop {
            // Workers that began together do not write together.
            let part = LOOKS_EVERY.mul_f64(rand::random_range(0.5..1.5));
            tokio::time::sleep(time_scaled(part)).await;
            match writer.write().await {
                Ok(_records) => failing_since = None,
                Err(failure) => {
                    failing_since.get_or_insert_with(Instant::now);
                    tracing::warn!(%failure, "the evidence log cannot be continued yet; announcements wait for it");
                }
            }
            let stalled = failing_since.map_or(Duration::ZERO, |since| since.elapsed());
            metrics::evidence_log(stalled, writer.witnesses_behind());
        }
    }))
}
