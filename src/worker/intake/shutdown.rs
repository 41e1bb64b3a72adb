//! How a worker ends.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::in_progress::InProgress;

/// Whether the process was asked to end. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shutdown {
    /// Cancelled by the first signal: users in progress stop at their next checkpoint.
    pub draining: CancellationToken,
    /// Cancelled when the grace period is nearly over: they stop where they are, and release their leases.
    pub abandon: CancellationToken,
}

/// The first SIGTERM or SIGINT drains; a second ends the process at once, with the status that shells
/// give to a signal.
pub(crate) fn shutdown_on_signals() -> std::io::Result<Shutdown> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let shutdown = Shutdown::default();
    let draining = shutdown.draining.clone();
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
        draining.cancel();
        let status = tokio::select! { _ = terminate.recv() => 143, _ = interrupt.recv() => 130 };
        std::process::exit(status);
    });
    Ok(shutdown)
}

/// Waits for the runs under way, and logs every few seconds which users are left. From `abandon_at` on they stop where
/// they are; at `until` they are aborted.
pub(crate) async fn drain(
    tasks: &mut JoinSet<()>,
    abandon: &CancellationToken,
    in_progress: &InProgress,
    abandon_at: Instant,
    until: Instant,
) {
    let mut report = tokio::time::interval(Duration::from_secs(3));
    while !tasks.is_empty() {
        tokio::select! {
            _ = tasks.join_next() => {}
            _ = report.tick() => {
                tracing::info!(left = tasks.len(), users = in_progress.names(), "draining");
            }
            () = tokio::time::sleep_until(abandon_at), if !abandon.is_cancelled() => {
                tracing::warn!(left = tasks.len(), users = in_progress.names(),
                    "the grace period is nearly over; these users stop where they are, and another worker continues");
                abandon.cancel();
            }
            () = tokio::time::sleep_until(until) => {
                tracing::warn!(left = tasks.len(), "the grace period is over; RabbitMQ delivers these again");
                tasks.abort_all();
                return;
            }
        }
    }
    tracing::info!("drained");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_drain_waits_for_runs_then_abandons_then_aborts_them() {
        let in_progress = InProgress::default();
        let drain_after = async |run: Duration| {
            let abandon = CancellationToken::new();
            let mut tasks = JoinSet::new();
            tasks.spawn(tokio::time::sleep(run));
            let start = Instant::now();
            let abandon_at = start + Duration::from_secs(20);
            let until = start + Duration::from_secs(25);
            drain(&mut tasks, &abandon, &in_progress, abandon_at, until).await;
            (start.elapsed().as_secs(), abandon.is_cancelled())
        };
        assert_eq!(drain_after(Duration::from_secs(10)).await, (10, false));
        assert_eq!(drain_after(Duration::from_secs(22)).await, (22, true));
        assert_eq!(drain_after(Duration::from_hours(1)).await, (25, true));
    }
}
