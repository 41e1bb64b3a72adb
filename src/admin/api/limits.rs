use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Api;
use crate::admin::problem::Problem;
use crate::admin::read::Query;
use crate::operations::find::{FindSources, Found, find};
use crate::operations::limits::{LimitsNow, limits};

/// Shows what limits the work now
///
/// The quota of each class that was used in the last minute, the deletion rate limit, and of each worker its slots, its
/// lanes, and the fault that stops it.
#[utoipa::path(
    get, path = "/api/v1/limits", tag = "overview", operation_id = "showLimits",
    responses((status = 200, description = "The limits", body = LimitsNow)),
)]
pub(crate) async fn show(State(Api(api)): State<Api>) -> Json<LimitsNow> {
    let services = &api.services;
    let deletions = services.guards.deletion_rate_limit;
    let rates = &api.deployment.rates;
    Json(limits(&api.stores, rates, deletions, services.clock.now()).await)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// A user ID or at least its first 4 digits, the beginning of the name of a batch, the ID of a dead letter or of an
    /// entry of the audit log.
    #[param(
        min_length = 1,
        max_length = 128,
        pattern = "^[!-~]+$",
        example = "3f1f0d4e"
    )]
    q: String,
}

/// The longest text that names anything.
const LONGEST: usize = 128;

/// Finds what a text names
///
/// The work is bounded: `notSearched` says what was left out, and why.
#[utoipa::path(
    get, path = "/api/v1/find", tag = "overview", operation_id = "find", params(Wanted),
    responses((status = 200, description = "What was found", body = Found)),
)]
pub(crate) async fn search(
    State(Api(api)): State<Api>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Found>, Problem> {
    if wanted.q.is_empty() || !wanted.q.bytes().all(|byte| byte.is_ascii_graphic()) {
        let detail = "q: letters, digits and signs of ASCII, without blanks; no name has others";
        return Err(Problem::bad_request(detail));
    }
    if wanted.q.len() > LONGEST {
        let detail = format!("q: at most {LONGEST} characters, since no name is longer");
        return Err(Problem::bad_request(detail));
    }
    let sources = FindSources {
        stores: &api.stores,
        archive_store: &api.services.archive_store,
        broker: &*api.broker,
        clock: &api.services.clock,
    };
    Ok(Json(find(&sources, &wanted.q).await))
}
