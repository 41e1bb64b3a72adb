//! What a user had before an off-boarding took it, who decided whether the user is deleted or reactivated, and what a
//! reactivation gave back.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::job::UserId;
use crate::machine::Call;
use crate::profile::TenantProfile;

/// Something that an off-boarding takes from a user
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Possession {
    /// What it is, e.g. `account`, `queue_member`, `skill`.
    pub kind: String,
    /// Which one, by the ID that the API has for it.
    pub reference: String,
    /// What else the API needs to give it back, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Possession {
    /// The kind of the account itself: it was active.
    pub(crate) const ACCOUNT: &'static str = "account";

    pub(crate) fn new(kind: &str, reference: &(impl ToString + ?Sized)) -> Self {
        Self {
            kind: kind.to_owned(),
            reference: reference.to_string(),
            detail: None,
        }
    }

    pub(crate) fn with(self, detail: &(impl ToString + ?Sized)) -> Self {
        Self {
            detail: Some(detail.to_string()),
            ..self
        }
    }
}

/// What a user had before the first write of an off-boarding. Stored once, where one may still go back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BeforeImage {
    pub schema_version: u32,
    pub user_id: UserId,
    #[serde(default, skip_serializing_if = "TenantProfile::is_tutorial")]
    pub profile: TenantProfile,
    /// That of the archive and the seal.
    pub revision: u32,
    /// When it was read.
    pub at: Timestamp,
    pub possessions: Vec<Possession>,
}

/// What is decided about a user of whom a before-image is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Fate {
    Delete,
    Reactivate,
}

/// The decision. It is stored once: the first of both decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FateDocument {
    pub schema_version: u32,
    pub user_id: UserId,
    /// That of the before-image.
    pub revision: u32,
    pub fate: Fate,
    /// The worker, or the operator.
    pub who: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    pub at: Timestamp,
}

/// Something that could not be given back
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NotGivenBack {
    #[serde(flatten)]
    pub possession: Possession,
    /// For people.
    pub why: String,
}

/// What a reactivation did. Stored once for each try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReactivationRecord {
    pub schema_version: u32,
    pub user_id: UserId,
    #[serde(default, skip_serializing_if = "TenantProfile::is_tutorial")]
    pub profile: TenantProfile,
    /// That of the before-image.
    pub revision: u32,
    /// From 1; a later try gives back what could not be given back before.
    pub number: u32,
    pub who: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// When this was decided.
    pub decided_at: Timestamp,
    pub at: Timestamp,
    pub given_back: Vec<Possession>,
    /// What the user had already.
    pub there_already: Vec<Possession>,
    /// A later try gives these back, once the reason is gone.
    pub not_given_back: Vec<NotGivenBack>,
    /// What no call gives back.
    pub lost: Vec<NotGivenBack>,
    pub calls: Vec<Call>,
}
