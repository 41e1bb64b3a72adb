//! The task that writes the log.

use std::time::Duration;

use tokio::time::Instant;

use super::signers::Signers;
use super::writer::Writer;
use crate::failpoint::time_scaled;
use crate::failure::Failure;
use crate::telemetry::metrics;

/// How often a worker asks whether there is something to write, a step at most once a minute.
const LOOKS_EVERY: Duration = Duration::from_secs(15);

/// Writes the log for ever. Nothing waits for it: if it cannot be written, it follows later.
pub(crate) async fn keep_evidence_log(mut writer: Writer) {
    let mut stalled = Stalled::default();
    loop {
        pause().await;
        let failed = writer.write().await.err();
        stalled.note(failed.as_ref(), writer.witnesses_behind());
    }
}

/// Asks for the keys until they are there.
pub(crate) async fn await_signers<F>(mut ask: impl FnMut() -> F) -> Signers
where
    F: Future<Output = Result<Signers, Failure>>,
{
    let mut stalled = Stalled::default();
    loop {
        pause().await;
        match ask().await {
            Ok(signers) => return signers,
            Err(failure) => stalled.note(Some(&failure), 0),
        }
    }
}

/// Workers that began together do not write together.
async fn pause() {
    let part = LOOKS_EVERY.mul_f64(rand::random_range(0.5..1.5));
    tokio::time::sleep(time_scaled(part)).await;
}

/// Since when the log cannot be continued.
#[derive(Default)]
struct Stalled(Option<Instant>);

impl Stalled {
    fn note(&mut self, failed: Option<&Failure>, witnesses_behind: usize) {
        match failed {
            None => self.0 = None,
            Some(failure) => {
                self.0.get_or_insert_with(Instant::now);
                tracing::warn!(%failure, "the evidence log cannot be continued yet; announcements wait for it");
            }
        }
        let stalled = self.0.map_or(Duration::ZERO, |since| since.elapsed());
        metrics::evidence_log(stalled, witnesses_behind);
    }
}
