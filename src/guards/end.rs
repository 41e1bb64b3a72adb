//! How an off-boarding would end, as a plan says.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How an off-boarding would end
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum End {
    /// The deletion would be tried.
    Delete,
    /// The request or the settings want no deletion.
    DeactivateOnly,
    /// A legal hold, or something routes work to the user still: deactivated and archived, not deleted.
    Held,
    /// A guard forbids any change to the user: a dead letter.
    Protected,
    /// Nothing is left to do.
    Done,
    /// Neither the API nor an earlier run knows the user: a dead letter.
    NotFound,
}

impl End {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::DeactivateOnly => "deactivate only",
            Self::Held => "held: deactivate only",
            Self::Protected => "refused: protected",
            Self::Done => "nothing: done",
            Self::NotFound => "refused: not found",
        }
    }
}
