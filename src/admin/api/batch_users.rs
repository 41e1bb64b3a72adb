//! What is read of the users of one batch.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;

use super::overview::Wanted as WantedMinutes;
use super::{Api, Inner};
use crate::admin::problem::Problem;
use crate::admin::read::{At, Query, within};
use crate::failure::Failure;
use crate::job::BatchId;
use crate::machine::StateName;
use crate::operations::batches::{self, BatchSeries};
use crate::operations::users::{UserFilter, UserPage};

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
    /// Maximum number of users.
    #[serde(default, deserialize_with = "within::<1, 1000, _>")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u64>,
    /// The `nextCursor` of the page before, with the same filters.
    cursor: Option<String>,
}

/// Lists the users of a batch, in the order in which they were added
///
/// Each user comes once, also if users move or are added while pages are read. A page that filters by state, cause or
/// access reads the records of at most 50,000 users: it may have none, and a cursor. Readers share a page for two seconds, or
/// for four times as long as it took, but not for longer than ten seconds.
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
        .of(&*api.stores.batches, &batch, now)
        .await?;
    let read = reading.as_ref().as_ref();
    let series = read.map(|read| read.series.since(wanted.since(now)));
    series.map(Json).ok_or_else(|| no_such_batch(&batch))
}

pub(super) fn no_such_batch(batch: &BatchId) -> Problem {
    Problem::not_found("no_such_batch", format!("batch {batch} does not exist"))
}

/// Sends the report of a batch as CSV
///
/// One row a user, as `offboarder batch report` prints them. The rows are sent while they are read; if that fails in the
/// middle, the connection is cut, so that half a report never looks like a whole one.
#[utoipa::path(
    get, path = "/api/v1/batches/{batchId}/report.csv", tag = "batches", operation_id = "downloadBatchReport",
    params(("batchId" = BatchId, Path, description = "The name of the batch")),
    responses(
        (status = 200, description = "The report", body = String, content_type = "text/csv"),
        (status = 404, description = "`no_such_batch`: the batch does not exist", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn report(
    State(Api(api)): State<Api>,
    At(batch): At<BatchId>,
) -> Result<Response, Problem> {
    if api.stores.batches.begun_at(&batch).await?.is_none() {
        return Err(no_such_batch(&batch));
    }
    let now = api.services.clock.now();
    // The first page is read before the answer begins, so that a store that is away is a problem and not half a report.
    let names = batches::column_names(&*api.stores.batches, &batch).await?;
    let first = rows(&api, &batch, &names, 0, now).await?;
    let file = format!("attachment; filename=\"{batch}.csv\"");
    let pages = stream::try_unfold(Some(Page::Read(first)), move |page| {
        let api = std::sync::Arc::clone(&api);
        let batch = batch.clone();
        let names = names.clone();
        async move {
            let (text, next) = match page {
                None => return Ok(None),
                Some(Page::Read(read)) => read,
                Some(Page::At(from)) => rows(&api, &batch, &names, from, now).await?,
            };
            Ok::<_, Failure>(Some((text, next.map(Page::At))))
        }
    });

    let mut response = Body::from_stream(pages).into_response();
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("text/csv; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, kind);
    if let Ok(file) = HeaderValue::from_str(&file) {
        headers.insert(header::CONTENT_DISPOSITION, file);
    }
    Ok(response)
}

enum Page {
    Read((Bytes, Option<usize>)),
    At(usize),
}

async fn rows(
    api: &Inner,
    batch: &BatchId,
    names: &[String],
    from: usize,
    now: Timestamp,
) -> Result<(Bytes, Option<usize>), Failure> {
    let (rows, next) = batches::report(&*api.stores.batches, batch, from, now).await?;
    let text = batches::csv(rows, names, from == 0)
        .map_err(|error| Failure::internal("cannot write the report", error))?;
    Ok((Bytes::from(text), next))
}
