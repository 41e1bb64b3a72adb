//! What is seen of a process from outside: metrics.

pub mod metrics;
