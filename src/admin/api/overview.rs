use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Api, Inner};
use crate::admin::problem::Problem;
use crate::admin::read::Query;
use crate::operations::overview::{
    DeploymentOverview, OverviewSources, Surroundings, overview, surroundings,
};
use crate::operations::series::{Series, series};
use crate::operations::when;

/// Shows the deployment now, as one document
///
/// What keeps users waiting, who still has access, groups of dead letters, batches that are not finished, the last hour, and
/// the newest entries of the audit log. A part that cannot be read says why, and what it was before; the document is
/// there all the same. Readers share a document for two seconds, or for four times as long as it
/// took, but not for longer than ten seconds.
#[utoipa::path(
    get, path = "/api/v1/overview", tag = "overview", operation_id = "showOverview",
    responses((status = 200, description = "The deployment", body = DeploymentOverview)),
)]
pub(crate) async fn show(
    State(Api(api)): State<Api>,
) -> Result<Json<Arc<DeploymentOverview>>, Problem> {
    let read = |last: Option<Arc<DeploymentOverview>>| {
        let api = &api;
        async move {
            let around = api.surroundings().await?;
            Ok(overview(&sources(api), &around, last.as_deref()).await)
        }
    };
    api.shared.overviews.get("", read).await.map(Json)
}

impl Api {
    /// What is around every page of the console, if it can be read. Readers share it as they share an overview.
    pub(crate) async fn surroundings(&self) -> Option<Arc<Surroundings>> {
        self.0.surroundings().await.ok()
    }
}

impl Inner {
    pub(super) async fn surroundings(&self) -> Result<Arc<Surroundings>, Problem> {
        let read = |last: Option<Arc<Surroundings>>| async move {
            Ok(surroundings(&sources(self), last.as_deref()).await)
        };
        self.shared.surroundings.get("", read).await
    }
}

fn sources(api: &Inner) -> OverviewSources<'_> {
    OverviewSources {
        environment: api.deployment.environment.as_deref(),
        fleet: &api.fleet,
        stores: &api.stores,
        services: &api.services,
        broker: &*api.broker,
        readings: &api.shared.readings,
        rates: &api.deployment.rates,
    }
}

#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// A time (2026-11-01T00:00:00Z), or a period that ends now (`2h`). At most 48 hours ago; the last hour if it is missing.
    #[serde(default, deserialize_with = "when::since")]
    #[param(value_type = Option<String>, pattern = r"^([1-9][0-9]{0,3}[smhd]|20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z)$")]
    since: Option<Timestamp>,
}

impl Wanted {
    pub(super) fn since(&self, now: Timestamp) -> Timestamp {
        self.since
            .unwrap_or_else(|| now - SignedDuration::from_mins(59))
    }
}

/// Shows what all workers did, minute by minute
///
/// Each worker counts, and writes its counts every five seconds. A minute in which no worker wrote has null, which is not
/// zero.
#[utoipa::path(
    get, path = "/api/v1/series", tag = "overview", operation_id = "showSeries", params(Wanted),
    responses((status = 200, description = "The counts of each minute", body = Series)),
)]
pub(crate) async fn minutes(
    State(Api(api)): State<Api>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Series>, Problem> {
    let _slot = api.costly()?;
    let now = api.services.clock.now();
    Ok(Json(
        series(&*api.stores.usage, wanted.since(now), now).await?,
    ))
}
