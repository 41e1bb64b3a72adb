//! Reads a small file that people write: a file of this host, or an object of a bucket.

use std::path::PathBuf;
use std::sync::Arc;

use crate::ports::{ArchiveStore, ObjectKey, read_regular};

#[derive(Clone)]
pub(crate) enum Place {
    File(PathBuf),
    /// An object in its bucket.
    Object {
        store: Arc<dyn ArchiveStore>,
        key: ObjectKey,
    },
}

impl Place {
    /// Its path or URL, for people.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Object { store, key } => store.full_key(key),
        }
    }

    /// The whole text, or why it cannot be had.
    pub(super) async fn read(&self, max_bytes: usize) -> Result<String, String> {
        let bytes = match self {
            Self::File(path) => {
                let path = path.clone();
                let read = tokio::task::spawn_blocking(move || read_regular(&path, max_bytes));
                let read = read.await.map_err(|died| died.to_string())?;
                read.map_err(|error| error.to_string())?
            }
            Self::Object { store, key } => {
                let read = store.read(key, max_bytes).await;
                let found = read.map_err(|failure| failure.to_string())?;
                Vec::from(found.ok_or("there is no such object")?)
            }
        };
        String::from_utf8(bytes)
            .map_err(|error| format!("it is not UTF-8 ({error}); save it as UTF-8"))
    }
}
