//! Stores a plan for a second person.

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde_json::json;

use super::{PlanDesk, PlanError, Signatory, StoredPlan};
use crate::failure::Failure;
use crate::guards::End;
use crate::guards::approval::{Observed, PlannedUser};
use crate::job::{Action, BatchId, Job, Request, UserId};
use crate::operations::plan::{Plan, plan};
use crate::registers::audit_log::{AuditLog, Change};
use crate::registers::plan::{PlanDraft, Planned, store_plan};
use crate::steps::Services;

/// How many users are read at the same time.
const AT_ONCE: usize = 8;

/// What is to be stored.
pub(crate) struct Saving {
    pub batch: Option<BatchId>,
    pub at: Timestamp,
    pub of: Planned,
}

/// What a plan keeps of a user. It is read as the guard reads it right before the DELETE, so that both can be compared.
pub(crate) async fn planned(services: &Services, plan: &Plan) -> Result<PlannedUser, Failure> {
    let observed = match plan.end {
        End::Delete | End::DeactivateOnly | End::Held => {
            services.observe(plan.user_id, plan.incarnation).await?
        }
        End::Protected | End::Done | End::NotFound => Observed {
            active: plan.active,
            incarnation: plan.incarnation,
            ..Observed::default()
        },
    };
    Ok(PlannedUser {
        user_id: plan.user_id,
        end: plan.end,
        observed,
        guard: plan.guard.clone(),
    })
}

/// The same, of users who are named.
pub(crate) async fn plan_users(
    services: &Services,
    users: &[UserId],
    action: Action,
) -> Result<Vec<PlannedUser>, Failure> {
    let read = users.iter().copied().map(|user_id| async move {
        let request = Request {
            action,
            ..Request::default()
        };
        // Pages of conversations are not kept.
        let plan = plan(services, &Job::named(user_id, request), 1).await?;
        planned(services, &plan).await
    });
    stream::iter(read).buffered(AT_ONCE).try_collect().await
}

/// The messages of a plan as JSON Lines: those who are to lose their access. One whom the plan does not delete is asked for
/// so.
pub(crate) fn rows<'a>(ends: impl Iterator<Item = (&'a UserId, &'a End)>) -> Vec<u8> {
    let rows = ends.filter_map(|(user_id, end)| match end {
        End::Delete | End::Held => Some(json!({ "userId": user_id })),
        End::DeactivateOnly => Some(json!({ "userId": user_id, "action": "deactivate" })),
        End::Protected | End::Done | End::NotFound => None,
    });
    rows.flat_map(|row| format!("{row}\n").into_bytes())
        .collect()
}

impl PlanDesk<'_> {
    /// Stores the plan of this person, whose reason is the reason for the off-boarding.
    pub(crate) async fn save(
        &self,
        services: &Services,
        saving: Saving,
        by: &Signatory,
    ) -> Result<StoredPlan, PlanError> {
        let users = match &saving.of {
            Planned::Users(users) => users.len(),
            Planned::Rule(_) => 0,
        };
        let change = Change {
            what: "plan save",
            count: users,
            details: json!({ "batch": saving.batch }),
        };
        let log = AuditLog::new(self.store.clone(), self.clock.clone());
        log.record(&by.operator, change).await?;
        let protected = services.protected.load().await?;
        let draft = PlanDraft {
            tenant: services.approval.tenant().to_owned(),
            batch: saving.batch,
            by: by.name.clone(),
            why: by.operator.why.clone(),
            at: saving.at,
            settings: services.approval.fingerprint(protected.sha256()),
            rule_now: self.rule,
            of: saving.of,
        };
        let written = store_plan(&**self.store, draft).await?;
        self.show(&written.name).await
    }
}
