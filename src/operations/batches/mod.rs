//! The progress of batches. It is computed from one short record per user, which is saved in the same atomic step as the
//! checkpoint of the user, so that both always agree. [`Tally`] is pure; [`read()`] reads.

mod changes;
mod history;
mod overview;
mod page;
mod read;
mod readings;
mod report;
mod series;
mod short;
mod tally;

pub(crate) use crate::ports::batches::{Known, Standing, Summary};
pub(crate) use changes::{about, recent};
#[cfg(test)]
pub(crate) use history::PeriodOfBatch;
pub(crate) use history::{BatchHistory, HISTORY_LASTS, history_begins};
pub(crate) use overview::{
    AccessRange, AccessTimes, BatchProgress, DeadLetters, Overview, StillHaveAccess, Waiting,
};
pub(crate) use page::{BatchFilter, BatchPage, UnderWay, UnderWayBatches, page, under_way};
pub(crate) use read::{column_names, read, report};
pub(crate) use readings::{BatchSource, Readings};
pub(crate) use report::{Reported, csv};
pub(crate) use series::BatchSeries;
pub(crate) use short::{BatchState, ListedProgress, ShortProgress};
pub(crate) use tally::Tally;
