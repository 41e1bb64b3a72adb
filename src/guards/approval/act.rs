//! What people decided about a plan.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::job::UserId;
use crate::people::Role;

/// What a person may decide about a plan. The word is part of the object's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum ActKind {
    Approval,
    /// A person who may approve forbids the plan, for good.
    Rejection,
    /// A person who may approve takes all approvals back, for good.
    Revocation,
    /// Who made the plan gives it up.
    Withdrawal,
    /// The messages were sent, or the weaker rule is in force.
    Application,
}

impl ActKind {
    pub(crate) const ALL: [Self; 5] = [
        Self::Approval,
        Self::Rejection,
        Self::Revocation,
        Self::Withdrawal,
        Self::Application,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::Rejection => "rejection",
            Self::Revocation => "revoked",
            Self::Withdrawal => "withdrawn",
            Self::Application => "applied",
        }
    }

    /// Whether there can be only one: its object has no number.
    pub(crate) const fn is_only_one(self) -> bool {
        match self {
            Self::Withdrawal | Self::Application => true,
            Self::Approval | Self::Rejection | Self::Revocation => false,
        }
    }
}

/// How a person proved who it is
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SignedInBy {
    /// A key of the people file.
    Key,
    /// The JWT of a proxy.
    Proxy,
}

/// What a person decided about a plan
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PlanAct {
    /// The person's name in the people file.
    pub person: String,
    /// The person's role at that time.
    pub role: Role,
    pub signed_in_by: SignedInBy,
    /// How many deletions the person typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// By the clock of the person's computer, or of the worker. The archive store's clock decides.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// An admin alone, with a key of its own, in an emergency.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub break_glass: bool,
}

/// Something stored, with the time at which it was, by the store's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored<T> {
    pub at: Timestamp,
    pub value: T,
}

/// All that is stored about a plan beside the plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PlanActs {
    pub approvals: Vec<Stored<PlanAct>>,
    pub rejections: Vec<Stored<PlanAct>>,
    pub revocations: Vec<Stored<PlanAct>>,
    pub withdrawn: Option<Stored<PlanAct>>,
    pub applied: Option<Stored<PlanAct>>,
    /// The users who were found not to be as the plan saw them.
    pub moved: BTreeSet<UserId>,
    /// Too many moved: the plan as a whole stops.
    pub is_stale: bool,
    /// An object is not as we would have written it; the text says which, and why.
    pub doubt: Option<String>,
}
