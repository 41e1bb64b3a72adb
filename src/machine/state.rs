//! The states of an off-boarding, and what is known in each.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AccessRemoved, Archive, Deletion, ManifestRef, QueuesCleared, Seal};

/// The last completed step, with what is known from then on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "name")]
pub(crate) enum State {
    /// The job was taken; nothing has been done.
    Received,
    /// The user is out of every queue that was found.
    QueuesCleared { queues: QueuesCleared },
    /// The account is inactive.
    Deactivated { access: AccessRemoved },
    /// The archive is complete, stored and verified.
    Archived {
        access: AccessRemoved,
        archive: Archive,
        /// Whether the DELETE may have been sent.
        sealing: Sealing,
    },
    /// The account no longer exists.
    Deleted {
        access: AccessRemoved,
        archive: Archive,
        deletion: Deletion,
        /// Whether the manifest is stored.
        recording: Recording,
    },
    /// The account stays, deactivated.
    DeactivatedOnly {
        access: AccessRemoved,
        archive: Archive,
        /// Why the account was not deleted.
        deletion: Deletion,
        /// Whether the manifest is stored.
        recording: Recording,
    },
}

/// How close an archived user is to its deletion.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "phase")]
pub(crate) enum Sealing {
    /// No DELETE was ever sent.
    Unsealed,
    /// The evidence is sealed and the intent is saved: a DELETE may have been sent.
    Sealed { seal: Seal },
    /// The API accepted the DELETE; reads still show the user.
    Accepted {
        seal: Seal,
        /// As observed so far.
        deletion: Deletion,
    },
}

/// Whether the manifest of a user at its end is stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "phase")]
pub(crate) enum Recording {
    Unrecorded,
    Recorded { manifest: ManifestRef },
}

/// The last completed step of an off-boarding.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
pub(crate) enum StateName {
    /// The job was taken; nothing has been done.
    Received,
    /// The user is out of every queue that was found.
    QueuesCleared,
    /// The account is inactive.
    Deactivated,
    /// The archive is complete, stored and verified.
    Archived,
    /// The account no longer exists.
    Deleted,
    /// The account stays, deactivated.
    DeactivatedOnly,
}

impl StateName {
    /// The contract's word, in checkpoints, metrics, manifests and the API.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Received => "Received",
            Self::QueuesCleared => "QueuesCleared",
            Self::Deactivated => "Deactivated",
            Self::Archived => "Archived",
            Self::Deleted => "Deleted",
            Self::DeactivatedOnly => "DeactivatedOnly",
        }
    }

    /// Reads the word of the contract.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        let known = [
            Self::Received,
            Self::QueuesCleared,
            Self::Deactivated,
            Self::Archived,
            Self::Deleted,
            Self::DeactivatedOnly,
        ];
        known.into_iter().find(|state| state.as_str() == word)
    }

    /// The step that comes next, as metrics and dead letters name it.
    pub(crate) const fn next_step(self) -> &'static str {
        match self {
            Self::Received => "clear_queues",
            Self::QueuesCleared => "deactivate",
            Self::Deactivated => "archive",
            Self::Archived => "delete",
            Self::Deleted | Self::DeactivatedOnly => "record",
        }
    }

    /// Whether a user ends here.
    pub(crate) const fn is_terminal(self) -> bool {
        matches!(self, Self::Deleted | Self::DeactivatedOnly)
    }
}

impl fmt::Display for StateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl State {
    pub(crate) const fn name(&self) -> StateName {
        match self {
            Self::Received => StateName::Received,
            Self::QueuesCleared { .. } => StateName::QueuesCleared,
            Self::Deactivated { .. } => StateName::Deactivated,
            Self::Archived { .. } => StateName::Archived,
            Self::Deleted { .. } => StateName::Deleted,
            Self::DeactivatedOnly { .. } => StateName::DeactivatedOnly,
        }
    }

    /// Once access was seen to be gone.
    pub(crate) const fn access(&self) -> Option<&AccessRemoved> {
        match self {
            Self::Received | Self::QueuesCleared { .. } => None,
            Self::Deactivated { access }
            | Self::Archived { access, .. }
            | Self::Deleted { access, .. }
            | Self::DeactivatedOnly { access, .. } => Some(access),
        }
    }

    /// The user's number as an agent, as it was found while routing was cleared.
    pub(crate) fn agent(&self) -> Option<u64> {
        match self {
            Self::QueuesCleared { queues } => queues.agent,
            _ => self.access()?.queues.agent,
        }
    }

    /// When a read showed that the access was gone.
    pub(crate) fn deactivated_at(&self) -> Option<Timestamp> {
        self.access().map(|access| access.at)
    }

    /// Once the archive is stored.
    pub(crate) const fn archive(&self) -> Option<&Archive> {
        match self {
            Self::Received | Self::QueuesCleared { .. } | Self::Deactivated { .. } => None,
            Self::Archived { archive, .. }
            | Self::Deleted { archive, .. }
            | Self::DeactivatedOnly { archive, .. } => Some(archive),
        }
    }

    /// How the deletion ended, once it did.
    pub(crate) const fn deletion(&self) -> Option<&Deletion> {
        match self {
            Self::Received
            | Self::QueuesCleared { .. }
            | Self::Deactivated { .. }
            | Self::Archived { .. } => None,
            Self::Deleted { deletion, .. } | Self::DeactivatedOnly { deletion, .. } => {
                Some(deletion)
            }
        }
    }

    /// The manifest, once it is stored.
    pub(crate) const fn manifest(&self) -> Option<&ManifestRef> {
        match self {
            Self::Deleted {
                recording: Recording::Recorded { manifest },
                ..
            }
            | Self::DeactivatedOnly {
                recording: Recording::Recorded { manifest },
                ..
            } => Some(manifest),
            Self::Received
            | Self::QueuesCleared { .. }
            | Self::Deactivated { .. }
            | Self::Archived { .. }
            | Self::Deleted { .. }
            | Self::DeactivatedOnly { .. } => None,
        }
    }

    /// Whether there is nothing left to do: terminal, and the manifest is stored.
    pub(crate) const fn is_finished(&self) -> bool {
        self.manifest().is_some()
    }
}
