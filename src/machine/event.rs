use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    AccessRemoved, Archive, Beginning, Deletion, DeletionOutcome, ManifestRef, PriorEvidence,
    QueuesCleared, Seal,
};
use crate::failure::{Failure, Reason};

/// Why a step goes on later though nothing failed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pause {
    /// The deletion is not due: `deleteAfter`, or the grace.
    NotDue,
    /// The brake on deletions.
    DeletionRateLimit,
    /// Everything is written, and reads do not show it.
    NotConverged,
    /// The API accepted the deletion, and reads still show the user.
    DeletionPending,
}

impl Pause {
    /// The stable word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::NotDue => "not_due",
            Self::DeletionRateLimit => "brake",
            Self::NotConverged => "not_converged",
            Self::DeletionPending => "deletion_pending",
        }
    }
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotDue => {
                "the deletion is not due yet (deleteAfter, or OFFBOARDER_GUARD_DELETE_GRACE)"
            }
            Self::DeletionRateLimit => {
                "the brake on deletions is engaged (OFFBOARDER_GUARD_MAX_DELETIONS)"
            }
            Self::NotConverged => "reads do not show the change yet",
            Self::DeletionPending => "the deletion is accepted, not yet done",
        })
    }
}

/// What happened to the job. What the worker suffered is an interrupt, which never comes here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    /// A worker took the job, for the first time or again.
    Resumed,
    /// The store holds neither seal nor manifest of this off-boarding.
    NoPriorEvidence(Beginning),
    /// The store holds a seal or a manifest that this run did not know of: its checkpoint was lost, or
    /// is older.
    PriorEvidenceFound(Box<PriorEvidence>),
    /// The API does not know the user.
    UserNotFound,
    /// The queues were cleared and read back.
    QueuesCleared(QueuesCleared),
    /// The account was deactivated and read back.
    UserDeactivated(AccessRemoved),
    /// The archive was stored and read back.
    ArchiveStored(Archive),
    /// The evidence was sealed.
    EvidenceSealed(Seal),
    /// The API accepted the DELETE, and reads still show the user.
    DeletionAccepted(Deletion),
    /// The step goes on later: reads do not show a write yet, or a guard wants the deletion later.
    StepPostponed {
        /// Not before then.
        until: Timestamp,
        /// Why, for people.
        why: Pause,
    },
    /// The user is gone.
    UserDeleted(Deletion),
    /// The user will not be deleted.
    DeletionWithheld(Deletion),
    /// The manifest was stored.
    ManifestStored(ManifestRef),
    /// A user who was off-boarded is active again.
    UserReturned,
    /// A user who was off-boarded is as it was left.
    UserStayedAway,
    /// The user has more access than was recorded: somebody gave it back, or what was recorded is not true.
    AccessReturned,
    /// A step failed.
    StepFailed(Failure),
}

impl Event {
    /// The word for it, in the table and in messages.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Resumed => "Resumed",
            Self::NoPriorEvidence(_) => "NoPriorEvidence",
            Self::PriorEvidenceFound(_) => "PriorEvidenceFound",
            Self::UserNotFound => "UserNotFound",
            Self::QueuesCleared(_) => "QueuesCleared",
            Self::UserDeactivated(_) => "UserDeactivated",
            Self::ArchiveStored(_) => "ArchiveStored",
            Self::EvidenceSealed(_) => "EvidenceSealed",
            Self::DeletionAccepted(_) => "DeletionAccepted",
            Self::StepPostponed { .. } => "StepPostponed",
            Self::UserDeleted(_) => "UserDeleted",
            Self::DeletionWithheld(_) => "DeletionWithheld",
            Self::ManifestStored(_) => "ManifestStored",
            Self::UserReturned => "UserReturned",
            Self::UserStayedAway => "UserStayedAway",
            Self::AccessReturned => "AccessReturned",
            Self::StepFailed(_) => "StepFailed",
        }
    }
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Effect {
    /// Look in the store for what an earlier run left.
    LookBack,
    /// Check that the user exists, and take it out of its queues.
    ClearQueues,
    /// Set SCIM `active` to false.
    Deactivate,
    /// Stream the conversations into the store.
    Archive,
    /// Look at the guards, then store the evidence so far.
    Seal,
    /// Look at the guards, then delete the user.
    Delete {
        /// An earlier run may have sent the DELETE already.
        maybe_sent: bool,
    },
    /// Read until an accepted deletion shows.
    ConfirmDeletion,
    /// Leave the user deactivated, without a DELETE.
    Withhold(DeletionOutcome),
    /// Store the manifest.
    Record,
    /// Look whether an off-boarded user is active again.
    LookAgain,
    /// Come back later.
    Wait(Wait),
    /// Give the message up.
    DeadLetter(Reason),
    /// Nothing is left to do.
    Finish,
}

impl Effect {
    /// The word for the step in metrics and traces.
    pub(crate) const fn step(&self) -> &'static str {
        match self {
            Self::LookBack => "look_back",
            Self::ClearQueues => "clear_queues",
            Self::Deactivate => "deactivate",
            Self::Archive => "archive",
            Self::Seal => "seal",
            Self::Delete { .. } => "delete",
            Self::ConfirmDeletion => "confirm_deletion",
            Self::Withhold(_) => "withhold",
            Self::Record => "record",
            Self::LookAgain => "look_again",
            Self::Wait(_) => "wait",
            Self::DeadLetter(_) => "dead_letter",
            Self::Finish => "finish",
        }
    }
}

/// How long, and why.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Wait {
    /// An attempt failed.
    Retry {
        /// From now.
        delay: Duration,
        /// Whether the failure counts against the limit.
        spends_attempt: bool,
    },
    /// The step, or a guard, says so.
    Until {
        /// Not before then.
        until: Timestamp,
        /// Why, for people.
        why: Pause,
    },
}
