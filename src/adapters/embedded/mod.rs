//! Checkpoints in a file, for one process: an embedded database with ACID transactions.

mod access;
mod checkpoints;
mod database;
mod deletions;
mod error;
mod operations;
mod rows;
#[cfg(test)]
mod tests;
mod users;

pub(crate) use checkpoints::EmbeddedCheckpoints;
