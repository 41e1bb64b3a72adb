//! Plans that are stored, as they are read.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use crate::admin::problem::Problem;
use crate::admin::read::{At, Query, within};
use crate::guards::approval::PlannedUser;
use crate::job::{PlanName, UserId};
use crate::limits::ApprovalRule;
use crate::operations::plans::{
    Difference, PlanDesk, PlanError, PlanState, StoredPlan, differences,
};
use crate::people::People;

/// How many users of a plan an answer has, if the request does not say.
const USERS: usize = 100;
const PLANS: usize = 20;
/// How many of the users who changed since are named.
const MOVED_USERS: usize = 100;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// Only plans in this state.
    state: Option<PlanState>,
    /// Maximum number of plans, the newest first.
    #[serde(default, deserialize_with = "within::<1, 100, _>")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u64>,
}

/// Stored plans
#[derive(Serialize, ToSchema)]
pub(crate) struct Listed {
    /// The newest first.
    pub(crate) plans: Vec<StoredPlan>,
    /// Whether there are more.
    pub(crate) more: bool,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShowQuery {
    /// Users after this one, in the order of their IDs.
    after: Option<UserId>,
    /// Maximum number of users.
    #[serde(default, deserialize_with = "within::<1, 1000, _>")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u64>,
}

/// A stored plan with some of its users
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shown {
    pub(crate) plan: StoredPlan,
    pub(crate) users: Vec<PlannedUser>,
    /// Whether there are more users.
    pub(crate) more: bool,
    /// Users who are not as the plan saw them, in the order of their IDs, at most 100; `plan.moved` counts all.
    pub(crate) moved_users: Vec<MovedUser>,
}

/// A user who is not as a plan saw them
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MovedUser {
    pub(crate) user_id: UserId,
    /// As the plan saw it.
    pub(crate) user_name: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct DiffQuery {
    /// The digest of the plan to compare with.
    #[serde(rename = "with")]
    other: PlanName,
}

/// How two plans differ
#[derive(Serialize, ToSchema)]
pub(super) struct Compared {
    /// In the order of the user IDs.
    differences: Vec<Difference>,
}

/// What a decision about a plan is judged by.
pub(super) struct Desk<'a> {
    api: &'a Api,
    people: Arc<People>,
    rule: ApprovalRule,
}

impl Desk<'_> {
    pub(super) fn desk(&self) -> PlanDesk<'_> {
        let services = &self.api.0.services;
        PlanDesk {
            store: &services.archive_store,
            people: &self.people,
            rule: self.rule,
            clock: &services.clock,
        }
    }
}

impl Api {
    pub(super) async fn desk(&self) -> Result<Desk<'_>, Problem> {
        let services = &self.0.services;
        Ok(Desk {
            api: self,
            people: match services.approval.people() {
                Some(people) => people.now()?,
                None => Arc::default(),
            },
            rule: services.approval_rule().await?,
        })
    }
}

impl From<PlanError> for Problem {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Failed(failure) => failure.into(),
            PlanError::NoSuchPlan(text) => Self::not_found("no_such_plan", text),
            PlanError::Refused(code @ ("own_plan" | "not_your_plan" | "wrong_key"), text) => {
                Self::new(StatusCode::FORBIDDEN, code, text)
            }
            PlanError::Refused(code, text) => Self::new(StatusCode::CONFLICT, code, text),
        }
    }
}

/// Lists stored plans
#[utoipa::path(
    get, path = "/api/v1/plans", tag = "plans", operation_id = "listPlans",
    params(ListQuery),
    responses((status = 200, description = "The plans", body = Listed)),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Listed>, Problem> {
    let _slot = api.0.costly()?;
    let limit = query.limit.and_then(|limit| usize::try_from(limit).ok());
    let wanted = |plan: &StoredPlan| query.state.is_none_or(|state| plan.state == state);
    let desk = api.desk().await?;
    let (plans, more) = desk.desk().list(limit.unwrap_or(PLANS), wanted).await?;
    Ok(Json(Listed { plans, more }))
}

/// Shows a stored plan
///
/// It is judged as a worker does before a DELETE: `approved` means that the deletions of its users may be sent.
#[utoipa::path(
    get, path = "/api/v1/plans/{digest}", tag = "plans", operation_id = "showPlan",
    params(("digest" = PlanName, Path, description = "The digest of the plan"), ShowQuery),
    responses(
        (status = 200, description = "The plan", body = Shown),
        (status = 404, description = "`no_such_plan`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(
    State(api): State<Api>,
    At(name): At<PlanName>,
    Query(query): Query<ShowQuery>,
) -> Result<Json<Shown>, Problem> {
    let _slot = api.0.costly()?;
    let desk = api.desk().await?;
    let desk = desk.desk();
    let now = desk.open(&name).await?;
    let limit = query.limit.and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.unwrap_or(USERS);
    let mut users: Vec<PlannedUser> = desk.users(&now.plan).await?;
    let moved_users = moved_users(&now.acts.moved, &users);
    users.retain(|user| query.after.is_none_or(|after| user.user_id > after));
    let more = users.len() > limit;
    users.truncate(limit);
    Ok(Json(Shown {
        plan: desk.view(&now),
        users,
        more,
        moved_users,
    }))
}

fn moved_users(moved: &BTreeSet<UserId>, users: &[PlannedUser]) -> Vec<MovedUser> {
    let name_of = |user_id| {
        let user = users.iter().find(|user| user.user_id == user_id)?;
        user.observed.user_name.clone()
    };
    let named = moved.iter().take(MOVED_USERS);
    named
        .map(|user_id| MovedUser {
            user_id: *user_id,
            user_name: name_of(*user_id),
        })
        .collect()
}

/// Compares two stored plans
#[utoipa::path(
    get, path = "/api/v1/plans/{digest}/diff", tag = "plans", operation_id = "diffPlans",
    params(("digest" = PlanName, Path, description = "The digest of the plan"), DiffQuery),
    responses(
        (status = 200, description = "The users of whom the plans say different things", body = Compared),
        (status = 404, description = "`no_such_plan`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn diff(
    State(api): State<Api>,
    At(name): At<PlanName>,
    Query(query): Query<DiffQuery>,
) -> Result<Json<Compared>, Problem> {
    let _slot = api.0.costly()?;
    let desk = api.desk().await?;
    let desk = desk.desk();
    let before = desk.open(&name).await?;
    let after = desk.open(&query.other).await?;
    let before = desk.users(&before.plan).await?;
    let differences = differences(before, desk.users(&after.plan).await?);
    Ok(Json(Compared { differences }))
}
