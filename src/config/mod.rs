//! Settings: parsed once, and every fault is reported together.
//!
//! [`SETTINGS`] is the one table that flags, environment variables, TOML keys, the README's table
//! and `--show-settings` are made from. A value goes sources → the one in force (`Origin`) → its
//! type. Every stage notes its faults and continues, so that an operator can fix a deployment in
//! one round. `docs/contract/interfaces.md` defines what the settings mean.
//!
//! A flag beats the environment, which beats a file named by `OFFBOARDER_…_FILE`, which beats the
//! TOML file, which beats the default. Only the value in force is checked.

mod admin;
mod archive;
mod checkpoints;
mod cxone;
mod evidence;
mod fault;
mod guard;
mod integrity;
mod load;
mod origin;
mod queue;
mod reader;
mod resolve;
mod runbook;
mod setting;
mod show;
mod sources;
mod table;
mod template;
#[cfg(test)]
mod tests;
mod tls;
mod toml_file;
mod unknown;
mod worker;

pub(crate) use admin::{Admin, Jwt};
pub(crate) use archive::{Archive, ArchiveLocation};
pub(crate) use checkpoints::{CheckpointsRetention, CheckpointsUrl};
pub(crate) use cxone::{AccessKey, Cxone};
pub(crate) use evidence::{Evidence, LogKeys};
pub(crate) use fault::Faults;
pub(crate) use guard::Guard;
pub(crate) use load::{AnySettings, BrokerSettings, Settings, TenantSettings, WorkerSettings};
pub(crate) use queue::Queue;
pub(crate) use setting::{CONFIG_VARIABLE, Profile, Setting};
#[cfg(test)]
pub(crate) use show::markdown_table;
pub(crate) use show::show;
pub(crate) use sources::Sources;
pub(crate) use table::SETTINGS;
pub(crate) use template::template;
pub(crate) use worker::Worker;
