//! The members of a message.

use super::normalised;

/// A member of `docs/contract/offboarding-message.schema.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Member {
    UserId,
    BatchId,
    Action,
    DeleteAfter,
    RequestedBy,
    Reason,
    RequestedAt,
}

impl Member {
    pub(super) const ALL: [Self; 7] = [
        Self::UserId,
        Self::BatchId,
        Self::Action,
        Self::DeleteAfter,
        Self::RequestedBy,
        Self::Reason,
        Self::RequestedAt,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::UserId => "userId",
            Self::BatchId => "batchId",
            Self::Action => "action",
            Self::DeleteAfter => "deleteAfter",
            Self::RequestedBy => "requestedBy",
            Self::Reason => "reason",
            Self::RequestedAt => "requestedAt",
        }
    }

    /// What its value has to be. The faults of messages say it.
    pub(super) const fn rule(self) -> &'static str {
        match self {
            Self::UserId => "has to be a UUID",
            Self::BatchId => "has to match [A-Za-z0-9._:-]{1,128}",
            Self::Action => "has to be delete or deactivate",
            Self::DeleteAfter | Self::RequestedAt => {
                "has to be a time with an offset, such as 2026-01-31T08:00:00Z"
            }
            Self::RequestedBy => "has to be text of at most 256 characters",
            Self::Reason => "has to be text of at most 1024 characters",
        }
    }

    /// Whether the work depends on it. Then a misspelt name must be a fault and not be ignored.
    const fn decides(self) -> bool {
        match self {
            Self::UserId | Self::BatchId | Self::Action | Self::DeleteAfter | Self::RequestedAt => {
                true
            }
            Self::RequestedBy | Self::Reason => false,
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|member| member.name() == name)
    }

    /// The member that a misspelt name probably means, if the work depends on it.
    pub(super) fn near_miss(name: &str) -> Option<Self> {
        let spelled = normalised(name);
        Self::ALL
            .into_iter()
            .find(|member| member.decides() && normalised(member.name()) == spelled)
    }
}
