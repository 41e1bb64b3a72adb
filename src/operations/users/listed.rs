use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::failure::Reason;
use crate::job::{BatchId, UserId};
use crate::machine::StateName;
use crate::ports::batches::{Known, Standing, Summary};

/// A user
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListedUser {
    pub user_id: UserId,
    /// The last completed step; null if no worker has taken the user.
    pub state: Option<StateName>,
    /// How far the user is.
    pub standing: Standing,
    /// Whether the user can still sign in; null if a later release wrote the checkpoint.
    pub has_access: Option<bool>,
    /// When the off-boarding was requested, or first seen.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub requested_at: Option<Timestamp>,
    /// When a read confirmed that the access was removed.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub access_removed_at: Option<Timestamp>,
    /// What the user waits for: the code of a failure, or the word of a pause.
    pub waits_for: Option<String>,
    /// When the wait ends.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub waits_until: Option<Timestamp>,
    /// The reason of the dead letter.
    pub dead_letter: Option<Reason>,
    /// The batch of the request; null if it names none, or if the user has not begun and is in none of the latest batches.
    pub batch_id: Option<BatchId>,
    /// When the progress was saved.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub updated_at: Option<Timestamp>,
}

impl ListedUser {
    /// `asked_at` is when the user was asked for, as far as the list knows it.
    pub(super) fn of(
        user_id: UserId,
        known: &Known,
        asked_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        let unknown = Self {
            user_id,
            state: None,
            standing: Standing::NotBegun,
            has_access: Some(true),
            requested_at: asked_at,
            access_removed_at: None,
            waits_for: None,
            waits_until: None,
            dead_letter: None,
            batch_id: None,
            updated_at: None,
        };
        match known {
            Known::Nothing => unknown,
            Known::Unreadable => Self {
                standing: Standing::Unreadable,
                has_access: None,
                ..unknown
            },
            Known::Summary(summary) => Self::of_summary(&unknown, summary, now),
        }
    }

    fn of_summary(unknown: &Self, summary: &Summary, now: Timestamp) -> Self {
        let standing = summary.standing(now);
        let wait = summary.wait.as_ref();
        let wait = wait.filter(|_| standing == Standing::Waiting);
        Self {
            state: Some(summary.state),
            standing,
            has_access: Some(summary.has_access()),
            requested_at: summary.requested_at.or(unknown.requested_at),
            access_removed_at: summary.access_removed_at,
            waits_for: wait.map(|wait| wait.why.clone()),
            waits_until: wait.map(|wait| wait.until),
            dead_letter: summary.dead_letter,
            batch_id: summary.batch_id.clone(),
            updated_at: Some(summary.updated_at),
            user_id: unknown.user_id,
        }
    }
}
