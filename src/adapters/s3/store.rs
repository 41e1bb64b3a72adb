//! The archive store in a bucket.

use std::sync::OnceLock;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::SharedCredentialsProvider;
use bytes::Bytes;
use futures_util::TryStreamExt as _;

use super::connect::connect;
use super::error::S3Error;
use crate::address::PemFile;
use crate::clock::Clock;
use crate::failure::Failure;
use crate::integrity::Integrity;
use crate::limits::Retention;
use crate::machine::RetentionMark;
use crate::ports::{
    ArchiveStore, Chunks, DateRange, Found, Listed, ObjectKey, Part, PutOnce, Stored, UploadId,
    Version, Versions, crc32c,
};

/// How to reach a bucket, and how to store in it.
pub(crate) struct S3Options<'a> {
    pub bucket: &'a str,
    pub prefix: &'a str,
    pub force_path_style: bool,
    /// Of a private CA.
    pub ca: Option<&'a PemFile>,
    pub retention: Option<Retention>,
    /// The KMS key that S3 encrypts with.
    pub kms_key: Option<&'a str>,
    pub clock: Clock,
}

/// A bucket and a prefix in it.
pub(crate) struct S3Store {
    pub(super) client: Client,
    pub(super) credentials: Option<SharedCredentialsProvider>,
    pub(super) bucket: String,
    pub(super) prefix: String,
    pub(super) retention: Option<Retention>,
    /// The KMS key that everything is encrypted with.
    pub(super) kms_key: Option<String>,
    /// Whether the store refuses wrong checksums, once a probe has tested everything.
    pub(super) refuses_wrong_checksums: OnceLock<bool>,
    /// Whether a listing of versions shows every object, once a probe has seen it.
    pub(super) lists_all_versions: OnceLock<bool>,
    pub(super) integrity: Integrity,
    pub(super) clock: Clock,
}

impl S3Store {
    /// Finds credentials, region and endpoint as every AWS program does. Sends nothing to S3 yet.
    pub(crate) async fn connect(options: S3Options<'_>) -> Result<Self, S3Error> {
        let connected = connect(options.force_path_style, options.ca).await?;
        let store = Self::new(
            connected.0,
            connected.1,
            options.bucket,
            options.prefix,
            options.retention,
            options.clock,
        );
        Ok(Self {
            kms_key: options.kms_key.map(str::to_owned),
            ..store
        })
    }

    pub(in crate::adapters) fn new(
        client: Client,
        credentials: Option<SharedCredentialsProvider>,
        bucket: &str,
        prefix: &str,
        retention: Option<Retention>,
        clock: Clock,
    ) -> Self {
        Self {
            client,
            credentials,
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            retention,
            kms_key: None,
            refuses_wrong_checksums: OnceLock::new(),
            lists_all_versions: OnceLock::new(),
            integrity: Integrity::default(),
            clock,
        }
    }

    /// The same, which locks what it stores.
    #[cfg(test)]
    pub(in crate::adapters) fn with_retention(self, retention: Retention) -> Self {
        Self {
            retention: Some(retention),
            ..self
        }
    }

    /// The same, which has S3 encrypt what it stores with this KMS key.
    #[cfg(test)]
    pub(super) fn with_kms_key(self, key: &str) -> Self {
        Self {
            kms_key: Some(key.to_owned()),
            ..self
        }
    }

    #[cfg(test)]
    pub(in crate::adapters) fn lists_all_versions(&self) -> Option<bool> {
        self.lists_all_versions.get().copied()
    }

    /// The same, with this integrity key.
    #[must_use]
    pub(crate) fn with_integrity(self, integrity: Integrity) -> Self {
        Self { integrity, ..self }
    }

    /// The retention of an object of parts: S3 does not repeat what the upload was begun with.
    async fn retention_of(
        &self,
        key: &ObjectKey,
        version_id: Option<&str>,
    ) -> Result<Option<RetentionMark>, S3Error> {
        if self.retention.is_none() {
            return Ok(None);
        }
        let found = self.head(key, version_id).await?;
        Ok(found.and_then(|found| found.retention))
    }

    pub(super) fn what(&self, act: &str, key: &ObjectKey) -> String {
        format!("{act} s3://{}/{}", self.bucket, self.full_key(key))
    }
}

#[async_trait]
impl ArchiveStore for S3Store {
    fn location(&self) -> String {
        format!("s3://{}", self.bucket)
    }

    fn integrity(&self) -> &Integrity {
        &self.integrity
    }

    fn full_key(&self, key: &ObjectKey) -> String {
        format!("{}{}", self.prefix, key.as_str())
    }

    async fn put_once(
        &self,
        key: &ObjectKey,
        body: Bytes,
        dates: Option<&DateRange>,
    ) -> Result<PutOnce, Failure> {
        let lock = self.lock();
        let stored = self
            .put_conditionally(key, &body, lock.as_ref(), dates)
            .await?;
        let Some(stored) = stored else {
            return Ok(PutOnce::AlreadyThere);
        };

        if dates.is_none() && !self.refuses_wrong_checksums() {
            self.reads_back(key, stored.version_id.as_deref(), &body)
                .await?;
        }
        Ok(PutOnce::Stored(stored))
    }

    async fn begin(&self, key: &ObjectKey, dates: &DateRange) -> Result<UploadId, Failure> {
        let lock = self.lock();
        Ok(self.create_upload(key, lock.as_ref(), Some(dates)).await?)
    }

    async fn uploads(&self, key: &ObjectKey) -> Result<Vec<UploadId>, Failure> {
        let full_key = self.full_key(key);
        let listed = self
            .client
            .list_multipart_uploads()
            .bucket(&self.bucket)
            .prefix(&full_key)
            .send()
            .await
            .map_err(|error| S3Error::of(&error, self.what("list the uploads of", key)))?;
        // One page holds a thousand, and one key has a handful.
        let ours = listed.uploads.unwrap_or_default().into_iter();
        let ours = ours.filter(|upload| upload.key.as_deref() == Some(&full_key));

        Ok(ours
            .filter_map(|upload| upload.upload_id)
            .map(UploadId)
            .collect())
    }

    async fn put_part(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        number: u32,
        _offset_bytes: u64,
        body: Bytes,
    ) -> Result<Part, Failure> {
        let crc32c = crc32c(&body);
        Ok(self.upload_part(key, upload, number, body, crc32c).await?)
    }

    async fn complete(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        parts: &[Part],
    ) -> Result<PutOnce, Failure> {
        match self.complete_upload(key, upload, parts).await {
            Ok(Some(version_id)) => {
                let retention = self.retention_of(key, version_id.as_deref()).await?;
                Ok(PutOnce::Stored(Stored {
                    version_id,
                    retention,
                    proof: None,
                }))
            }
            Ok(None) => Ok(PutOnce::AlreadyThere),
            // A completion that is sent again because its answer was lost finds its upload gone:
            // the caller compares what is there.
            Err(S3Error::UploadLost { .. }) if self.head(key, None).await?.is_some() => {
                Ok(PutOnce::AlreadyThere)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn refuses_wrong_checksums(&self) -> bool {
        self.refuses_wrong_checksums.get() == Some(&true)
    }

    async fn abort(&self, key: &ObjectKey, upload: &UploadId) -> Result<(), Failure> {
        let aborting = self
            .client
            .abort_multipart_upload()
            .bucket(&self.bucket)
            .key(self.full_key(key))
            .upload_id(&upload.0)
            .send()
            .await;
        match aborting.map_err(|error| S3Error::of(&error, self.what("abort the upload of", key))) {
            Ok(_) | Err(S3Error::UploadLost { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn find(
        &self,
        key: &ObjectKey,
        version_id: Option<&str>,
    ) -> Result<Option<Found>, Failure> {
        Ok(self.head(key, version_id).await?)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, Failure> {
        Ok(self.listing(prefix).objects().await?)
    }

    /// A listing of versions shows both, on a store of which the probe saw that it lists them all.
    async fn shown_and_hidden(
        &self,
        prefix: &str,
    ) -> Result<(Vec<ObjectKey>, Vec<ObjectKey>), Failure> {
        if self.lists_all_versions.get() == Some(&true) {
            self.listing(prefix).shown_and_hidden().await
        } else {
            futures_util::try_join!(self.keys(prefix), self.hidden(prefix))
        }
    }

    async fn hidden(&self, prefix: &str) -> Result<Vec<ObjectKey>, Failure> {
        self.listing(prefix).hidden().await
    }

    fn versions(&self, prefix: &str) -> Versions {
        self.listing(prefix).versions()
    }

    async fn all_versions(&self, prefix: &str) -> Result<Vec<Version>, Failure> {
        if self.lists_all_versions.get() == Some(&true) {
            return self.versions(prefix).try_collect().await;
        }
        let read = futures_util::try_join!(self.list(prefix), self.hidden(prefix))?;
        let version = |key, deletes, modified| Version {
            key,
            id: None,
            deletes,
            latest: true,
            older_unknown: true,
            modified,
        };
        let shown = read.0.into_iter();
        let shown = shown.map(|one| version(one.key, false, Some(one.modified)));
        let hidden = read.1.into_iter().map(|key| version(key, true, None));
        Ok(shown.chain(hidden).collect())
    }

    async fn read(&self, key: &ObjectKey, max_bytes: usize) -> Result<Option<Bytes>, Failure> {
        Ok(self.read_version(key, None, max_bytes).await?)
    }

    async fn stream(
        &self,
        key: &ObjectKey,
        version_id: Option<&str>,
    ) -> Result<Option<Chunks>, Failure> {
        Ok(self.stream_version(key, version_id).await?)
    }

    async fn probe(&self) -> Result<(), Failure> {
        Ok(self.examine().await?)
    }
}
