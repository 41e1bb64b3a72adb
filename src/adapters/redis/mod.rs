//! Checkpoints in Redis: one script, and so one round trip, per operation.

mod batches;
mod brake;
mod error;
mod health;
mod keeping;
mod link;
mod scripts;
mod store;
mod workers;

pub(crate) use batches::Members;
pub use error::RedisCheckpointsError;
pub use health::Health;
pub use store::RedisCheckpoints;
pub(crate) use store::parse as parse_checkpoint;
