use std::collections::HashMap;
use std::sync::OnceLock;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::SharedCredentialsProvider;
use aws_sdk_s3::types::{ChecksumMode, ObjectLockRetentionMode};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use jiff::Timestamp;

use super::connect::connect;
use super::error::{S3Error, is_not_found};
use super::versions::VersionListing;
use super::writing::SHA256_NAME;
use crate::failure::Failure;
use crate::integrity::Integrity;
use crate::limits::Retention;
use crate::machine::RetentionMark;
use crate::ports::DateRange;
use crate::ports::{
    ArchiveStore, Chunks, Found, Listed, ObjectKey, Part, PutOnce, Stored, UploadId, Versions,
    crc32c,
};

/// A bucket and a prefix in it.
pub(crate) struct S3Store {
    pub(super) client: Client,
    pub(super) credentials: Option<SharedCredentialsProvider>,
    pub(super) bucket: String,
    pub(super) prefix: String,
    pub(super) retention: Option<Retention>,
    /// Whether the store refuses wrong checksums, once a probe has tested everything.
    pub(super) refuses_wrong_checksums: OnceLock<bool>,
    pub(super) integrity: Integrity,
}

impl S3Store {
    /// Finds credentials, region and endpoint as every AWS program does. Sends nothing to S3 yet.
    ///
    /// # Errors
    ///
    /// `AWS_CA_BUNDLE` names what is no file of certificates.
    pub(crate) async fn connect(
        bucket: &str,
        prefix: &str,
        force_path_style: bool,
        retention: Option<Retention>,
    ) -> Result<Self, S3Error> {
        let (client, credentials) = connect(force_path_style).await?;
        Ok(Self {
            client,
            credentials,
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            retention,
            refuses_wrong_checksums: OnceLock::new(),
            integrity: Integrity::default(),
        })
    }

    /// The same, with the codes of this key.
    #[must_use]
    pub(crate) fn with_integrity(self, integrity: Integrity) -> Self {
        Self { integrity, ..self }
    }

    fn version_listing(&self, prefix: &str) -> VersionListing {
        VersionListing {
            client: self.client.clone(),
            bucket: self.bucket.clone(),
            root: self.prefix.clone(),
            prefix: format!("{}{prefix}", self.prefix),
        }
    }

    pub(super) async fn read_version(
        &self,
        key: &ObjectKey,
        version_id: Option<&str>,
        max_bytes: usize,
    ) -> Result<Option<Bytes>, S3Error> {
        let what = || self.what("read", key);
        let got = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(self.full_key(key))
            .set_version_id(version_id.map(str::to_owned))
            .send()
            .await;
        let mut body = match got {
            Ok(got) => got.body,
            Err(error) if is_not_found(&error) => return Ok(None),
            Err(error) => return Err(S3Error::of(&error, what())),
        };
        let mut bytes = BytesMut::new();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| S3Error::of_body(&error, what()))?;
            if bytes.len() + chunk.len() > max_bytes {
                return Err(S3Error::TooLarge {
                    what: what(),
                    max_bytes,
                });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(bytes.freeze()))
    }

    pub(super) fn what(&self, act: &str, key: &ObjectKey) -> String {
        format!("{act} s3://{}/{}", self.bucket, self.full_key(key))
    }
}

fn span_of(metadata: Option<&HashMap<String, String>>) -> Option<DateRange> {
    let [from, to] = DateRange::NAMES.map(|name| metadata?.get(name).map(String::as_str));
    DateRange::parse(from, to)
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
        span: Option<&DateRange>,
    ) -> Result<PutOnce, Failure> {
        let mark = self.mark();
        let lock = mark.as_ref().map(|(_, lock)| lock);
        let stored = self.put_conditionally(key, &body, lock, span).await?;
        let Some(version_id) = stored else {
            return Ok(PutOnce::AlreadyThere);
        };
        if span.is_none() && !self.refuses_wrong_checksums() {
            self.reads_back(key, version_id.as_deref(), &body).await?;
        }
        Ok(PutOnce::Stored(Stored {
            version_id,
            retention: mark.map(|(mark, _)| mark),
        }))
    }

    async fn begin(&self, key: &ObjectKey, span: &DateRange) -> Result<UploadId, Failure> {
        let lock = self.mark().map(|(_, lock)| lock);
        Ok(self.create_upload(key, lock, Some(span)).await?)
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
                // S3 does not repeat the retention that the upload was begun with.
                let retention = match self.retention {
                    None => None,
                    Some(_) => self
                        .find(key, version_id.as_deref())
                        .await?
                        .and_then(|found| found.retention),
                };
                Ok(PutOnce::Stored(Stored {
                    version_id,
                    retention,
                }))
            }
            Ok(None) => Ok(PutOnce::AlreadyThere),
            // A retried completion whose first answer was lost finds its upload gone: what is there is
            // compared by the caller.
            Err(S3Error::UploadLost { .. }) if self.find(key, None).await?.is_some() => {
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
        let head = self
            .client
            .head_object()
            .bucket(&self.bucket)
            .key(self.full_key(key))
            .set_version_id(version_id.map(str::to_owned))
            // The checksum costs no request of its own. (For an object under KMS it takes the right to decrypt, as
            // reading back does.)
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await;
        match head {
            Ok(head) => {
                let until = head
                    .object_lock_retain_until_date
                    .and_then(|at| Timestamp::from_second(at.secs()).ok());
                let mode = head
                    .object_lock_mode
                    .map(|mode| ObjectLockRetentionMode::from(mode.as_str()));
                let retention = mode.zip(until).map(|(mode, retain_until)| RetentionMark {
                    mode: mode.as_str().to_owned(),
                    retain_until,
                });
                Ok(Some(Found {
                    bytes: head
                        .content_length
                        .and_then(|bytes| u64::try_from(bytes).ok())
                        .unwrap_or_default(),
                    version_id: head.version_id,
                    etag: head.e_tag,
                    retention,
                    span: span_of(head.metadata.as_ref()),
                    sha256: head
                        .metadata
                        .and_then(|mut metadata| metadata.remove(SHA256_NAME)),
                    crc32c: head.checksum_crc32_c,
                }))
            }
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(S3Error::of(&error, self.what("look at", key)).into()),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, Failure> {
        let prefix = format!("{}{prefix}", self.prefix);
        let what = || format!("list s3://{}/{prefix}", self.bucket);
        let mut pages = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(&prefix)
            .into_paginator()
            .send();
        let mut listed = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| S3Error::of(&error, what()))?;
            for object in page.contents.unwrap_or_default() {
                let key = object
                    .key
                    .as_deref()
                    .and_then(|key| key.strip_prefix(&self.prefix));
                let Some(key) = key else { continue };
                let modified = object
                    .last_modified
                    .and_then(|at| Timestamp::from_second(at.secs()).ok());
                // Without it nobody can count by time; the type of S3's answer lets it be missing.
                let modified = modified.ok_or_else(|| S3Error::Rejected {
                    what: what(),
                    status: 200,
                    said: "an object without LastModified".to_owned(),
                })?;
                listed.push(Listed {
                    key: ObjectKey(key.to_owned()),
                    modified,
                });
            }
        }
        Ok(listed)
    }

    async fn hidden(&self, prefix: &str) -> Result<Vec<ObjectKey>, Failure> {
        self.version_listing(prefix).hidden().await
    }

    fn versions(&self, prefix: &str) -> Versions {
        self.version_listing(prefix).stream()
    }

    async fn read(&self, key: &ObjectKey, max_bytes: usize) -> Result<Option<Bytes>, Failure> {
        Ok(self.read_version(key, None, max_bytes).await?)
    }

    async fn stream(
        &self,
        key: &ObjectKey,
        version_id: Option<&str>,
    ) -> Result<Option<Chunks>, Failure> {
        let what = self.what("read back", key);
        let got = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(self.full_key(key))
            .set_version_id(version_id.map(str::to_owned))
            .send()
            .await;
        let body = match got {
            Ok(got) => got.body,
            Err(error) if is_not_found(&error) => return Ok(None),
            Err(error) => return Err(S3Error::of(&error, what).into()),
        };
        let chunks = futures_util::stream::unfold((body, what), |(mut body, what)| async move {
            let chunk = body.next().await?;
            let chunk =
                chunk.map_err(|error| Failure::from(S3Error::of_body(&error, what.clone())));
            Some((chunk, (body, what)))
        });
        Ok(Some(chunks.boxed()))
    }

    async fn probe(&self) -> Result<(), Failure> {
        Ok(self.examine().await?)
    }
}
