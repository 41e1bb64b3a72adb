//! Logs, metrics and traces of this process.
//!
//! The process has one set of instruments and one set of spans. `/metrics` shows the instruments,
//! and both leave by OTLP if the standard `OTEL_…` variables say so; see [`Telemetry`].

mod collector;
mod export;
mod log_format;
mod logging;
pub(crate) mod metrics;
pub(crate) mod minutes;
pub(crate) mod span;

pub(crate) use export::{Telemetry, instance};
