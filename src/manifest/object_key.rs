//! Names of objects in the archive store.

use serde::{Deserialize, Serialize};

/// The key of an object below the store's prefix, such as `{userId}_audit.json`. Made of a user ID
/// and fixed words alone (see [`crate::manifest::archive_key`]), so it can never leave the prefix; or of the
/// settings.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ObjectKey(pub(crate) String);

impl ObjectKey {
    /// The key without the prefix.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}
