//! What is seen of a process from outside: logs, metrics, traces.
//!
//! One set of instruments and one set of spans for the whole process. They go to `/metrics`, and by OTLP to
//! where the standard `OTEL_…` variables say; see [`Telemetry`].

mod collector;
mod export;
mod log_format;
mod logging;
pub(crate) mod metrics;
pub(crate) mod span;

pub(crate) use export::{Telemetry, instance};
