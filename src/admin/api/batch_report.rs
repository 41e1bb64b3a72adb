//! The report of a batch as CSV.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;

use super::batch_users::no_such_batch;
use super::{Api, Inner};
use crate::admin::problem::Problem;
use crate::admin::read::{At, Query, within};
use crate::failure::Failure;
use crate::job::BatchId;
use crate::machine::StateName;
use crate::operations::batches;
use crate::operations::users::{RemovalTime, UserFilter};

/// The filters of `listBatchUsers`.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// Only users in this state: the last completed step.
    state: Option<StateName>,
    /// Only users who wait for this, or have a dead letter of this reason.
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
}

impl Wanted {
    pub(super) fn filter(self, batch: &BatchId) -> UserFilter {
        UserFilter {
            access: self.access,
            state: self.state,
            why: self.why,
            id_begins: self.q,
            removed: RemovalTime::of_seconds(
                self.removed_after_seconds,
                self.removed_within_seconds,
            ),
            batch: Some(batch.clone()),
            ..UserFilter::default()
        }
    }
}

/// Sends the report of a batch as CSV
///
/// One row a user, as `offboarder batch report` prints them; with filters, only of the users whom `listBatchUsers` lists. The rows are sent while they are read; if that fails in the
/// middle, the connection is cut, so that half a report never looks like a whole one.
#[utoipa::path(
    get, path = "/api/v1/batches/{batchId}/report.csv", tag = "batches", operation_id = "downloadBatchReport",
    params(("batchId" = BatchId, Path, description = "The name of the batch"), Wanted),
    responses(
        (status = 200, description = "The report", body = String, content_type = "text/csv"),
        (status = 404, description = "`no_such_batch`: the batch does not exist", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn report(
    State(Api(api)): State<Api>,
    At(batch): At<BatchId>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    if api.stores.batches.begun_at(&batch).await?.is_none() {
        return Err(no_such_batch(&batch));
    }
    let now = api.services.clock.now();
    // The first page is read before the answer begins, so that a store that is away is a problem and not half a report.
    let names = batches::column_names(&*api.stores.batches, &batch).await?;
    let filter = wanted.filter(&batch);
    let first = rows(&api, &batch, &filter, &names, 0, now).await?;
    let file = format!("attachment; filename=\"{batch}.csv\"");
    let place = Arc::new((batch, filter, names));
    let pages = stream::try_unfold(Some(Page::Read(first)), move |page| {
        let api = Arc::clone(&api);
        let place = Arc::clone(&place);
        async move {
            let (batch, filter, names) = &*place;
            let (text, next) = match page {
                None => return Ok(None),
                Some(Page::Read(read)) => read,
                Some(Page::At(from)) => rows(&api, batch, filter, names, from, now).await?,
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
    filter: &UserFilter,
    names: &[String],
    from: usize,
    now: Timestamp,
) -> Result<(Bytes, Option<usize>), Failure> {
    let (rows, next) = batches::report(&*api.stores.batches, batch, filter, from, now).await?;
    let text = batches::csv(rows, names, from == 0)
        .map_err(|error| Failure::internal("cannot write the report", error))?;
    Ok((Bytes::from(text), next))
}
