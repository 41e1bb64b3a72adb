//! Checkpoints in a file, for one process: an embedded database with ACID transactions.

mod access;
mod checkpoints;
mod counts;
mod database;
mod error;
mod operations;
mod rows;
#[cfg(test)]
mod tests;
mod users;

pub(crate) use checkpoints::EmbeddedCheckpoints;
