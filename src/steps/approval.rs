//! The guard that asks whether a second person approved a deletion: the last one before the DELETE, and before the seal.
//! It holds back nothing but the deletion.

use std::time::Duration;

use jiff::Timestamp;

use super::approval_guard::{Needed, needed};
use super::{Services, Stopped};
use crate::failpoint::time_scaled;
use crate::failure::Class;
use crate::guards::End;
use crate::guards::approval::{
    Approved, Moved, NotApproved, PlanKind, PlannedUser, Question, is_stale, judge,
};
use crate::job::{Job, PlanName, UserId};
use crate::limits::ApprovalRule;
use crate::machine::{Checkpoint, Pause};
use crate::ports::{Admission, CountOf, Requester};
use crate::registers::Order;
use crate::registers::plan::{PlanNow, mark_moved, mark_stale};
use crate::telemetry::metrics;

/// A user asks again after half the time that it has waited so far, within these bounds: soon after a small plan is
/// approved, and not often while thousands wait for days.
const AGAIN: [Duration; 2] = [Duration::from_secs(20), Duration::from_mins(15)];

/// Whether a deletion may be sent.
pub(super) enum Permit {
    NotNeeded,
    Approved(Permitted),
    Wait { until: Timestamp, why: Pause },
}

/// The plan that permits a deletion, and the approvals that count.
pub(super) struct Permitted {
    plan: PlanName,
    approved: Approved,
}

impl Permitted {
    /// Seal and manifest say so.
    pub(super) fn note(self, checkpoint: &mut Checkpoint) {
        checkpoint.request.plan = Some(self.plan);
        checkpoint.request.approvals = self.approved.by;
    }

    /// Says aloud that an emergency permits the deletion.
    pub(super) fn report(&self, user_id: UserId) {
        if self.approved.is_break_glass() {
            metrics::broke_glass();
            let emergency = self.approved.by.iter().find(|one| one.break_glass);
            let who = emergency.map_or("", |one| one.person.as_str());
            tracing::warn!(%user_id, plan = %self.plan, who,
                "an admin broke the glass: the user is deleted without the approval of others");
        }
    }
}

/// How closely the guard looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// At the plan and its approvals, as of at most a minute ago.
    AtPlan,
    /// Also at the user, who has to be as the plan saw the user.
    AtUser,
    /// The same as the last thing before the DELETE, which counts as sent.
    Last,
}

/// Whether the deletion is approved.
pub(super) async fn permit(
    services: &Services,
    job: &Job,
    checkpoint: &Checkpoint,
    deactivated_at: Timestamp,
    look: Look,
) -> Result<Permit, Stopped> {
    let rule = services.approval_rule().await?;
    if rule.is_off() {
        return Ok(Permit::NotNeeded);
    }

    let guard = &services.approval;
    let user_id = checkpoint.user_id;
    let order = match &job.request.order {
        Some(name) => {
            let store = &*services.archive_store;
            Some(services.orders.check(store, name, user_id).await?)
        }
        None => None,
    };
    let order = order.as_deref();
    let judged = match order.and_then(|order| order.plan.as_ref()) {
        Some(plan) => of_plan(services, checkpoint, order, plan, rule, look)
            .await?
            .map(Permit::Approved),
        None => without_plan(services, user_id, order, rule, look).await?,
    };
    match judged {
        Ok(permit) => {
            metrics::approved(user_id);
            Ok(permit)
        }
        Err(NotApproved { why, text }) => {
            let now = services.clock.now();
            let [shortest, longest] = AGAIN.map(time_scaled);
            let waited = now.duration_since(deactivated_at);
            let wait = (waited.unsigned_abs() / 2).clamp(shortest, longest);
            metrics::deletion_postponed(why);
            metrics::approval_waits(user_id, why, wait);
            guard.say(order.and_then(|order| order.plan.as_ref()), why, &text);
            let until = now.checked_add(wait).unwrap_or(now);
            Ok(Permit::Wait { until, why })
        }
    }
}

/// The user's order names no plan.
async fn without_plan(
    services: &Services,
    user_id: UserId,
    order: Option<&Order>,
    rule: ApprovalRule,
    look: Look,
) -> Result<Result<Permit, NotApproved>, Stopped> {
    let users = order.map_or(1, |order| order.users);
    let count = match needed(rule, users) {
        Needed::No => return Ok(Ok(Permit::NotNeeded)),
        Needed::Yes => {
            let text = "the message names no plan: `offboarder plan --save`, then `submit --plan`";
            return Ok(Err(NotApproved::new(Pause::NotApproved, text)));
        }
        Needed::Beyond(count) => count,
    };
    let requester = Requester::of(order.and_then(|order| order.person.as_deref()));
    let recorded = services.approval.recorded(requester, count);
    let of = CountOf::Unapproved(requester);
    let admitted = services.admit_restored(of, &recorded, user_id).await?;
    Ok(match admitted {
        Admission::Counted => {
            if look == Look::Last {
                let worker = &services.actor.worker;
                let now = services.clock.now();
                recorded
                    .record(&*services.archive_store, worker, now)
                    .await?;
            }
            Ok(Permit::NotNeeded)
        }
        Admission::Wait(_) | Admission::Unknown => {
            let text = format!(
                "the requester had {count} deletions without an approval in the last 24 hours: a plan and an approval, or \
                 time, lets this one continue"
            );
            Err(NotApproved::new(Pause::NotApproved, text))
        }
    })
}

/// The user's order names this plan.
async fn of_plan(
    services: &Services,
    checkpoint: &Checkpoint,
    order: Option<&Order>,
    name: &PlanName,
    rule: ApprovalRule,
    look: Look,
) -> Result<Result<Permitted, NotApproved>, Stopped> {
    let guard = &services.approval;
    let store = &*services.archive_store;
    let user_id = checkpoint.user_id;
    let plan = match guard.plans.now(store, name).await? {
        Ok(plan) => plan,
        Err(why) => return Ok(Err(NotApproved::new(Pause::PlanAltered, why))),
    };
    let approved = match judged(services, &plan, order, rule) {
        Ok(approved) => approved,
        Err(why) => return Ok(Err(why)),
    };
    if plan.acts.moved.contains(&user_id) {
        let text = "the user was found not to be as the plan saw the user: make a new plan";
        return Ok(Err(NotApproved::new(Pause::PlanMoved, text)));
    }
    let user = match guard.plans.user(store, &plan.plan, user_id).await {
        Ok(user) => user,
        // A part that was changed is a doubt, and no defect of ours.
        Err(failure) if failure.class == Class::Defect => {
            return Ok(Err(NotApproved::new(Pause::PlanAltered, failure.text)));
        }
        Err(failure) => return Err(failure.into()),
    };
    let user = match user {
        Some(user) if user.end == End::Delete => user,
        Some(user) => {
            let end = user.end.as_str();
            let text = format!("the plan does not delete the user: {end}");
            return Ok(Err(NotApproved::new(Pause::NotApproved, text)));
        }
        None => {
            let text = "the plan does not name the user";
            return Ok(Err(NotApproved::new(Pause::NotApproved, text)));
        }
    };
    if look != Look::AtPlan
        && let Some(why) = moved(services, checkpoint, &plan, &user).await?
    {
        return Ok(Err(NotApproved::new(Pause::PlanMoved, why)));
    }
    Ok(Ok(Permitted {
        plan: name.clone(),
        approved,
    }))
}

/// Whether the plan is one for this deployment, and is approved.
fn judged(
    services: &Services,
    plan: &PlanNow,
    order: Option<&Order>,
    rule: ApprovalRule,
) -> Result<Approved, NotApproved> {
    let guard = &services.approval;
    let not_approved = |text: &str| Err(NotApproved::new(Pause::NotApproved, text));
    if plan.plan.kind != PlanKind::Users {
        return not_approved("the plan is one of settings");
    }
    if plan.plan.tenant != guard.tenant {
        let text = format!("the plan is for another tenant, {}", plan.plan.tenant);
        return Err(NotApproved::new(Pause::PlanStale, text));
    }
    if let Some(setting) = plan.plan.settings.looser_in(&guard.fingerprint) {
        let text = format!("{setting} is looser than when the plan was made: make a new plan");
        return Err(NotApproved::new(Pause::PlanStale, text));
    }
    let Some(submitter) = order.and_then(|order| order.person.as_deref()) else {
        return not_approved("the order does not name the person who sent it");
    };
    let people = match &guard.people {
        None => return not_approved("OFFBOARDER_ADMIN_PEOPLE is not set: nobody can approve"),
        Some(people) => people.now(),
    };
    let people = match people {
        Ok(people) => people,
        Err(failure) => return not_approved(&failure.text),
    };
    judge(&Question {
        plan: &plan.plan,
        planned_at: plan.stored_at,
        acts: &plan.acts,
        people: &people,
        rule,
        submitter: Some(submitter),
        now: services.clock.now(),
    })
}

/// How the user is not as the plan saw the user. That is stored, and the plan as a whole stops if too many are not.
async fn moved(
    services: &Services,
    checkpoint: &Checkpoint,
    plan: &PlanNow,
    user: &PlannedUser,
) -> Result<Option<String>, Stopped> {
    let user_id = checkpoint.user_id;
    let mut now = services.observe(user_id, checkpoint.revision).await?;
    // What we could not remove was noted when the access was removed; it is not new.
    if let Some(access) = checkpoint.state.access() {
        let residual = &access.queues.residual;
        now.queues
            .retain(|queue| !residual.iter().any(|known| known.reference == *queue));
    }
    let Some(moved) = user.observed.moved(&now) else {
        return Ok(None);
    };

    let why = moved.as_text();
    let counted = Some((plan.acts.moved.len() as u64, plan.plan.totals.delete));
    note_moved(services, &plan.name, user_id, &why, counted).await?;
    Ok(Some(why))
}

/// Before the access is removed again from a user who is active, and of whom the archive shows that an earlier run had
/// removed it: notes this, if the order names a plan. The plan did not see it, and after the write no read shows it.
pub(super) async fn note_return(services: &Services, job: &Job) -> Result<(), Stopped> {
    let Some(order) = &job.request.order else {
        return Ok(());
    };
    let store = &*services.archive_store;
    let user_id = job.user_id;
    let order = services.orders.check(store, order, user_id).await?;
    let Some(name) = &order.plan else {
        return Ok(());
    };
    let plan = services.approval.plans.now(store, name).await?;
    // A plan that was altered permits nothing, and says nothing about how many users it deletes.
    let counted = plan.ok().filter(|plan| !plan.acts.moved.contains(&user_id));
    let counted = counted.map(|plan| (plan.acts.moved.len() as u64, plan.plan.totals.delete));
    note_moved(services, name, user_id, &Moved::Active.as_text(), counted).await
}

/// Stores that the user moved, and that the plan as a whole stops if too many did. `counted`: how many moved before, of
/// how many deletions.
async fn note_moved(
    services: &Services,
    name: &PlanName,
    user_id: UserId,
    why: &str,
    counted: Option<(u64, u64)>,
) -> Result<(), Stopped> {
    let store = &*services.archive_store;
    let at = services.clock.now();
    mark_moved(store, name, user_id, at, why.to_owned()).await?;
    tracing::warn!(%user_id, plan = %name, why, "the user is not as the approved plan saw the user: not deleted");
    if let Some((moved, deletions)) = counted
        && is_stale(moved + 1, deletions)
    {
        let count = moved + 1;
        let text = format!("{count} users are not as the plan saw them");
        mark_stale(store, name, at, text).await?;
        tracing::warn!(plan = %name, count, "too many users are not as the approved plan saw them: the plan stops");
    }
    // The next one who asks sees it.
    services.approval.plans.forget(name).await;
    Ok(())
}
