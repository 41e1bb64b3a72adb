//! What is decided about plans. Never by the holder of a token: a token is no person.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::ToSchema;

use super::submit::{Submitted, Wanted, unreadable};
use super::{Api, Signed, to_its_end};
use crate::admin::caller::{Caller, SignIn};
use crate::admin::problem::Problem;
use crate::admin::read::{At, Body, Line, some, up_to};
use crate::guards::approval::SignedInBy;
use crate::job::{Action, BatchId, PlanName, UserId};
use crate::operations::plans::{Decision, Saving, Signatory, StoredPlan, plan_users, rows};
use crate::operations::submit::{Input, Overlay, Reading};
use crate::people::Permission;
use crate::registers::plan::Planned;

/// Users to make a plan of
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewPlan {
    /// At most 100 users; `offboarder plan --save` takes more.
    #[serde(deserialize_with = "some::<100, _, _>")]
    #[schema(min_items = 1, max_items = 100)]
    users: Vec<UserId>,
    /// The batch that the users will belong to.
    batch_id: Option<BatchId>,
    /// What is to be done with each user; by default, delete.
    #[serde(default)]
    action: Action,
    /// The person who asks for the deletions, who may leave it out.
    who: Option<Line>,
    /// The reason for the off-boarding.
    why: Line,
}

/// An approval of a plan
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewApproval {
    /// The number of deletions that the plan shows.
    #[serde(deserialize_with = "up_to::<10_000_000, _>")]
    #[schema(minimum = 0, maximum = 10_000_000)]
    count: u64,
    /// In an emergency: the second key of an admin, who then approves alone.
    break_glass_key: Option<String>,
    /// The person, who may leave it out.
    who: Option<Line>,
    /// The reason, for the readers of the audit log.
    why: Line,
}

/// An order to send the users of a plan
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Apply {
    /// Process these users before all users who are not urgent.
    #[serde(default)]
    urgent: bool,
    /// The person, who may leave it out.
    who: Option<Line>,
    /// The reason for the off-boarding.
    why: Line,
}

impl Api {
    /// The person who decides.
    fn signatory(
        &self,
        caller: &Caller,
        permission: Permission,
        signed: Signed,
    ) -> Result<Signatory, Problem> {
        let operator = self.operator(signed, caller, permission)?;
        let signed_in_by = match caller.sign_in {
            SignIn::Key | SignIn::Session | SignIn::WorkerSession => Some(SignedInBy::Key),
            SignIn::Proxy => Some(SignedInBy::Proxy),
            SignIn::OperatorToken | SignIn::ReadToken | SignIn::Loopback => None,
        };
        let (Some(name), Some(signed_in_by)) = (caller.name.clone(), signed_in_by) else {
            let detail = "only a person decides about plans: use the key of a person (`offboarder people add`), or a proxy that \
                          signs people in";
            return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail));
        };
        Ok(Signatory {
            name,
            role: caller.role,
            signed_in_by,
            operator,
        })
    }
}

/// Makes a plan and stores it
///
/// It reads the users, and changes none. Its reads count against the quota that the workers share.
#[utoipa::path(
    post, path = "/api/v1/plans", tag = "plans", operation_id = "savePlan",
    request_body(content = NewPlan, example = json!({
        "users": ["3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11"], "batchId": "2026-11", "why": "leaves on Friday",
    })),
    responses((status = 200, description = "The stored plan", body = StoredPlan)),
)]
pub(super) async fn save(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Body(new): Body<NewPlan>,
) -> Result<Json<StoredPlan>, Problem> {
    to_its_end(async move {
        let signed = Signed {
            who: new.who,
            why: new.why,
        };
        let by = api.signatory(&caller, Permission::Submit, signed)?;
        let _slot = api.0.costly()?;
        let services = &api.0.services;
        let saving = Saving {
            batch: new.batch_id,
            at: services.clock.now(),
            of: Planned::Users(plan_users(services, &new.users, new.action).await?),
        };
        let desk = api.desk().await?;
        Ok(Json(desk.desk().save(services, saving, &by).await?))
    })
    .await
}

/// Approves the deletions of a plan
///
/// Never by the person who made it. `count` is the number of deletions: it binds the approval to what was seen.
#[utoipa::path(
    post, path = "/api/v1/plans/{digest}/approvals", tag = "plans", operation_id = "approvePlan",
    params(("digest" = PlanName, Path, description = "The digest of the plan")),
    request_body(content = NewApproval, example = json!({ "count": 9812, "why": "HR confirms the list" })),
    responses(
        (status = 200, description = "The plan", body = StoredPlan),
        (status = 403, description = "`own_plan`, `wrong_key`, or the role does not permit it", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`no_such_plan`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`count_changed`, `plan_expired`, `plan_ended`, `plan_altered`, `already_approved`: nothing was approved",
            body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn approve(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(name): At<PlanName>,
    Body(approval): Body<NewApproval>,
) -> Result<Json<StoredPlan>, Problem> {
    to_its_end(async move {
        let signed = Signed {
            who: approval.who,
            why: approval.why,
        };
        let by = api.signatory(&caller, Permission::Approve, signed)?;
        let desk = api.desk().await?;
        let key = approval.break_glass_key.as_deref();
        let decision = desk.desk().approval(approval.count, key, &by)?;
        Ok(Json(desk.desk().decide(&name, decision, &by).await?))
    })
    .await
}

/// Rejects a plan, for good
#[utoipa::path(
    post, path = "/api/v1/plans/{digest}/rejections", tag = "plans", operation_id = "rejectPlan",
    params(("digest" = PlanName, Path, description = "The digest of the plan")),
    request_body(content = Signed, example = json!({ "why": "the wrong list" })),
    responses(
        (status = 200, description = "The plan", body = StoredPlan),
        (status = 404, description = "`no_such_plan`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`plan_ended`, `plan_altered`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn reject(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(name): At<PlanName>,
    Body(signed): Body<Signed>,
) -> Result<Json<StoredPlan>, Problem> {
    decide(api, caller, name, Decision::Reject, signed).await
}

/// Takes all approvals of a plan back, for good
///
/// Deletions that were not sent yet stop within a minute.
#[utoipa::path(
    post, path = "/api/v1/plans/{digest}/revocations", tag = "plans", operation_id = "revokePlan",
    params(("digest" = PlanName, Path, description = "The digest of the plan")),
    request_body(content = Signed, example = json!({ "why": "the wrong list" })),
    responses(
        (status = 200, description = "The plan", body = StoredPlan),
        (status = 404, description = "`no_such_plan`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`not_approved`, `plan_ended`, `plan_altered`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn revoke(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(name): At<PlanName>,
    Body(signed): Body<Signed>,
) -> Result<Json<StoredPlan>, Problem> {
    decide(api, caller, name, Decision::Revoke, signed).await
}

/// Gives a plan up
///
/// Only the person who made it, or an admin, may do so.
#[utoipa::path(
    post, path = "/api/v1/plans/{digest}/withdrawals", tag = "plans", operation_id = "withdrawPlan",
    params(("digest" = PlanName, Path, description = "The digest of the plan")),
    request_body(content = Signed, example = json!({ "why": "not needed" })),
    responses(
        (status = 200, description = "The plan", body = StoredPlan),
        (status = 404, description = "`no_such_plan`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`plan_ended`, `plan_altered`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn withdraw(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(name): At<PlanName>,
    Body(signed): Body<Signed>,
) -> Result<Json<StoredPlan>, Problem> {
    decide(api, caller, name, Decision::Withdraw, signed).await
}

async fn decide(
    api: Api,
    caller: Caller,
    name: PlanName,
    decision: Decision,
    signed: Signed,
) -> Result<Json<StoredPlan>, Problem> {
    to_its_end(async move {
        let by = api.signatory(&caller, decision.permission(), signed)?;
        let desk = api.desk().await?;
        Ok(Json(desk.desk().decide(&name, decision, &by).await?))
    })
    .await
}

/// Submits the users of a plan
///
/// Their access ends without an approval; their deletions wait until the plan is approved.
#[utoipa::path(
    post, path = "/api/v1/plans/{digest}/apply", tag = "plans", operation_id = "applyPlan",
    params(("digest" = PlanName, Path, description = "The digest of the plan")),
    request_body(content = Apply, example = json!({ "why": "leave in November" })),
    responses(
        (status = 200, description = "The users are in the queue", body = Submitted),
        (status = 404, description = "`no_such_plan`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`plan_ended`, `plan_expired`, `protected_user`: nothing was sent", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn apply(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(name): At<PlanName>,
    Body(Apply { urgent, who, why }): Body<Apply>,
) -> Result<Json<Submitted>, Problem> {
    to_its_end(async move {
        let by = api.signatory(&caller, Permission::Submit, Signed { who, why })?;
        let desk = api.desk().await?;
        let desk = desk.desk();
        let now = desk.applicable(&name).await?;
        let users = desk.users(&now.plan).await?;
        let overlay = Overlay {
            batch_id: now.plan.batch.clone(),
            requested_by: Some(by.name.chars().take(256).collect()),
            reason: by.operator.why.clone(),
            requested_at: Some(api.0.services.clock.now()),
            ..Overlay::default()
        };
        let rows = rows(users.iter().map(|user| (&user.user_id, &user.end)));
        let input = Input::new(&[], Some(&mut &*rows), &Reading::default(), &overlay);
        let wanted = Wanted {
            input: input.map_err(|error| unreadable(&error))?,
            users: users.iter().map(|user| user.user_id).collect(),
            batch: now.plan.batch.clone(),
            urgent,
            plan: Some(name.clone()),
        };
        let submitted = api
            .submit(wanted, by.operator.clone(), Some(by.name.clone()))
            .await?;
        desk.applied(&name, &by).await?;
        Ok(Json(submitted))
    })
    .await
}
