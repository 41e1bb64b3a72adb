//! The stores that all processes of a deployment share, as one bundle.

use std::sync::Arc;

use super::batches::Batches;
use super::operations::Operations;
use super::sessions::Sessions;
use super::usage::Usage;
use super::users::UserIndex;
use super::views::Views;
use super::{CheckpointHealth, Checkpoints, Quotas, Surges, WorkerRegistry};

/// Everything that one Redis keeps. An embedded store belongs to one process and has no such
/// bundle.
#[derive(Clone)]
pub(crate) struct SharedStores {
    pub checkpoints: Arc<dyn Checkpoints>,
    pub quotas: Arc<dyn Quotas>,
    pub batches: Arc<dyn Batches>,
    pub users: Arc<dyn UserIndex>,
    pub workers: Arc<dyn WorkerRegistry>,
    pub surges: Arc<dyn Surges>,
    pub usage: Arc<dyn Usage>,
    pub operations: Arc<dyn Operations>,
    pub sessions: Arc<dyn Sessions>,
    pub views: Arc<dyn Views>,
    pub health: Arc<dyn CheckpointHealth>,
}
