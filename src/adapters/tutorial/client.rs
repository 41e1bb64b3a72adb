//! The client: the calls of the API, by file; see [`super`].

use std::sync::Arc;

use super::paths::Paths;
use crate::adapters::http::{Api, ApiError, ApiOptions, Reply, Request, STANDARD, Write, code_of};
use crate::ports::Answered;

pub(super) const SCIM: &str = "application/scim+json";

/// The API. Cheap to clone; clones share token, quota and connections.
#[derive(Clone)]
pub(crate) struct Client {
    pub(super) api: Arc<Api>,
    paths: Arc<Paths>,
}

impl Client {
    pub(crate) fn new(options: ApiOptions) -> Result<Self, ApiError> {
        let api = Api::new(options, &STANDARD)?;
        Ok(Self {
            paths: Arc::new(Paths::new(api.base().clone())),
            api: Arc::new(api),
        })
    }

    pub(super) fn paths(&self) -> &Paths {
        &self.paths
    }

    /// Writes an object back. `name` is the name of the call, the same for every user.
    pub(super) async fn write(
        &self,
        name: &'static str,
        request: Request<'_>,
        shows: impl FnOnce(&Reply) -> bool,
    ) -> Result<Answered<Write>, ApiError> {
        let is_scim = request.media_type == SCIM;
        let conflicts = |reply: &Reply| match reply.status() {
            412 => true,
            409 => is_scim,
            400 => code_of(&reply.body).as_deref() == Some("invalidVers"),
            _ => false,
        };
        self.api.write_shown(name, request, conflicts, shows).await
    }
}
