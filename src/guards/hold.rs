//! A legal hold, as it is stored.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One act: a hold that was set or lifted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Hold {
    /// Whether the user is on hold from then on.
    pub held: bool,
    /// Who did it.
    pub who: String,
    /// Why, as was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Objects that were no acts of ours, and no longer count as a hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty", rename = "passesOver")]
    pub passes_over: Vec<String>,
}

impl Hold {
    /// A hold that nobody can be named for.
    pub(crate) fn doubtful(why: String) -> Self {
        let passes_over = Vec::new();
        Self {
            held: true,
            who: "unknown".to_owned(),
            why: Some(why),
            at: Timestamp::UNIX_EPOCH,
            passes_over,
        }
    }
}
