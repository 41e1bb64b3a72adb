//! What leaves a process for a telemetry collector, and how the work continues when a collector takes
//! nothing.

mod collectors;
mod spans;
mod traces;
