//! What was observed on the way; the manifest is made of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{State, StateName};
use crate::job::Request;

/// One call that proves a step: a write, or the read that confirms it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Call {
    /// HTTP method.
    pub method: String,
    /// Path on the API's origin, without a query.
    pub path: String,
    /// HTTP status of the answer.
    pub status: u16,
    /// When the answer came.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What we sent as `X-Correlation-Id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// What the status alone does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A completed step.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StepRecord {
    /// The state that the step led to.
    pub state: StateName,
    /// When its first attempt began.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When it was completed.
    #[schema(value_type = String, format = DateTime)]
    pub completed_at: Timestamp,
    /// Failed attempts and the one that succeeded.
    pub attempts: u32,
    /// The calls that prove it.
    pub calls: Vec<Call>,
}

/// Something that a person still has to look at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Residual {
    /// What kind of thing, such as `queue_member`.
    pub kind: String,
    /// Its ID.
    #[serde(rename = "ref")]
    pub reference: String,
    /// What is left of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// How the queues stood when they were read back.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QueuesCleared {
    /// No queue had the user any more.
    pub confirmed: bool,
    /// What came back or would not go.
    pub residual: Vec<Residual>,
}

/// How the account stood when it was read back.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccessRemoved {
    /// The step before.
    pub queues: QueuesCleared,
    /// SCIM `active` as read back; `None` when the user was no longer readable.
    pub scim_active: Option<bool>,
    /// When the read confirmed it.
    pub at: Timestamp,
}

/// The stored archive, as read back.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Archive {
    /// Bucket URL or directory.
    pub location: String,
    /// The object's whole key.
    pub key: String,
    /// The version, where the store keeps versions.
    pub version_id: Option<String>,
    /// Size of the object.
    pub bytes: u64,
    /// How many conversations are in it.
    pub conversations: u64,
    /// How many pages they came in.
    pub pages: u64,
    /// Of the whole object, lower-case hex.
    pub sha256: String,
    /// Begin of the history, inclusive.
    #[schema(value_type = String, format = DateTime)]
    pub date_from: Timestamp,
    /// End of the history, exclusive.
    #[schema(value_type = String, format = DateTime)]
    pub date_to: Timestamp,
    /// Object Lock retention, when asked for.
    pub retention: Option<RetentionMark>,
    /// The store's tag for these bytes, where it has one; what stands there before the DELETE has to
    /// have the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// CRC-32C as the store returns it, base64, of the object or of its parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc32c: Option<String>,
    /// An archive of an earlier run ends before access was seen gone; the API knew of no conversation that
    /// began between its end and this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub quiet_until: Option<Timestamp>,
}

impl Archive {
    /// Up to when the archive holds every conversation that the API knew of.
    pub(crate) fn covers_until(&self) -> Timestamp {
        self.quiet_until.unwrap_or(self.date_to).max(self.date_to)
    }
}

/// Object Lock retention of a stored object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RetentionMark {
    /// `GOVERNANCE` or `COMPLIANCE`.
    pub mode: String,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub retain_until: Timestamp,
}

/// The sealed evidence: from here on the DELETE may have been sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Seal {
    /// Key of the sealed object.
    pub key: String,
    /// When it was stored.
    pub at: Timestamp,
}

/// How the deletion ended.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeletionOutcome {
    /// We deleted the user.
    Deleted,
    /// Somebody else had.
    AlreadyGone,
    /// The API refused it for this user.
    Refused,
    /// A guard, or something left over, holds it back.
    Held,
    /// The request was to deactivate.
    NotRequested,
    /// The tenant offers no deletion.
    NotOffered,
}

/// The deletion as observed; a member of the manifest as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Deletion {
    /// How it ended.
    pub outcome: DeletionOutcome,
    /// The status that the DELETE was answered with.
    pub status: Option<u16>,
    /// The error code in the answer.
    pub code: Option<String>,
    /// When the answer came.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
    /// When a read answered 404 or 410.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub confirmed_at: Option<Timestamp>,
}

impl Deletion {
    /// A deletion that was never sent.
    pub(crate) const fn without_call(outcome: DeletionOutcome) -> Self {
        Self {
            outcome,
            status: None,
            code: None,
            at: None,
            confirmed_at: None,
        }
    }
}

/// Where the manifest lies.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ManifestRef {
    /// Its whole key.
    pub key: String,
    /// Of its bytes, lower-case hex.
    pub sha256: String,
}

/// Where an off-boarding begins that left nothing in the store yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Beginning {
    /// Of the manifest to come.
    pub revision: u32,
    /// The manifest before, where there is one.
    pub previous: Option<ManifestRef>,
}

/// What an earlier run left in the store: as good as its checkpoint, from the seal on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PriorEvidence {
    /// Of the manifest, stored or to come.
    pub revision: u32,
    /// The revision whose archive and seal these are.
    pub evidence_revision: u32,
    /// The manifest before, where there is one.
    pub previous: Option<ManifestRef>,
    /// What was asked for then.
    pub request: Request,
    /// The steps that led here.
    pub steps: Vec<StepRecord>,
    /// `Archived`, sealed, or one of the two ends, recorded.
    pub state: State,
}
