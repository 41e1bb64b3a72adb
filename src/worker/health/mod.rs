//! What a worker says of its own health.

pub(super) mod heartbeat;
pub(super) mod liveness;

pub(crate) use heartbeat::announce;
