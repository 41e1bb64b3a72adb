//! How far a batch is. Everything is computed from one short record per user, which is saved in the same
//! atomic step as the user's checkpoint, so that it cannot drift. [`Tally`] is pure; [`overview()`] reads.

mod overview;
mod read;
mod report;
mod tally;

pub(crate) use crate::ports::batches::{Known, Listed, Standing, Summary};
pub(crate) use overview::{AccessTimes, DeadLetters, Overview, Waiting};
pub(crate) use read::{list, overview, report};
pub(crate) use report::Reported;
pub(crate) use tally::Tally;
