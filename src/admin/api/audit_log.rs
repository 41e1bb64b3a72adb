use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::{Api, Inner};
use crate::admin::problem::Problem;
use crate::admin::read::{At, Query, within};
use crate::job::UserId;
use crate::operations::audit_log::{AuditFilter, AuditPage, page};
use crate::operations::when;
use crate::registers::audit_log::{AuditEntry, AuditLog};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// Only entries of this operator: a part of the name, in any case.
    who: Option<String>,
    /// Only entries of this command: `hold` means `hold add` and `hold remove`.
    what: Option<String>,
    /// Only entries since this time, or of the last period (7d).
    #[serde(default, deserialize_with = "when::since")]
    #[param(value_type = Option<String>, pattern = r"^([1-9][0-9]{0,3}[smhd]|20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z)$")]
    since: Option<Timestamp>,
    /// Only entries before this time, or before the last period (7d).
    #[serde(default, deserialize_with = "when::since")]
    #[param(value_type = Option<String>, pattern = r"^([1-9][0-9]{0,3}[smhd]|20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z)$")]
    until: Option<Timestamp>,
    /// Only entries that name this user.
    user: Option<UserId>,
    /// Maximum number of entries.
    #[serde(default, deserialize_with = "within::<1, 1000, _>")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u64>,
    /// The `nextCursor` of the page before, with the same filters.
    #[param(value_type = Option<String>, format = "uuid")]
    cursor: Option<Uuid>,
}

/// Lists the audit log of operators
///
/// Which operator changed what, when, why, and for how many, by a command or over HTTP. `offboarder audit-log list`
/// shows the same. A page reads at most 2,000 entries: with filters it may have none, and a cursor.
#[utoipa::path(
    get, path = "/api/v1/audit-log", tag = "audit log", operation_id = "listAuditLog", params(Wanted),
    responses((status = 200, description = "A page of entries", body = AuditPage)),
)]
pub(crate) async fn list(
    State(Api(api)): State<Api>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<AuditPage>, Problem> {
    let filter = AuditFilter {
        who: wanted.who,
        what: wanted.what,
        since: wanted.since,
        until: wanted.until,
        user: wanted.user,
    };
    let limit = super::limit(wanted.limit, 100);
    let page = page(&log(&api), &filter, wanted.cursor, limit).await?;
    Ok(Json(page))
}

/// Shows an entry of the audit log
#[utoipa::path(
    get, path = "/api/v1/audit-log/{entryId}", tag = "audit log", operation_id = "showAuditEntry",
    params(("entryId" = String, Path, format = "uuid", description = "The ID of the entry")),
    responses(
        (status = 200, description = "The entry", body = AuditEntry),
        (status = 404, description = "`no_such_entry`: the audit log has no entry of this ID", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub(super) async fn show(
    State(Api(api)): State<Api>,
    At(id): At<Uuid>,
) -> Result<Json<AuditEntry>, Problem> {
    let missing = || {
        let detail = format!("the audit log has no entry {id}");
        Problem::not_found("no_such_entry", detail)
    };
    log(&api).entry(id).await?.map(Json).ok_or_else(missing)
}

fn log(api: &Inner) -> AuditLog {
    let services = &api.services;
    AuditLog::new(services.archive_store.clone(), services.clock.clone())
}
