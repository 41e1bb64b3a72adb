use axum::extract::State;
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::pause::ToPause;
use super::{Api, Signed, to_its_end};
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;
use crate::admin::read::{At, Body};
use crate::job::BatchId;
use crate::operations::batch_pause::{BatchPauseChange, pause_batch, resume_batch};
use crate::people::Permission;
use crate::registers::BatchPause;

/// What a pause or a resume of a batch did
#[derive(Serialize, ToSchema)]
pub(crate) struct BatchPauseChanged {
    /// The pause that is in force now; null if the batch is not paused.
    pause: Option<BatchPause>,
    /// False if it was paused, or not paused, already.
    pub(crate) changed: bool,
}

impl From<BatchPauseChange> for BatchPauseChanged {
    fn from(change: BatchPauseChange) -> Self {
        let (pause, changed) = match change {
            BatchPauseChange::Paused(pause) => (Some(pause), true),
            BatchPauseChange::AlreadyPaused(pause) => (Some(pause), false),
            BatchPauseChange::Resumed(_) => (None, true),
            BatchPauseChange::NotPaused => (None, false),
        };
        Self { pause, changed }
    }
}

/// Pauses a batch
///
/// Its users are not taken further than their next checkpoint, and not deleted; other batches continue. A pause that is in
/// force is kept, unless `replace` is true.
#[utoipa::path(
    post, path = "/api/v1/batches/{batchId}/pause", tag = "batches", operation_id = "pauseBatch",
    params(("batchId" = BatchId, Path, description = "The name of the batch")),
    request_body(content = ToPause, example = json!({ "who": "ada", "why": "HR checks the list", "for": "2h" })),
    responses((status = 200, description = "Whether the batch is paused", body = BatchPauseChanged)),
)]
pub(crate) async fn pause(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(batch): At<BatchId>,
    Body(to_pause): Body<ToPause>,
) -> Result<Json<BatchPauseChanged>, Problem> {
    let order = to_pause.order()?;
    let ToPause { who, why, .. } = to_pause;
    let operator = api.operator(Signed { who, why }, &caller, Permission::Pause)?;
    to_its_end(async move {
        let services = &api.0.services;
        let store = &services.archive_store;
        let change = pause_batch(store, &services.clock, &operator, &batch, order).await?;
        Ok(Json(change.into()))
    })
    .await
}

/// Resumes a batch: its users continue within 5 minutes
#[utoipa::path(
    post, path = "/api/v1/batches/{batchId}/resume", tag = "batches", operation_id = "resumeBatch",
    params(("batchId" = BatchId, Path, description = "The name of the batch")),
    request_body(content = Signed, example = json!({ "who": "ada", "why": "the list is right" })),
    responses((status = 200, description = "Whether the batch is paused", body = BatchPauseChanged)),
)]
pub(crate) async fn resume(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(batch): At<BatchId>,
    Body(signed): Body<Signed>,
) -> Result<Json<BatchPauseChanged>, Problem> {
    let operator = api.operator(signed, &caller, Permission::Pause)?;
    to_its_end(async move {
        let services = &api.0.services;
        let store = &services.archive_store;
        let change = resume_batch(store, &services.clock, &operator, &batch).await?;
        Ok(Json(change.into()))
    })
    .await
}
