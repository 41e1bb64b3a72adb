//! What a worker reports about its own health.

pub(super) mod access_index;
pub(super) mod heartbeat;
pub(super) mod liveness;
pub(super) mod minutes;

pub(crate) use access_index::keep_access_index;
pub(crate) use heartbeat::announce;
pub(crate) use minutes::{MinuteWriter, keep_minutes};
