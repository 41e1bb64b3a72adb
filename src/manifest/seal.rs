use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::job::{Request, UserId};
use crate::machine::{AccessRemoved, Archive, StepRecord};

/// The sealed evidence: what a run that lost its checkpoint needs to finish the manifest truthfully.
/// Stored once, before the DELETE.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SealDocument {
    /// Always 1.
    pub schema_version: u32,
    /// Whose.
    pub user_id: UserId,
    /// From 1.
    pub revision: u32,
    /// When it was sealed.
    pub sealed_at: Timestamp,
    /// What was asked for.
    pub request: Request,
    /// The steps so far.
    pub steps: Vec<StepRecord>,
    /// How the account stood.
    pub access: AccessRemoved,
    /// The archive that must stand when the DELETE is sent.
    pub archive: Archive,
}
