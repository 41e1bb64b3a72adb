//! The job: who is to be off-boarded, on whose request. Pure.

mod message;
mod names;
mod request;
mod source;
mod user_id;

pub(crate) use message::{MAX_BODY_BYTES, Malformed, parse_message};
pub(crate) use names::normalised;
pub(crate) use request::{Action, BatchId, Request};
pub(crate) use source::Source;
pub(crate) use user_id::UserId;

/// One visit's worth of work: what a delivery, or a line of `run`, asks for.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub user_id: UserId,
    /// What was asked for, in this message.
    pub request: Request,
    /// Which part of the work.
    pub lane: Lane,
    /// Which off-boarding of this user it stands for, once that is settled; from a header of ours.
    pub revision: Option<u32>,
    /// It was parked in the place of a job whose work was under way at this time; or it replays a dead letter,
    /// the latest of this user then.
    pub stands_in_since: Option<jiff::Timestamp>,
    /// It goes on with work that was begun, and asks for nothing new.
    pub continuation: bool,
}

/// Which part of the work a delivery stands for. Access goes first for everybody; archives after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// Clear the queues and deactivate.
    Access,
    Archive,
    /// Both without a hand-over, as `offboarder run` does it.
    Whole,
}

impl Lane {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Archive => "archive",
            Self::Whole => "whole",
        }
    }
}
