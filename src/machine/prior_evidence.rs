//! The steps that led to a state, and what an earlier run left in the archive store.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Call, ManifestRef, State, StateName};
use crate::job::Request;
use crate::profile::TenantProfile;

/// A completed step.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StepRecord {
    /// The state that the step led to.
    pub state: StateName,
    /// When its first attempt began.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When the step was completed.
    #[schema(value_type = String, format = DateTime)]
    pub completed_at: Timestamp,
    /// Failed attempts, plus the one that succeeded.
    pub attempts: u32,
    /// The calls that prove it.
    pub calls: Vec<Call>,
}

/// What an earlier run stored. From the seal on it is as good as that run's checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PriorEvidence {
    /// Whose API it was.
    pub profile: TenantProfile,
    /// The revision of the manifest, stored or to come.
    pub revision: u32,
    /// The revision whose archive and seal these are.
    pub evidence_revision: u32,
    /// A before-image of that revision is stored.
    pub before_image: bool,
    /// The manifest before, where there is one.
    pub previous: Option<ManifestRef>,
    /// The request that the earlier run answered.
    pub request: Request,
    pub steps: Vec<StepRecord>,
    /// See [`super::Checkpoint::workers`].
    pub workers: Vec<String>,
    /// `Archived` and sealed, or `Deleted` or `DeactivatedOnly` with a stored manifest.
    pub state: State,
}
