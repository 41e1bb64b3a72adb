//! The job: who is to be off-boarded, on whose request. Pure.

mod digest_name;
mod foreign;
mod member;
mod message;
mod names;
mod object;
mod request;
mod source;
mod user_id;

pub(crate) use digest_name::{OrderName, PlanName};
pub(crate) use message::{
    MAX_BODY_BYTES, Malformed, Understood, parse_message, understand_message,
};
pub(crate) use names::normalised;
pub(crate) use request::{Action, Approval, BatchId, Request};
pub(crate) use source::Source;
pub(crate) use user_id::UserId;

/// What one delivery, or one line of `run`, asks for.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub user_id: UserId,
    pub request: Request,
    pub lane: Lane,
    /// Which off-boarding of this user it belongs to, once that is decided; from a header of ours.
    pub revision: Option<u32>,
    /// The job is a placeholder: it was published for a job that was still in progress at this
    /// time, or it replays the dead letter that was the user's latest at this time.
    pub stands_in_since: Option<jiff::Timestamp>,
    /// It continues work that another delivery began, and asks for nothing new.
    pub continuation: bool,
    /// The user is not held back for want of an order: a worker let it pass before, or a person sends it.
    pub admitted: bool,
}

impl Job {
    /// All steps of a user whom a person names.
    pub(crate) const fn named(user_id: UserId, request: Request) -> Self {
        Self {
            user_id,
            request,
            lane: Lane::Whole,
            revision: None,
            stands_in_since: None,
            continuation: false,
            admitted: true,
        }
    }
}

/// Which part of the work a job asks for. All users lose their access before any archive is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// Clear the queues and deactivate.
    Access,
    Archive,
    /// Both, one after the other; `offboarder run` works so.
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
