//! Names of objects in the archive store.

use serde::{Deserialize, Serialize};

/// The key of an object below the store's prefix, e.g. `{userId}_audit.json`. It is made only of a
/// user ID and fixed words (see [`crate::manifest::archive_key`]), so that it cannot leave the
/// prefix, or comes from the settings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ObjectKey(pub(crate) String);

impl ObjectKey {
    /// The key without the prefix.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}
