use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use crate::admin::problem::Problem;
use crate::operations::fleet::{Fleet, fleet};
use crate::ports::LiveWorker;

/// The running workers
#[derive(Serialize, ToSchema)]
pub(crate) struct Workers {
    /// Sorted by name.
    pub(crate) workers: Vec<LiveWorker>,
}

/// Lists all workers of the deployment
///
/// Each worker sends a heartbeat every five seconds; a worker that died leaves the list within 15 seconds.
#[utoipa::path(
    get, path = "/api/v1/workers", tag = "workers", operation_id = "listWorkers",
    responses((status = 200, description = "The workers", body = Workers)),
)]
pub(crate) async fn list(State(Api(api)): State<Api>) -> Result<Json<Workers>, Problem> {
    Ok(Json(Workers {
        workers: api.stores.workers.workers().await?,
    }))
}

/// Shows what keeps users waiting now
///
/// Whether workers are alive and take users, an operator's pause, a fault that stops workers, and the deletion rate limit:
/// the lines that `offboarder batch show` begins with. What cannot be read is a notice, too.
#[utoipa::path(
    get, path = "/api/v1/fleet", tag = "workers", operation_id = "showFleet",
    responses((status = 200, description = "The state of the fleet", body = Fleet)),
)]
pub(crate) async fn fleet_state(State(Api(api)): State<Api>) -> Json<Fleet> {
    Json(fleet(&api.fleet, api.services.clock.now()).await)
}
