//! What a plan says.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::observed::Observed;
use crate::guards::End;
use crate::job::{BatchId, PlanName, UserId};
use crate::limits::{ApprovalRule, DeletePolicy, RateLimit};
use crate::profile::TenantProfile;

/// The form of the document.
pub(crate) const PLAN_SCHEMA: u32 = 1;

/// What is to be approved
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PlanKind {
    /// Deletions of users.
    Users,
    /// A weaker rule of approvals.
    Settings,
}

/// A plan. Its name is the SHA-256 of its canonical JSON (RFC 8785), which is what approvals are bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PlanDocument {
    /// [`PLAN_SCHEMA`] of the release that wrote it.
    pub schema: u32,
    pub kind: PlanKind,
    /// Origin of the tenant's API.
    pub tenant: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchId>,
    /// The name of the person who asks for the deletions, and may not approve them.
    pub by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    pub at: Timestamp,
    /// When the time for an approval ends, by the clock of who made the plan. The archive store's clock decides.
    pub expires: Timestamp,
    pub settings: Fingerprint,
    /// The rule to be used from then on; of a plan of [`PlanKind::Settings`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<ApprovalRule>,
    pub totals: Totals,
    /// The users, in the order of their IDs.
    #[serde(default)]
    pub parts: Vec<PlanPart>,
}

/// The settings that decide who is deleted, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Fingerprint {
    /// Whose API the tenant has: `OFFBOARDER_CXONE_PROFILE`.
    pub profile: TenantProfile,
    /// Whether accounts are deleted at all: `OFFBOARDER_GUARD_DELETE`.
    pub deletes: bool,
    /// `OFFBOARDER_GUARD_DELETE_GRACE`.
    pub grace_seconds: u64,
    /// Deletions within `maxDeletionsSeconds`: `OFFBOARDER_GUARD_MAX_DELETIONS`; none is `off`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_deletions: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_deletions_seconds: Option<u64>,
    /// SHA-256 of the entries of the protected list.
    pub protected_sha256: String,
}

impl Fingerprint {
    pub(crate) fn of(
        profile: TenantProfile,
        delete: DeletePolicy,
        grace: std::time::Duration,
        limit: Option<RateLimit>,
        protected_sha256: String,
    ) -> Self {
        Self {
            profile,
            deletes: delete == DeletePolicy::Attempt,
            grace_seconds: grace.as_secs(),
            max_deletions: limit.map(|limit| limit.count),
            max_deletions_seconds: limit.map(|limit| limit.per.as_secs()),
            protected_sha256,
        }
    }

    /// What is looser now than when the plan was made. The protected list is read again before each deletion, so that
    /// it may change.
    pub(crate) fn looser_in(&self, now: &Self) -> Option<&'static str> {
        if self.profile != now.profile {
            Some("OFFBOARDER_CXONE_PROFILE")
        } else if now.deletes && !self.deletes {
            Some("OFFBOARDER_GUARD_DELETE")
        } else if now.grace_seconds < self.grace_seconds {
            Some("OFFBOARDER_GUARD_DELETE_GRACE")
        } else if self.limits() && !self.limit_holds(now) {
            Some("OFFBOARDER_GUARD_MAX_DELETIONS")
        } else {
            None
        }
    }

    const fn limits(&self) -> bool {
        self.max_deletions.is_some()
    }

    /// Not more deletions in the same or a longer time.
    fn limit_holds(&self, now: &Self) -> bool {
        now.limits()
            && now.max_deletions <= self.max_deletions
            && now.max_deletions_seconds >= self.max_deletions_seconds
    }
}

/// How many users of a plan would end how
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Totals {
    pub users: u64,
    /// The deletions that an approver agrees to.
    pub delete: u64,
    pub deactivate_only: u64,
    pub held: u64,
    pub protected: u64,
    pub done: u64,
    pub not_found: u64,
}

impl Totals {
    pub(crate) const fn add(&mut self, end: End) {
        self.users += 1;
        let count = match end {
            End::Delete => &mut self.delete,
            End::DeactivateOnly => &mut self.deactivate_only,
            End::Held => &mut self.held,
            End::Protected => &mut self.protected,
            End::Done => &mut self.done,
            End::NotFound => &mut self.not_found,
        };
        *count += 1;
    }
}

/// Some of the users of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PlanPart {
    /// SHA-256 of the canonical JSON of [`PlannedUsers`].
    pub name: PlanName,
    /// The user of the part whose ID is first.
    pub first: UserId,
    pub users: u32,
}

/// What is stored of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlannedUsers {
    pub users: Vec<PlannedUser>,
}

/// One user of a plan
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PlannedUser {
    pub user_id: UserId,
    /// How the off-boarding would end.
    pub end: End,
    pub observed: Observed,
    /// Why a guard stops or delays the deletion, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<String>,
}

impl PlanDocument {
    /// The part that names this user, if the plan does.
    pub(crate) fn part_of(&self, user_id: UserId) -> Option<&PlanPart> {
        let after = self.parts.partition_point(|part| part.first <= user_id);
        self.parts.get(after.checked_sub(1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change = fn(&mut Fingerprint);

    fn user(number: u32) -> UserId {
        let text = format!("{number:08x}-9a51-4b4b-8f6c-1f9a4f9b7c11");
        text.parse().unwrap()
    }

    #[test]
    fn settings_that_are_looser_than_the_plan_saw_are_found() {
        let planned = Fingerprint {
            profile: TenantProfile::Tutorial,
            deletes: true,
            grace_seconds: 60,
            max_deletions: Some(10),
            max_deletions_seconds: Some(3600),
            protected_sha256: String::new(),
        };
        let stricter = Fingerprint {
            grace_seconds: 61,
            max_deletions: Some(9),
            max_deletions_seconds: Some(3601),
            protected_sha256: "x".to_owned(),
            deletes: false,
            ..planned.clone()
        };
        assert_eq!(planned.looser_in(&planned), None);
        assert_eq!(planned.looser_in(&stricter), None);
        let changes: [(Change, &str); 5] = [
            (|now| now.profile = TenantProfile::Genesys, "PROFILE"),
            (|now| now.grace_seconds = 59, "GRACE"),
            (|now| now.max_deletions = Some(11), "MAX_DELETIONS"),
            (|now| now.max_deletions_seconds = Some(1), "MAX_DELETIONS"),
            (|now| now.max_deletions = None, "MAX_DELETIONS"),
        ];
        for (change, setting) in changes {
            let mut now = planned.clone();
            change(&mut now);
            assert!(planned.looser_in(&now).unwrap().ends_with(setting));
        }
        assert_eq!(
            stricter.looser_in(&planned),
            Some("OFFBOARDER_GUARD_DELETE")
        );
    }

    #[test]
    fn a_user_is_in_the_last_part_that_begins_before() {
        let digest = |digit: &str| digit.repeat(64).parse().unwrap();
        let part = |digit, first| PlanPart {
            name: digest(digit),
            first: user(first),
            users: 1,
        };
        let plan = PlanDocument {
            parts: vec![part("a", 2), part("b", 5)],
            ..super::super::verdict::sample("ada")
        };
        let found = |number| plan.part_of(user(number)).map(|part| part.first);
        assert_eq!(found(1), None);
        assert_eq!(found(2), Some(user(2)));
        assert_eq!(found(4), Some(user(2)));
        assert_eq!(found(9), Some(user(5)));
    }
}
