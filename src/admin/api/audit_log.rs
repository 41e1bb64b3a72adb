use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use crate::admin::problem::Problem;
use crate::admin::read::{Query, within};
use crate::registers::audit_log::{AuditEntry, AuditLog};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Only entries since this time.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Maximum number of entries.
    #[serde(default, deserialize_with = "within::<1, 1000, _>")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u64>,
}

/// Entries of the audit log
#[derive(Serialize, ToSchema)]
pub(super) struct AuditEntries {
    /// Newest first.
    acts: Vec<AuditEntry>,
}

/// Lists the audit log of operators
///
/// Which operator changed what, when, why, and for how many, by a command or over HTTP. `offboarder audit-log list`
/// shows the same.
#[utoipa::path(
    get, path = "/api/v1/audit-log", tag = "audit log", operation_id = "listAuditLog", params(Wanted),
    responses((status = 200, description = "The entries", body = AuditEntries)),
)]
pub(super) async fn list(
    State(Api(api)): State<Api>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<AuditEntries>, Problem> {
    let services = &api.services;
    let log = AuditLog::new(services.archive_store.clone(), services.clock.clone());
    let limit = super::limit(wanted.limit, 100);
    let acts = log.list(wanted.since, limit).await?;
    Ok(Json(AuditEntries { acts }))
}
