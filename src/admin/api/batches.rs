use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use crate::admin::problem::Problem;
use crate::admin::read::{At, Query, within};
use crate::job::BatchId;
use crate::operations::batches::{self, BatchProgress, ListedProgress};
use crate::operations::fleet::fleet;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Maximum number of batches.
    #[serde(default, deserialize_with = "within::<1, 1000, _>")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u64>,
}

/// Batches
#[derive(Serialize, ToSchema)]
pub(super) struct Batches {
    /// Newest first.
    batches: Vec<ListedProgress>,
}

/// Lists batches, newest first
#[utoipa::path(
    get, path = "/api/v1/batches", tag = "batches", operation_id = "listBatches", params(Wanted),
    responses((status = 200, description = "The batches", body = Batches)),
)]
pub(super) async fn list(
    State(Api(api)): State<Api>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Batches>, Problem> {
    let limit = super::limit(wanted.limit, 100);
    let orders = api.fleet.stop_orders().await;
    let now = api.services.clock.now();
    let batches = batches::list(&*api.stores.batches, &orders, limit, now).await?;
    Ok(Json(Batches { batches }))
}

/// Shows the progress of a batch
///
/// Counts by state, what users wait for, dead letters, rate and time left, as `offboarder batch show` shows them.
#[utoipa::path(
    get, path = "/api/v1/batches/{batchId}", tag = "batches", operation_id = "showBatch",
    params(("batchId" = BatchId, Path, description = "The name of the batch")),
    responses(
        (status = 200, description = "The batch", body = BatchProgress),
        (status = 404, description = "`no_such_batch`: the batch does not exist", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub(super) async fn show(
    State(Api(api)): State<Api>,
    At(batch): At<BatchId>,
) -> Result<Json<BatchProgress>, Problem> {
    let now = api.services.clock.now();
    let reading = batches::overview(&*api.stores.batches, &batch, now);
    let read = tokio::join!(reading, fleet(&api.fleet, now), api.fleet.stop_orders());
    let missing = || Problem::not_found("no_such_batch", format!("batch {batch} does not exist"));
    let overview = read.0?.ok_or_else(missing)?;
    let pause = read.2.paused(&batch, now).cloned();
    Ok(Json(BatchProgress::new(overview, pause, read.1)))
}
