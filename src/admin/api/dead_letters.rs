use axum::extract::State;
use axum::{Extension, Json};

use super::Api;
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;
use crate::admin::read::{At, Query};
use crate::operations::dead_letters::{
    self, DeadLetterFilter, DeadLetterId, Listing, ShownDeadLetter,
};
use crate::people::Permission;

/// The limit of a list if none is given, and the highest one.
const LISTED: usize = 100;
pub(super) const LISTED_AT_MOST: usize = 1000;

/// Lists dead letters, oldest first
///
/// At most 100, unless a limit is given, which may be 1000. This takes no dead letter off the queue.
#[utoipa::path(
    get, path = "/api/v1/dead-letters", tag = "dead letters", operation_id = "listDeadLetters",
    params(DeadLetterFilter),
    responses(
        (status = 200, description = "The dead letters", body = Listing),
        (status = 404, description = "`no_such_group`: no dead letter has a fingerprint that begins so", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "`ambiguous_group`: fingerprints of several groups begin so", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(Api(api)): State<Api>,
    Query(filter): Query<DeadLetterFilter>,
) -> Result<Json<Listing>, Problem> {
    let filter = filter.or_limit(LISTED);
    at_most(&filter, LISTED_AT_MOST).map_err(Problem::bad_request)?;
    let checkpoints = Some(&*api.stores.checkpoints);
    Ok(Json(
        dead_letters::list(&*api.broker, checkpoints, filter).await?,
    ))
}

/// Refuses a limit that a request could not keep in its time.
pub(super) fn at_most(filter: &DeadLetterFilter, most: usize) -> Result<(), String> {
    if filter.limit.is_some_and(|limit| limit > most) {
        return Err(format!("limit: at most {most} dead letters in one request"));
    }
    Ok(())
}

/// Shows a dead letter with headers, properties and body
#[utoipa::path(
    get, path = "/api/v1/dead-letters/{letterId}", tag = "dead letters", operation_id = "showDeadLetter",
    params(("letterId" = DeadLetterId, Path, description = "The ID of the dead letter")),
    responses(
        (status = 200, description = "The dead letter", body = ShownDeadLetter),
        (status = 404, description = "`no_such_letter`: the dead letter is not in the queue", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(
    State(Api(api)): State<Api>,
    Extension(caller): Extension<Caller>,
    At(id): At<DeadLetterId>,
) -> Result<Json<ShownDeadLetter>, Problem> {
    caller.demand(Permission::LookBodies)?;
    let filter = DeadLetterFilter {
        letter: [id].into(),
        limit: Some(1),
        ..DeadLetterFilter::default()
    };
    dead_letters::show(
        &*api.broker,
        Some(&api.services),
        api.deployment.runbook.as_ref(),
        filter,
    )
    .await?
    .pop()
    .map(Json)
    .ok_or_else(no_such_letter)
}

pub(super) fn no_such_letter() -> Problem {
    let detail = "no dead letter in the queue has this ID or user; a dead letter that someone else is reading is not visible";
    Problem::not_found("no_such_letter", detail)
}
