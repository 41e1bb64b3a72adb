use axum::extract::State;
use axum::{Extension, Json};

use super::{Api, Signed, to_its_end};
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;
use crate::admin::read::{At, Body};
use crate::failure::Failure;
use crate::job::UserId;
use crate::operations::reactivate::{Reactivating, UserReactivated};
use crate::people::Permission;

/// Gives a user back what the off-boarding took
///
/// It cancels the off-boarding, decides once that the user is not deleted, and gives back what the before-image names. A user
/// whose deletion is decided, or of whom no before-image is stored, is refused: `outcome` and `refusal` say so. What could
/// not be given back is listed; done again, it is tried once more.
#[utoipa::path(
    post, path = "/api/v1/users/{userId}/reactivate", tag = "users", operation_id = "reactivateUser",
    params(("userId" = UserId, Path, description = "The ID of the user")),
    request_body(content = Signed, example = json!({ "who": "ada", "why": "HR sent a wrong list" })),
    responses((status = 200, description = "What became of the user", body = UserReactivated)),
)]
pub(crate) async fn user(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(user_id): At<UserId>,
    Body(signed): Body<Signed>,
) -> Result<Json<UserReactivated>, Problem> {
    let operator = api.operator(signed, &caller, Permission::Submit)?;
    to_its_end(async move {
        let reactivating = Reactivating {
            services: &api.0.services,
            users: &*api.0.stores.users,
            batches: Some(&*api.0.stores.batches),
        };
        let reactivated = reactivating.reactivate(&[user_id], &operator).await;
        if let Some(failure) = reactivated.failure {
            let progress =
                "the user may be reactivated in part; the same request continues where it stopped";
            return Err(Problem::from(failure).and(progress));
        }
        let user = reactivated.done.users.into_iter().next();
        let missing = || Failure::internal("a reactivation", "it says nothing of the user");
        Ok(Json(user.ok_or_else(missing)?))
    })
    .await
}
