use axum::Json;
use axum::extract::State;

use super::Api;
use crate::admin::problem::Problem;
use crate::admin::read::At;
use crate::job::UserId;
use crate::operations::status::UserStatus;

/// How far a user is
///
/// State, steps, archive, deletion, last error, next attempt, legal hold: as `offboarder status` tells it.
#[utoipa::path(
    get, path = "/api/v1/users/{userId}", tag = "users", operation_id = "showUser",
    params(("userId" = UserId, Path, description = "Whose")),
    responses(
        (status = 200, description = "What is known of the user", body = UserStatus),
        (status = 404, description = "`no_such_user`: no checkpoint, no manifest", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub(super) async fn show(
    State(Api(api)): State<Api>,
    At(user_id): At<UserId>,
) -> Result<Json<UserStatus>, Problem> {
    let status = UserStatus::look_up(
        user_id,
        &*api.stores.checkpoints,
        &api.services.archive_store,
    )
    .await?;
    match status.progress {
        Some(_) => Ok(Json(status)),
        None => Err(Problem::not_found(
            "no_such_user",
            format!("of {user_id} no checkpoint and no manifest is stored"),
        )),
    }
}
