use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ports::{Part, UploadId};

/// How far an archive got: enough to go on after its last confirmed part.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ArchiveInProgress {
    /// Begin of the history, inclusive; chosen once.
    pub date_from: Timestamp,
    /// End of the history, exclusive; chosen once, so that every attempt asks for the same.
    pub date_to: Timestamp,
    /// The longest interval of one query, as it was when the archive began.
    #[serde(default)]
    pub window_days: Option<u32>,
    /// Once the archive has grown over one part.
    #[serde(default)]
    pub upload: Option<UploadInProgress>,
}

/// An upload whose first parts are confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UploadInProgress {
    /// The store's name for it.
    pub id: UploadId,
    /// What it has confirmed, in order. Kept here because not every store tells checksums again.
    pub parts: Vec<Part>,
    /// What comes after the last confirmed part.
    pub cursor: Cursor,
    /// Conversations that two windows may give.
    #[serde(default)]
    pub crossing: Crossing,
    /// Conversations in the confirmed parts.
    pub conversations: u64,
    /// Pages in the confirmed parts.
    pub pages: u64,
    /// The SHA-256 of the confirmed bytes, unfinished: the hash function's own state, base64.
    pub sha256_midstate: String,
}

impl UploadInProgress {
    /// Size of the confirmed parts.
    pub(crate) fn bytes(&self) -> u64 {
        self.parts
            .iter()
            .fold(0, |sum, part| sum.saturating_add(part.bytes))
    }
}

/// Conversations that reach over the bounds of a window, by a digest of their IDs: the API may give them
/// in both windows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Crossing {
    /// Over its beginning: they are archived already.
    pub before: Vec<String>,
    pub after: Vec<String>,
}

/// What to ask for next.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "at", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Cursor {
    /// The first page of a window.
    Window { from: Timestamp },
    /// A further page of a window.
    Page {
        from: Timestamp,
        /// The link to the page, as path and query.
        link: String,
    },
    /// Nothing: the last part, which closes the array, is confirmed.
    End,
}
