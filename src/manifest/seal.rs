//! The seal: evidence that is stored before the DELETE.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::job::{Request, UserId};
use crate::machine::{AccessRemoved, Archive, StepRecord};
use crate::profile::TenantProfile;

/// The evidence that a run needs that lost its checkpoint, so that its manifest is still true. It
/// is stored once, before the DELETE.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SealDocument {
    pub schema_version: u32,
    pub user_id: UserId,
    /// Whose API it was.
    #[serde(default, skip_serializing_if = "TenantProfile::is_tutorial")]
    pub profile: TenantProfile,
    pub revision: u32,
    pub sealed_at: Timestamp,
    pub request: Request,
    pub steps: Vec<StepRecord>,
    pub access: AccessRemoved,
    /// The archive that must exist when the DELETE is sent.
    pub archive: Archive,
    /// See [`crate::machine::Checkpoint::workers`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workers: Vec<String>,
}
