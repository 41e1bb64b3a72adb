//! A multipart upload in progress, as checkpoints keep it.

use serde::{Deserialize, Serialize};

/// The store's name for a multipart upload.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct UploadId(pub String);

/// A part that the store has confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Part {
    pub number: u32,
    pub bytes: u64,
    /// The store's tag for the part; completing the upload repeats it.
    pub etag: String,
    /// CRC-32C of the part's bytes, base64, as S3 writes it.
    pub crc32c: String,
}
