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
pub(crate) use error::RedisCheckpointsError;
pub(crate) use health::Health;
pub(crate) use store::RedisCheckpoints;
#[cfg(any(test, fuzzing))]
pub(crate) use store::parse as parse_checkpoint;
