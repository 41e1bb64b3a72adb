//! The job: who is to be off-boarded, on whose request. Pure.

mod message;
mod request;
mod user_id;

pub use message::{Malformed, parse_message};
pub use request::{Action, BatchId, Request};
pub use user_id::{InvalidUserId, UserId};

/// Which part of the work a delivery stands for. Access goes first for everybody; archives after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Clear the queues and deactivate.
    Access,
    /// Archive, delete, record.
    Archive,
    /// Both without a hand-over, as `offboarder run` does it.
    Whole,
}
