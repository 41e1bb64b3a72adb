use axum::extract::State;
use axum::{Extension, Json};

use super::{Api, Signed, to_its_end};
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;
use crate::admin::read::{At, Body};
use crate::job::{BatchId, UserId};
use crate::operations::cancel::{CancelReport, CancelTarget, Cancelling};
use crate::people::Permission;
use crate::registers::audit_log::Operator;

/// Cancels the requests of a user
///
/// A request that was not begun is dropped; one that was begun stops at its checkpoint, and the user is not deleted. It
/// covers each request that was made before, also one whose message comes up later. A user who is finished stays so.
#[utoipa::path(
    post, path = "/api/v1/users/{userId}/cancel", tag = "users", operation_id = "cancelUser",
    params(("userId" = UserId, Path, description = "The ID of the user")),
    request_body(content = Signed, example = json!({ "who": "ada", "why": "the user stays" })),
    responses((status = 200, description = "What the cancellation did", body = CancelReport)),
)]
pub(crate) async fn user(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(user_id): At<UserId>,
    Body(signed): Body<Signed>,
) -> Result<Json<CancelReport>, Problem> {
    let operator = api.operator(signed, &caller, Permission::Submit)?;
    cancel(api, CancelTarget::Users(vec![user_id]), operator).await
}

/// Cancels all requests of a batch
///
/// As for one user. It covers messages of the batch that come up later, too, if they were asked for before.
#[utoipa::path(
    post, path = "/api/v1/batches/{batchId}/cancel", tag = "batches", operation_id = "cancelBatch",
    params(("batchId" = BatchId, Path, description = "The name of the batch")),
    request_body(content = Signed, example = json!({ "who": "ada", "why": "HR sent a wrong list" })),
    responses((status = 200, description = "What the cancellation did", body = CancelReport)),
)]
pub(crate) async fn batch(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(batch): At<BatchId>,
    Body(signed): Body<Signed>,
) -> Result<Json<CancelReport>, Problem> {
    let operator = api.operator(signed, &caller, Permission::Submit)?;
    cancel(api, CancelTarget::Batch(batch), operator).await
}

async fn cancel(
    api: Api,
    target: CancelTarget,
    operator: Operator,
) -> Result<Json<CancelReport>, Problem> {
    to_its_end(async move {
        let services = &api.0.services;
        let cancelling = Cancelling {
        what: "cancel",
            store: &services.archive_store,
            checkpoints: &*api.0.stores.checkpoints,
            users: &*api.0.stores.users,
            batches: Some(&*api.0.stores.batches),
            clock: &services.clock,
        };
        let cancelled = cancelling.cancel(&target, &operator).await;
        match cancelled.failure {
            None => Ok(Json(cancelled.done)),
            Some(failure) if cancelled.done.ordered => {
                let progress = "the cancellation is stored, and workers follow it; what became of each user is unknown";
                Err(Problem::from(failure).and(progress))
            }
            Some(failure) => Err(failure.into()),
        }
    })
    .await
}
