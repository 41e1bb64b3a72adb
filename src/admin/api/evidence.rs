use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::{Api, Inner};
use crate::admin::problem::Problem;
use crate::admin::read::At;
use crate::job::UserId;
use crate::operations::evidence::{Evidence, evidence};
use crate::operations::verify::{Checker, KnownManifests, Verdict};

/// The archives that are read within the time of a request.
const CHECKED_UP_TO: u64 = 512 * 1024 * 1024;

/// Shows the evidence of a user
///
/// The manifests with their digests, the archives that they name with size and SHA-256, and the seals.
#[utoipa::path(
    get, path = "/api/v1/users/{userId}/evidence", tag = "users", operation_id = "showEvidence",
    params(("userId" = UserId, Path, description = "The ID of the user")),
    responses(
        (status = 200, description = "The evidence", body = Evidence),
        (status = 404, description = "`no_evidence`: the archive store has no object of this user", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(
    State(Api(api)): State<Api>,
    At(user_id): At<UserId>,
) -> Result<Json<Evidence>, Problem> {
    stored(&api, user_id).await.map(Json)
}

async fn stored(api: &Inner, user_id: UserId) -> Result<Evidence, Problem> {
    let services = &api.services;
    let read = evidence(&*services.archive_store, user_id, services.clock.now()).await?;
    read.ok_or_else(|| {
        let detail = format!("the archive store has no object of {user_id}");
        Problem::not_found("no_evidence", detail)
    })
}

/// Checks the evidence of a user
///
/// It reads everything, also the archives, and changes nothing: manifests against the schema and each other, seals against
/// manifests, archives against both, and the last manifest against the checkpoint: if that cannot be read, the request fails. As `offboarder verify` does, which also checks what is too large for a request.
#[utoipa::path(
    get, path = "/api/v1/users/{userId}/verify", tag = "users", operation_id = "verifyUser",
    params(("userId" = UserId, Path, description = "The ID of the user")),
    responses(
        (status = 200, description = "The result; `ok` says whether there are no findings", body = Verdict),
        (status = 404, description = "`no_evidence`: the archive store has no object of this user", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "`too_large`: the archives have more than 512 MiB", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn verify(
    State(Api(api)): State<Api>,
    At(user_id): At<UserId>,
) -> Result<Json<Verdict>, Problem> {
    let _slot = api.costly()?;
    let bytes = stored(&api, user_id).await?.archive_bytes();
    if bytes > CHECKED_UP_TO {
        let detail = format!(
            "the archives of {user_id} have {bytes} bytes; `offboarder verify {user_id}` checks them"
        );
        return Err(Problem::new(StatusCode::CONFLICT, "too_large", detail));
    }
    let known = KnownManifests::Required(api.stores.checkpoints.clone());
    let checker = Checker::of(api.services.archive_store.clone(), known);
    Ok(Json(checker.check(user_id, None).await?))
}
