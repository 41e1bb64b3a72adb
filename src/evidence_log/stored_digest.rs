use futures_util::TryStreamExt as _;
use sha2::{Digest as _, Sha256};

use crate::failure::Failure;
use crate::ports::{ArchiveStore, ObjectKey};

/// The SHA-256 of what is stored, however large it is.
pub(super) async fn stored_digest(
    store: &dyn ArchiveStore,
    key: &ObjectKey,
) -> Result<Option<[u8; 32]>, Failure> {
    let Some(mut chunks) = store.stream(key, None).await? else {
        return Ok(None);
    };
    let mut hasher = Sha256::new();
    while let Some(chunk) = chunks.try_next().await? {
        hasher.update(&chunk);
    }
    Ok(Some(hasher.finalize().into()))
}
