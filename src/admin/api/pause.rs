use axum::extract::State;
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Api, Signed, to_its_end};
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;
use crate::admin::read::{Body, Line};
use crate::limits::parse::positive_duration;
use crate::operations::pause::{PauseChange, PauseOrder, pause as pause_all, resume as resume_all};
use crate::people::Permission;
use crate::registers;
use crate::registers::audit_log::Operator;
use crate::registers::{PauseRecord, pause_in_force};

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
    /// When the pause ends by itself.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

impl PauseState {
    fn of(record: PauseRecord, now: Timestamp) -> Self {
        Self {
            paused: record.holds_at(now),
            who: Some(record.who),
            why: record.why,
            at: Some(record.at),
            until: record.until,
        }
    }

    const fn unknown(paused: bool, why: Option<String>) -> Self {
        Self {
            paused,
            who: None,
            why,
            at: None,
            until: None,
        }
    }
}

/// What a pause or a resume did
#[derive(Serialize, ToSchema)]
pub(crate) struct PauseChanged {
    #[serde(flatten)]
    state: PauseState,
    /// False if it was paused, or not paused, already: the record in force is kept.
    pub(crate) changed: bool,
}

/// Who pauses, why, and for how long
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToPause {
    /// The operator; a person with a key may leave it out. The audit log adds which worker was asked, and how.
    pub(super) who: Option<Line>,
    /// The reason, for the readers of the audit log.
    pub(super) why: Line,
    /// The pause ends by itself after this time, for example `2h`.
    #[serde(default, rename = "for")]
    lasts: Option<String>,
    /// Take the place of a pause that is in force.
    #[serde(default)]
    replace: bool,
}

impl ToPause {
    pub(super) fn order(&self) -> Result<PauseOrder, Problem> {
        let lasts = self.lasts.as_ref().map(|lasts| {
            positive_duration(lasts).map_err(|why| Problem::bad_request(format!("for: {why}")))
        });
        Ok(PauseOrder {
            lasts: lasts.transpose()?,
            replace: self.replace,
        })
    }
}

/// Shows whether all workers are paused
#[utoipa::path(
    get, path = "/api/v1/pause", tag = "pause", operation_id = "showPause",
    responses((status = 200, description = "Whether the workers are paused", body = PauseState)),
)]
pub(super) async fn show(State(Api(api)): State<Api>) -> Result<Json<PauseState>, Problem> {
    Ok(Json(
        match pause_in_force(&*api.services.archive_store, &api.services.stop_orders).await? {
            registers::PauseState::Never => PauseState::unknown(false, None),
            registers::PauseState::Record(last) => PauseState::of(last, api.services.clock.now()),
            // Workers pause, too, if the record is in doubt.
            registers::PauseState::Doubtful(why) => PauseState::unknown(true, Some(why)),
        },
    ))
}

/// Pauses all workers: they take no users
///
/// Users in progress stop at their next checkpoint. The pause survives restarts and reaches each worker within seconds. A
/// pause that is in force is kept, unless `replace` is true.
#[utoipa::path(
    post, path = "/api/v1/pause", tag = "pause", operation_id = "pause",
    request_body(content = ToPause, example = json!({ "who": "ada", "why": "the tenant is being migrated", "for": "2h" })),
    responses((status = 200, description = "Whether the workers are paused", body = PauseChanged)),
)]
pub(crate) async fn pause(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Body(to_pause): Body<ToPause>,
) -> Result<Json<PauseChanged>, Problem> {
    let order = to_pause.order()?;
    let ToPause { who, why, .. } = to_pause;
    let operator = api.operator(Signed { who, why }, &caller, Permission::Pause)?;
    set(api, operator, Some(order)).await
}

/// Resumes all workers: they take users again
#[utoipa::path(
    post, path = "/api/v1/resume", tag = "pause", operation_id = "resume",
    request_body(content = Signed, example = json!({ "who": "ada", "why": "the migration is done" })),
    responses((status = 200, description = "Whether the workers are paused", body = PauseChanged)),
)]
pub(crate) async fn resume(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Body(signed): Body<Signed>,
) -> Result<Json<PauseChanged>, Problem> {
    let operator = api.operator(signed, &caller, Permission::Pause)?;
    set(api, operator, None).await
}

/// Pauses where there is an order to, else resumes.
async fn set(
    api: Api,
    operator: Operator,
    order: Option<PauseOrder>,
) -> Result<Json<PauseChanged>, Problem> {
    to_its_end(async move {
        let services = &api.0.services;
        let store = &services.archive_store;
        let clock = &services.clock;
        let change = match order {
            Some(order) => pause_all(store, clock, &operator, order).await?,
            None => resume_all(store, clock, &operator).await?,
        };

        let of = |record| PauseState::of(record, clock.now());
        Ok(Json(match change {
            PauseChange::Paused(record) | PauseChange::Resumed(record) => PauseChanged {
                state: of(record),
                changed: true,
            },
            PauseChange::AlreadyPaused(record) => PauseChanged {
                state: of(record),
                changed: false,
            },
            PauseChange::NotPaused(last) => PauseChanged {
                state: last.map_or_else(|| PauseState::unknown(false, None), of),
                changed: false,
            },
        }))
    })
    .await
}
