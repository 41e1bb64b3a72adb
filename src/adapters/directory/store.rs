use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tokio_util::io::ReaderStream;
use xattr::FileExt as _;

use super::error::DirectoryError;
use crate::adapters::private;
use crate::failure::{Class, Code, Failure};
use crate::integrity::Integrity;
use crate::ports::DateRange;
use crate::ports::{
    ArchiveStore, Chunks, Found, Listed, ObjectKey, Part, PutOnce, Stored, UploadId, Version,
    Versions,
};

const PROBE: &str = "_offboarder_probe";

/// Objects as files of one directory.
pub(crate) struct DirectoryStore {
    root: Arc<Path>,
    integrity: Integrity,
}

impl DirectoryStore {
    /// Opens the directory, making it where it is missing.
    pub(crate) fn open(path: &Path) -> Result<Self, DirectoryError> {
        let failed = |error| DirectoryError::of(&error, path);
        private::directory(path).map_err(failed)?;
        let root = path.canonicalize().map_err(failed)?.into();
        Ok(Self {
            root,
            integrity: Integrity::default(),
        })
    }

    /// The same, with the codes of this key.
    #[must_use]
    pub(crate) fn with_integrity(self, integrity: Integrity) -> Self {
        Self { integrity, ..self }
    }

    fn path(&self, key: &ObjectKey) -> PathBuf {
        self.root.join(key.as_str())
    }

    fn temporary(&self, key: &ObjectKey, upload: &UploadId) -> PathBuf {
        self.root
            .join(format!(".{}.{}.part", key.as_str(), upload.0))
    }
}

/// Runs `work` where blocking is allowed.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DirectoryError> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(Failure::from),
        Err(died) => Err(Failure::new(
            Class::Defect,
            Code::Panicked,
            died.to_string(),
        )),
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
        Ok(()) => PutOnce::Stored(Stored {
            version_id: None,
            retention: None,
        }),
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
    span: Option<&DateRange>,
) -> Result<PutOnce, DirectoryError> {
    let failed = |error| DirectoryError::of(&error, temporary);
    let mut file = private::create(temporary).map_err(failed)?;
    if let Some(span) = span {
        write_span(temporary, span);
        set_attribute(temporary, SHA256, &hex::encode(Sha256::digest(body)));
    }
    let written = file
        .write_all(body)
        .and_then(|()| file.sync_all())
        .map_err(failed);
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
        ErrorKind::NotFound => DirectoryError::UploadLost {
            path: temporary.to_owned(),
        },
        _ => DirectoryError::of(&error, temporary),
    };
    let mut file = private::open_to_write(temporary).map_err(failed)?;
    if file.metadata().map_err(failed)?.len() < offset_bytes {
        return Err(DirectoryError::UploadLost {
            path: temporary.to_owned(),
        });
    }
    file.set_len(offset_bytes).map_err(failed)?;
    file.seek(SeekFrom::Start(offset_bytes)).map_err(failed)?;
    file.write_all(body)
        .and_then(|()| file.sync_data())
        .map_err(failed)
}

/// The names of a file's extended attributes, in the name space that every user may write.
const ATTRIBUTES: [&str; 2] = ["user.offboarder-date-from", "user.offboarder-date-to"];
/// Where the SHA-256 of a file is kept that was written at once.
const SHA256: &str = "user.offboarder-sha256";

/// Keeps the span with the file, so that it appears with it. A file system without extended
/// attributes goes without: a run that lost its checkpoint then refuses the archive instead of guessing.
fn write_span(path: &Path, span: &DateRange) {
    for (name, value) in ATTRIBUTES.into_iter().zip(span.values()) {
        set_attribute(path, name, &value);
    }
}

fn set_attribute(path: &Path, name: &str, value: &str) {
    if let Err(error) = xattr::set(path, name, value.as_bytes()) {
        tracing::debug!(path = %path.display(), %error, "no extended attribute was written");
    }
}

fn attribute(file: &File, name: &str) -> Option<String> {
    file.get_xattr(name)
        .ok()
        .flatten()
        .and_then(|value| String::from_utf8(value).ok())
}

/// What is under a key, if it is a file of ours: no link is followed, and nothing waits for a pipe.
fn open(path: &Path) -> Result<Option<(File, Metadata)>, DirectoryError> {
    match private::open(path) {
        Ok(opened) => Ok(Some(opened)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DirectoryError::of(&error, path)),
    }
}

fn list(root: &Path, prefix: &str) -> Result<Vec<Listed>, DirectoryError> {
    let failed = |error| DirectoryError::of(&error, root);
    let mut listed = Vec::new();
    for entry in std::fs::read_dir(root).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Some(key) = entry
            .file_name()
            .to_str()
            .filter(|name| name.starts_with(prefix))
            .map(str::to_owned)
        else {
            continue;
        };
        let modified = match entry.metadata().and_then(|metadata| metadata.modified()) {
            Ok(modified) => Timestamp::try_from(modified).unwrap_or(Timestamp::UNIX_EPOCH),
            // A temporary file whose upload ended meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(DirectoryError::of(&error, &entry.path())),
        };
        listed.push(Listed {
            key: ObjectKey(key),
            modified,
        });
    }
    Ok(listed)
}

#[async_trait]
impl ArchiveStore for DirectoryStore {
    fn location(&self) -> String {
        format!("file:{}", self.root.display())
    }

    fn integrity(&self) -> &Integrity {
        &self.integrity
    }

    fn full_key(&self, key: &ObjectKey) -> String {
        key.as_str().to_owned()
    }

    async fn put_once(
        &self,
        key: &ObjectKey,
        body: Bytes,
        span: Option<&DateRange>,
    ) -> Result<PutOnce, Failure> {
        let span = span.copied();
        let upload = UploadId(uuid::Uuid::new_v4().to_string());
        let (root, path, temporary) = (
            Arc::clone(&self.root),
            self.path(key),
            self.temporary(key, &upload),
        );
        blocking(move || write_whole(&root, &temporary, &path, &body, span.as_ref())).await
    }

    async fn begin(&self, key: &ObjectKey, span: &DateRange) -> Result<UploadId, Failure> {
        let span = *span;
        let upload = UploadId(uuid::Uuid::new_v4().to_string());
        let temporary = self.temporary(key, &upload);
        blocking(move || {
            let made = private::create(&temporary);
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
                let id = name
                    .to_str()
                    .and_then(|name| name.strip_prefix(&prefix)?.strip_suffix(".part"));
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
        Ok(Part {
            number,
            bytes,
            etag: String::new(),
            crc32c: String::new(),
        })
    }

    async fn complete(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        parts: &[Part],
    ) -> Result<PutOnce, Failure> {
        let (root, path, temporary) = (
            Arc::clone(&self.root),
            self.path(key),
            self.temporary(key, upload),
        );
        let expected: u64 = parts.iter().map(|part| part.bytes).sum();
        blocking(move || {
            let lost = || DirectoryError::UploadLost {
                path: temporary.clone(),
            };
            let file = private::open_to_write(&temporary).map_err(|_gone| lost())?;
            let failed = |error| DirectoryError::of(&error, &temporary);
            if file.metadata().map_err(failed)?.len() != expected {
                return Err(lost());
            }
            file.sync_all().map_err(failed)?;
            publish(&root, &temporary, &path)
        })
        .await
    }

    /// A file system computes none.
    fn refuses_wrong_checksums(&self) -> bool {
        false
    }

    async fn abort(&self, key: &ObjectKey, upload: &UploadId) -> Result<(), Failure> {
        let temporary = self.temporary(key, upload);
        blocking(move || match std::fs::remove_file(&temporary) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(DirectoryError::of(&error, &temporary))
            }
            Ok(()) | Err(_) => Ok(()),
        })
        .await
    }

    async fn find(
        &self,
        key: &ObjectKey,
        _version_id: Option<&str>,
    ) -> Result<Option<Found>, Failure> {
        let path = self.path(key);
        blocking(move || {
            let Some((file, metadata)) = open(&path)? else {
                return Ok(None);
            };
            let [from, to] = ATTRIBUTES.map(|name| attribute(&file, name));
            Ok(Some(Found {
                bytes: metadata.len(),
                version_id: None,
                etag: None,
                retention: None,
                span: DateRange::parse(from.as_deref(), to.as_deref()),
                sha256: attribute(&file, SHA256),
                crc32c: None,
            }))
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
            let only = |one: Listed| {
                Ok(Version {
                    key: one.key,
                    id: None,
                    deletes: false,
                    latest: true,
                })
            };
            Ok::<_, Failure>(stream::iter(listed.into_iter().map(only)))
        };
        stream::once(listed).try_flatten().boxed()
    }

    async fn read(&self, key: &ObjectKey, max_bytes: usize) -> Result<Option<Bytes>, Failure> {
        let path = self.path(key);
        blocking(move || {
            let Some((mut file, metadata)) = open(&path)? else {
                return Ok(None);
            };
            let bytes = metadata.len();
            if bytes > max_bytes as u64 {
                return Err(DirectoryError::TooLarge {
                    path: path.clone(),
                    bytes,
                    max_bytes,
                });
            }
            let mut body = Vec::new();
            file.read_to_end(&mut body)
                .map_err(|error| DirectoryError::of(&error, &path))?;
            Ok(Some(Bytes::from(body)))
        })
        .await
    }

    async fn stream(
        &self,
        key: &ObjectKey,
        _version_id: Option<&str>,
    ) -> Result<Option<Chunks>, Failure> {
        let path = self.path(key);
        let opening = path.clone();
        let Some((file, _metadata)) = blocking(move || open(&opening)).await? else {
            return Ok(None);
        };
        let chunks = ReaderStream::with_capacity(tokio::fs::File::from_std(file), 256 * 1024);
        let failed = move |error| Failure::from(DirectoryError::of(&error, &path));
        Ok(Some(chunks.map_err(failed).boxed()))
    }

    async fn probe(&self) -> Result<(), Failure> {
        let key = ObjectKey(PROBE.to_owned());
        let body = Bytes::from_static(b"offboarder checks that it may write here\n");
        self.put_once(&key, body.clone(), None).await?;
        match self.put_once(&key, body, None).await? {
            PutOnce::AlreadyThere if self.keys(PROBE).await?.contains(&key) => Ok(()),
            PutOnce::AlreadyThere => {
                let text = format!("{} does not list what was just written", self.location());
                Err(Failure::new(Class::Systemic, Code::ArchiveUnfit, text))
            }
            PutOnce::Stored(_) => {
                let text = format!("{} lets objects be overwritten", self.location());
                Err(Failure::new(Class::Systemic, Code::ArchiveOverwrites, text))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const SPAN: DateRange = DateRange {
        from: Timestamp::UNIX_EPOCH,
        to: Timestamp::constant(1_000, 500_000_000),
    };

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
            store
                .put_once(&key(), Bytes::from_static(b"one"), None)
                .await
                .unwrap(),
            PutOnce::Stored(_)
        ));
        assert_eq!(
            store
                .put_once(&key(), Bytes::from_static(b"two"), None)
                .await
                .unwrap(),
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
        let one = store
            .put_part(&key(), &upload, 1, 0, Bytes::from_static(b"one,"))
            .await
            .unwrap();
        store
            .put_part(
                &key(),
                &upload,
                2,
                4,
                Bytes::from_static(b"half-written part"),
            )
            .await
            .unwrap();
        let two = store
            .put_part(&key(), &upload, 2, 4, Bytes::from_static(b"two"))
            .await
            .unwrap();
        assert_eq!(store.find(&key(), None).await.unwrap(), None);
        let done = store.complete(&key(), &upload, &[one, two]).await.unwrap();
        assert!(matches!(done, PutOnce::Stored(_)));
        assert_eq!(store.read(&key(), 10).await.unwrap().unwrap(), "one,two");
        assert_eq!(
            store.find(&key(), None).await.unwrap().unwrap().span,
            Some(SPAN)
        );
        assert_eq!(files(directory.path()), ["u.json"]);
    }

    #[tokio::test]
    async fn an_upload_that_is_gone_is_said_to_be() {
        let directory = tempfile::tempdir().unwrap();
        let store = DirectoryStore::open(directory.path()).unwrap();
        let upload = store.begin(&key(), &SPAN).await.unwrap();
        assert_eq!(
            store.uploads(&key()).await.unwrap(),
            std::slice::from_ref(&upload)
        );
        store.abort(&key(), &upload).await.unwrap();
        store.abort(&key(), &upload).await.unwrap();
        assert_eq!(store.uploads(&key()).await.unwrap(), []);
        let error = store
            .put_part(&key(), &upload, 1, 0, Bytes::from_static(b"x"))
            .await
            .unwrap_err();
        assert_eq!(error.code, Code::ArchiveUploadLost);
        assert!(files(directory.path()).is_empty());
    }

    #[tokio::test]
    async fn a_listing_says_when_an_object_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let store = DirectoryStore::open(directory.path()).unwrap();
        let before = Timestamp::now() - jiff::SignedDuration::from_secs(2);
        store
            .put_once(&key(), Bytes::from_static(b"one"), None)
            .await
            .unwrap();
        store
            .put_once(
                &ObjectKey("v.json".to_owned()),
                Bytes::from_static(b"two"),
                None,
            )
            .await
            .unwrap();
        let listed = store.list("u").await.unwrap();
        assert_eq!(
            listed.iter().map(|one| &one.key).collect::<Vec<_>>(),
            [&key()]
        );
        assert!(
            listed[0].modified >= before && listed[0].modified <= Timestamp::now(),
            "{listed:?}"
        );
        assert_eq!(store.keys("u").await.unwrap(), [key()]);
        assert_eq!(store.hidden("").await.unwrap(), []);
    }

    #[tokio::test]
    async fn what_is_stored_is_for_its_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("a/b");
        let store = DirectoryStore::open(&root).unwrap();
        let upload = store
            .begin(&ObjectKey("v.json".to_owned()), &SPAN)
            .await
            .unwrap();
        store
            .put_once(&key(), Bytes::from_static(b"one"), Some(&SPAN))
            .await
            .unwrap();
        store.probe().await.unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(&root), mode(&directory.path().join("a"))),
            (0o700, 0o700)
        );
        let files = files(&root);
        assert_eq!(files.len(), 3, "{files:?} {upload:?}");
        for file in files {
            assert_eq!(mode(&root.join(&file)), 0o600, "{file}");
        }
    }

    #[tokio::test]
    async fn a_link_in_the_place_of_an_object_is_not_followed_and_a_pipe_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let secret = directory.path().join("secret");
        std::fs::write(&secret, "secret").unwrap();
        let store = DirectoryStore::open(&directory.path().join("store")).unwrap();
        let place = directory.path().join("store/u.json");
        std::os::unix::fs::symlink(&secret, &place).unwrap();
        let pipe = std::process::Command::new("mkfifo")
            .arg(directory.path().join("store/v.json"))
            .status();
        assert!(pipe.unwrap().success());
        for name in ["u.json", "v.json"] {
            let key = ObjectKey(name.to_owned());
            for failure in [
                store.find(&key, None).await.unwrap_err(),
                store.read(&key, 10).await.unwrap_err(),
                store.stream(&key, None).await.map(drop).unwrap_err(),
            ] {
                assert!(
                    failure.text.contains(name) && failure.text.contains("no regular file"),
                    "{failure}"
                );
            }
        }
        let put = store
            .put_once(&key(), Bytes::from_static(b"one"), None)
            .await
            .unwrap();
        assert_eq!(put, PutOnce::AlreadyThere);
        assert_eq!(std::fs::read(&secret).unwrap(), b"secret");
    }

    #[tokio::test]
    async fn the_probe_works_the_second_time_too() {
        let directory = tempfile::tempdir().unwrap();
        let store = DirectoryStore::open(directory.path()).unwrap();
        store.probe().await.unwrap();
        store.probe().await.unwrap();
    }
}
