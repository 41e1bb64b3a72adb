//! A small document that commands change in place, e.g. the people file.

use std::fs::File;
use std::io::{Error, ErrorKind, Read as _};
use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;

/// A document as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edition {
    pub bytes: Bytes,
    /// The store's tag of these bytes, where it has tags.
    pub tag: Option<String>,
}

/// One file, or one object of a bucket. Failures are texts for people.
#[async_trait]
pub(crate) trait Document: Send + Sync {
    /// Its path or URL.
    fn place(&self) -> String;

    /// `None` if there is no such document.
    async fn read(&self, max_bytes: usize) -> Result<Option<Edition>, String>;

    /// Puts `body` in the place of what was read (`None`: there was nothing). `false` if somebody else changed it since;
    /// then nothing is written. A reader finds the old document or the new one, never a part.
    async fn replace(&self, was: Option<&Edition>, body: Bytes) -> Result<bool, String>;
}

/// The bytes of a file that may be a link. A pipe or a device is refused: it may never end.
pub(crate) fn read_regular(path: &Path, max_bytes: usize) -> std::io::Result<Vec<u8>> {
    let odd = |why: String| Error::new(ErrorKind::InvalidData, why);
    if !std::fs::metadata(path)?.is_file() {
        return Err(odd("it is not a regular file".to_owned()));
    }
    let mut bytes = Vec::new();
    File::open(path)?
        .take(max_bytes as u64 + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() > max_bytes {
        return Err(odd(format!("it has more than {max_bytes} bytes")));
    }

    Ok(bytes)
}
