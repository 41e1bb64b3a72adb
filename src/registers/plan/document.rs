//! Stores plans, and reads them.

use jiff::{SignedDuration, Timestamp};

use super::keys::PREFIX;
use crate::failure::{Class, Code, Failure};
use crate::guards::approval::{
    Fingerprint, PLAN_SCHEMA, PlanDocument, PlanKind, PlanPart, PlannedUser, PlannedUsers, Totals,
};
use crate::integrity::Purpose;
use crate::job::{BatchId, PlanName};
use crate::limits::ApprovalRule;
use crate::ports::ArchiveStore;
use crate::registers::named::{NamedObjects, NotNamed};

/// A part has at most this many users.
pub(crate) const USERS_IN_PLAN_PART: usize = 1_000;

const PLANS: NamedObjects = NamedObjects {
    prefix: PREFIX,
    purpose: Purpose::Plan,
    // Of a million users.
    max_bytes: 1024 * 1024,
};
const PARTS: NamedObjects = NamedObjects {
    prefix: "_plan_part_",
    purpose: Purpose::Plan,
    max_bytes: 16 * 1024 * 1024,
};

/// A plan that is to be stored.
#[derive(Debug, Clone)]
pub(crate) struct PlanDraft {
    /// Origin of the tenant's API.
    pub tenant: String,
    pub batch: Option<BatchId>,
    /// The name of the person.
    pub by: String,
    pub why: Option<String>,
    pub at: Timestamp,
    pub settings: Fingerprint,
    /// The rule in force now, which says when the time for an approval ends.
    pub rule_now: ApprovalRule,
    /// What the plan is of.
    pub of: Planned,
}

#[derive(Debug, Clone)]
pub(crate) enum Planned {
    Users(Vec<PlannedUser>),
    /// A weaker rule.
    Rule(ApprovalRule),
}

/// A plan that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WrittenPlan {
    pub name: PlanName,
    pub plan: PlanDocument,
}

/// Stores a plan. The same draft has the same name.
pub(crate) async fn store_plan(
    store: &dyn ArchiveStore,
    draft: PlanDraft,
) -> Result<WrittenPlan, Failure> {
    let mut totals = Totals::default();
    let mut parts = Vec::new();
    let mut rule = None;
    let mut kind = PlanKind::Users;
    match draft.of {
        Planned::Users(mut users) => {
            users.sort_unstable_by_key(|user| user.user_id);
            users.dedup_by_key(|user| user.user_id);
            for user in &users {
                totals.add(user.end);
            }
            for users in users.chunks(USERS_IN_PLAN_PART) {
                let Some(first) = users.first() else { continue };
                let first = first.user_id;
                let count = u32::try_from(users.len()).unwrap_or(u32::MAX);
                let users = users.to_vec();
                let name = PARTS
                    .store(store, canonical(&PlannedUsers { users })?)
                    .await?;
                parts.push(PlanPart {
                    name,
                    first,
                    users: count,
                });
            }
        }
        Planned::Rule(wanted) => {
            kind = PlanKind::Settings;
            rule = Some(wanted);
        }
    }

    let expiry = SignedDuration::try_from(draft.rule_now.approval_expiry);
    let expires = draft
        .at
        .checked_add(expiry.unwrap_or(SignedDuration::MAX))
        .unwrap_or(Timestamp::MAX);
    let plan = PlanDocument {
        schema: PLAN_SCHEMA,
        kind,
        tenant: draft.tenant,
        batch: draft.batch,
        by: draft.by,
        why: draft.why,
        at: draft.at,
        expires,
        settings: draft.settings,
        rule,
        totals,
        parts,
    };
    let name = PLANS.store(store, canonical(&plan)?).await?;
    Ok(WrittenPlan { name, plan })
}

fn canonical(document: &impl serde::Serialize) -> Result<Vec<u8>, Failure> {
    serde_json_canonicalizer::to_vec(document)
        .map_err(|error| Failure::internal("cannot write a plan", error))
}

/// Reads a plan; the text says why it does not count.
pub(crate) async fn read_plan(
    store: &dyn ArchiveStore,
    name: &PlanName,
) -> Result<Result<PlanDocument, String>, Failure> {
    let said = |why: &str| format!("the plan {}, {why}", store.full_key(&PLANS.key(name)));
    let read: Result<PlanDocument, NotNamed> = PLANS.read(store, name).await?;
    Ok(match read {
        Ok(plan) if plan.schema != PLAN_SCHEMA => {
            Err(said("which another release of offboarder wrote"))
        }
        Ok(plan) => Ok(plan),
        Err(NotNamed(why)) => Err(said(&why)),
    })
}

/// Reads the users of a part of a plan.
pub(crate) async fn read_users(
    store: &dyn ArchiveStore,
    part: &PlanName,
) -> Result<Vec<PlannedUser>, Failure> {
    let read: Result<PlannedUsers, NotNamed> = PARTS.read(store, part).await?;
    let users = read.map_err(|NotNamed(why)| {
        let key = store.full_key(&PARTS.key(part));
        let text = format!("a part of a plan, {key}, {why}; make a new plan");
        Failure::new(Class::Defect, Code::ArchiveConflict, text)
    })?;
    Ok(users.users)
}
