//! The URLs of the API. Every ID is a UUID that was parsed, so that none changes a path.

use url::Url;
use uuid::Uuid;

use crate::adapters::http::ApiError;

pub(super) struct Paths {
    base: Url,
}

impl Paths {
    pub(super) fn new(base: Url) -> Self {
        Self { base }
    }

    pub(super) fn user(&self, user: &str) -> Result<Url, ApiError> {
        self.join(&["users", user], &[])
    }

    pub(super) fn deleted_user(&self, user: &str) -> Result<Url, ApiError> {
        self.join(&["users", user], &[("state", "deleted")])
    }

    pub(super) fn queues(&self, user: &str, joined: bool, page: Page) -> Result<Url, ApiError> {
        let joined = if joined { "true" } else { "false" };
        self.page(&["users", user, "queues"], &[("joined", joined)], page)
    }

    pub(super) fn skills(&self, user: &str, page: Page) -> Result<Url, ApiError> {
        self.page(&["users", user, "routingskills"], &[], page)
    }

    pub(super) fn all_skills(&self, user: &str) -> Result<Url, ApiError> {
        self.join(&["users", user, "routingskills", "bulk"], &[])
    }

    pub(super) fn queue_members(&self, queue: Uuid) -> Result<Url, ApiError> {
        self.join(&["routing", "queues", &queue.to_string(), "members"], &[])
    }

    pub(super) fn queue_member(&self, queue: Uuid, user: &str) -> Result<Url, ApiError> {
        let queue = queue.to_string();
        self.join(&["routing", "queues", &queue, "members", user], &[])
    }

    pub(super) fn group(&self, group: Uuid) -> Result<Url, ApiError> {
        self.join(&["groups", &group.to_string()], &[])
    }

    pub(super) fn group_members(&self, group: Uuid) -> Result<Url, ApiError> {
        self.join(&["groups", &group.to_string(), "members"], &[])
    }

    pub(super) fn team_members(&self, team: Uuid) -> Result<Url, ApiError> {
        self.join(&["teams", &team.to_string(), "members"], &[])
    }

    pub(super) fn group_member(&self, group: Uuid, user: &str) -> Result<Url, ApiError> {
        self.join(&["groups", &group.to_string(), "members"], &[("ids", user)])
    }

    pub(super) fn team_member(&self, team: Uuid, user: &str) -> Result<Url, ApiError> {
        self.join(&["teams", &team.to_string(), "members"], &[("id", user)])
    }

    pub(super) fn tokens(&self, user: &str) -> Result<Url, ApiError> {
        self.join(&["tokens", user], &[])
    }

    pub(super) fn conversations(&self) -> Result<Url, ApiError> {
        self.join(&["analytics", "conversations", "details", "query"], &[])
    }

    pub(super) fn memberships(&self, user: &str) -> Result<Url, ApiError> {
        self.join(&["users", user], &[("expand", "groups,team")])
    }

    pub(super) fn roles(&self, user: &str) -> Result<Url, ApiError> {
        self.join(&["users", user], &[("expand", "authorization")])
    }

    pub(super) fn own_token(&self) -> Result<Url, ApiError> {
        self.join(&["tokens", "me"], &[])
    }

    pub(super) fn own_grants(&self) -> Result<Url, ApiError> {
        self.join(&["authorization", "subjects", "me"], &[])
    }

    pub(super) fn limits(&self, namespace: &str) -> Result<Url, ApiError> {
        self.join(&["organizations", "limits", "namespaces", namespace], &[])
    }

    fn page(&self, segments: &[&str], query: &[(&str, &str)], page: Page) -> Result<Url, ApiError> {
        let mut url = self.join(segments, query)?;
        url.query_pairs_mut()
            .append_pair("pageSize", &page.size.to_string())
            .append_pair("pageNumber", &page.number.to_string());
        Ok(url)
    }

    fn join(&self, segments: &[&str], query: &[(&str, &str)]) -> Result<Url, ApiError> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| ApiError::Setup("the base URI cannot have a path".to_owned()))?
            .clear()
            .extend(["api", "v2"])
            .extend(segments);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }
}

/// Which page of a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    pub(super) size: usize,
    pub(super) number: usize,
}
