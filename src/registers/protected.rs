//! Where the protected list is read from. A list that cannot be used stops the work: it is not
//! known then who is protected.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::failure::{Class, Code, Failure};
use crate::guards::ProtectedList;
use crate::ports::{ArchiveStore, ObjectKey};

const MAX_LIST_BYTES: usize = 8 * 1024 * 1024;
/// A list that lost a fifth of its entries between two reads may be a file that is being written.
const LOST_ONE_IN: usize = 5;

/// Where the list is. It is read for each check, so that a change takes effect at once. Clones
/// share the list that was read last.
#[derive(Clone)]
pub(crate) struct ProtectedSource {
    place: Place,
    last_read: Arc<Mutex<Option<Arc<ProtectedList>>>>,
}

#[derive(Clone)]
enum Place {
    Nowhere,
    File(PathBuf),
    Object {
        store: Arc<dyn ArchiveStore>,
        key: ObjectKey,
    },
}

impl ProtectedSource {
    pub(crate) fn nobody() -> Self {
        Self::at(Place::Nowhere)
    }

    pub(crate) fn file(path: PathBuf) -> Self {
        Self::at(Place::File(path))
    }

    /// An object in its bucket.
    pub(crate) fn object(store: Arc<dyn ArchiveStore>, key: ObjectKey) -> Self {
        Self::at(Place::Object { store, key })
    }

    fn at(place: Place) -> Self {
        Self {
            place,
            last_read: Arc::default(),
        }
    }

    /// Reads the list. One that cannot be read or understood, or that lost much since the last
    /// read, is an error that stops the work.
    pub(crate) async fn load(&self) -> Result<Arc<ProtectedList>, Failure> {
        let (place, bytes) = match &self.place {
            Place::Nowhere => return Ok(Arc::default()),
            Place::File(path) => (path.display().to_string(), read_file(path.clone()).await),
            Place::Object { store, key } => {
                let read = store
                    .read(key, MAX_LIST_BYTES)
                    .await
                    .map_err(|failure| failure.to_string());
                let there = read
                    .and_then(|bytes| bytes.ok_or_else(|| "there is no such object".to_owned()));
                (store.full_key(key), there.map(Vec::from))
            }
        };
        let stop = |why: String| {
            let text = format!(
                "the protected list {place} cannot be used: {why}; no user is changed until it can be: \
                 check OFFBOARDER_GUARD_PROTECTED"
            );
            Failure::new(Class::Systemic, Code::SettingsUnreadable, text)
        };
        let text = bytes.and_then(|bytes| {
            String::from_utf8(bytes)
                .map_err(|error| format!("it is not UTF-8 ({error}); save it as UTF-8"))
        });
        let list = Arc::new(ProtectedList::parse(&text.map_err(stop)?).map_err(stop)?);

        self.compare(&list).map_err(stop)?;
        Ok(list)
    }

    /// Compares the list with the last one that this process read.
    fn compare(&self, list: &Arc<ProtectedList>) -> Result<(), String> {
        let mut last_read = self.last_read.lock();
        if let Some(last) = &*last_read {
            let missing = list.lost(last);
            let before = last.len();
            // A person wrote `# nobody`, so an empty list is meant.
            if missing > 0 && missing * LOST_ONE_IN >= before && !list.is_empty() {
                return Err(format!(
                    "{missing} of {before} entries are gone since the last read; write them again, or, if they are \
                     to be removed, remove fewer at a time or restart this process"
                ));
            }
        }
        *last_read = Some(Arc::clone(list));
        Ok(())
    }
}

async fn read_file(path: PathBuf) -> Result<Vec<u8>, String> {
    let read = tokio::task::spawn_blocking(move || read_regular(&path));
    read.await.map_err(|died| died.to_string())?
}

/// A pipe or a device may never end.
fn read_regular(path: &Path) -> Result<Vec<u8>, String> {
    let text = |error: std::io::Error| error.to_string();
    if !std::fs::metadata(path).map_err(text)?.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(text)?;
    file.take(MAX_LIST_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(text)?;
    if bytes.len() > MAX_LIST_BYTES {
        return Err(format!("it has more than {MAX_LIST_BYTES} bytes"));
    }

    Ok(bytes)
}

#[cfg(test)]
#[path = "protected_tests.rs"]
mod tests;
