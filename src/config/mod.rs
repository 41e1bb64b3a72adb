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
mod masked;
mod parse;
mod queue;
mod reader;
mod resolve;
mod show;
mod sources;
mod table;
#[cfg(test)]
mod tests;
mod toml_file;
mod unknown;
mod worker;

pub(crate) use admin::Admin;
pub(crate) use archive::{Archive, ArchiveLocation, RetentionMode};
pub(crate) use checkpoints::{CheckpointsRetention, CheckpointsUrl, RedisKind, RedisUrl};
pub(crate) use cxone::{Cxone, Rate};
pub(crate) use fault::Faults;
pub(crate) use guard::{DeletePolicy, Guard, ProtectedSource};
pub(crate) use load::Settings;
pub(crate) use queue::{BrokerUrl, Queue};
pub(crate) use resolve::Origin;
#[cfg(test)]
pub(crate) use show::markdown_table;
pub(crate) use show::show;
pub(crate) use sources::{Sources, with_flags};
#[cfg(any(test, fuzzing))]
pub(crate) use table::SETTINGS;
pub(crate) use table::{Profile, Unset};
pub(crate) use worker::Worker;
