//! What happened to a batch over time.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;

use super::batch_users::no_such_batch;
use super::{Api, Inner};
use crate::admin::problem::Problem;
use crate::admin::read::At;
use crate::failure::Failure;
use crate::job::BatchId;
use crate::operations::batches::{BatchHistory, HISTORY_LASTS, about, history_begins, recent};
use crate::operations::part::{Part, WhyUnknown};
use crate::registers::audit_log::{AuditEntry, AuditLog};

/// Shows what happened to a batch over time
///
/// Users finished, access removed and how long 95 of 100 of those removals took, in at most 97 periods, and what operators changed.
/// Readers share a document for two seconds, or for four times as long as it took, but not for longer than ten seconds.
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
    let read = |last: Option<Arc<BatchHistory>>| {
        let api = &api;
        let batch = &batch;
        async move {
            let now = api.services.clock.now();
            let entries = entries(api, batch, now).await;
            let before = last.as_deref().map(|last| &last.audit_log);
            let audit_log = Part::of(entries, before, now);
            let reading = api.shared.readings.of(&*api.stores.batches, batch, now);
            let reading = reading.await?;
            let read = reading.as_ref().as_ref();
            let read = read.ok_or_else(|| no_such_batch(batch))?;
            Ok(BatchHistory::new(&read.overview, &read.periods, audit_log))
        }
    };
    api.shared.histories.get(&name, read).await.map(Json)
}

/// The entries about a batch. All batches share the entries that were read.
async fn entries(
    api: &Inner,
    batch: &BatchId,
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
    let own = own(api, batch, &all, now).await;
    own.map_err(WhyUnknown::from)
}

async fn own(
    api: &Inner,
    batch: &BatchId,
    all: &[AuditEntry],
    now: Timestamp,
) -> Result<Vec<AuditEntry>, Failure> {
    let batches = &*api.stores.batches;
    let Some(begun_at) = batches.begun_at(batch).await? else {
        return Ok(Vec::new());
    };
    // The entry of a submission is written right before the first user is added.
    let since = history_begins(begun_at, now) - jiff::SignedDuration::from_mins(1);
    let mut own = about(batches, batch, all).await?;
    own.retain(|entry| entry.at >= since);
    Ok(own)
}
