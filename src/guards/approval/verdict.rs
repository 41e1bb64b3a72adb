//! Whether a plan is approved.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::act::{PlanAct, PlanActs, Stored};
use super::document::PlanDocument;
use crate::job::Approval;
use crate::limits::ApprovalRule;
use crate::machine::Pause;
use crate::people::{People, Permission, Person, Role};

/// An object that is stored again has a later time. What its author's clock said bounds that; clocks may differ by this.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_hours(24);

/// Everything that the answer depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    pub plan: &'a PlanDocument,
    /// When the plan was stored, by the archive store's clock.
    pub planned_at: Timestamp,
    pub acts: &'a PlanActs,
    /// Who is in the people file now.
    pub people: &'a People,
    pub rule: ApprovalRule,
    /// Who sent the messages, beside who made the plan; `None` before they are sent.
    pub submitter: Option<&'a str>,
    pub now: Timestamp,
}

/// The approvals that count, in the order in which they were stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Approved {
    pub by: Vec<Approval>,
}

impl Approved {
    /// Whether only an admin's emergency permits the deletions.
    pub(crate) fn is_break_glass(&self) -> bool {
        self.by.iter().any(|approval| approval.break_glass)
    }
}

/// Why a plan is not approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotApproved {
    /// The word for what users wait for.
    pub why: Pause,
    /// For people: who is missing, and what to do.
    pub text: String,
}

impl NotApproved {
    pub(crate) fn new(why: Pause, text: impl Into<String>) -> Self {
        Self {
            why,
            text: text.into(),
        }
    }
}

/// Why an approval does not count.
enum Discounted {
    /// It was stored too late, or too long ago.
    Expired,
    /// For people.
    Because(String),
}

/// Whether the plan is approved. A person counts once, and never who made the plan or sent its messages, nor a person
/// who is no longer in the people file with the permission.
pub(crate) fn judge(question: &Question<'_>) -> Result<Approved, NotApproved> {
    stopped(question)?;

    let mut counted: Vec<Approval> = Vec::new();
    let mut emergency: Option<Approval> = None;
    let mut discounted: Vec<String> = Vec::new();
    let mut expired = false;
    for stored in &question.acts.approvals {
        match question.counts(stored) {
            Ok(person) => {
                let approval = approval_of(stored, person);
                let is_new = |known: &Approval| known.person != approval.person;
                if approval.break_glass {
                    emergency.get_or_insert(approval);
                } else if counted.iter().all(is_new) {
                    counted.push(approval);
                }
            }
            Err(Discounted::Expired) => expired = true,
            Err(Discounted::Because(why)) => discounted.push(why),
        }
    }

    let needed = usize::try_from(question.rule.approvers.max(1)).unwrap_or(usize::MAX);
    if counted.len() >= needed {
        return Ok(Approved { by: counted });
    }
    if let Some(emergency) = emergency {
        counted.push(emergency);
        return Ok(Approved { by: counted });
    }
    let too_late = question.is_too_late(question.now);
    if expired || too_late {
        let rule = question.rule;
        return Err(NotApproved::new(
            Pause::PlanExpired,
            format!(
                "{}: an approval has to come within {} of the plan, and the deletion within {} of the approval; make a \
                 new plan",
                if too_late && !expired {
                    "the plan was not approved in time"
                } else {
                    "the approval of the plan has expired"
                },
                humantime::format_duration(rule.approval_expiry),
                humantime::format_duration(rule.execution_expiry),
            ),
        ));
    }
    Err(question.missing(&counted, needed, &discounted))
}

/// What ends a plan, no matter who approved it.
fn stopped(question: &Question<'_>) -> Result<(), NotApproved> {
    let acts = question.acts;
    if let Some(doubt) = &acts.doubt {
        return Err(NotApproved::new(Pause::PlanAltered, doubt.clone()));
    }
    let said = |act: &Stored<PlanAct>, what: &str| {
        let PlanAct { person, why, .. } = &act.value;
        let why = why.as_ref().map(|why| format!(": {why}"));
        format!(
            "{person} {what} at {:.0}{}; make a new plan",
            act.at,
            why.unwrap_or_default()
        )
    };
    let ends = [
        (
            acts.rejections.first(),
            Pause::PlanRejected,
            "rejected the plan",
        ),
        (
            acts.revocations.first(),
            Pause::PlanRevoked,
            "revoked the approval of the plan",
        ),
        (
            acts.withdrawn.as_ref(),
            Pause::PlanWithdrawn,
            "withdrew the plan",
        ),
    ];
    for (act, why, what) in ends {
        if let Some(act) = act {
            return Err(NotApproved::new(why, said(act, what)));
        }
    }
    if acts.is_stale {
        let text = format!(
            "{} users are not as the plan saw them: make a new plan",
            acts.moved.len()
        );
        return Err(NotApproved::new(Pause::PlanStale, text));
    }
    Ok(())
}

fn approval_of(stored: &Stored<PlanAct>, person: &Person) -> Approval {
    Approval {
        person: person.name.clone(),
        role: stored.value.role.to_string(),
        at: stored.at,
        break_glass: stored.value.break_glass,
    }
}

impl<'a> Question<'a> {
    /// The person, if the approval counts.
    fn counts(&self, stored: &Stored<PlanAct>) -> Result<&'a Person, Discounted> {
        let PlanAct {
            person,
            at,
            break_glass,
            ..
        } = &stored.value;
        let because = |why: String| Err(Discounted::Because(why));
        let is_person = |name: &str| name.eq_ignore_ascii_case(person);
        if is_person(&self.plan.by) {
            return because(format!("{person} made the plan"));
        }
        if self.submitter.is_some_and(is_person) {
            return because(format!("{person} sent the messages"));
        }
        let Some(known) = self.people.named(person) else {
            return because(format!("{person} is no longer in the people file"));
        };
        let emergency_role = known.role == Role::Admin && known.break_glass_key.is_some();
        let may = if *break_glass {
            emergency_role
        } else {
            known.role.may(Permission::Approve)
        };
        if !may {
            return because(format!("{person} may no longer approve"));
        }
        if stored.at.duration_since(*at).abs() > CLOCKS_DIFFER {
            return because(format!(
                "the approval of {person} says {at:.0}, and the archive store says {:.0}",
                stored.at
            ));
        }
        let age = self.now.duration_since(stored.at);
        if self.is_too_late(stored.at) || is_over(age, self.rule.execution_expiry) {
            return Err(Discounted::Expired);
        }
        Ok(known)
    }

    /// Whether an approval of that time would come too late.
    fn is_too_late(&self, at: Timestamp) -> bool {
        // A plan that was stored again is as old as its author says.
        let said = self.plan.at;
        let planned_at = if self.planned_at.duration_since(said).abs() > CLOCKS_DIFFER {
            self.planned_at.min(said)
        } else {
            self.planned_at
        };
        is_over(at.duration_since(planned_at), self.rule.approval_expiry)
    }

    fn missing(&self, counted: &[Approval], needed: usize, discounted: &[String]) -> NotApproved {
        let has_approved = |name: &str| counted.iter().any(|known| known.person == name);
        let may: Vec<&str> = self
            .people
            .iter()
            .filter(|person| person.role.may(Permission::Approve))
            .map(|person| person.name.as_str())
            .filter(|name| {
                let is_name = |other: &str| other.eq_ignore_ascii_case(name);
                !is_name(&self.plan.by)
                    && !self.submitter.is_some_and(is_name)
                    && !has_approved(name)
            })
            .take(NAMED)
            .collect();
        let who = if may.is_empty() {
            "nobody else in the people file may approve".to_owned()
        } else {
            format!("may approve: {}", may.join(", "))
        };
        let not = if discounted.is_empty() {
            String::new()
        } else {
            let named: Vec<&str> = discounted.iter().take(NAMED).map(String::as_str).collect();
            format!("; does not count: {}", named.join(", "))
        };
        NotApproved::new(
            Pause::NotApproved,
            format!("{} of {needed} approvals; {who}{not}", counted.len()),
        )
    }
}

/// How many persons a text names.
const NAMED: usize = 10;

fn is_over(age: SignedDuration, most: Duration) -> bool {
    SignedDuration::try_from(most).is_ok_and(|most| age > most)
}

/// A plan for tests.
#[cfg(test)]
pub(crate) fn sample(by: &str) -> PlanDocument {
    use super::document::{Fingerprint, PLAN_SCHEMA, PlanKind, Totals};
    use crate::profile::TenantProfile;

    PlanDocument {
        schema: PLAN_SCHEMA,
        kind: PlanKind::Users,
        tenant: "https://api.example.com".to_owned(),
        batch: None,
        by: by.to_owned(),
        why: None,
        at: Timestamp::UNIX_EPOCH,
        expires: Timestamp::UNIX_EPOCH,
        settings: Fingerprint {
            profile: TenantProfile::Tutorial,
            deletes: true,
            grace_seconds: 0,
            max_deletions: None,
            max_deletions_seconds: None,
            protected_sha256: String::new(),
        },
        rule: None,
        totals: Totals::default(),
        parts: Vec::new(),
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
