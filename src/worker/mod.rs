//! Leads users through the machine. [`drive`] takes one as far as it goes now; [`Worker`] does so for
//! whatever the broker delivers.

mod backlog;
mod breaker;
mod consume;
mod drain;
mod driver;
#[cfg(test)]
mod model;
mod operator;
mod order;
mod results;
mod settle;
mod visit;
mod waiting;

pub use consume::{Options, Worker};
pub use drain::{Shutdown, shutdown_on_signals};
pub use driver::{Ended, Outcome, drive};
