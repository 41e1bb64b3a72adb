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
use crate::registers::{PauseAct, pause_state};

/// Whether workers take users, as far as operators are concerned.
#[derive(Serialize, ToSchema)]
pub(super) struct PauseState {
    /// No worker takes users.
    paused: bool,
    /// Who acted last; null where nobody ever did, or the act cannot be read.
    who: Option<String>,
    /// Why, as was said.
    why: Option<String>,
    /// When.
    #[schema(value_type = Option<String>, format = DateTime)]
    at: Option<Timestamp>,
}

impl From<PauseAct> for PauseState {
    fn from(
        PauseAct {
            paused,
            who,
            why,
            at,
            passes_over: _,
        }: PauseAct,
    ) -> Self {
        Self {
            paused,
            who: Some(who),
            why,
            at: Some(at),
        }
    }
}

/// Whether all workers are paused
#[utoipa::path(
    get, path = "/api/v1/pause", tag = "pause", operation_id = "showPause",
    responses((status = 200, description = "The pause", body = PauseState)),
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
            registers::PauseState::Act(act) => PauseState::from(act),
            // What is in doubt pauses, as workers take it.
            registers::PauseState::Doubtful(why) => unknown(true, Some(why)),
        },
    ))
}

/// Stops all workers from taking users
///
/// Those in progress stop at their next checkpoint. It outlives restarts, and reaches every worker within seconds.
#[utoipa::path(
    post, path = "/api/v1/pause", tag = "pause", operation_id = "pause",
    request_body(content = Signed, example = json!({ "who": "ada", "why": "the tenant is being migrated" })),
    responses((status = 200, description = "The pause", body = PauseState)),
)]
pub(super) async fn pause(
    State(api): State<Api>,
    Extension(role): Extension<Role>,
    Body(signed): Body<Signed>,
) -> Result<Json<PauseState>, Problem> {
    set(api, role, signed, true).await
}

/// Lets all workers take users again
#[utoipa::path(
    post, path = "/api/v1/resume", tag = "pause", operation_id = "resume",
    request_body(content = Signed, example = json!({ "who": "ada", "why": "the migration is done" })),
    responses((status = 200, description = "The pause", body = PauseState)),
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
