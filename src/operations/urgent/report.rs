//! What became of each user who was to be moved to the urgent lane.

use serde::Serialize;
use utoipa::ToSchema;

use crate::job::UserId;

/// Who was moved to the urgent lane, and who was not
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MovedToUrgentLane {
    /// The broker confirmed a message of each of them. A worker takes them before all users who are not urgent.
    pub moved: Vec<UserId>,
    /// Nothing was done to these.
    pub refused: Vec<NotMoved>,
}

/// A user who was not moved to the urgent lane
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NotMoved {
    pub user_id: UserId,
    pub reason: NotMovedReason,
    /// For people.
    pub text: &'static str,
}

/// Why a user was not moved to the urgent lane
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NotMovedReason {
    /// The access is removed already.
    NoAccess,
    /// Nothing is left to do.
    Finished,
    /// The request was cancelled.
    Cancelled,
    /// The user is a dead letter; a replay continues the work.
    DeadLetter,
    /// Nobody asked for this user, as far as is known.
    Unknown,
    /// No worker has taken the user, and no order of `submit` says what the waiting message asks for.
    RequestNotStored,
    /// Several requests wait, and they differ in what may be deleted, or when.
    RequestsDiffer,
}

impl NotMovedReason {
    const fn text(self) -> &'static str {
        match self {
            Self::NoAccess => "the access is removed already, and the rest is not urgent",
            Self::Finished => "the off-boarding is finished",
            Self::Cancelled => "the request was cancelled",
            Self::DeadLetter => "the user is a dead letter: replay it",
            Self::Unknown => "nobody asked for this user, as far as is known",
            Self::RequestNotStored => {
                "no worker has taken the user, and only the waiting message says until when nothing may be deleted, and who \
                 asked; publish the same message with the routing key users.urgent"
            }
            Self::RequestsDiffer => {
                "several requests wait that differ in what may be deleted, or when; cancel those that are wrong, and submit again"
            }
        }
    }

    pub(super) fn of(self, user_id: UserId) -> NotMoved {
        NotMoved {
            user_id,
            reason: self,
            text: self.text(),
        }
    }
}
