//! What happened to a batch over time.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::batch_users::no_such_batch;
use super::{Api, Inner};
use crate::admin::problem::Problem;
use crate::admin::read::At;
use crate::job::BatchId;
use crate::operations::batches::{
    BatchHistory, HISTORY_LASTS, Overview, about, history_begins, recent,
};
use crate::operations::part::{Part, WhyUnknown};
use crate::operations::shared_answers::PATIENCE;
use crate::registers::audit_log::{AuditEntry, AuditLog};

/// Shows what happened to a batch over time
///
/// Users finished, access removed and how long 95 of 100 of those removals took, in at most 97 periods, and what operators changed.
/// Readers share a document for two seconds, or for four times as long as it took, but not for longer than ten seconds. Where
/// a new one takes longer than 200 ms, they get the one before, if that was begun less than 20 seconds ago.
#[utoipa::path(
    get, path = "/api/v1/batches/{batchId}/history", tag = "batches", operation_id = "showBatchHistory",
    params(("batchId" = BatchId, Path, description = "The name of the batch")),
    responses(
        (status = 200, description = "The periods", body = BatchHistory),
        (status = 404, description = "`no_such_batch`: the batch does not exist", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(
    State(Api(api)): State<Api>,
    At(batch): At<BatchId>,
) -> Result<Json<Arc<BatchHistory>>, Problem> {
    let name = batch.to_string();
    let soon = Instant::now() + PATIENCE;
    let owned = (Arc::clone(&api), batch.clone());
    let read = |last| async move { history(&owned.0, &owned.1, last).await };
    if let Some(history) = api.shared.histories.get_by(&name, soon, read).await {
        return history.map(Json);
    }
    let read = |last| history(&api, &batch, last);
    api.shared.histories.get(&name, read).await.map(Json)
}

async fn history(
    api: &Inner,
    batch: &BatchId,
    last: Option<Arc<BatchHistory>>,
) -> Result<BatchHistory, Problem> {
    let now = api.services.clock.now();
    let reading = api.shared.readings.of(&api.stores.batches, batch, now);
    let reading = reading.await?;
    let read = reading.as_ref().as_ref();
    let read = read.ok_or_else(|| no_such_batch(batch))?;
    let entries = entries(api, &read.overview, now).await;
    let before = last.as_deref().map(|last| &last.audit_log);
    let audit_log = Part::of(entries, before, now);
    Ok(BatchHistory::new(&read.overview, &read.periods, audit_log))
}

/// The entries about a batch. All batches share the entries that were read.
async fn entries(
    api: &Inner,
    overview: &Overview,
    now: Timestamp,
) -> Result<Vec<AuditEntry>, WhyUnknown> {
    let services = &api.services;
    let log = AuditLog::new(services.archive_store.clone(), services.clock.clone());
    let read = |last: Option<Arc<Vec<AuditEntry>>>| {
        let log = &log;
        async move {
            let before = last.as_deref().map(Vec::as_slice).unwrap_or_default();
            Ok(recent(log, now - HISTORY_LASTS, before).await?)
        }
    };
    let all = api.shared.recent_entries.get("", read).await;
    let all = all.map_err(|problem| WhyUnknown::new("archive_unreachable", problem.detail()))?;
    let mut own = about(&*api.stores.batches, &overview.batch_id, &all).await?;
    // The entry of a submission is written right before the first user is added.
    let begins = history_begins(overview.begun_at.unwrap_or(now), now);
    let since = begins - SignedDuration::from_mins(1);
    own.retain(|entry| entry.at >= since);
    Ok(own)
}
