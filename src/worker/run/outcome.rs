//! How a run of a job ends.

use std::time::Duration;

use jiff::Timestamp;

use crate::failure::{Code, Failure, Reason};
use crate::job::Request;
use crate::machine::{Checkpoint, ManifestRef, StateName};

/// How far one run got. Everything in it is saved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    /// Terminal, and the manifest is stored.
    Finished(Box<Ended>),
    /// Access is gone; the archive is the archive lane's work.
    MoveToArchiveLane,
    /// The user came back after an off-boarding: the job begins again as this revision.
    Reissue { revision: u32 },
    /// Another message has this job's work: nothing is left to do for this one.
    Obsolete,
    Delay {
        until: Timestamp,
        why: String,
        /// The failure that caused the delay, if one did.
        code: Option<Code>,
    },
    /// Another worker has the user.
    Busy {
        /// When that worker's lease expires, unless it is renewed.
        for_at_most: Duration,
    },
    DeadLetter {
        reason: Reason,
        failure: Failure,
        state: StateName,
        attempts: u32,
    },
}

/// How an off-boarding ended, as its manifest says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Ended {
    pub state: StateName,
    pub revision: u32,
    /// When the last step was completed.
    pub at: Timestamp,
    pub request: Request,
    pub manifest: Option<ManifestRef>,
}

impl Ended {
    pub(crate) fn of(checkpoint: &Checkpoint) -> Self {
        Self {
            state: checkpoint.state.name(),
            revision: checkpoint.revision,
            at: checkpoint.ended_at().unwrap_or(checkpoint.updated_at),
            request: checkpoint.request.clone(),
            manifest: checkpoint.state.manifest().cloned(),
        }
    }
}
