//! The archive store in a directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio_util::io::ReaderStream;

use super::error::DirectoryError;
use super::files;
use crate::adapters::private;
use crate::failure::{Class, Code, Failure};
use crate::integrity::Integrity;
use crate::ports::{
    ArchiveStore, Chunks, DateRange, Found, Listed, ObjectKey, Part, PutOnce, UploadId, Version,
    Versions,
};

const PROBE: &str = "_offboarder_probe";

/// Objects as files of one directory.
pub(crate) struct DirectoryStore {
    root: Arc<Path>,
    integrity: Integrity,
}

impl DirectoryStore {
    /// Opens the directory. Creates it where it is missing.
    pub(crate) fn open(path: &Path) -> Result<Self, DirectoryError> {
        let failed = |error| DirectoryError::of(&error, path);
        private::directory(path).map_err(failed)?;
        let root = path.canonicalize().map_err(failed)?.into();
        Ok(Self {
            root,
            integrity: Integrity::default(),
        })
    }

    /// The same, with this integrity key.
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

/// Runs `work` on a thread where blocking is allowed.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DirectoryError> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(Failure::from),
        Err(panicked) => {
            let text = panicked.to_string();
            Err(Failure::new(Class::Defect, Code::Panicked, text))
        }
    }
}

fn new_upload() -> UploadId {
    UploadId(uuid::Uuid::new_v4().to_string())
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
        dates: Option<&DateRange>,
    ) -> Result<PutOnce, Failure> {
        let dates = dates.copied();
        let upload = new_upload();
        let root = Arc::clone(&self.root);
        let path = self.path(key);
        let temporary = self.temporary(key, &upload);
        blocking(move || files::write_whole(&root, &temporary, &path, &body, dates.as_ref())).await
    }

    async fn begin(&self, key: &ObjectKey, dates: &DateRange) -> Result<UploadId, Failure> {
        let dates = *dates;
        let upload = new_upload();
        let temporary = self.temporary(key, &upload);
        blocking(move || {
            let created = private::create(&temporary);
            created.map_err(|error| DirectoryError::of(&error, &temporary))?;
            files::write_dates(&temporary, &dates);
            Ok(())
        })
        .await?;
        Ok(upload)
    }

    async fn uploads(&self, key: &ObjectKey) -> Result<Vec<UploadId>, Failure> {
        let root = Arc::clone(&self.root);
        let prefix = format!(".{}.", key.as_str());
        blocking(move || files::uploads(&root, &prefix)).await
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
        blocking(move || files::write_part(&temporary, offset_bytes, &body)).await?;

        // A directory compares no checksums; the whole file is read back instead.
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
        let root = Arc::clone(&self.root);
        let path = self.path(key);
        let temporary = self.temporary(key, upload);
        let expected: u64 = parts.iter().map(|part| part.bytes).sum();
        blocking(move || files::complete(&root, &temporary, &path, expected)).await
    }

    /// A file system compares none.
    fn refuses_wrong_checksums(&self) -> bool {
        false
    }

    async fn abort(&self, key: &ObjectKey, upload: &UploadId) -> Result<(), Failure> {
        let temporary = self.temporary(key, upload);
        blocking(move || files::remove(&temporary)).await
    }

    async fn find(
        &self,
        key: &ObjectKey,
        _version_id: Option<&str>,
    ) -> Result<Option<Found>, Failure> {
        let path = self.path(key);
        blocking(move || files::find(&path)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, Failure> {
        let root = Arc::clone(&self.root);
        let prefix = prefix.to_owned();
        blocking(move || files::list(&root, &prefix)).await
    }

    /// A directory keeps no versions.
    async fn hidden(&self, _prefix: &str) -> Result<Vec<ObjectKey>, Failure> {
        Ok(Vec::new())
    }

    /// A directory keeps one version of each.
    fn versions(&self, prefix: &str) -> Versions {
        let root = Arc::clone(&self.root);
        let prefix = prefix.to_owned();
        let listed = async move {
            let listed = blocking(move || files::list(&root, &prefix)).await?;
            let only = |one: Listed| {
                Ok(Version {
                    key: one.key,
                    id: None,
                    deletes: false,
                    latest: true,
                    older_unknown: false,
                    modified: Some(one.modified),
                })
            };
            Ok::<_, Failure>(stream::iter(listed.into_iter().map(only)))
        };

        stream::once(listed).try_flatten().boxed()
    }

    async fn read(&self, key: &ObjectKey, max_bytes: usize) -> Result<Option<Bytes>, Failure> {
        let path = self.path(key);
        blocking(move || files::read(&path, max_bytes)).await
    }

    async fn stream(
        &self,
        key: &ObjectKey,
        _version_id: Option<&str>,
    ) -> Result<Option<Chunks>, Failure> {
        let path = self.path(key);
        let opening = path.clone();
        let Some((file, _metadata)) = blocking(move || files::open(&opening)).await? else {
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
