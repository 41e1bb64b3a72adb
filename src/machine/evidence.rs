//! What was observed on the way. Checkpoints keep it, and the manifest is made of it.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One call that proves a step: a write, or the read that confirms it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Call {
    /// HTTP method of the call.
    pub method: String,
    /// Path on the API's origin, without a query.
    pub path: String,
    /// HTTP status of the answer.
    pub status: u16,
    /// When the answer came.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The `X-Correlation-Id` that was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// What the status does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Something that a person still has to check.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Residual {
    /// The kind of thing, e.g. `queue_member`.
    pub kind: String,
    /// The thing's ID.
    #[serde(rename = "ref")]
    pub reference: String,
    /// What is left over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The queues as they were read back.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QueuesCleared {
    /// No queue named the user any more.
    pub confirmed: bool,
    /// Assignments that came back or could not be removed.
    pub residual: Vec<Residual>,
    /// The user's number as an agent, where the API has one apart from its ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<u64>,
}

/// The account as it was read back.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccessRemoved {
    pub queues: QueuesCleared,
    /// SCIM `active` as read back; `None` when the user was no longer readable.
    pub scim_active: Option<bool>,
    /// When the read confirmed it.
    pub at: Timestamp,
    /// When the last session, token and key had ended, where the API ends them apart from the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions_ended_at: Option<Timestamp>,
}

/// The stored archive, as it was read back.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Archive {
    /// Bucket URL or directory.
    pub location: String,
    /// The object's full key.
    pub key: String,
    /// The object's version, where the store keeps versions.
    pub version_id: Option<String>,
    /// The object's size.
    pub bytes: u64,
    /// Number of conversations in the archive.
    pub conversations: u64,
    /// Number of pages in which the API sent them.
    pub pages: u64,
    /// SHA-256 of the whole object, lower-case hex.
    pub sha256: String,
    /// Start of the history, inclusive.
    #[schema(value_type = String, format = DateTime)]
    pub date_from: Timestamp,
    /// End of the history, exclusive.
    #[schema(value_type = String, format = DateTime)]
    pub date_to: Timestamp,
    /// Object Lock retention, where it is configured.
    pub retention: Option<RetentionMark>,
    /// The store's tag for these bytes, where it has one. The object that is there before the DELETE
    /// must have the same tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// CRC-32C as the store returns it, base64, of the object or of its parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc32c: Option<String>,
    /// Set where the archive of an earlier run ends before access was seen to be gone: the API knew
    /// no conversation that began between the end of the archive and this time.
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
    /// The store refuses to delete the object before this time.
    #[schema(value_type = String, format = DateTime)]
    pub retain_until: Timestamp,
}

/// The sealed evidence: from here on the DELETE may have been sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Seal {
    /// Full key of the sealed object.
    pub key: String,
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
    /// Somebody else had deleted the user.
    AlreadyGone,
    /// The API refused to delete this user.
    Refused,
    /// A legal hold, or a queue that still names the user, prevents it.
    Held,
    /// The request asked only for the deactivation.
    NotRequested,
    /// The tenant offers no deletion, or a setting forbids it.
    NotOffered,
}

/// The deletion as observed. The manifest contains it unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Deletion {
    /// How the deletion ended.
    pub outcome: DeletionOutcome,
    /// The HTTP status of the answer to the DELETE.
    pub status: Option<u16>,
    /// The API's error code in that answer.
    pub code: Option<String>,
    /// When that answer came.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
    /// When a read of the user was answered with 404 or 410.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub confirmed_at: Option<Timestamp>,
    /// The legal hold that prevented it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<LegalHold>,
}

/// A legal hold that prevented a deletion, as it was read then.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub(crate) struct LegalHold {
    /// The operator who set the hold; `unknown` where the records of the user's holds are in doubt.
    pub who: String,
    /// Why, in the words of that operator, or what is in doubt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// When the hold was set.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

impl fmt::Display for LegalHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a legal hold of {}", self.who)?;
        if let Some(at) = self.at {
            write!(f, " since {at}")?;
        }
        match &self.why {
            Some(why) => write!(f, ": {why}"),
            None => Ok(()),
        }
    }
}

impl Deletion {
    /// No DELETE was sent, or its answer is not known.
    pub(crate) const fn without_call(outcome: DeletionOutcome) -> Self {
        Self {
            outcome,
            status: None,
            code: None,
            at: None,
            confirmed_at: None,
            hold: None,
        }
    }

    /// A legal hold prevented it.
    pub(crate) fn held(hold: LegalHold) -> Self {
        Self {
            hold: Some(hold),
            ..Self::without_call(DeletionOutcome::Held)
        }
    }
}

/// Where the manifest is stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ManifestRef {
    /// The manifest's full key.
    pub key: String,
    /// SHA-256 of the manifest's bytes, lower-case hex.
    pub sha256: String,
}

/// Where an off-boarding begins that has stored nothing yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Beginning {
    /// The revision of the manifest to come.
    pub revision: u32,
    /// The manifest of the revision before.
    pub previous: Option<ManifestRef>,
    /// An archive of that revision is stored, so an earlier run had removed the access.
    pub archived: bool,
}
