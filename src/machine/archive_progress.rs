//! How far an archive got, as checkpoints keep it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Part, UploadId};

/// Enough to continue an archive after its last confirmed part.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ArchiveInProgress {
    /// Start of the history, inclusive; chosen once.
    pub date_from: Timestamp,
    /// End of the history, exclusive; chosen once, so that every attempt asks for the same history.
    pub date_to: Timestamp,
    /// The longest interval of one query, as it was when the archive began.
    #[serde(default)]
    pub window_days: Option<u32>,
    /// Set once the archive is larger than one part.
    #[serde(default)]
    pub upload: Option<UploadInProgress>,
}

/// An upload whose first parts are confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UploadInProgress {
    pub id: UploadId,
    /// The confirmed parts in order. Kept here because not every store returns checksums later.
    pub parts: Vec<Part>,
    /// The query that comes after the last confirmed part.
    pub cursor: Cursor,
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
    /// The size of the confirmed parts.
    pub(crate) fn bytes(&self) -> u64 {
        self.parts
            .iter()
            .fold(0, |sum, part| sum.saturating_add(part.bytes))
    }
}

/// Digests of the IDs of conversations that cross the bounds of a window. The API may return such a
/// conversation in both windows; the archive holds each once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Crossing {
    /// Across its start: they are archived already.
    pub before: Vec<String>,
    /// Across its end.
    pub after: Vec<String>,
}

/// What to query next.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "at", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Cursor {
    /// The first page of a window.
    Window { from: Timestamp },
    /// Another page of a window.
    Page {
        from: Timestamp,
        /// The link to the page, as path and query.
        link: String,
    },
    /// Nothing: the last part, which closes the JSON array, is confirmed.
    End,
}
