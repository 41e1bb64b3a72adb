use axum::extract::State;
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Api;
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;
use crate::admin::read::{At, Query, within};
use crate::job::{Action, Job, Request, UserId};
use crate::operations::plan::{Plan, plan};
use crate::people::Permission;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// What would be requested.
    #[serde(default)]
    action: Action,
    /// Maximum number of pages of conversations to count; a user with more has `atLeast`.
    #[serde(default, deserialize_with = "within::<1, 20, _>")]
    #[param(minimum = 1, maximum = 20, default = 5)]
    pages: Option<u64>,
}

/// Plans a user
///
/// What a worker would do now: how the off-boarding would end, what a guard would stop, how much there is to archive. It
/// changes nothing. Its reads count against the quota that the workers share: so it needs the permission `submit`.
#[utoipa::path(
    get, path = "/api/v1/users/{userId}/plan", tag = "users", operation_id = "planUser",
    params(("userId" = UserId, Path, description = "The ID of the user"), Wanted),
    responses((status = 200, description = "The plan", body = Plan)),
)]
pub(super) async fn show(
    State(Api(api)): State<Api>,
    Extension(caller): Extension<Caller>,
    At(user_id): At<UserId>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Plan>, Problem> {
    caller.demand(Permission::Submit)?;
    let _slot = api.costly()?;
    let request = Request {
        action: wanted.action,
        ..Request::default()
    };
    let job = Job::named(user_id, request);
    let pages = wanted.pages.unwrap_or(5);
    Ok(Json(plan(&api.services, &job, pages).await?))
}
