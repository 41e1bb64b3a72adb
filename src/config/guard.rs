//! `[guard]`: what prevents or delays a deletion.

use std::time::Duration;

use super::reader::Reader;
use super::table;
use crate::address::DocumentLocation;
use crate::limits::parse::{duration, positive_duration, unless_off, whole};
use crate::limits::{ApprovalNeeded, ApprovalRule, DeletePolicy, RateLimit};
use crate::profile::TenantProfile;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guard {
    pub protected: Option<DocumentLocation>,
    pub max_deletions: Option<RateLimit>,
    /// Users whom messages name without an order.
    pub max_requests: Option<RateLimit>,
    /// Time between Deactivated and the deletion.
    pub delete_grace: Duration,
    pub delete: DeletePolicy,
    /// When a second person has to approve deletions.
    pub approval: ApprovalRule,
}

impl Guard {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let limit = unless_off(RateLimit::parse);
        let protected = reader.get(&table::GUARD_PROTECTED, DocumentLocation::parse);
        let max_deletions = reader.get(&table::GUARD_MAX_DELETIONS, limit);
        let max_requests = reader.get(&table::GUARD_MAX_REQUESTS, unless_off(RateLimit::parse));
        let delete_grace = reader.get(&table::GUARD_DELETE_GRACE, duration);
        let delete = reader.get(&table::GUARD_DELETE, delete);
        let profile = reader.text(&table::CXONE_PROFILE);
        let no_deletion = profile
            .and_then(|text| text.parse::<TenantProfile>().ok())
            .and_then(|profile| profile.preset().no_deletion);
        if let (Some(DeletePolicy::Attempt), Some(why)) = (delete, no_deletion) {
            reader.refuse(
                &table::GUARD_DELETE,
                &format!("is not possible with this profile ({why}); remove it, or set never"),
            );
        }

        let approval = approval(reader);

        Some(Self {
            protected,
            max_deletions: max_deletions?,
            max_requests: max_requests?,
            delete_grace: delete_grace?,
            delete: delete?,
            approval: approval?,
        })
    }
}

fn approval(reader: &mut Reader<'_>) -> Option<ApprovalRule> {
    let needed = reader.get(&table::GUARD_APPROVAL, str::parse::<ApprovalNeeded>);
    let approvers = reader.get(&table::GUARD_APPROVERS, whole(1..=10));
    let approval_expiry = reader.get(&table::GUARD_APPROVAL_EXPIRY, positive_duration);
    let execution_expiry = reader.get(&table::GUARD_EXECUTION_EXPIRY, positive_duration);
    let is_on = needed.is_some_and(|needed| needed != ApprovalNeeded::Off);
    if is_on && reader.is_unset(&table::ADMIN_PEOPLE) {
        reader.refuse(
            &table::GUARD_APPROVAL,
            "needs people who can approve; set OFFBOARDER_ADMIN_PEOPLE",
        );
    }

    Some(ApprovalRule {
        needed: needed?,
        approvers: approvers?,
        approval_expiry: approval_expiry?,
        execution_expiry: execution_expiry?,
    })
}

impl Guard {
    /// The settings of guards that are off.
    pub(crate) fn off(&self) -> Vec<String> {
        let deletes = self.delete != DeletePolicy::Never;
        let guards = [
            (
                deletes && self.max_deletions.is_none(),
                table::GUARD_MAX_DELETIONS,
            ),
            (self.max_requests.is_none(), table::GUARD_MAX_REQUESTS),
            (
                deletes && self.delete_grace.is_zero(),
                table::GUARD_DELETE_GRACE,
            ),
            (deletes && self.approval.is_off(), table::GUARD_APPROVAL),
            (self.protected.is_none(), table::GUARD_PROTECTED),
        ];
        let off = guards.into_iter().filter(|(is_off, _)| *is_off);
        off.map(|(_, setting)| setting.variable()).collect()
    }
}

fn delete(text: &str) -> Result<DeletePolicy, String> {
    match text {
        "attempt" => Ok(DeletePolicy::Attempt),
        "never" => Ok(DeletePolicy::Never),
        _ => Err("is neither attempt nor never; give one of them".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_policy_never_deletes() {
        assert_eq!(delete("never"), Ok(DeletePolicy::Never));
        for bad in ["Never", "nevr", "false", "off"] {
            assert!(delete(bad).is_err(), "{bad}");
        }
    }
}
