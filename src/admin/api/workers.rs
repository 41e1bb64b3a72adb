use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use crate::admin::problem::Problem;
use crate::ports::LiveWorker;

/// Workers.
#[derive(Serialize, ToSchema)]
pub(super) struct Workers {
    /// By name.
    workers: Vec<LiveWorker>,
}

/// All workers of the deployment
///
/// Each announces itself every five seconds; one that died is out of the list within 15.
#[utoipa::path(
    get, path = "/api/v1/workers", tag = "workers", operation_id = "listWorkers",
    responses((status = 200, description = "The workers", body = Workers)),
)]
pub(super) async fn list(State(Api(api)): State<Api>) -> Result<Json<Workers>, Problem> {
    Ok(Json(Workers {
        workers: api.stores.workers.workers().await?,
    }))
}
