use axum::extract::State;
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Api, Signed, to_its_end};
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;
use crate::admin::read::{Body, Line, some};
use crate::job::UserId;
use crate::operations::urgent::{MovedToUrgentLane, UrgentLane};
use crate::people::Permission;

/// Users to move to the urgent lane
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UrgentUsers {
    /// At most 100 users.
    #[serde(deserialize_with = "some::<100, _, _>")]
    #[schema(min_items = 1, max_items = 100)]
    users: Vec<UserId>,
    /// The operator; a person with a key may leave it out. The audit log adds which worker was asked, and how.
    who: Option<Line>,
    /// The reason, for the readers of the audit log.
    why: Line,
}

/// Moves users who still have access to the urgent lane
///
/// The stored request of each user is published once more for the workers to take before all users who are not urgent: the
/// earliest time of the deletion, the requester, the batch, and which off-boarding it is stay as they are. Nothing else
/// changes; the message that waits is harmless, and so is the same request again. Users who have no access any more, are
/// finished, cancelled or unknown are named in `refused`, and the others are moved.
#[utoipa::path(
    post, path = "/api/v1/urgent", tag = "users", operation_id = "moveToUrgentLane",
    request_body(content = UrgentUsers, example = json!({
        "users": ["3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11"], "who": "ada", "why": "was dismissed this morning",
    })),
    responses((status = 200, description = "Who was moved, and who was not", body = MovedToUrgentLane)),
)]
pub(crate) async fn move_users(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Body(order): Body<UrgentUsers>,
) -> Result<Json<MovedToUrgentLane>, Problem> {
    let signed = Signed {
        who: order.who,
        why: order.why,
    };
    let operator = api.operator(signed, &caller, Permission::Submit)?;
    to_its_end(async move {
        let inner = &api.0;
        let _slot = inner.costly()?;
        let services = &inner.services;
        let publisher = inner.broker.publisher(1);
        let lane = UrgentLane {
            checkpoints: &*inner.stores.checkpoints,
            users: &*inner.stores.users,
            store: &services.archive_store,
            stop_orders: &services.stop_orders,
            publisher: &*publisher,
            clock: &services.clock,
        };
        let moved = lane.move_users(&order.users, &operator).await;
        publisher.close().await;
        match moved.failure {
            None => Ok(Json(moved.done)),
            Some(failure) => {
                let progress = format!(
                    "{} users were moved before that; it is safe to move all again",
                    moved.done.moved.len()
                );
                Err(Problem::from(failure).and(&progress))
            }
        }
    })
    .await
}
