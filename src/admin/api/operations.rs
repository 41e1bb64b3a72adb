use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::begun::{Begun, OperationPreview};
use super::dead_letters::{at_most, no_such_letter};
use super::rate::AtMost;
use super::{Api, Signed, limit, to_its_end};
use crate::admin::caller::{Caller, permission_of};
use crate::admin::picked::{CHANGED_AT_MOST, Picked};
use crate::admin::problem::Problem;
use crate::admin::read::{At, Body, Line, Query, within};
use crate::job::UserId;
use crate::limits::parse::positive_duration;
use crate::operations::dead_letters::{DeadLetterFilter, Discard, Replay};
use crate::operations::operation::{
    ListedOperations, Manner, OperationView, Order, ShownOperation, StopError, discard_order,
    replay_order, verify_order,
};
use crate::operations::verify::holdings;
use crate::people::Permission;
use crate::ports::operations::{OperationId, OperationKind};

/// How long a stage of a canary waits at most, if the request does not say.
const CANARY_WAIT: Duration = Duration::from_mins(10);

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    /// Maximum number of operations.
    #[serde(default, deserialize_with = "within::<1, 1000, _>")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u64>,
    /// The `nextCursor` of the page before.
    cursor: Option<OperationId>,
}

/// Lists operations, the newest first
#[utoipa::path(
    get, path = "/api/v1/operations", tag = "operations", operation_id = "listOperations", params(Page),
    responses((status = 200, description = "A page of operations", body = ListedOperations)),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Query(page): Query<Page>,
) -> Result<Json<ListedOperations>, Problem> {
    let place = api.operations();
    let listed = place.list(page.cursor, limit(page.limit, 100)).await?;
    Ok(Json(listed))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Items {
    /// Maximum number of results.
    #[serde(default, deserialize_with = "within::<1, 1000, _>")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u64>,
    /// The `nextCursor` of the page before.
    #[serde(default, deserialize_with = "within::<0, 1_000_000_000, _>")]
    #[param(minimum = 0, maximum = 1_000_000_000)]
    cursor: Option<u64>,
}

/// Shows an operation: how far it is, and what became of each item
#[utoipa::path(
    get, path = "/api/v1/operations/{operationId}", tag = "operations", operation_id = "showOperation",
    params(("operationId" = OperationId, Path, description = "The ID of the operation"), Items),
    responses(
        (status = 200, description = "The operation, and a page of results", body = ShownOperation),
        (status = 404, description = "`no_such_operation`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(
    State(api): State<Api>,
    At(id): At<OperationId>,
    Query(items): Query<Items>,
) -> Result<Json<ShownOperation>, Problem> {
    let from = items.cursor.unwrap_or(0);
    let place = api.operations();
    let shown = place.show(id, from, items.limit.unwrap_or(100)).await?;
    let shown = shown.ok_or(StopError::NoSuchOperation(id))?;
    Ok(Json(shown))
}

/// What to do, to which dead letters or users, and how. Without a filter, `all` has to be true
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct OperationOrder {
    /// What to do. A verify picks users by `user`, or `all`.
    kind: OperationKind,
    /// Maximum rate.
    #[serde(default)]
    rate: Option<AtMost>,
    /// Replay first 1 of each group, then 10, then the rest; a group whose fault comes back stops.
    #[serde(default)]
    canary: bool,
    /// The time limit for each stage of the canary to pass the step that failed; 10 minutes if missing.
    #[serde(default)]
    #[schema(pattern = "^[1-9][0-9]{0,3}[smh]$", example = "10m")]
    canary_wait: Option<String>,
    /// Also replay dead letters that are not safe to replay yet.
    #[serde(default)]
    anyway: bool,
    /// Report which items the operation would have, and change nothing.
    #[serde(default)]
    dry_run: bool,
    /// The operator; a person with a key may leave it out. The audit log adds which worker was asked, and how.
    who: Option<Line>,
    /// The reason, for the readers of the audit log.
    why: Line,
}

type OperationBody = Picked<OperationOrder>;

/// Begins an operation: a replay, a discard or a verify of the items that match now
///
/// It freezes the set and responds at once; a worker does the operation, and another one continues if that one dies.
/// `Location` is where its progress is. A replay publishes messages again and resumes each user at the last completed
/// step; a discard takes dead letters off the queue for good, after a copy of each is in the archive store; a verify reads
/// what the store holds of users. Of replays and discards one is done at a time, the oldest first; so it is for verifies.
#[utoipa::path(
    post, path = "/api/v1/operations", tag = "operations", operation_id = "beginOperation",
    request_body(content = OperationBody, example = json!({
        "kind": "replay", "group": ["2d1f5436374b"], "limit": 50, "rate": "5/s", "canary": true, "dryRun": true,
        "who": "ada", "why": "CXone is back",
    })),
    responses(
        (status = 200, description = "With `dryRun`: which items it would have", body = OperationPreview),
        (status = 202, description = "The operation; a worker does it", body = OperationView,
            headers(("Location" = String, description = "The path of the operation"))),
        (status = 404, description = "`no_such_letter`: IDs or users were named, and no dead letter has one of them; \
            `no_such_group`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`nothing_to_do`: nothing matches, or none that is safe to replay; `not_for_verify`: a filter that a verify does not have; `ambiguous_group`",
            body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn begin(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Body(order): Body<Picked<OperationOrder>>,
) -> Result<Response, Problem> {
    let begun = frozen(api, caller, order).await?;
    Ok(begun.into_response())
}

/// Freezes the set of the items that match now, and begins, unless it is a dry run.
pub(crate) async fn frozen(
    api: Api,
    caller: Caller,
    order: Picked<OperationOrder>,
) -> Result<Begun, Problem> {
    let filter = to_change(order.filter)?;
    let order = order.rest;
    to_its_end(async move { freeze(&api, &caller, filter, order).await }).await
}

/// The filter of a change.
fn to_change(filter: DeadLetterFilter) -> Result<DeadLetterFilter, Problem> {
    if filter.is_empty() && !filter.all {
        let detail = "the body: name dead letters by `letter`, `group`, `user`, `batch`, `reason`, `code`, `step`, `state`, \
                      `since` or `limit`; `\"all\": true` means all of them";
        return Err(unprocessable(detail));
    }
    at_most(&filter, CHANGED_AT_MOST).map_err(|why| unprocessable(format!("the body: {why}")))?;
    Ok(filter)
}

fn unprocessable(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unprocessable", detail)
}

async fn freeze(
    api: &Api,
    caller: &Caller,
    filter: DeadLetterFilter,
    request: OperationOrder,
) -> Result<Begun, Problem> {
    let permission = permission_of(request.kind);
    caller.demand(permission)?;
    let names_any = filter.names_any();
    let order = order(api, filter, &request).await?;
    let set = &order.set;
    let is_empty = set.dead_letters.is_empty() && set.users.is_empty();
    if is_empty && set.skipped.is_empty() && names_any {
        return Err(no_such_letter());
    }
    if request.dry_run {
        let preview = OperationPreview {
            dry_run: true,
            kind: order.kind,
            letters: order.set.dead_letters,
            skipped: order.set.skipped,
            users: order.set.users,
        };
        return Ok(Begun::Preview(preview));
    }
    if is_empty {
        let skipped = set.skipped.len();
        let detail = match order.kind {
            OperationKind::Replay => format!(
                "{skipped} dead letters match, and none is safe to replay now: `dryRun` says why, and `canary` or `anyway` \
                 replays them all the same"
            ),
            OperationKind::Discard => "no dead letter matches".to_owned(),
            OperationKind::Verify => "nothing is stored of any user".to_owned(),
        };
        return Err(Problem::new(StatusCode::CONFLICT, "nothing_to_do", detail));
    }

    let signed = Signed {
        who: request.who,
        why: request.why,
    };
    if let Some(text) = order.too_large() {
        return Err(unprocessable(format!("the body: {text}")));
    }
    let place = api.operations();
    let begun = place
        .begin(order, &api.operator(signed, caller, permission)?)
        .await?;
    let view = place.glance(begun.id).await?;
    let view = view.ok_or(StopError::NoSuchOperation(begun.id))?;
    Ok(Begun::Operation(Box::new(view)))
}

/// Finds the items that match now.
async fn order(
    api: &Api,
    filter: DeadLetterFilter,
    request: &OperationOrder,
) -> Result<Order, Problem> {
    let services = &api.0.services;
    let pace = request.rate.map(AtMost::pace);
    match request.kind {
        OperationKind::Replay => {
            let replay = Replay {
                broker: &*api.0.broker,
                checkpoints: &*api.0.stores.checkpoints,
                services,
                canary: request.canary,
                anyway: request.anyway,
            };
            let canary = canary(request)?;
            let manner = Manner::new(pace, canary, request.anyway);
            Ok(replay_order(replay.plan(filter).await?, manner))
        }
        OperationKind::Discard => {
            let discard = Discard {
                broker: &*api.0.broker,
                store: &services.archive_store,
                clock: &services.clock,
            };
            let manner = Manner::new(pace, None, false);
            Ok(discard_order(discard.plan(filter).await?, manner))
        }
        OperationKind::Verify => {
            let users = users(api, filter.clone()).await?;
            let manner = Manner::new(pace, None, false);
            Ok(verify_order(users, filter.user.is_empty(), manner))
        }
    }
}

fn canary(request: &OperationOrder) -> Result<Option<Duration>, Problem> {
    let wait = request.canary_wait.as_deref().map(positive_duration);
    let wait = wait.transpose();
    let wait = wait.map_err(|why| unprocessable(format!("the body: canaryWait {why}")))?;
    Ok(request.canary.then_some(wait.unwrap_or(CANARY_WAIT)))
}

/// Those whom a verify checks: named ones, or all of whom something is stored.
async fn users(api: &Api, filter: DeadLetterFilter) -> Result<Vec<UserId>, Problem> {
    let without_users = DeadLetterFilter {
        user: std::collections::HashSet::new(),
        ..filter
    };
    if !without_users.is_empty() {
        let detail = "a verify picks users by `user`, or `\"all\": true`, and by nothing else: leave the other filters out";
        return Err(Problem::new(StatusCode::CONFLICT, "not_for_verify", detail));
    }
    if filter.user.is_empty() {
        let stored = holdings(&*api.0.services.archive_store, None).await?;
        return Ok(stored.into_keys().collect());
    }
    let mut users = Vec::from_iter(filter.user);
    users.sort_unstable();
    Ok(users)
}

/// Stops an operation
///
/// What is in progress is done to its end; what was done stays, and the rest of the set is unchanged.
#[utoipa::path(
    post, path = "/api/v1/operations/{operationId}/stop", tag = "operations", operation_id = "stopOperation",
    params(("operationId" = OperationId, Path, description = "The ID of the operation")),
    request_body(content = Signed, example = json!({ "who": "ada", "why": "CXone is slow" })),
    responses(
        (status = 202, description = "The operation; it stops within seconds", body = OperationView),
        (status = 404, description = "`no_such_operation`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`has_ended`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn stop(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(id): At<OperationId>,
    Body(signed): Body<Signed>,
) -> Result<(StatusCode, Json<OperationView>), Problem> {
    let operator = api.operator(signed, &caller, Permission::Replay)?;
    to_its_end(async move {
        api.operations().stop(id, &operator).await?;
        accepted(&api, id).await
    })
    .await
}

/// The rate of an operation from now on
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRate {
    /// Maximum rate.
    rate: AtMost,
    /// The operator; a person with a key may leave it out. The audit log adds which worker was asked, and how.
    who: Option<Line>,
    /// The reason, for the readers of the audit log.
    why: Line,
}

/// Changes the rate of an operation while it runs
#[utoipa::path(
    post, path = "/api/v1/operations/{operationId}/rate", tag = "operations", operation_id = "changeOperationRate",
    params(("operationId" = OperationId, Path, description = "The ID of the operation")),
    request_body(content = NewRate, example = json!({ "rate": "2/s", "who": "ada", "why": "CXone is slow" })),
    responses(
        (status = 202, description = "The operation; it has the rate within seconds", body = OperationView),
        (status = 404, description = "`no_such_operation`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`has_ended`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn rate(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(id): At<OperationId>,
    Body(NewRate { rate, who, why }): Body<NewRate>,
) -> Result<(StatusCode, Json<OperationView>), Problem> {
    let operator = api.operator(Signed { who, why }, &caller, Permission::Replay)?;
    to_its_end(async move {
        let place = api.operations();
        place.set_pace(id, rate.pace(), &operator).await?;
        accepted(&api, id).await
    })
    .await
}

async fn accepted(
    api: &Api,
    id: OperationId,
) -> Result<(StatusCode, Json<OperationView>), Problem> {
    let view = api.operations().glance(id).await?;
    let view = view.ok_or(StopError::NoSuchOperation(id))?;
    Ok((StatusCode::ACCEPTED, Json(view)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_operation_on_everything_has_to_say_so() {
        let filter = |members: Value| serde_json::from_value::<DeadLetterFilter>(members).unwrap();
        assert!(to_change(filter(json!({}))).is_err());
        assert!(to_change(filter(json!({ "all": false }))).is_err());
        assert!(to_change(filter(json!({ "limit": 100_001 }))).is_err());
        assert_eq!(
            to_change(filter(json!({ "all": true }))).unwrap().limit,
            None
        );
    }
}
