use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Api, Inner};
use crate::admin::problem::Problem;
use crate::admin::read::{At, Query, within};
use crate::job::{BatchId, UserId};
use crate::machine::StateName;
use crate::operations::status::{Requests, UserStatus};
use crate::operations::users::{self, NoList, UserFilter, UserPage, UserSources};
use crate::operations::when;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// Only users who still have access, the one who was asked for first at the head.
    #[serde(default)]
    access: bool,
    /// Only users in this state: the last completed step.
    state: Option<StateName>,
    /// Only users who wait for this: a failure code, or `not_due`, `brake`, `access_first`, `not_converged`, `deletion_pending`, `batch_paused`, `request_limit`, `not_approved`, `plan_moved` and the other words that begin with `plan_`.
    #[serde(rename = "waitingFor")]
    waiting_for: Option<String>,
    /// Only users who wait for this, or whose dead letter has this reason.
    why: Option<String>,
    /// Only users who have a dead letter.
    #[serde(default, rename = "deadLetter")]
    dead_letter: bool,
    /// Only users who were asked for before a time (2026-11-01T00:00:00Z), or longer ago than a period (`15m`).
    #[serde(default, deserialize_with = "when::since")]
    #[param(value_type = Option<String>, pattern = r"^([1-9][0-9]{0,3}[smhd]|20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z)$")]
    older: Option<Timestamp>,
    /// Only users of this batch.
    batch: Option<BatchId>,
    /// Maximum number of users.
    #[serde(default, deserialize_with = "within::<1, 1000, _>")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u64>,
    /// The `nextCursor` of the page before, with the same filters.
    cursor: Option<String>,
}

/// Lists users
///
/// With `access=true`, the users who can still sign in: those who wait, who have not begun, or who have a dead letter.
/// Without `access` and `batch`, all users with a checkpoint, in no order; a user who is saved while pages are read may
/// come twice. Readers share a page for two seconds, or for four times as long as it took, but not for longer than ten seconds.
#[utoipa::path(
    get, path = "/api/v1/users", tag = "users", operation_id = "listUsers", params(Wanted),
    responses(
        (status = 200, description = "A page of users", body = UserPage),
        (status = 404, description = "`no_such_batch`: the batch does not exist", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "`foreign_cursor`: no list with these filters gave this cursor", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(Api(api)): State<Api>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Arc<UserPage>>, Problem> {
    let filter = UserFilter {
        access: wanted.access,
        state: wanted.state,
        waiting_for: wanted.waiting_for,
        why: wanted.why,
        dead_letter: wanted.dead_letter,
        asked_before: wanted.older,
        id_begins: None,
        removed: None,
        batch: wanted.batch,
    };
    let limit = super::limit(wanted.limit, 100);
    api.list_users(&filter, wanted.cursor.as_deref(), limit)
        .await
}

impl Inner {
    /// A page of users, which readers share.
    pub(super) async fn list_users(
        &self,
        filter: &UserFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Json<Arc<UserPage>>, Problem> {
        let name = format!("{} {limit} {cursor:?}", filter.name());
        let read = |_last| async {
            let sources = UserSources {
                users: &*self.stores.users,
                batches: Some(&*self.stores.batches),
            };
            let now = self.services.clock.now();
            let page = users::list(&sources, filter, cursor, limit, now).await;
            page.map_err(no_list)
        };
        self.shared.users.get(&name, read).await.map(Json)
    }
}

pub(super) fn no_list(why: NoList) -> Problem {
    match why {
        NoList::BadCursor => Problem::new(
            StatusCode::CONFLICT,
            "foreign_cursor",
            "the cursor is not one of a list with these filters; leave it out to begin again",
        ),
        NoList::NoBatches => Problem::bad_request("batch: this store keeps no batches"),
        NoList::NoSuchBatch(batch) => {
            Problem::not_found("no_such_batch", format!("batch {batch} does not exist"))
        }
        NoList::Failed(failure) => failure.into(),
    }
}

/// Shows the progress of a user
///
/// State, steps, archive, deletion, last error, next attempt and legal hold, as `offboarder status` shows them.
#[utoipa::path(
    get, path = "/api/v1/users/{userId}", tag = "users", operation_id = "showUser",
    params(("userId" = UserId, Path, description = "The ID of the user")),
    responses(
        (status = 200, description = "The progress of the user", body = UserStatus),
        (status = 404, description = "`no_such_user`: the user has no checkpoint and no manifest, and was not submitted", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(
    State(Api(api)): State<Api>,
    At(user_id): At<UserId>,
) -> Result<Json<UserStatus>, Problem> {
    let requests = Requests {
        users: &*api.stores.users,
        batches: Some(&*api.stores.batches),
    };
    let status = UserStatus::look_up(
        user_id,
        &*api.stores.checkpoints,
        &api.services.archive_store,
        &requests,
    )
    .await?;
    if status.is_unknown() {
        let detail = format!("{user_id} has no checkpoint and no manifest, and was not submitted");
        return Err(Problem::not_found("no_such_user", detail));
    }
    Ok(Json(status))
}
