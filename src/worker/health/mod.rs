//! What a worker reports about its own health.

pub(super) mod heartbeat;
pub(super) mod liveness;

pub(crate) use heartbeat::announce;
