//! What is read of the users of one batch.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Api;
use super::overview::Wanted as WantedMinutes;
use crate::admin::problem::Problem;
use crate::admin::read::{At, Query, within};
use crate::job::BatchId;
use crate::machine::StateName;
use crate::operations::batches::BatchSeries;
use crate::operations::users::{RemovalTime, UserFilter, UserPage};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// Only users in this state: the last completed step.
    state: Option<StateName>,
    /// Only users who wait for this, or have a dead letter of this reason: a failure code, a reason, `not_due`, `brake`,
    /// `access_first`, `not_converged`, `deletion_pending`.
    why: Option<String>,
    /// Only users whose ID begins so.
    q: Option<String>,
    /// Only users who still have access.
    #[serde(default)]
    access: bool,
    /// Only users whose access was removed after more than this many seconds, by the request of this batch.
    #[serde(
        default,
        rename = "removedAfterSeconds",
        deserialize_with = "within::<0, 31_536_000, _>"
    )]
    #[param(minimum = 0, maximum = 31_536_000)]
    removed_after_seconds: Option<u64>,
    /// Only users whose access was removed within this many seconds, by the request of this batch.
    #[serde(
        default,
        rename = "removedWithinSeconds",
        deserialize_with = "within::<0, 31_536_000, _>"
    )]
    #[param(minimum = 0, maximum = 31_536_000)]
    removed_within_seconds: Option<u64>,
    /// Maximum number of users.
    #[serde(default, deserialize_with = "within::<1, 1000, _>")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u64>,
    /// The `nextCursor` of the page before, with the same filters.
    cursor: Option<String>,
}

/// Lists the users of a batch, in the order in which they were added
///
/// Each user comes once, also if users move or are added while pages are read. A page that filters by state, cause,
/// access or the time of its removal reads the records of at most 50,000 users: it may have none, and a cursor. Readers share a
/// page for two seconds, or for four times as long as it took, but not for longer than ten seconds.
#[utoipa::path(
    get, path = "/api/v1/batches/{batchId}/users", tag = "batches", operation_id = "listBatchUsers",
    params(("batchId" = BatchId, Path, description = "The name of the batch"), Wanted),
    responses(
        (status = 200, description = "A page of users", body = UserPage),
        (status = 404, description = "`no_such_batch`: the batch does not exist", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "`foreign_cursor`: no list with these filters gave this cursor", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(Api(api)): State<Api>,
    At(batch): At<BatchId>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Arc<UserPage>>, Problem> {
    let filter = UserFilter {
        access: wanted.access,
        state: wanted.state,
        waiting_for: None,
        dead_letter: false,
        asked_before: None,
        why: wanted.why,
        id_begins: wanted.q,
        removed: RemovalTime::of_seconds(
            wanted.removed_after_seconds,
            wanted.removed_within_seconds,
        ),
        batch: Some(batch),
    };
    let limit = super::limit(wanted.limit, 100);
    api.list_users(&filter, wanted.cursor.as_deref(), limit)
        .await
}

/// Shows what happened to the users of a batch, minute by minute
#[utoipa::path(
    get, path = "/api/v1/batches/{batchId}/series", tag = "batches", operation_id = "showBatchSeries",
    params(("batchId" = BatchId, Path, description = "The name of the batch"), WantedMinutes),
    responses(
        (status = 200, description = "The counts of each minute", body = BatchSeries),
        (status = 404, description = "`no_such_batch`: the batch does not exist", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn minutes(
    State(Api(api)): State<Api>,
    At(batch): At<BatchId>,
    Query(wanted): Query<WantedMinutes>,
) -> Result<Json<BatchSeries>, Problem> {
    let now = api.services.clock.now();
    let reading = api
        .shared
        .readings
        .of(&api.stores.batches, &batch, now)
        .await?;
    let read = reading.as_ref().as_ref();
    let series = read.map(|read| read.series.since(wanted.since(now)));
    series.map(Json).ok_or_else(|| no_such_batch(&batch))
}

pub(super) fn no_such_batch(batch: &BatchId) -> Problem {
    Problem::not_found("no_such_batch", format!("batch {batch} does not exist"))
}
