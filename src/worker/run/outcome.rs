//! How a run of a job ends. One word for each end, from the plan of the run to the settlement of its
//! delivery.

use std::time::Duration;

use jiff::Timestamp;

use crate::failure::{Class, Code, Failure, Reason};
use crate::job::{Request, UserId};
use crate::machine::{Cancelled, Checkpoint, Deletion, ManifestRef, StateName};
use crate::steps::Interrupt;

/// How a run ended. What it says of the user is saved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    /// Terminal, and the manifest is stored.
    Finished(Box<Ended>),
    /// An operator cancelled the request, and the checkpoint says so.
    Cancelled(Box<CancelledEnd>),
    /// Access is gone; the archive is the archive lane's work.
    MoveToArchiveLane(Option<Box<AccessGone>>),
    /// The user came back after an off-boarding: the job begins again as this revision.
    Reissue {
        revision: u32,
    },
    /// Another message has this job's work: nothing is left to do for this one.
    Obsolete,
    /// The run came to an end of its own, and a later run continues.
    Delay {
        until: Timestamp,
        why: String,
        /// The failure that caused the delay, if one did.
        code: Option<Code>,
    },
    /// The job came back from a delay queue before its time: there was no run.
    NotDue {
        until: Timestamp,
    },
    /// Another worker has the user.
    Busy {
        /// When that worker's lease expires, unless it is renewed.
        for_at_most: Duration,
        /// When it may be seen that the worker is gone, if it is.
        look_again: Option<Duration>,
    },
    DeadLetter(GivenUp),
    /// The run stopped for a reason that is not the job's own.
    Interrupted(Interrupt),
}

/// Why a job is given up: the headers of its dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct GivenUp {
    pub(crate) reason: Reason,
    pub(crate) error: String,
    /// `None` where the message was never worked on.
    pub(crate) code: Option<Code>,
    /// The last completed step; `None` where the checkpoint was not read.
    pub(crate) state: Option<StateName>,
    pub(crate) attempts: u32,
}

/// How an off-boarding ended, as its manifest says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Ended {
    pub user_id: UserId,
    pub state: StateName,
    pub revision: u32,
    /// When the last step was completed.
    pub at: Timestamp,
    pub request: Request,
    pub manifest: Option<ManifestRef>,
    /// How the deletion ended.
    pub deletion: Option<Deletion>,
    pub access_gone: Option<AccessGone>,
}

/// How far a user was whose request was cancelled.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct CancelledEnd {
    pub user_id: UserId,
    /// The last completed step.
    pub state: StateName,
    pub revision: u32,
    pub request: Request,
    pub cancelled: Cancelled,
    pub access_gone: Option<AccessGone>,
}

/// That a user has no access any more, as the checkpoint says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct AccessGone {
    pub user_id: UserId,
    /// The revision whose archive and seal follow: a later one that only tries the deletion again
    /// has removed no access.
    pub evidence_revision: u32,
    /// When a read showed it.
    pub at: Timestamp,
    pub request: Request,
}

impl Outcome {
    /// The message cannot be worked on.
    pub(crate) const fn malformed(error: String) -> Self {
        Self::DeadLetter(GivenUp {
            reason: Reason::MalformedMessage,
            error,
            code: None,
            state: None,
            attempts: 0,
        })
    }

    /// The value of the span attribute `offboarder.disposition`.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Finished(_) => "finished",
            Self::Cancelled(_) => "cancelled",
            Self::MoveToArchiveLane(_) | Self::Interrupted(Interrupt::SliceOver) => "forwarded",
            Self::Reissue { .. } => "reissued",
            Self::Obsolete => "acknowledged",
            Self::Delay { .. }
            | Self::NotDue { .. }
            | Self::Busy { .. }
            | Self::Interrupted(Interrupt::LeaseLost | Interrupt::Systemic(_)) => "parked",
            Self::DeadLetter(_) => "dead-lettered",
            Self::Interrupted(Interrupt::Draining) => "given back",
        }
    }
}

impl GivenUp {
    pub(crate) fn new(reason: Reason, failure: &Failure, state: StateName, attempts: u32) -> Self {
        Self {
            reason,
            error: failure.to_string(),
            code: Some(failure.code),
            state: Some(state),
            attempts,
        }
    }
}

impl GivenUp {
    /// The run panicked, and no step did: the job is given up, since it would panic again.
    pub(super) fn panicked(error: &impl std::fmt::Display) -> Self {
        let text = format!("a run panicked: {error}");
        let failure = Failure::new(Class::Defect, Code::Panicked, text);
        Self {
            reason: Reason::Poison,
            error: failure.to_string(),
            code: Some(failure.code),
            state: None,
            attempts: 1,
        }
    }

    /// A manifest without a checkpoint may be a stranger's, or the user came back since. Nothing is saved,
    /// so that the next run finds the same.
    pub(super) fn contradicted(checkpoint: &Checkpoint) -> Self {
        let reason = Reason::ArchiveConflict;
        let text = "the user is active, though a manifest says that it left after this was asked for; a person has to \
                    compare, and to submit the user again if it is to leave";

        let failure = Failure::new(Class::Permanent(reason), Code::ArchiveConflict, text);
        let state = checkpoint.state.name();
        Self::new(reason, &failure, state, checkpoint.attempts)
    }
}

impl Ended {
    pub(crate) fn of(checkpoint: &Checkpoint) -> Self {
        Self {
            user_id: checkpoint.user_id,
            state: checkpoint.state.name(),
            revision: checkpoint.revision,
            at: checkpoint.ended_at().unwrap_or(checkpoint.updated_at),
            request: checkpoint.request.clone(),
            manifest: checkpoint.state.manifest().cloned(),
            deletion: checkpoint.state.deletion().cloned(),
            access_gone: AccessGone::of(checkpoint),
        }
    }
}

impl CancelledEnd {
    /// `request` is what the message asks for: a checkpoint that the cancellation made knows less.
    pub(crate) fn of(checkpoint: &Checkpoint, cancelled: &Cancelled, request: &Request) -> Self {
        Self {
            user_id: checkpoint.user_id,
            state: checkpoint.state.name(),
            revision: checkpoint.revision,
            request: request.clone(),
            cancelled: cancelled.clone(),
            access_gone: AccessGone::of(checkpoint),
        }
    }
}

impl AccessGone {
    pub(crate) fn of(checkpoint: &Checkpoint) -> Option<Self> {
        Some(Self {
            user_id: checkpoint.user_id,
            evidence_revision: checkpoint.evidence_revision,
            at: checkpoint.state.deactivated_at()?,
            request: checkpoint.request.clone(),
        })
    }
}
