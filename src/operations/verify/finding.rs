use serde::Serialize;

use crate::job::UserId;
use crate::machine::StateName;

/// What is wrong, in a word for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Nothing of this user is stored.
    NothingStored,
    /// A delete marker hides it.
    Deleted,
    /// It was written more than once.
    Overwritten,
    /// It is no file: a link, a pipe, a device. It was not opened.
    NotAFile,
    /// A manifest is not there.
    ManifestMissing,
    /// It is no manifest after the schema.
    ManifestInvalid,
    /// It is not what was written, or contradicts itself.
    ManifestChanged,
    /// A manifest names another one before it than stands there.
    ChainBroken,
    /// The seal of a deletion that was tried is not there.
    SealMissing,
    /// A seal is not what was written, or contradicts the manifest.
    SealChanged,
    /// The archive, or the version of it that the manifest names, is not there.
    ArchiveMissing,
    /// The archive is not what the manifest says.
    ArchiveChanged,
    /// The archive is not locked as the manifest says.
    ArchiveUnlocked,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub kind: Kind,
    /// The object, by its whole key.
    pub object: String,
    pub text: String,
}

/// What came out about one user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Verdict {
    pub user_id: UserId,
    pub ok: bool,
    /// How the user ended, as the last manifest says.
    pub state: Option<StateName>,
    /// An off-boarding is under way, whose manifest is still to come.
    pub under_way: bool,
    pub manifests: usize,
    /// Archives that were read whole.
    pub archives: usize,
    pub bytes: u64,
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// Of a user whose objects were not opened.
    pub(crate) fn unopened(user_id: UserId, names: &[String]) -> Self {
        let mut verdict = Self::of(user_id);
        for name in names {
            let text = "it is a link, a directory, a pipe, a socket or a device, and not a file: it was not opened";
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
