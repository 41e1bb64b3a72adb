//! Checkpoints in a file, for one process: an embedded database with ACID transactions.

mod checkpoints;
mod database;
mod deletions;
mod error;
#[cfg(test)]
mod tests;

pub(crate) use checkpoints::EmbeddedCheckpoints;
