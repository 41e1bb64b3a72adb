//! Which workers live, as they report it themselves.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One that was silent for so long is out of the list.
pub(crate) const SILENT: Duration = Duration::from_secs(15);

/// What a worker tells of itself, for whoever asks any worker of the deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Announcement {
    /// Its name, as in manifests and dead letters.
    pub name: String,
    /// Its release.
    pub version: String,
    /// When it started.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Where its admin HTTP listens.
    #[schema(value_type = String, example = "10.0.0.7:9464")]
    pub listen: SocketAddr,
    /// Users in progress at once, at most.
    pub concurrency: usize,
    /// Users in progress.
    pub in_flight: usize,
    /// Whether it takes users.
    pub ready: bool,
    /// Why not.
    pub causes: Vec<String>,
    /// Whether it was asked to end.
    pub draining: bool,
}

/// A worker that announced itself lately.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Announced {
    /// What it said.
    #[serde(flatten)]
    pub worker: Announcement,
    /// When it said so, by Redis' clock.
    #[schema(value_type = String, format = DateTime)]
    pub seen_at: Timestamp,
}
