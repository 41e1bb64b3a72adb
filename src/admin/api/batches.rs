use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use tokio::time::Instant;
use utoipa::IntoParams;

use super::Api;
use super::batch_users::no_such_batch;
use crate::admin::problem::Problem;
use crate::admin::read::{At, Query, within};
use crate::job::BatchId;
use crate::operations::batches::{
    self, BatchFilter, BatchPage, BatchProgress, BatchSource, BatchState,
};
use crate::operations::shared_answers::PATIENCE;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// Maximum number of batches.
    #[serde(default, deserialize_with = "within::<1, 1000, _>")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u64>,
    /// Only batches in this state; `under-way` has those that are `stuck`, too.
    state: Option<BatchState>,
    /// Only batches whose name begins so.
    q: Option<String>,
    /// The `nextCursor` of the page before, with the same filters.
    cursor: Option<String>,
}

/// Lists batches, newest first
///
/// A page reads at most 20,000 users. Beyond that `progress` is null; with a `state`, the page ends there and has a cursor.
/// With `q` it compares some thousand names, and may have no batch and a cursor. Readers share the numbers of a batch as those of
/// one batch alone.
#[utoipa::path(
    get, path = "/api/v1/batches", tag = "batches", operation_id = "listBatches", params(Wanted),
    responses(
        (status = 200, description = "A page of batches", body = BatchPage),
        (status = 409, description = "`foreign_cursor`: no list gave this cursor", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<BatchPage>, Problem> {
    found(&api, wanted, None).await.map(Json)
}

/// The same, within a fraction of a second: the progress of a batch that is still being read is `None`. A filter by state
/// waits for it.
pub(crate) async fn list_soon(api: &Api, wanted: Wanted) -> Result<BatchPage, Problem> {
    let is_patient = wanted.state.is_some();
    let until = (!is_patient).then(|| Instant::now() + PATIENCE);
    found(api, wanted, until).await
}

async fn found(
    Api(api): &Api,
    wanted: Wanted,
    until: Option<Instant>,
) -> Result<BatchPage, Problem> {
    let limit = super::limit(wanted.limit, 100);
    let filter = BatchFilter {
        state: wanted.state,
        begins: wanted.q,
    };
    let now = api.services.clock.now();
    let stops = &api.surroundings().await?.stops;
    let source = BatchSource {
        store: &api.stores.batches,
        readings: &api.shared.readings,
        until,
    };
    let cursor = wanted.cursor.as_deref();
    let page = batches::page(&source, stops, &filter, cursor, limit, now).await?;
    page.ok_or_else(foreign_cursor)
}

pub(super) fn foreign_cursor() -> Problem {
    let detail = "the cursor is not one of a list with these filters; leave it out to begin again";
    Problem::new(StatusCode::CONFLICT, "foreign_cursor", detail)
}

/// Shows the progress of a batch
///
/// Counts by state, what users wait for, dead letters, rate and time left, as `offboarder batch show` shows them. Readers share
/// a document for two seconds, or for four times as long as it took, but not for longer than ten seconds. Where a new one takes
/// longer than 200 ms, they get the one before, if that was begun less than 20 seconds ago.
#[utoipa::path(
    get, path = "/api/v1/batches/{batchId}", tag = "batches", operation_id = "showBatch",
    params(("batchId" = BatchId, Path, description = "The name of the batch")),
    responses(
        (status = 200, description = "The batch", body = BatchProgress),
        (status = 404, description = "`no_such_batch`: the batch does not exist", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(
    State(Api(api)): State<Api>,
    At(batch): At<BatchId>,
) -> Result<Json<BatchProgress>, Problem> {
    let now = api.services.clock.now();
    let reading = api.shared.readings.of(&api.stores.batches, &batch, now);
    let (reading, around) = tokio::join!(reading, api.surroundings());
    let reading = reading?;
    let read = reading.as_ref().as_ref();
    let overview = &read.ok_or_else(|| no_such_batch(&batch))?.overview;
    let around = around?;
    let pause = around.stops.paused(&batch, now).cloned();
    let fleet = around.fleet.clone();
    Ok(Json(BatchProgress::new(overview.clone(), pause, fleet)))
}
