//! Which workers are alive, as they report it themselves.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::failure::Failure;

/// A worker that sent no heartbeat for this long is no longer listed.
pub(crate) const SILENT: Duration = Duration::from_secs(15);

/// Where workers report that they are alive.
#[async_trait]
pub(crate) trait WorkerRegistry: Send + Sync {
    /// Records a heartbeat, which replaces the worker's last one.
    async fn announce(&self, heartbeat: &Heartbeat) -> Result<(), Failure>;

    /// Removes a worker that ends in order, so that nobody counts on it until its silence shows.
    async fn leave(&self, name: &str) -> Result<(), Failure>;

    /// The workers that are alive, by name. A heartbeat that this release cannot read is left out.
    async fn workers(&self) -> Result<Vec<LiveWorker>, Failure>;
}

/// What a worker reports about itself; any worker of the deployment shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Heartbeat {
    /// The worker's name, as in manifests and dead letters.
    pub name: String,
    /// The release it runs.
    pub version: String,
    /// When the worker started.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// The address of its admin HTTP server.
    #[schema(value_type = String, example = "10.0.0.7:9464")]
    pub listen: SocketAddr,
    /// How many users it works on at once, at most.
    pub concurrency: usize,
    /// How many users it is working on.
    pub in_flight: usize,
    /// Whether it takes users from the queue.
    pub ready: bool,
    /// Why it is not ready.
    pub causes: Vec<String>,
    /// Whether it was asked to shut down.
    pub draining: bool,
    /// Since when it is not ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub not_ready_since: Option<Timestamp>,
    /// Its slots by lane; missing from workers of an earlier release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lanes: Option<Lanes>,
    /// How many users wait for the deletion rate limit, as far as this worker knows.
    #[serde(default)]
    pub waiting_for_deletion_rate_limit: u64,
    /// How many users whom no order names wait for their limit, as far as this worker knows.
    #[serde(default)]
    pub waiting_for_request_limit: u64,
    /// How many users' deletions wait for a second person's approval, as far as this worker knows.
    #[serde(default)]
    pub waiting_for_approval: u64,
    /// Since when the oldest job that this worker knows of has waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub oldest_job: Option<Timestamp>,
    /// Whether it does operations; workers of an earlier release do not.
    #[serde(default)]
    pub does_operations: bool,
}

#[cfg(test)]
impl Heartbeat {
    /// Of a worker that is ready and idle.
    pub(crate) fn sample(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: "0.1.0".to_owned(),
            since: Timestamp::UNIX_EPOCH,
            listen: ([127, 0, 0, 1], 9464).into(),
            concurrency: 8,
            in_flight: 0,
            ready: true,
            causes: Vec::new(),
            draining: false,
            not_ready_since: None,
            lanes: None,
            waiting_for_deletion_rate_limit: 0,
            waiting_for_request_limit: 0,
            waiting_for_approval: 0,
            oldest_job: None,
            does_operations: true,
        }
    }
}

/// The slots of a worker, by lane
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Lanes {
    /// Users whose access is being removed.
    pub access: LaneSlots,
    /// Users who are archived and deleted.
    pub archive: LaneSlots,
}

/// The slots of one lane. Both lanes together use no more than the worker's concurrency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LaneSlots {
    /// How many users it works on at once, at most.
    pub slots: usize,
    /// How many users it is working on.
    pub in_use: usize,
}

/// A worker whose last heartbeat is recent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LiveWorker {
    /// Its last heartbeat.
    #[serde(flatten)]
    pub worker: Heartbeat,
    /// When the heartbeat arrived, by the clock of Redis.
    #[schema(value_type = String, format = DateTime)]
    pub seen_at: Timestamp,
}
