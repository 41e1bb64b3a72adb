//! How far a batch is. Everything is computed from one short record per user, which is saved in the same
//! atomic step as the user's checkpoint, so that it cannot drift. [`Tally`] is pure; [`overview()`] reads.

mod overview;
mod read;
mod report;
mod summary;
mod tally;

pub use overview::{AccessTimes, DeadLetters, Overview, Waiting};
pub use read::{Listed, list, overview, report};
pub use report::{Reported, Standing};
pub use summary::{Known, Summary, Wait};
pub use tally::Tally;
