use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use crate::admin::problem::Problem;
use crate::ports::LiveWorker;

/// The running workers
#[derive(Serialize, ToSchema)]
pub(super) struct Workers {
    /// Sorted by name.
    workers: Vec<LiveWorker>,
}

/// Lists all workers of the deployment
///
/// Each worker sends a heartbeat every five seconds; a worker that died leaves the list within 15 seconds.
#[utoipa::path(
    get, path = "/api/v1/workers", tag = "workers", operation_id = "listWorkers",
    responses((status = 200, description = "The workers", body = Workers)),
)]
pub(super) async fn list(State(Api(api)): State<Api>) -> Result<Json<Workers>, Problem> {
    Ok(Json(Workers {
        workers: api.stores.workers.workers().await?,
    }))
}
