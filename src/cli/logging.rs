use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Logs go to standard error: for people on a terminal, JSON otherwise. `RUST_LOG` decides what; a
/// worker says more than a command by default.
pub(super) fn init(is_worker: bool) {
    // The telemetry's own news is none to whoever reads the log, and lapin's warnings hold whole messages.
    let default = if is_worker { "info,opentelemetry=warn,lapin=error" } else { "warn,lapin=error" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_not_set| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second subscriber cannot come: this runs once, first of all.
    if std::io::stderr().is_terminal() {
        builder.with_target(false).try_init().ok();
    } else {
        builder.json().flatten_event(true).with_current_span(false).try_init().ok();
    }
}
