use axum::extract::State;
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, Signed, to_its_end};
use crate::admin::gate::Role;
use crate::admin::problem::Problem;
use crate::admin::read::Body;
use crate::operations::pause::change_pause;
use crate::registers;
use crate::registers::{PauseRecord, pause_state};

/// Whether an operator has paused all workers
#[derive(Serialize, ToSchema)]
pub(super) struct PauseState {
    /// Whether the workers take no users.
    paused: bool,
    /// The operator of the last pause or resume; null if there was none, or the record cannot be read.
    who: Option<String>,
    /// The reason that the operator gave.
    why: Option<String>,
    /// The time of the last pause or resume.
    #[schema(value_type = Option<String>, format = DateTime)]
    at: Option<Timestamp>,
}

impl From<PauseRecord> for PauseState {
    fn from(
        PauseRecord {
            paused,
            who,
            why,
            at,
            passes_over: _,
        }: PauseRecord,
    ) -> Self {
        Self {
            paused,
            who: Some(who),
            why,
            at: Some(at),
        }
    }
}

/// Shows whether all workers are paused
#[utoipa::path(
    get, path = "/api/v1/pause", tag = "pause", operation_id = "showPause",
    responses((status = 200, description = "Whether the workers are paused", body = PauseState)),
)]
pub(super) async fn show(State(Api(api)): State<Api>) -> Result<Json<PauseState>, Problem> {
    let unknown = |paused, why| PauseState {
        paused,
        who: None,
        why,
        at: None,
    };
    Ok(Json(
        match pause_state(&*api.services.archive_store).await? {
            registers::PauseState::Never => unknown(false, None),
            registers::PauseState::Record(last) => PauseState::from(last),
            // Workers pause, too, if the record is in doubt.
            registers::PauseState::Doubtful(why) => unknown(true, Some(why)),
        },
    ))
}

/// Pauses all workers: they take no users
///
/// Users in progress stop at their next checkpoint. The pause survives restarts and reaches each worker within seconds.
#[utoipa::path(
    post, path = "/api/v1/pause", tag = "pause", operation_id = "pause",
    request_body(content = Signed, example = json!({ "who": "ada", "why": "the tenant is being migrated" })),
    responses((status = 200, description = "Whether the workers are paused", body = PauseState)),
)]
pub(super) async fn pause(
    State(api): State<Api>,
    Extension(role): Extension<Role>,
    Body(signed): Body<Signed>,
) -> Result<Json<PauseState>, Problem> {
    set(api, role, signed, true).await
}

/// Resumes all workers: they take users again
#[utoipa::path(
    post, path = "/api/v1/resume", tag = "pause", operation_id = "resume",
    request_body(content = Signed, example = json!({ "who": "ada", "why": "the migration is done" })),
    responses((status = 200, description = "Whether the workers are paused", body = PauseState)),
)]
pub(super) async fn resume(
    State(api): State<Api>,
    Extension(role): Extension<Role>,
    Body(signed): Body<Signed>,
) -> Result<Json<PauseState>, Problem> {
    set(api, role, signed, false).await
}

async fn set(
    api: Api,
    role: Role,
    signed: Signed,
    paused: bool,
) -> Result<Json<PauseState>, Problem> {
    let operator = api.operator(signed, role);
    to_its_end(async move {
        let services = &api.0.services;
        let pause =
            change_pause(&services.archive_store, &services.clock, paused, &operator).await?;
        Ok(Json(pause.into()))
    })
    .await
}
