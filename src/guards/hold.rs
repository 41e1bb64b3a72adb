//! A legal hold, as it is stored.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::machine::LegalHold;

/// A hold that was set or lifted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Hold {
    /// Whether the user is on hold from then on.
    pub held: bool,
    /// Which operator set or lifted it.
    pub who: String,
    /// Why, in the words of that operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// When the hold was set or lifted.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Objects that we did not write; with this record they no longer put the user on hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty", rename = "passesOver")]
    pub passes_over: Vec<String>,
}

impl From<Hold> for LegalHold {
    fn from(hold: Hold) -> Self {
        Self {
            at: (!hold.is_doubtful()).then_some(hold.at),
            who: hold.who,
            why: hold.why,
        }
    }
}

impl Hold {
    /// Whether no record says it, but a doubt.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.at == Timestamp::UNIX_EPOCH
    }

    /// What is stored is in doubt, so the user is on hold.
    pub(crate) fn doubtful(why: String) -> Self {
        Self {
            held: true,
            who: "unknown".to_owned(),
            why: Some(why),
            at: Timestamp::UNIX_EPOCH,
            passes_over: Vec::new(),
        }
    }
}
