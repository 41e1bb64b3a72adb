//! Leads users through the machine. [`drive`] takes one as far as it gets now; [`Worker`] does so for what the
//! broker delivers.

mod health;
mod intake;
#[cfg(test)]
mod model;
mod process;
mod run;
mod settle;
#[cfg(test)]
mod tests;

pub(crate) use health::{MinuteWriter, announce, keep_access_index, keep_minutes};
pub(crate) use intake::{Shutdown, shutdown_on_signals};
pub(crate) use process::{Options, Worker};
pub(crate) use run::{Outcome, drive};
