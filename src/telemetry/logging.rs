use std::io::IsTerminal as _;

use opentelemetry_sdk::trace::SdkTracer;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

use super::{log_format, span};

/// Logs go to standard error: for people on a terminal, JSON otherwise. `RUST_LOG` decides what is logged, and
/// nothing of traces; a worker says more than a command by default. Spans of ours, and no others, go to `tracer`.
pub(super) fn init(is_worker: bool, tracer: Option<SdkTracer>) {
    // The telemetry's own news is told by `collector`, once; and lapin's warnings hold whole messages.
    let default =
        if is_worker { "info,opentelemetry=off,lapin=error" } else { "warn,opentelemetry=off,lapin=error" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_not_set| EnvFilter::new(default));
    let spans = tracer.map(|tracer| {
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_level(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(FilterFn::new(|metadata| metadata.is_span() && metadata.target() == span::TARGET))
    });
    let registry = tracing_subscriber::registry().with(spans);
    // A second subscriber cannot come: this runs once, first of all.
    if std::io::stderr().is_terminal() {
        let human = fmt::layer().event_format(log_format::Human).with_writer(std::io::stderr);
        registry.with(human.with_filter(filter)).try_init().ok();
    } else {
        registry.with(log_format::json().with_filter(filter)).try_init().ok();
    }
}
