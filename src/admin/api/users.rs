use axum::Json;
use axum::extract::State;

use super::Api;
use crate::admin::problem::Problem;
use crate::admin::read::At;
use crate::job::UserId;
use crate::operations::status::UserStatus;

/// Shows the progress of a user
///
/// State, steps, archive, deletion, last error, next attempt and legal hold, as `offboarder status` shows them.
#[utoipa::path(
    get, path = "/api/v1/users/{userId}", tag = "users", operation_id = "showUser",
    params(("userId" = UserId, Path, description = "The ID of the user")),
    responses(
        (status = 200, description = "The progress of the user", body = UserStatus),
        (status = 404, description = "`no_such_user`: the user has no checkpoint and no manifest", body = Problem,
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
            format!("{user_id} has no checkpoint and no manifest"),
        )),
    }
}
