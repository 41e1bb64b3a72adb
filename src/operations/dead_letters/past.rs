//! What was decided about a group before.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::GroupState;
use crate::registers::{Decision, GroupRecord};

/// A history has at most this many decisions; each is an object.
pub(super) const HISTORY_AT_MOST: u32 = 50;

/// What was decided about a group of dead letters
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GroupHistory {
    /// The fingerprint of the group.
    pub group: String,
    /// The newest first, at most 50; null in the place of one that cannot be believed.
    pub decisions: Vec<Option<PastDecision>>,
    /// How many older ones are not here.
    pub older: u32,
}

/// A decision about a group
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PastDecision {
    /// The state that was set.
    pub state: GroupState,
    /// Until when the group was to be ignored.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    /// How many dead letters in the queue were to open it again.
    #[serde(rename = "untilLetters")]
    pub until_count: Option<usize>,
    /// The release that was to have the fix.
    pub release: Option<String>,
    /// The note at that time.
    pub note: Option<String>,
    /// Who took care of the group at that time.
    pub owner: Option<String>,
    /// The operator.
    pub who: String,
    /// Why, in the words of that operator.
    pub why: Option<String>,
    /// When it was decided.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

impl PastDecision {
    pub(super) fn of(record: GroupRecord) -> Self {
        let (state, until, until_count, release) = match record.decision {
            Decision::Open => (GroupState::Open, None, None, None),
            Decision::Ignored { until, until_count } => {
                (GroupState::Ignored, until, until_count, None)
            }
            Decision::Resolved { release } => (GroupState::Resolved, None, None, release),
        };
        Self {
            state,
            until,
            until_count,
            release,
            note: record.note,
            owner: record.owner,
            who: record.who,
            why: record.why,
            at: record.at,
        }
    }
}
