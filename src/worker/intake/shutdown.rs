use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Asked to end. Cloned into whatever has to know.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shutdown {
    /// Cancelled by the first signal: stop at the next checkpoint.
    pub draining: CancellationToken,
    /// Cancelled when the grace is nearly over: stop where you are, and give the lease back.
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
