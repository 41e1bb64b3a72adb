//! What is shown of a stored plan.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::PlanDesk;
use crate::guards::approval::{PlanKind, Question, Totals, judge};
use crate::job::{Approval, BatchId, PlanName};
use crate::machine::Pause;
use crate::registers::plan::PlanNow;

/// How far a plan is
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum PlanState {
    /// Not enough persons have approved it.
    Waiting,
    Approved,
    /// The time for the approval, or for the deletions, is over.
    Expired,
    Rejected,
    Revoked,
    Withdrawn,
    /// Too many users are not as the plan saw them.
    Stale,
    /// It is not stored as it was written.
    Altered,
}

impl PlanState {
    pub(crate) const ALL: [Self; 8] = [
        Self::Waiting,
        Self::Approved,
        Self::Expired,
        Self::Rejected,
        Self::Revoked,
        Self::Withdrawn,
        Self::Stale,
        Self::Altered,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::Revoked => "revoked",
            Self::Withdrawn => "withdrawn",
            Self::Stale => "stale",
            Self::Altered => "altered",
        }
    }

    /// Of a plan of which the judge says this.
    const fn of(why: Pause) -> Self {
        match why {
            Pause::PlanExpired => Self::Expired,
            Pause::PlanRejected => Self::Rejected,
            Pause::PlanRevoked => Self::Revoked,
            Pause::PlanWithdrawn => Self::Withdrawn,
            Pause::PlanStale => Self::Stale,
            Pause::PlanAltered => Self::Altered,
            _ => Self::Waiting,
        }
    }
}

/// A stored plan, and how far it is
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StoredPlan {
    /// SHA-256 of the plan, which is its name.
    pub digest: PlanName,
    pub state: PlanState,
    /// Why it is not approved, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
    /// What it says; missing if it cannot be read.
    #[serde(flatten)]
    pub said: Option<Said>,
    /// The approvals that count.
    pub approvals: Vec<Approval>,
    /// How many users are not as the plan saw them; they wait alone.
    pub moved: u64,
    /// When its messages were sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub applied_at: Option<Timestamp>,
}

/// What a plan says of itself
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Said {
    pub kind: PlanKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchId>,
    /// The person who made it, and may not approve it.
    pub by: String,
    /// The reason for the off-boarding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// When it was stored, by the archive store's clock.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// When the time for the approval ends.
    #[schema(value_type = String, format = DateTime)]
    pub expires: Timestamp,
    pub totals: Totals,
    /// The weaker rule of approvals that it asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

impl StoredPlan {
    pub(super) const fn unreadable(digest: PlanName, why: String) -> Self {
        Self {
            digest,
            state: PlanState::Altered,
            why_not: Some(why),
            said: None,
            approvals: Vec::new(),
            moved: 0,
            applied_at: None,
        }
    }
}

impl PlanDesk<'_> {
    /// What is shown of the plan, judged as a worker does before a DELETE.
    pub(crate) fn view(&self, now: &PlanNow) -> StoredPlan {
        let PlanNow {
            name,
            plan,
            stored_at,
            acts,
        } = now;
        let judged = judge(&Question {
            plan,
            planned_at: *stored_at,
            acts,
            people: self.people,
            rule: self.rule,
            submitter: None,
            now: self.clock.now(),
        });
        let applied_at = acts.applied.as_ref().map(|act| act.at);
        let said = Said {
            kind: plan.kind,
            batch: plan.batch.clone(),
            by: plan.by.clone(),
            why: plan.why.clone(),
            at: *stored_at,
            expires: plan.expires,
            totals: plan.totals,
            rule: plan.rule.map(|rule| rule.to_string()),
        };
        let (state, why_not, approvals) = match judged {
            Ok(approved) => (PlanState::Approved, None, approved.by),
            Err(not) => (PlanState::of(not.why), Some(not.text), Vec::new()),
        };

        StoredPlan {
            digest: name.clone(),
            state,
            why_not,
            said: Some(said),
            approvals,
            moved: u64::try_from(acts.moved.len()).unwrap_or(u64::MAX),
            applied_at,
        }
    }
}
