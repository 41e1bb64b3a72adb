use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use crate::admin::problem::Problem;
use crate::admin::read::{Query, within};
use crate::registers::audit_log::{self, Act};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// None before.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// At most so many.
    #[serde(default, deserialize_with = "within::<1, 1000, _>")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u64>,
}

/// The log of acts.
#[derive(Serialize, ToSchema)]
pub(super) struct Acts {
    /// The newest first.
    acts: Vec<Act>,
}

/// The log of operators' acts
///
/// Who did what, when, why, and to how many, by whichever way: as `offboarder acts list` tells it.
#[utoipa::path(
    get, path = "/api/v1/acts", tag = "acts", operation_id = "listActs", params(Wanted),
    responses((status = 200, description = "The acts", body = Acts)),
)]
pub(super) async fn list(
    State(Api(api)): State<Api>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Acts>, Problem> {
    let limit = super::limit(wanted.limit, 100);
    let acts = audit_log::list(&api.services.archive_store, wanted.since, limit).await?;
    Ok(Json(Acts { acts }))
}
