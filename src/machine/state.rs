use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AccessRemoved, Archive, Deletion, ManifestRef, QueuesCleared, Seal};

/// The last completed step, with what is known from then on. Data lives where it is valid.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "name")]
pub(crate) enum State {
    /// The job was taken; nothing has been done.
    Received,
    /// The user is out of every queue that was found.
    QueuesCleared {
        /// As read back.
        queues: QueuesCleared,
    },
    /// The account is inactive.
    Deactivated {
        /// As read back.
        access: AccessRemoved,
    },
    /// The archive is complete, stored and verified.
    Archived {
        /// From the steps before.
        access: AccessRemoved,
        /// As read back.
        archive: Archive,
        /// Whether the DELETE may have been sent.
        sealing: Sealing,
    },
    /// The user is gone.
    Deleted {
        /// From the steps before.
        access: AccessRemoved,
        /// From the steps before.
        archive: Archive,
        /// As observed.
        deletion: Deletion,
        /// Whether the manifest is stored.
        recording: Recording,
    },
    /// The user stays, deactivated.
    DeactivatedOnly {
        /// From the steps before.
        access: AccessRemoved,
        /// From the steps before.
        archive: Archive,
        /// Why there was none.
        deletion: Deletion,
        /// Whether the manifest is stored.
        recording: Recording,
    },
}

/// Where an archived user stands before the deletion.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "phase")]
pub(crate) enum Sealing {
    /// No DELETE was ever sent.
    Unsealed,
    /// The evidence is sealed and the intent is saved: a DELETE may have been sent.
    Sealed {
        /// Where the evidence lies.
        seal: Seal,
    },
    /// The API accepted the DELETE; reads still show the user.
    Accepted {
        /// Where the evidence lies.
        seal: Seal,
        /// As observed so far.
        deletion: Deletion,
    },
}

/// Where a finished user stands with its manifest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "phase")]
pub(crate) enum Recording {
    /// The manifest is still to be stored.
    Unrecorded,
    /// The manifest is stored.
    Recorded {
        /// Where it lies.
        manifest: ManifestRef,
    },
}

/// A state's name alone: the contract's word for it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
pub(crate) enum StateName {
    /// See [`State::Received`].
    Received,
    /// See [`State::QueuesCleared`].
    QueuesCleared,
    /// See [`State::Deactivated`].
    Deactivated,
    /// See [`State::Archived`].
    Archived,
    /// See [`State::Deleted`].
    Deleted,
    /// See [`State::DeactivatedOnly`].
    DeactivatedOnly,
}

impl StateName {
    /// The word that the outside sees.
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

    /// The step that comes after it, as metrics and dead letters name it.
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
    /// The name alone.
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

    /// When a read showed that the access was gone.
    pub(crate) const fn deactivated_at(&self) -> Option<jiff::Timestamp> {
        match self {
            Self::Received | Self::QueuesCleared { .. } => None,
            Self::Deactivated { access }
            | Self::Archived { access, .. }
            | Self::Deleted { access, .. }
            | Self::DeactivatedOnly { access, .. } => Some(access.at),
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
