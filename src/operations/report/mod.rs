//! The population for auditors: one row for each leaver, from the archive store and nothing else. [`Row`], [`Totals`] and
//! [`Wanted`] are pure; [`Reporter`] reads.

mod discarded;
mod read;
mod row;
#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
mod totals;
mod wanted;

pub(crate) use discarded::copies_of;
pub(crate) use read::{PARTS, Reporter, Stopped, Strangers};
pub(crate) use row::{Checked, Outcome, Row};
pub(crate) use totals::Totals;
pub(crate) use wanted::{Wanted, parse_from, parse_to};
