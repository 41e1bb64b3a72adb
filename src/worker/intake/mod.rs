//! Receiving deliveries: which is run when, and when none is.

pub(super) mod backlog;
pub(super) mod backoff;
pub(super) mod circuit_breaker;
pub(super) mod gate;
pub(super) mod in_progress;
mod isolation_queue;
pub(crate) mod lane_breakers;
mod oldest_dead_letter;
pub(super) mod operator_pause;
pub(super) mod ready_queue;
pub(super) mod session;
pub(super) mod shutdown;
pub(super) mod slots;
pub(super) mod startup;

pub(crate) use shutdown::{Shutdown, shutdown_on_signals};
