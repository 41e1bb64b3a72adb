//! The progress of batches. It is computed from one short record per user, which is saved in the same atomic step as the
//! checkpoint of the user, so that both always agree. [`Tally`] is pure; [`overview()`] reads.

mod overview;
mod read;
mod report;
mod tally;

pub(crate) use crate::ports::batches::{Known, Standing, Summary};
pub(crate) use overview::{
    AccessTimes, BatchProgress, DeadLetters, ListedProgress, Overview, ShortProgress,
    StillHaveAccess, Waiting,
};
pub(crate) use read::{column_names, list, overview, report};
pub(crate) use report::Reported;
pub(crate) use tally::Tally;
