//! One file that commands change: a change is a new file with the same name, made under a lock of the directory.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;

use crate::ports::{Document, Edition, KeySet, read_regular};

/// Larger than any document.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// The mode of a new file: it holds no secret, and workers read it as another user.
const MODE: u32 = 0o644;

pub(crate) struct FileDocument {
    path: PathBuf,
}

impl FileDocument {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }
}

#[async_trait]
impl Document for FileDocument {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    async fn read(&self, max_bytes: usize) -> Result<Option<Edition>, String> {
        let path = self.path.clone();
        blocking(move || read(&path, max_bytes)).await
    }

    async fn replace(&self, was: Option<&Edition>, body: Bytes) -> Result<bool, String> {
        let path = self.path.clone();
        let was = was.cloned();
        blocking(move || replace(&path, was.as_ref(), &body)).await
    }
}

#[async_trait]
impl KeySet for FileDocument {
    fn place(&self) -> String {
        Document::place(self)
    }

    async fn read(&self, max_bytes: usize) -> Result<Vec<u8>, String> {
        let path = self.path.clone();
        blocking(move || read_regular(&path, max_bytes)).await
    }
}

async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(act).await;
    done.map_err(|died| died.to_string())?
        .map_err(|error| error.to_string())
}

fn read(path: &Path, max_bytes: usize) -> std::io::Result<Option<Edition>> {
    match read_regular(path, max_bytes) {
        Ok(bytes) => Ok(Some(Edition {
            bytes: bytes.into(),
            tag: None,
        })),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn replace(path: &Path, was: Option<&Edition>, body: &[u8]) -> std::io::Result<bool> {
    // The file itself is replaced, and not a link to it.
    let path = match path.canonicalize() {
        Ok(path) => path,
        Err(error) if error.kind() == ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let locked = File::open(directory)?;
    locked.lock()?;
    let now = read(&path, MAX_BYTES)?;
    if now.as_ref().map(|now| &now.bytes) != was.map(|was| &was.bytes) {
        return Ok(false);
    }

    let mut new = tempfile::NamedTempFile::new_in(directory)?;
    new.write_all(body)?;
    let file = new.as_file();
    match std::fs::metadata(&path) {
        Ok(old) => {
            // Only root may give a file away; for others it has the same owner already, or the change is refused.
            if (old.uid(), old.gid()) != owner(file)? {
                fchown(file, Some(old.uid()), Some(old.gid()))?;
            }
            file.set_permissions(old.permissions())?;
        }
        Err(_there_is_none) => file.set_permissions(std::fs::Permissions::from_mode(MODE))?,
    }
    file.sync_all()?;
    new.persist(&path)?;
    locked.sync_all()?;
    Ok(true)
}

fn owner(file: &File) -> std::io::Result<(u32, u32)> {
    let found = file.metadata()?;
    Ok((found.uid(), found.gid()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[tokio::test]
    async fn a_change_is_made_only_to_what_was_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("people.toml");
        let document = FileDocument::new(path.clone());
        assert_eq!(Document::read(&document, 100).await, Ok(None));
        let write = async |was: Option<&Edition>, body: &'static str| {
            document.replace(was, Bytes::from(body)).await.unwrap()
        };
        assert!(write(None, "one").await);
        assert!(!write(None, "lost").await);
        let one = Document::read(&document, 100).await.unwrap().unwrap();
        assert_eq!(one.bytes, "one");
        assert!(write(Some(&one), "two").await);
        assert!(!write(Some(&one), "lost").await);
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert!(
            Document::read(&document, 2)
                .await
                .unwrap_err()
                .contains("more than 2")
        );
        let entries = std::fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(entries, 1, "no temporary file stays");
    }

    #[tokio::test]
    async fn a_change_keeps_the_mode_and_the_link() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("people.toml");
        let link = directory.path().join("link");
        symlink(&path, &link).unwrap();
        std::fs::write(&path, "one").unwrap();
        let mode = |mode: u32| std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&path, mode(0o640)).unwrap();
        let document = FileDocument::new(link.clone());
        let one = Document::read(&document, 100).await.unwrap();
        assert_eq!(
            document.replace(one.as_ref(), Bytes::from("two")).await,
            Ok(true)
        );
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        let kept = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(kept & 0o777, 0o640);
        // What never ends is not read.
        let endless = FileDocument::new("/dev/zero".into());
        assert!(Document::read(&endless, 100).await.is_err());
    }
}
