//! Taking deliveries: who is taken when, and when nobody is.

pub(super) mod backlog;
pub(super) mod circuit_breaker;
pub(super) mod oldest_dead_letter;
pub(super) mod operator_pause;
pub(super) mod ready_queue;
pub(super) mod session;
pub(super) mod shutdown;
pub(super) mod startup;

pub(crate) use session::{Options, Worker};
pub(crate) use shutdown::{Shutdown, shutdown_on_signals};
