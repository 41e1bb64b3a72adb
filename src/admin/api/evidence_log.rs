//! The evidence log, and what it proves of one user.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use crate::admin::problem::Problem;
use crate::admin::read::At;
use crate::evidence_log::{Bundle, LogNow, NotExported, export, log_now};
use crate::job::UserId;
use crate::signed_note::VerifierKey;

/// The evidence log
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EvidenceLog {
    /// The name of the log (`OFFBOARDER_EVIDENCE_ORIGIN`); null if it is off.
    pub(crate) origin: Option<String>,
    /// The public key that checks it; null if this worker does not write the log, so that it does not know the key.
    pub(crate) verifier_key: Option<String>,
    /// Its last step; null if it has none, or if this worker does not know the key.
    pub(crate) last: Option<LogNow>,
}

/// Shows the evidence log: whether it is on, its key, and its last step
#[utoipa::path(
    get, path = "/api/v1/evidence-log", tag = "users", operation_id = "showEvidenceLog",
    responses((status = 200, description = "The log", body = EvidenceLog)),
)]
pub(crate) async fn show(State(Api(api)): State<Api>) -> Result<Json<EvidenceLog>, Problem> {
    let known = api.deployment.evidence_log.as_ref();
    let verifier = known.and_then(|known| known.verifiers().first());
    let last = match verifier {
        Some(verifier) => log_now(&*api.services.archive_store, verifier).await?,
        None => None,
    };
    Ok(Json(EvidenceLog {
        origin: known.map(|known| known.origin.to_string()),
        verifier_key: verifier.map(VerifierKey::to_string),
        last,
    }))
}

/// Exports the proof of a user: the manifests, and that they are in the evidence log
///
/// What `offboarder evidence export` writes and `offboarder evidence verify` checks. It reads the log from its first step on.
#[utoipa::path(
    get, path = "/api/v1/users/{userId}/proof", tag = "users", operation_id = "exportProof",
    params(("userId" = UserId, Path, description = "The ID of the user")),
    responses(
        (status = 200, description = "The proof", body = Bundle),
        (status = 404, description = "`no_evidence`: the user has no manifest", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`log_is_off`; `no_evidence_key`: ask a worker that writes the log; `not_in_log`; `log_broken`",
            body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn proof(
    State(Api(api)): State<Api>,
    At(user_id): At<UserId>,
) -> Result<Json<Bundle>, Problem> {
    let conflict = |code, text: String| Problem::new(StatusCode::CONFLICT, code, text);
    let Some(known) = &api.deployment.evidence_log else {
        let text = "the evidence log is off: OFFBOARDER_EVIDENCE_ORIGIN is not set";
        return Err(conflict("log_is_off", text.to_owned()));
    };
    if known.verifiers().is_empty() {
        let text = "this worker has no key of the evidence log; ask one with OFFBOARDER_EVIDENCE_KEY_FILE, or use `offboarder evidence export`";
        return Err(conflict("no_evidence_key", text.to_owned()));
    }
    let _slot = api.costly()?;
    let exported = export(&*api.services.archive_store, known.verifiers(), user_id).await;
    exported.map(Json).map_err(|why| match why {
        NotExported::Nothing => {
            Problem::not_found("no_evidence", format!("{user_id} has no manifest in the store"))
        }
        NotExported::NotInLog(key) => conflict(
            "not_in_log",
            format!("{key} is not in the evidence log as it is stored; a new manifest comes into it within about a minute"),
        ),
        NotExported::Broken(key) => conflict(
            "log_broken",
            format!("{key} does not follow from the step before: somebody changed the evidence log, or the steps before have a key that was replaced, which this worker does not know"),
        ),
        NotExported::Failed(failure) => failure.into(),
    })
}
