use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::job::UserId;
use crate::machine::StateName;

/// The kind of a finding
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = FindingKind)]
pub(crate) enum Kind {
    /// The store has no object of this user.
    NothingStored,
    /// A delete marker hides the object.
    Deleted,
    /// The object was written more than once.
    Overwritten,
    /// It is no regular file (but e.g. a link or a pipe), and was not opened.
    NotAFile,
    /// A manifest is missing.
    ManifestMissing,
    /// A manifest violates the schema.
    ManifestInvalid,
    /// A manifest is not what was written, or contradicts itself.
    ManifestChanged,
    /// A manifest names another predecessor than the one that is stored.
    ChainBroken,
    /// The seal of a deletion that was tried is missing.
    SealMissing,
    /// A seal is not what was written, or contradicts the manifest.
    SealChanged,
    /// The archive, or the version that the manifest names, is missing.
    ArchiveMissing,
    /// The archive is not what the manifest says.
    ArchiveChanged,
    /// The archive is not locked as the manifest says.
    ArchiveUnlocked,
}

/// One contradiction
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Finding {
    /// For programs.
    pub kind: Kind,
    /// The full key of the object.
    pub object: String,
    /// For people.
    pub text: String,
}

/// The result of the check of one user
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Verdict {
    pub user_id: UserId,
    /// Whether there are no findings.
    pub ok: bool,
    /// The terminal state according to the last manifest.
    pub state: Option<StateName>,
    /// An off-boarding is in progress, so its manifest is not stored yet.
    pub under_way: bool,
    /// The number of manifests that were read.
    pub manifests: usize,
    /// The number of archives that were read whole.
    pub archives: usize,
    /// The size of these archives.
    pub bytes: u64,
    /// Whether the digest of the last manifest could be compared with the one in the checkpoint, if there is a checkpoint; null
    /// without a store of checkpoints, and if an earlier release checked.
    #[serde(default)]
    pub compared: Option<bool>,
    /// Whether older versions of the objects could be read, which a store without `ListObjectVersions` does not show; null
    /// for a download, if nothing is stored, and if an earlier release checked.
    #[serde(default)]
    pub older_versions: Option<bool>,
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// The verdict on a user whose objects were not opened.
    pub(crate) fn unopened(user_id: UserId, names: &[String]) -> Self {
        let mut verdict = Self::of(user_id);
        for name in names {
            let text = "it is a link, a directory, a pipe, a socket or a device, not a regular file: it was not opened";
            verdict.find(Kind::NotAFile, name, text);
        }
        verdict
    }

    pub(super) const fn of(user_id: UserId) -> Self {
        Self {
            user_id,
            ok: true,
            state: None,
            under_way: false,
            manifests: 0,
            archives: 0,
            bytes: 0,
            compared: None,
            older_versions: None,
            findings: Vec::new(),
        }
    }

    pub(super) fn find(&mut self, kind: Kind, object: impl Into<String>, text: impl Into<String>) {
        self.ok = false;
        self.findings.push(Finding {
            kind,
            object: object.into(),
            text: text.into(),
        });
    }
}
