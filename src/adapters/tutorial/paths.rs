//! The URLs of the API.

use std::fmt::Display;

use url::Url;

use super::types::QueueId;
use crate::adapters::http::ApiError;

/// The path of every page of conversations; a link to another path is not followed.
pub(super) const CONVERSATIONS: &str = "/api/v2/conversations/details/query";

pub(super) struct Paths {
    base: Url,
}

impl Paths {
    pub(super) fn new(base: Url) -> Self {
        Self { base }
    }

    pub(super) const fn base(&self) -> &Url {
        &self.base
    }

    pub(super) fn user(&self, user_id: impl Display) -> Result<Url, ApiError> {
        self.join(&["iam", "users", &user_id.to_string()])
    }

    pub(super) fn routing_profile(&self, user_id: impl Display) -> Result<Url, ApiError> {
        self.join(&["routing", "users", &user_id.to_string(), "routingprofile"])
    }

    pub(super) fn queue(&self, queue_id: &QueueId) -> Result<Url, ApiError> {
        self.join(&["routing", "queues", queue_id.as_str()])
    }

    pub(super) fn scim_user(&self, user_id: impl Display) -> Result<Url, ApiError> {
        self.join(&["scim", "v2", "Users", &user_id.to_string()])
    }

    pub(super) fn conversations(&self) -> Result<Url, ApiError> {
        self.base
            .join(CONVERSATIONS)
            .map_err(|error| ApiError::Setup(error.to_string()))
    }

    /// Percent-encodes each segment, so that an ID never changes the path.
    fn join(&self, segments: &[&str]) -> Result<Url, ApiError> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| ApiError::Setup("the base URI cannot have a path".to_owned()))?
            .clear()
            .extend(["api", "v2"])
            .extend(segments);
        Ok(url)
    }
}
