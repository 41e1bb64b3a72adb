//! Settings: parsed once, every fault reported together.
//!
//! [`SETTINGS`] is the one table that flags, environment variables, TOML keys, the README's table
//! and `--show-settings` are made from. A value goes
//! sources → the one in force ([`Origin`]) → its type, and every stage notes its faults and goes on,
//! so that an operator mends a deployment in one round. What the settings mean is the contract's.
//!
//! A flag beats the environment, which beats a file named by `OFFBOARDER_…_FILE`, which beats the
//! TOML file, which beats the default. Only the value in force is judged.

mod address;
mod admin;
mod archive;
mod checkpoints;
mod cxone;
mod fault;
mod guard;
mod integrity;
mod load;
mod parse;
mod queue;
mod reader;
mod resolve;
mod secret;
mod show;
mod sources;
mod table;
#[cfg(test)]
mod tests;
mod toml_file;
mod unknown;
mod worker;

pub use admin::Admin;
pub use archive::{Archive, ArchiveLocation, Retention, RetentionMode};
pub use checkpoints::{CheckpointsRetention, CheckpointsUrl, RedisKind, RedisUrl};
pub use cxone::{Cxone, Rate};
pub use fault::{Fault, Faults};
pub use guard::{DeletePolicy, Guard, ProtectedSource};
pub use load::Settings;
pub use queue::{BrokerUrl, Queue};
pub use resolve::Origin;
pub use secret::Secret;
pub use show::{Shown, markdown_table, show};
pub use sources::{Sources, with_flags};
pub use table::{Profile, SETTINGS, Setting, Unset};
pub use worker::Worker;
