//! One run of a job: from its claim to its outcome.

pub(super) mod decide;
pub(super) mod driver;
pub(super) mod job_runner;

pub(crate) use driver::{Ended, Outcome, drive};
