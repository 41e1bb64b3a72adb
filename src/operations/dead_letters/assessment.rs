//! What an assessment says.

use serde::Serialize;
use utoipa::ToSchema;

/// Whether a replay is safe now, from safe to unsafe
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReplaySafety {
    /// An interrupted replay has already published the message; the dead letter only has to be taken off.
    LeftOver,
    /// What had failed was seen to work.
    Safe,
    /// Nothing shows whether the cause is fixed; a canary can.
    Unproven,
    /// The same fault came back after a replay; a canary can show that it is fixed since.
    CameBack,
    /// The user continued with another message, has a newer dead letter, or is cancelled.
    Answered,
    /// The fault would come back.
    NotYet,
}

/// Whether a replay is safe now, and why
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub(crate) struct Assessment {
    #[serde(rename = "verdict")]
    pub safety: ReplaySafety,
    /// For people.
    pub why: String,
}

impl Assessment {
    pub(super) fn new(safety: ReplaySafety, why: impl Into<String>) -> Self {
        Self {
            safety,
            why: why.into(),
        }
    }
}

impl ReplaySafety {
    /// For people.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::LeftOver | Self::Safe => "yes",
            Self::Unproven => "unproven",
            Self::CameBack | Self::Answered | Self::NotYet => "no",
        }
    }
}
