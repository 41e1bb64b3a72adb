//! The URLs of the API: our own origin always, and each ID as one percent-encoded segment or as a checked number.

use std::fmt::Display;

use url::Url;

use super::numbers::Number;
use crate::adapters::http::ApiError;

/// Rows a page of lists that are read whole.
pub(super) const LIST_PAGE: u64 = 500;

pub(super) struct Paths {
    base: Url,
    /// Of ACD, as in its paths: `v34.0`.
    version: String,
}

impl Paths {
    pub(super) fn new(base: Url, api_version: &str) -> Self {
        Self {
            base,
            version: format!("v{api_version}"),
        }
    }

    pub(super) fn user(&self, user_id: impl Display) -> Result<Url, ApiError> {
        self.join(&["user-management", "v3", "users", &user_id.to_string()])
    }

    pub(super) fn deactivate(&self) -> Result<Url, ApiError> {
        self.join(&["user-management", "v1", "users", "deactivate"])
    }

    pub(super) fn revive(&self, user_id: impl Display) -> Result<Url, ApiError> {
        let user = user_id.to_string();
        self.join(&["user-management", "v1", "users", &user, "revive"])
    }

    pub(super) fn teams(&self) -> Result<Url, ApiError> {
        self.join(&["user-management", "v4", "teams", "search"])
    }

    pub(super) fn access_keys(&self, query: &[(&str, &str)]) -> Result<Url, ApiError> {
        let mut url = self.join(&["access-key-management", "v1", "access-keys"])?;
        url.query_pairs_mut().extend_pairs(query);
        Ok(url)
    }

    /// By number or by UUID.
    pub(super) fn agent(&self, agent: impl Display) -> Result<Url, ApiError> {
        self.acd(&["agents", &agent.to_string()])
    }

    pub(super) fn skills_of(&self, agent: Number, skip: u64, top: u64) -> Result<Url, ApiError> {
        let mut url = self.acd(&["agents", &agent.to_string(), "skills"])?;
        url.query_pairs_mut()
            .append_pair("skip", &skip.to_string())
            .append_pair("top", &top.to_string());
        Ok(url)
    }

    pub(super) fn all_skills_of(&self, agent: Number) -> Result<Url, ApiError> {
        self.acd(&["agents", &agent.to_string(), "skills"])
    }

    pub(super) fn skill(&self, skill: Number, agent: Number) -> Result<Url, ApiError> {
        self.acd(&["skills", &skill.to_string(), "agents", &agent.to_string()])
    }

    pub(super) fn groups_of(&self, agent: Number) -> Result<Url, ApiError> {
        self.acd(&["agents", &agent.to_string(), "groups"])
    }

    pub(super) fn group(&self, group: Number) -> Result<Url, ApiError> {
        self.acd(&["groups", &group.to_string(), "agents"])
    }

    pub(super) fn logout(&self, agent: Number) -> Result<Url, ApiError> {
        self.acd(&["agents", &agent.to_string(), "logout"])
    }

    pub(super) fn contacts(&self, query: &[(&str, &str)]) -> Result<Url, ApiError> {
        let mut url = self.acd(&["contacts", "completed"])?;
        url.query_pairs_mut().extend_pairs(query);
        Ok(url)
    }

    pub(super) fn api_version(&self) -> Result<Url, ApiError> {
        self.acd(&["apiversion"])
    }

    /// Of ACD: `v34.0`.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    pub(super) fn permissions(&self, agent: Number) -> Result<Url, ApiError> {
        self.acd(&["permissions", &agent.to_string()])
    }

    /// What the agent took part in, also where another one had it last.
    pub(super) fn history_of(
        &self,
        agent: Number,
        query: &[(&str, &str)],
    ) -> Result<Url, ApiError> {
        let mut url = self.acd(&["agents", &agent.to_string(), "interaction-history"])?;
        url.query_pairs_mut().extend_pairs(query);
        Ok(url)
    }

    fn acd(&self, segments: &[&str]) -> Result<Url, ApiError> {
        let mut all = vec!["incontactapi", "services", &self.version];
        all.extend(segments);
        self.join(&all)
    }

    /// Percent-encodes each segment, so that an ID never changes the path.
    fn join(&self, segments: &[&str]) -> Result<Url, ApiError> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| ApiError::Setup("the base URI cannot have a path".to_owned()))?
            .clear()
            .extend(segments);
        Ok(url)
    }
}
