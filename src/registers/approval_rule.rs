//! The strictest rule of approvals that was ever in force: numbered, signed objects `_approval_rule.{n}.json` of the archive
//! store, of which the last one counts. A weaker rule takes its place only by an approved plan.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::plan::PlanNow;
use super::sequence::{Latest, Numbered, Sequence, append};
use crate::failure::{Class, Code, Failure};
use crate::guards::approval::{NotApproved, PlanKind, Question, judge};
use crate::integrity::Purpose;
use crate::job::PlanName;
use crate::limits::{ApprovalNeeded, ApprovalRule};
use crate::machine::Pause;
use crate::people::People;
use crate::ports::ArchiveStore;

const PREFIX: &str = "_approval_rule.";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RuleRecord {
    rule: ApprovalRule,
    /// The approved plan that permits a weaker rule than the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plan: Option<PlanName>,
    at: Timestamp,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    passes_over: Vec<String>,
}

impl Numbered for RuleRecord {
    const PURPOSE: Purpose = Purpose::ApprovalRule;

    fn passes_over(&mut self) -> &mut Vec<String> {
        &mut self.passes_over
    }
}

/// The rule that applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RuleInForce {
    pub rule: ApprovalRule,
    /// Why it is not the rule of the settings, for people.
    pub instead: Option<String>,
}

/// What applies where the settings say `settings`: nothing weaker than what is stored.
pub(crate) async fn rule_in_force(
    store: &dyn ArchiveStore,
    settings: ApprovalRule,
) -> Result<RuleInForce, Failure> {
    Ok(of_latest(settings, &latest(store).await?))
}

/// The same; and if the settings are stricter than what is stored, they are stored.
pub(crate) async fn keep_rule(
    store: &dyn ArchiveStore,
    settings: ApprovalRule,
    now: Timestamp,
) -> Result<RuleInForce, Failure> {
    let stored = latest(store).await?;
    let in_force = of_latest(settings, &stored);
    let known = match &stored {
        Latest::Nothing => ApprovalRule::OFF,
        Latest::Record(record) => record.rule,
        Latest::Doubtful(_) => return Ok(in_force),
    };
    if known.is_weaker_than(in_force.rule) {
        let record = RuleRecord {
            rule: in_force.rule,
            plan: None,
            at: now,
            passes_over: Vec::new(),
        };
        append(store, PREFIX, &record).await?;
        tracing::info!(rule = %in_force.rule, "this rule of approvals is stored; a weaker one needs an approved plan");
    }
    Ok(in_force)
}

/// Puts the weaker rule of a plan in force, if that plan is approved under the stricter one.
pub(crate) async fn weaken_rule(
    store: &dyn ArchiveStore,
    plan: &PlanNow,
    people: &People,
    submitter: &str,
    now: Timestamp,
) -> Result<Result<ApprovalRule, NotApproved>, Failure> {
    let (PlanKind::Settings, Some(wanted)) = (plan.plan.kind, plan.plan.rule) else {
        let text = "the plan is not one of settings";
        return Ok(Err(NotApproved::new(Pause::NotApproved, text)));
    };
    if plan.acts.applied.is_some() {
        let text = "the plan was applied already: make a new plan";
        return Ok(Err(NotApproved::new(Pause::PlanExpired, text)));
    }
    let rule = match latest(store).await? {
        Latest::Nothing => return Ok(Ok(wanted)),
        Latest::Record(record) => record.rule,
        Latest::Doubtful(why) => {
            let text = format!("{why}: the rule of approvals is in doubt");
            return Err(Failure::new(Class::Defect, Code::ArchiveConflict, text));
        }
    };
    let approved = judge(&Question {
        plan: &plan.plan,
        planned_at: plan.stored_at,
        acts: &plan.acts,
        people,
        rule,
        submitter: Some(submitter),
        now,
    });
    if let Err(why) = approved {
        return Ok(Err(why));
    }
    let record = RuleRecord {
        rule: wanted,
        plan: Some(plan.name.clone()),
        at: now,
        passes_over: Vec::new(),
    };
    append(store, PREFIX, &record).await?;
    Ok(Ok(wanted))
}

async fn latest(store: &dyn ArchiveStore) -> Result<Latest<RuleRecord>, Failure> {
    Sequence::list(store, PREFIX).await?.latest(store).await
}

fn of_latest(settings: ApprovalRule, stored: &Latest<RuleRecord>) -> RuleInForce {
    let floor = match stored {
        Latest::Nothing => ApprovalRule::OFF,
        Latest::Record(record) => record.rule,
        // Nobody is deleted without an approval as long as nobody knows what was in force.
        Latest::Doubtful(_) => ApprovalRule {
            needed: ApprovalNeeded::Always,
            ..ApprovalRule::OFF
        },
    };
    let rule = floor.and(settings);
    let instead = (rule != settings).then(|| match stored {
        Latest::Doubtful(why) => format!(
            "the stored rule of approvals is in doubt ({why}): every deletion needs an approval"
        ),
        Latest::Nothing | Latest::Record(_) => format!(
            "the settings (OFFBOARDER_GUARD_APPROVAL: {settings}) are weaker than the rule that was in force before, which \
             stays: {rule}; a weaker one needs an approved plan of settings"
        ),
    });
    RuleInForce { rule, instead }
}

#[cfg(test)]
#[path = "approval_rule_tests.rs"]
mod tests;
