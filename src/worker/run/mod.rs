//! One run of a job: from its claim to its outcome.

pub(super) mod commands;
pub(super) mod decide;
mod delivery_log;
pub(super) mod driver;
pub(super) mod job_runner;
mod lease;
mod order_claim;
pub(super) mod outcome;
mod progress_log;
mod saving;
mod surge;

pub(crate) use driver::drive;
pub(crate) use outcome::{AccessGone, CancelledEnd, Ended, GivenUp, Outcome};
