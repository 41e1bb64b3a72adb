use std::time::Duration;

use jiff::Timestamp;

use super::{AccessRemoved, Archive, Deletion, DeletionOutcome, ManifestRef, QueuesCleared, Seal};
use crate::failure::{Failure, Reason};

/// What happened to the job. What the worker suffered is an interrupt, which never comes here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A worker took the job, for the first time or again.
    Resumed,
    /// The API does not know the user.
    UserMissed,
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
    /// A guard wants the deletion later, or an accepted one takes its time.
    DeletionPostponed {
        /// Not before then.
        until: Timestamp,
    },
    /// The user is gone.
    UserDeleted(Deletion),
    /// The user will not be deleted.
    DeletionWithheld(Deletion),
    /// The manifest was stored.
    ManifestStored(ManifestRef),
    /// A step failed.
    StepFailed(Failure),
}

impl Event {
    /// The word for it, in the table and in messages.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Resumed => "Resumed",
            Self::UserMissed => "UserMissed",
            Self::QueuesCleared(_) => "QueuesCleared",
            Self::UserDeactivated(_) => "UserDeactivated",
            Self::ArchiveStored(_) => "ArchiveStored",
            Self::EvidenceSealed(_) => "EvidenceSealed",
            Self::DeletionAccepted(_) => "DeletionAccepted",
            Self::DeletionPostponed { .. } => "DeletionPostponed",
            Self::UserDeleted(_) => "UserDeleted",
            Self::DeletionWithheld(_) => "DeletionWithheld",
            Self::ManifestStored(_) => "ManifestStored",
            Self::StepFailed(_) => "StepFailed",
        }
    }
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
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
    /// Come back later.
    Wait(Wait),
    /// Give the message up.
    DeadLetter(Reason),
    /// Nothing is left to do.
    Finish,
}

/// How long, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// An attempt failed.
    Retry {
        /// From now.
        delay: Duration,
        /// Whether the failure counts against the limit.
        spends_attempt: bool,
    },
    /// A guard says so.
    Until(Timestamp),
}
