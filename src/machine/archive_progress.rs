use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ports::{Part, UploadId};

/// How far an archive got: enough to go on after its last confirmed part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchiveInProgress {
    /// Begin of the history, inclusive; chosen once.
    pub date_from: Timestamp,
    /// End of the history, exclusive; chosen once, so that every attempt asks for the same.
    pub date_to: Timestamp,
    /// Once the archive has grown over one part.
    #[serde(default)]
    pub upload: Option<UploadInProgress>,
}

/// An upload whose first parts are confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UploadInProgress {
    /// The store's name for it.
    pub id: UploadId,
    /// What it has confirmed, in order. Kept here because not every store tells checksums again.
    pub parts: Vec<Part>,
    /// The page after the last confirmed part, as path and query; `None` when that was the last.
    pub next_page: Option<String>,
    /// Conversations in the confirmed parts.
    pub conversations: u64,
    /// Pages in the confirmed parts.
    pub pages: u64,
    /// The SHA-256 of the confirmed bytes, unfinished: the hash function's own state, base64.
    pub sha256_midstate: String,
}

impl UploadInProgress {
    /// Size of the confirmed parts.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }
}
