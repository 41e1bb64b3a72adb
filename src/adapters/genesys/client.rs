//! The client: the calls of the API, by file; see [`super`].

use std::sync::Arc;

use super::documents::is_version_conflict;
use super::paths::Paths;
use crate::adapters::http::{Api, ApiError, ApiOptions, Dialect, Reply, Request, Write, code_of};
use crate::failpoint::effect;
use crate::ports::Answered;

const DIALECT: Dialect = Dialect {
    right: "permission",
    correlation_header: "X-Correlation-Id",
    own_correlation_header: Some("ININ-Correlation-Id"),
    missing_right: &["missing.permissions", "missing.any.permissions"],
    hides_missing_rights: false,
    not_found: &[
        "not.found",
        "general.resource.not.found",
        "resource.not.found",
    ],
    own_error: &[],
    error_header: None,
};

/// What this API is reached and used with.
pub(crate) struct GenesysOptions {
    pub(crate) http: ApiOptions,
    /// Whether a queue that comes from a group is left through the group.
    pub(crate) leave_groups: bool,
    /// Longest interval of one query, in days.
    pub(crate) window_days: Option<u32>,
}

/// The API. Cheap to clone; clones share token, quota and connections.
#[derive(Clone)]
pub(crate) struct GenesysClient {
    pub(super) api: Arc<Api>,
    pub(super) leave_groups: bool,
    pub(super) window_days: Option<u32>,
    /// Calls a second that we allow ourselves.
    pub(super) rate: Option<f64>,
    paths: Arc<Paths>,
}

impl GenesysClient {
    pub(crate) fn new(options: GenesysOptions) -> Result<Self, ApiError> {
        let rate = options.http.rate_routing;
        let api = Api::new(options.http, &DIALECT)?;
        Ok(Self {
            paths: Arc::new(Paths::new(api.base().clone())),
            api: Arc::new(api),
            leave_groups: options.leave_groups,
            window_days: options.window_days,
            rate,
        })
    }

    pub(super) fn paths(&self) -> &Paths {
        &self.paths
    }

    /// Sends a write that must be accepted. `name` is the name of the call, the same for every user.
    pub(super) async fn write(
        &self,
        name: &'static str,
        request: Request<'_>,
    ) -> Result<Answered<Write>, ApiError> {
        let written = self.api.write(name, request, is_conflict).await;
        written.map_err(maybe_done)
    }

    /// Sends a write that may be refused; the caller reads the status.
    pub(super) async fn try_write(&self, request: Request<'_>) -> Result<Reply, ApiError> {
        let reply = effect("the API write", self.api.send(request)).await?;
        match reply.status() {
            408 | 500..=599 => Err(maybe_done(reply.refusal())),
            _ => Ok(reply),
        }
    }
}

/// Whether the object is not what was read, or changes at this moment.
pub(super) fn is_conflict(reply: &Reply) -> bool {
    match reply.status() {
        409 => {
            code_of(&reply.body).as_deref() == Some("general.conflict")
                || is_version_conflict(&reply.body)
        }
        400 => is_version_conflict(&reply.body),
        _ => false,
    }
}

/// A write that the API gave up waiting for may have been done.
pub(super) fn maybe_done(error: ApiError) -> ApiError {
    match error {
        ApiError::Server {
            what,
            status: status @ (408 | 504),
            code,
            retry_after: _,
        } => ApiError::AnswerLost {
            what,
            why: format!("{status}{code}"),
        },
        other => other,
    }
}
