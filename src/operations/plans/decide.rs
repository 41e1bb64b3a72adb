//! Deciding about a plan.

use serde_json::json;

use super::{PlanDesk, PlanError, PlanState, StoredPlan};
use crate::guards::approval::{ActKind, PlanAct, SignedInBy};
use crate::job::PlanName;
use crate::limits::ApprovalRule;
use crate::people::{Permission, Role};
use crate::registers::audit_log::{AuditLog, Change, Operator};
use crate::registers::plan::{PlanNow, store_act};
use crate::registers::weaken_rule;

/// A person who decides, as the people file and the sign-in say.
pub(crate) struct Signatory {
    pub name: String,
    pub role: Role,
    pub signed_in_by: SignedInBy,
    /// For the audit log.
    pub operator: Operator,
}

/// What the person decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Approve {
        /// The number of deletions that the person typed.
        count: u64,
        /// With the second key of an admin, which was checked: it needs nobody else.
        break_glass: bool,
    },
    /// Forbids the plan, for good.
    Reject,
    /// Takes the approvals back, for good.
    Revoke,
    /// Gives an own plan up.
    Withdraw,
}

impl Decision {
    const fn kind(self) -> ActKind {
        match self {
            Self::Approve { .. } => ActKind::Approval,
            Self::Reject => ActKind::Rejection,
            Self::Revoke => ActKind::Revocation,
            Self::Withdraw => ActKind::Withdrawal,
        }
    }

    /// What a person needs for it.
    pub(crate) const fn permission(self) -> Permission {
        match self {
            Self::Approve { .. } | Self::Reject | Self::Revoke => Permission::Approve,
            Self::Withdraw => Permission::Submit,
        }
    }

    /// For the audit log.
    const fn what(self) -> &'static str {
        match self {
            Self::Approve { .. } => "plan approve",
            Self::Reject => "plan reject",
            Self::Revoke => "plan revoke",
            Self::Withdraw => "plan withdraw",
        }
    }
}

impl PlanDesk<'_> {
    /// An approval of this number of deletions. The second key of an admin, if it is given, has to be the one of this person.
    pub(crate) fn approval(
        &self,
        count: u64,
        break_glass_key: Option<&str>,
        by: &Signatory,
    ) -> Result<Decision, PlanError> {
        if let Some(key) = break_glass_key
            && !self.people.breaks_glass(&by.name, key)
        {
            tracing::warn!(who = by.name, "a wrong key was given to break the glass");
            let text = "that is not your second key for an emergency; nothing was approved";
            return Err(PlanError::Refused("wrong_key", text.to_owned()));
        }
        Ok(Decision::Approve {
            count,
            break_glass: break_glass_key.is_some(),
        })
    }

    /// Stores the decision, and shows the plan after it. Workers judge again before each DELETE.
    pub(crate) async fn decide(
        &self,
        name: &PlanName,
        decision: Decision,
        by: &Signatory,
    ) -> Result<StoredPlan, PlanError> {
        let now = self.open(name).await?;
        self.permit(&now, decision, by)?;
        let (count, break_glass) = match decision {
            Decision::Approve { count, break_glass } => (Some(count), break_glass),
            Decision::Reject | Decision::Revoke | Decision::Withdraw => (None, false),
        };
        let change = Change {
            what: decision.what(),
            count: usize::try_from(now.plan.totals.delete).unwrap_or(usize::MAX),
            details: json!({ "plan": name, "breakGlass": break_glass }),
        };
        let log = AuditLog::new(self.store.clone(), self.clock.clone());
        log.record(&by.operator, change).await?;

        let act = self.act(by, count, break_glass);
        store_act(&**self.store, name, decision.kind(), &act).await?;
        if break_glass {
            tracing::warn!(
                plan = %name,
                person = by.name,
                why = act.why,
                deletions = now.plan.totals.delete,
                "an admin broke the glass: a plan is approved without a second person's approval"
            );
        }
        self.show(name).await
    }

    /// Notes that all messages of the plan were sent.
    pub(crate) async fn applied(&self, name: &PlanName, by: &Signatory) -> Result<(), PlanError> {
        if self.open(name).await?.acts.applied.is_some() {
            return Ok(());
        }
        let act = self.act(by, None, false);
        store_act(&**self.store, name, ActKind::Application, &act).await?;
        Ok(())
    }

    /// Puts the weaker rule of an approved plan in force.
    pub(crate) async fn weaken_rule(
        &self,
        name: &PlanName,
        by: &Signatory,
    ) -> Result<ApprovalRule, PlanError> {
        let now = self.open(name).await?;
        let change = Change {
            what: "plan rule",
            count: 1,
            details: json!({ "plan": name }),
        };
        let log = AuditLog::new(self.store.clone(), self.clock.clone());
        log.record(&by.operator, change).await?;
        let store = &**self.store;
        let weakened = weaken_rule(store, &now, self.people, &by.name, self.clock.now()).await?;
        let rule = weakened.map_err(|not| PlanError::Refused("not_approved", not.text))?;
        self.applied(name, by).await?;
        Ok(rule)
    }

    fn act(&self, by: &Signatory, count: Option<u64>, break_glass: bool) -> PlanAct {
        PlanAct {
            person: by.name.clone(),
            role: by.role,
            signed_in_by: by.signed_in_by,
            count,
            why: by.operator.why.clone(),
            at: self.clock.now(),
            break_glass,
        }
    }

    fn permit(&self, now: &PlanNow, decision: Decision, by: &Signatory) -> Result<(), PlanError> {
        let refused = |code, text: String| Err(PlanError::Refused(code, text));
        let is_own = now.plan.by.eq_ignore_ascii_case(&by.name);
        let view = self.view(now);
        let why_not = view.why_not.unwrap_or_default();
        match (decision, view.state) {
            (Decision::Withdraw, _) if !is_own && by.role != Role::Admin => refused(
                "not_your_plan",
                format!("{} made this plan; it can be rejected instead", now.plan.by),
            ),
            (Decision::Approve { .. }, _) if is_own => refused(
                "own_plan",
                "you asked for these deletions, so another person has to approve them".to_owned(),
            ),
            (Decision::Approve { .. }, PlanState::Expired) => refused("plan_expired", why_not),
            (
                _,
                PlanState::Rejected
                | PlanState::Revoked
                | PlanState::Withdrawn
                | PlanState::Stale
                | PlanState::Altered,
            ) => refused("plan_ended", why_not),
            (Decision::Revoke, PlanState::Waiting | PlanState::Expired)
                if now.acts.approvals.is_empty() =>
            {
                refused(
                    "not_approved",
                    "nobody has approved this plan; it can be rejected instead".to_owned(),
                )
            }
            (Decision::Approve { count, .. }, _) if count != now.plan.totals.delete => refused(
                "count_changed",
                format!(
                    "the plan has {} deletions, and not {count}; nothing was approved",
                    now.plan.totals.delete
                ),
            ),
            (Decision::Approve { break_glass, .. }, _)
                if now.acts.approvals.iter().any(|known| {
                    known.value.person.eq_ignore_ascii_case(&by.name)
                        && known.value.break_glass == break_glass
                }) =>
            {
                refused(
                    "already_approved",
                    "you approved this plan already".to_owned(),
                )
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
