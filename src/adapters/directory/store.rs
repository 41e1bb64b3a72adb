use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use tokio_util::io::ReaderStream;

use super::error::DirectoryError;
use crate::failure::{Class, Code, Failure};
use crate::ports::{
    ArchiveStore, Chunks, Found, Listed, ObjectKey, Part, PutOnce, Span, Stored, UploadId, Version, Versions,
};

const PROBE: &str = "_offboarder_probe";

/// Objects as files of one directory.
pub struct DirectoryStore {
    root: Arc<Path>,
}

impl DirectoryStore {
    /// Opens the directory, making it where it is missing.
    pub fn open(path: &Path) -> Result<Self, DirectoryError> {
        let failed = |error| DirectoryError::of(&error, path);
        std::fs::create_dir_all(path).map_err(failed)?;
        Ok(Self { root: path.canonicalize().map_err(failed)?.into() })
    }

    fn path(&self, key: &ObjectKey) -> PathBuf {
        self.root.join(key.as_str())
    }

    fn temporary(&self, key: &ObjectKey, upload: &UploadId) -> PathBuf {
        self.root.join(format!(".{}.{}.part", key.as_str(), upload.0))
    }
}

/// Runs `work` where blocking is allowed.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DirectoryError> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(Failure::from),
        Err(died) => Err(Failure::new(Class::Defect, Code::Panicked, died.to_string())),
    }
}

/// A name in the directory is on the disk only when the directory is.
fn sync_directory(root: &Path) -> Result<(), DirectoryError> {
    File::open(root)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| DirectoryError::of(&error, root))
}

/// Gives a finished temporary file its name, unless the name is taken: `link(2)` fails then, as
/// `rename(2)` would not.
fn publish(root: &Path, temporary: &Path, path: &Path) -> Result<PutOnce, DirectoryError> {
    let outcome = match std::fs::hard_link(temporary, path) {
        Ok(()) => PutOnce::Stored(Stored { version_id: None, retention: None }),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => PutOnce::AlreadyThere,
        Err(error) => return Err(DirectoryError::of(&error, path)),
    };
    sync_directory(root)?;
    if matches!(outcome, PutOnce::Stored(_)) {
        std::fs::remove_file(temporary).map_err(|error| DirectoryError::of(&error, temporary))?;
    }
    Ok(outcome)
}

fn write_whole(
    root: &Path,
    temporary: &Path,
    path: &Path,
    body: &[u8],
    span: Option<&Span>,
) -> Result<PutOnce, DirectoryError> {
    let failed = |error| DirectoryError::of(&error, temporary);
    let mut file = OpenOptions::new().write(true).create_new(true).open(temporary).map_err(failed)?;
    if let Some(span) = span {
        write_span(temporary, span);
    }
    let written = file.write_all(body).and_then(|()| file.sync_all()).map_err(failed);
    let outcome = written.and_then(|()| publish(root, temporary, path));
    if !matches!(outcome, Ok(PutOnce::Stored(_))) {
        // Nothing half-written stays; what stopped us is told already.
        std::fs::remove_file(temporary).ok();
    }
    outcome
}

/// Writes a part at its place and cuts off what an earlier try left behind it.
fn write_part(temporary: &Path, offset_bytes: u64, body: &[u8]) -> Result<(), DirectoryError> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => DirectoryError::UploadLost { path: temporary.to_owned() },
        _ => DirectoryError::of(&error, temporary),
    };
    let mut file = OpenOptions::new().write(true).open(temporary).map_err(failed)?;
    if file.metadata().map_err(failed)?.len() < offset_bytes {
        return Err(DirectoryError::UploadLost { path: temporary.to_owned() });
    }
    file.set_len(offset_bytes).map_err(failed)?;
    file.seek(SeekFrom::Start(offset_bytes)).map_err(failed)?;
    file.write_all(body).and_then(|()| file.sync_data()).map_err(failed)
}

/// The names of a file's extended attributes, in the name space that every user may write.
const ATTRIBUTES: [&str; 2] = ["user.offboarder-date-from", "user.offboarder-date-to"];

/// Keeps the span with the file, so that it appears with it. A file system without extended
/// attributes goes without: a run that lost its checkpoint then refuses the archive instead of guessing.
fn write_span(path: &Path, span: &Span) {
    for (name, value) in ATTRIBUTES.into_iter().zip(span.values()) {
        if let Err(error) = xattr::set(path, name, value.as_bytes()) {
            tracing::debug!(path = %path.display(), %error, "no extended attribute was written");
        }
    }
}

fn read_span(path: &Path) -> Option<Span> {
    let [from, to] = ATTRIBUTES
        .map(|name| xattr::get(path, name).ok().flatten().and_then(|value| String::from_utf8(value).ok()));
    Span::parse(from.as_deref(), to.as_deref())
}

fn list(root: &Path, prefix: &str) -> Result<Vec<Listed>, DirectoryError> {
    let failed = |error| DirectoryError::of(&error, root);
    let mut listed = Vec::new();
    for entry in std::fs::read_dir(root).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Some(key) = entry.file_name().to_str().filter(|name| name.starts_with(prefix)).map(str::to_owned)
        else {
            continue;
        };
        let modified = match entry.metadata().and_then(|metadata| metadata.modified()) {
            Ok(modified) => Timestamp::try_from(modified).unwrap_or(Timestamp::UNIX_EPOCH),
            // A temporary file whose upload ended meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(DirectoryError::of(&error, &entry.path())),
        };
        listed.push(Listed { key: ObjectKey(key), modified });
    }
    Ok(listed)
}

#[async_trait]
impl ArchiveStore for DirectoryStore {
    fn location(&self) -> String {
        format!("file:{}", self.root.display())
    }

    fn full_key(&self, key: &ObjectKey) -> String {
        key.as_str().to_owned()
    }

    async fn put_once(&self, key: &ObjectKey, body: Bytes, span: Option<&Span>) -> Result<PutOnce, Failure> {
        let span = span.copied();
        let upload = UploadId(uuid::Uuid::new_v4().to_string());
        let (root, path, temporary) = (Arc::clone(&self.root), self.path(key), self.temporary(key, &upload));
        blocking(move || write_whole(&root, &temporary, &path, &body, span.as_ref())).await
    }

    async fn begin(&self, key: &ObjectKey, span: &Span) -> Result<UploadId, Failure> {
        let span = *span;
        let upload = UploadId(uuid::Uuid::new_v4().to_string());
        let temporary = self.temporary(key, &upload);
        blocking(move || {
            let made = OpenOptions::new().write(true).create_new(true).open(&temporary);
            made.map_err(|error| DirectoryError::of(&error, &temporary))?;
            write_span(&temporary, &span);
            Ok(())
        })
        .await?;
        Ok(upload)
    }

    async fn uploads(&self, key: &ObjectKey) -> Result<Vec<UploadId>, Failure> {
        let (root, prefix) = (Arc::clone(&self.root), format!(".{}.", key.as_str()));
        blocking(move || {
            let failed = |error| DirectoryError::of(&error, &root);
            let mut uploads = Vec::new();
            for entry in std::fs::read_dir(&root).map_err(failed)? {
                let name = entry.map_err(failed)?.file_name();
                let id = name.to_str().and_then(|name| name.strip_prefix(&prefix)?.strip_suffix(".part"));
                uploads.extend(id.map(|id| UploadId(id.to_owned())));
            }
            Ok(uploads)
        })
        .await
    }

    async fn put_part(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        number: u32,
        offset_bytes: u64,
        body: Bytes,
    ) -> Result<Part, Failure> {
        let temporary = self.temporary(key, upload);
        let bytes = body.len() as u64;
        blocking(move || write_part(&temporary, offset_bytes, &body)).await?;
        // Nobody compares checksums here; the whole file is read back instead.
        Ok(Part { number, bytes, etag: String::new(), crc32c: String::new() })
    }

    async fn complete(&self, key: &ObjectKey, upload: &UploadId, parts: &[Part]) -> Result<PutOnce, Failure> {
        let (root, path, temporary) = (Arc::clone(&self.root), self.path(key), self.temporary(key, upload));
        let expected: u64 = parts.iter().map(|part| part.bytes).sum();
        blocking(move || {
            let lost = || DirectoryError::UploadLost { path: temporary.clone() };
            let file = OpenOptions::new().write(true).open(&temporary).map_err(|_gone| lost())?;
            let failed = |error| DirectoryError::of(&error, &temporary);
            if file.metadata().map_err(failed)?.len() != expected {
                return Err(lost());
            }
            file.sync_all().map_err(failed)?;
            publish(&root, &temporary, &path)
        })
        .await
    }

    fn verifies_on_arrival(&self) -> bool {
        false
    }

    async fn abort(&self, key: &ObjectKey, upload: &UploadId) -> Result<(), Failure> {
        let temporary = self.temporary(key, upload);
        blocking(move || match std::fs::remove_file(&temporary) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(DirectoryError::of(&error, &temporary)),
            Ok(()) | Err(_) => Ok(()),
        })
        .await
    }

    async fn find(&self, key: &ObjectKey, _version_id: Option<&str>) -> Result<Option<Found>, Failure> {
        let path = self.path(key);
        blocking(move || match std::fs::metadata(&path) {
            Ok(metadata) => Ok(Some(Found {
                bytes: metadata.len(),
                version_id: None,
                etag: None,
                retention: None,
                span: read_span(&path),
            })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DirectoryError::of(&error, &path)),
        })
        .await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, Failure> {
        let (root, prefix) = (Arc::clone(&self.root), prefix.to_owned());
        blocking(move || list(&root, &prefix)).await
    }

    /// A directory keeps no versions.
    async fn hidden(&self, _prefix: &str) -> Result<Vec<ObjectKey>, Failure> {
        Ok(Vec::new())
    }

    /// A directory keeps one version of each.
    fn versions(&self, prefix: &str) -> Versions {
        let (root, prefix) = (Arc::clone(&self.root), prefix.to_owned());
        let listed = async move {
            let listed = blocking(move || list(&root, &prefix)).await?;
            let only = |one: Listed| Ok(Version { key: one.key, id: None, deletes: false, latest: true });
            Ok::<_, Failure>(stream::iter(listed.into_iter().map(only)))
        };
        stream::once(listed).try_flatten().boxed()
    }

    async fn read(&self, key: &ObjectKey, max_bytes: usize) -> Result<Option<Bytes>, Failure> {
        let path = self.path(key);
        blocking(move || {
            let failed = |error| DirectoryError::of(&error, &path);
            let bytes = match std::fs::metadata(&path) {
                Ok(metadata) => metadata.len(),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(failed(error)),
            };
            if bytes > max_bytes as u64 {
                return Err(DirectoryError::TooLarge { path: path.clone(), bytes, max_bytes });
            }
            std::fs::read(&path).map(|bytes| Some(Bytes::from(bytes))).map_err(failed)
        })
        .await
    }

    async fn stream(&self, key: &ObjectKey, _version_id: Option<&str>) -> Result<Option<Chunks>, Failure> {
        let path = self.path(key);
        match tokio::fs::File::open(&path).await {
            Ok(file) => {
                let chunks = ReaderStream::with_capacity(file, 256 * 1024);
                Ok(Some(
                    chunks
                        .map(move |chunk| {
                            chunk.map_err(|error| Failure::from(DirectoryError::of(&error, &path)))
                        })
                        .boxed(),
                ))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DirectoryError::of(&error, &path).into()),
        }
    }

    async fn probe(&self) -> Result<(), Failure> {
        let key = ObjectKey(PROBE.to_owned());
        let body = Bytes::from_static(b"offboarder looks whether it may write here\n");
        self.put_once(&key, body.clone(), None).await?;
        match self.put_once(&key, body, None).await? {
            PutOnce::AlreadyThere => Ok(()),
            PutOnce::Stored(_) => {
                let text = format!("{} lets objects be overwritten", self.location());
                Err(Failure::new(Class::Systemic, Code::ArchiveOverwrites, text))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Span = Span { from: Timestamp::UNIX_EPOCH, to: Timestamp::constant(1_000, 500_000_000) };

    fn key() -> ObjectKey {
        ObjectKey("u.json".to_owned())
    }

    fn files(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_second_object_of_the_same_name_changes_nothing_and_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let store = DirectoryStore::open(directory.path()).unwrap();
        assert!(matches!(
            store.put_once(&key(), Bytes::from_static(b"one"), None).await.unwrap(),
            PutOnce::Stored(_)
        ));
        assert_eq!(
            store.put_once(&key(), Bytes::from_static(b"two"), None).await.unwrap(),
            PutOnce::AlreadyThere
        );
        assert_eq!(store.read(&key(), 10).await.unwrap().unwrap(), "one");
        assert_eq!(files(directory.path()), ["u.json"]);
    }

    #[tokio::test]
    async fn an_object_of_parts_is_invisible_until_it_is_whole_and_a_part_may_be_stored_again() {
        let directory = tempfile::tempdir().unwrap();
        let store = DirectoryStore::open(directory.path()).unwrap();
        let upload = store.begin(&key(), &SPAN).await.unwrap();
        let one = store.put_part(&key(), &upload, 1, 0, Bytes::from_static(b"one,")).await.unwrap();
        store.put_part(&key(), &upload, 2, 4, Bytes::from_static(b"half-written part")).await.unwrap();
        let two = store.put_part(&key(), &upload, 2, 4, Bytes::from_static(b"two")).await.unwrap();
        assert_eq!(store.find(&key(), None).await.unwrap(), None);
        let done = store.complete(&key(), &upload, &[one, two]).await.unwrap();
        assert!(matches!(done, PutOnce::Stored(_)));
        assert_eq!(store.read(&key(), 10).await.unwrap().unwrap(), "one,two");
        assert_eq!(store.find(&key(), None).await.unwrap().unwrap().span, Some(SPAN));
        assert_eq!(files(directory.path()), ["u.json"]);
    }

    #[tokio::test]
    async fn an_upload_that_is_gone_is_said_to_be() {
        let directory = tempfile::tempdir().unwrap();
        let store = DirectoryStore::open(directory.path()).unwrap();
        let upload = store.begin(&key(), &SPAN).await.unwrap();
        assert_eq!(store.uploads(&key()).await.unwrap(), std::slice::from_ref(&upload));
        store.abort(&key(), &upload).await.unwrap();
        store.abort(&key(), &upload).await.unwrap();
        assert_eq!(store.uploads(&key()).await.unwrap(), []);
        let error = store.put_part(&key(), &upload, 1, 0, Bytes::from_static(b"x")).await.unwrap_err();
        assert_eq!(error.code, Code::ArchiveUploadLost);
        assert!(files(directory.path()).is_empty());
    }

    #[tokio::test]
    async fn a_listing_says_when_an_object_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let store = DirectoryStore::open(directory.path()).unwrap();
        let before = Timestamp::now() - jiff::SignedDuration::from_secs(2);
        store.put_once(&key(), Bytes::from_static(b"one"), None).await.unwrap();
        store.put_once(&ObjectKey("v.json".to_owned()), Bytes::from_static(b"two"), None).await.unwrap();
        let listed = store.list("u").await.unwrap();
        assert_eq!(listed.iter().map(|one| &one.key).collect::<Vec<_>>(), [&key()]);
        assert!(listed[0].modified >= before && listed[0].modified <= Timestamp::now(), "{listed:?}");
        assert_eq!(store.keys("u").await.unwrap(), [key()]);
        assert_eq!(store.hidden("").await.unwrap(), []);
    }

    #[tokio::test]
    async fn the_probe_works_the_second_time_too() {
        let directory = tempfile::tempdir().unwrap();
        let store = DirectoryStore::open(directory.path()).unwrap();
        store.probe().await.unwrap();
        store.probe().await.unwrap();
    }
}
