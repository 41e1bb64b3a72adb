//! Leads users through the machine. [`drive`] takes one as far as it goes now; [`Worker`] does so for
//! whatever the broker delivers.

mod announce;
mod backlog;
mod breaker;
mod consume;
mod drain;
mod driver;
mod health;
#[cfg(test)]
mod model;
mod oldest_letter;
mod operator;
mod order;
mod parked;
mod results;
mod settle;
mod startup;
#[cfg(test)]
mod tests;
mod visit;
mod waiting;

pub(crate) use announce::SILENT;
pub use announce::{Announced, Announcement, announce};
pub use consume::{Options, Worker};
pub use drain::{Shutdown, shutdown_on_signals};
pub use driver::{Ended, Outcome, drive};
