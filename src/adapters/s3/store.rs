use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::SharedCredentialsProvider;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{
    ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, ObjectLockMode, ObjectLockRetentionMode,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use crc_fast::CrcAlgorithm;
use futures_util::StreamExt as _;
use jiff::Timestamp;

use super::connect::{Retention, RetentionMode, connect};
use super::error::{S3Error, is_not_found, is_precondition, is_race};
use super::versions::VersionListing;
use crate::failure::Failure;
use crate::kill_point::effect;
use crate::machine::RetentionMark;
use crate::ports::{
    ArchiveStore, Chunks, Found, Listed, ObjectKey, Part, PutOnce, Span, Stored, UploadId, Versions,
};

const PROBE: &str = "_offboarder_probe";
/// More than any release wrote there.
const MAX_PROBE_BYTES: usize = 4096;
/// How often a conditional write that met another is sent again at once.
const RACES: u32 = 5;

/// A bucket and a prefix in it.
pub struct S3Store {
    pub(super) client: Client,
    pub(super) credentials: Option<SharedCredentialsProvider>,
    pub(super) bucket: String,
    prefix: String,
    retention: Option<Retention>,
}

/// CRC-32C as S3 writes it: base64 of four bytes, the highest first.
fn crc32c(body: &[u8]) -> String {
    let crc = crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, body);
    STANDARD.encode(u32::try_from(crc).unwrap_or_default().to_be_bytes())
}

impl S3Store {
    /// Finds credentials, region and endpoint as every AWS program does. Sends nothing to S3 yet.
    pub async fn connect(
        bucket: &str,
        prefix: &str,
        force_path_style: bool,
        retention: Option<Retention>,
    ) -> Self {
        let (client, credentials) = connect(force_path_style).await;
        Self { client, credentials, bucket: bucket.to_owned(), prefix: prefix.to_owned(), retention }
    }

    fn version_listing(&self, prefix: &str) -> VersionListing {
        VersionListing {
            client: self.client.clone(),
            bucket: self.bucket.clone(),
            root: self.prefix.clone(),
            prefix: format!("{}{prefix}", self.prefix),
        }
    }

    fn what(&self, act: &str, key: &ObjectKey) -> String {
        format!("{act} s3://{}/{}", self.bucket, self.full_key(key))
    }

    /// Until when what is written now is locked.
    fn mark(&self) -> Option<(RetentionMark, ObjectLockMode, DateTime)> {
        let retention = self.retention?;
        let until = SystemTime::now().checked_add(retention.period)?;
        let (mode, lock) = match retention.mode {
            RetentionMode::Governance => ("GOVERNANCE", ObjectLockMode::Governance),
            RetentionMode::Compliance => ("COMPLIANCE", ObjectLockMode::Compliance),
        };
        // S3 keeps whole seconds.
        let until = DateTime::from_secs(DateTime::from(until).secs());
        let retain_until = Timestamp::from_second(until.secs()).ok()?;
        Some((RetentionMark { mode: mode.to_owned(), retain_until }, lock, until))
    }

    fn put(&self, key: &ObjectKey, body: Bytes) -> PutObjectFluentBuilder {
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(self.full_key(key))
            .if_none_match("*")
            .content_type("application/json")
            .checksum_crc32_c(crc32c(&body))
            .body(ByteStream::from(body))
    }

    /// A conditional PUT; one that met another is sent again.
    async fn put_conditionally(
        &self,
        key: &ObjectKey,
        body: &Bytes,
        lock: Option<(ObjectLockMode, DateTime)>,
        span: Option<&Span>,
    ) -> Result<Option<Option<String>>, S3Error> {
        let mut races = 0;
        loop {
            let mut put = self.put(key, body.clone()).set_metadata(span.map(metadata));
            if let Some((mode, until)) = &lock {
                put = put.object_lock_mode(mode.clone()).object_lock_retain_until_date(*until);
            }
            match effect("the S3 put", Box::pin(put.send())).await {
                Ok(stored) => return Ok(Some(stored.version_id)),
                Err(error) if is_precondition(&error) => return Ok(None),
                Err(error) if is_race(&error) && races < RACES => {
                    races += 1;
                    let pause = Duration::from_millis(50).mul_f64(f64::from(races) * rand::random::<f64>());
                    tokio::time::sleep(pause).await;
                }
                Err(error) => return Err(S3Error::of(&error, self.what("store", key))),
            }
        }
    }
}

fn metadata(span: &Span) -> HashMap<String, String> {
    Span::NAMES.into_iter().map(str::to_owned).zip(span.values()).collect()
}

fn span_of(metadata: Option<&HashMap<String, String>>) -> Option<Span> {
    let [from, to] = Span::NAMES.map(|name| metadata?.get(name).map(String::as_str));
    Span::parse(from, to)
}

#[async_trait]
impl ArchiveStore for S3Store {
    fn location(&self) -> String {
        format!("s3://{}", self.bucket)
    }

    fn full_key(&self, key: &ObjectKey) -> String {
        format!("{}{}", self.prefix, key.as_str())
    }

    async fn put_once(&self, key: &ObjectKey, body: Bytes, span: Option<&Span>) -> Result<PutOnce, Failure> {
        let mark = self.mark();
        let lock = mark.as_ref().map(|(_, mode, until)| (mode.clone(), *until));
        let stored = self.put_conditionally(key, &body, lock, span).await?;
        Ok(stored.map_or(PutOnce::AlreadyThere, |version_id| {
            PutOnce::Stored(Stored { version_id, retention: mark.map(|(mark, _, _)| mark) })
        }))
    }

    async fn begin(&self, key: &ObjectKey, span: &Span) -> Result<UploadId, Failure> {
        let what = || self.what("begin to upload", key);
        let mut create = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(self.full_key(key))
            .content_type("application/json")
            .set_metadata(Some(metadata(span)))
            .checksum_algorithm(ChecksumAlgorithm::Crc32C);
        if let Some((_, mode, until)) = self.mark() {
            create = create.object_lock_mode(mode).object_lock_retain_until_date(until);
        }
        let created =
            effect("the S3 create", create.send()).await.map_err(|error| S3Error::of(&error, what()))?;
        let id = created.upload_id.ok_or_else(|| S3Error::Rejected {
            what: what(),
            status: 200,
            code: "no upload ID".to_owned(),
        })?;
        Ok(UploadId(id))
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
        Ok(ours.filter_map(|upload| upload.upload_id).map(UploadId).collect())
    }

    async fn put_part(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        number: u32,
        _offset_bytes: u64,
        body: Bytes,
    ) -> Result<Part, Failure> {
        let (bytes, crc32c) = (body.len() as u64, crc32c(&body));
        let upload_part = self
            .client
            .upload_part()
            .bucket(&self.bucket)
            .key(self.full_key(key))
            .upload_id(&upload.0)
            .part_number(i32::try_from(number).unwrap_or(i32::MAX))
            .checksum_crc32_c(&crc32c)
            .body(ByteStream::from(body));
        let uploaded = effect("the S3 part", upload_part.send())
            .await
            .map_err(|error| S3Error::of(&error, self.what(&format!("upload part {number} of"), key)))?;
        Ok(Part { number, bytes, etag: uploaded.e_tag.unwrap_or_default(), crc32c })
    }

    async fn complete(&self, key: &ObjectKey, upload: &UploadId, parts: &[Part]) -> Result<PutOnce, Failure> {
        let completed = parts.iter().map(|part| {
            CompletedPart::builder()
                .part_number(i32::try_from(part.number).unwrap_or(i32::MAX))
                .e_tag(&part.etag)
                .checksum_crc32_c(&part.crc32c)
                .build()
        });
        let list = CompletedMultipartUpload::builder().set_parts(Some(completed.collect())).build();
        let completing = self
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(self.full_key(key))
            .upload_id(&upload.0)
            .if_none_match("*")
            .multipart_upload(list);
        match effect("the S3 complete", completing.send()).await {
            Ok(done) => {
                // S3 does not repeat the retention that the upload was begun with.
                let retention = match self.retention {
                    None => None,
                    Some(_) => {
                        self.find(key, done.version_id.as_deref()).await?.and_then(|found| found.retention)
                    }
                };
                Ok(PutOnce::Stored(Stored { version_id: done.version_id, retention }))
            }
            Err(error) if is_precondition(&error) => Ok(PutOnce::AlreadyThere),
            // A retried completion whose first answer was lost finds its upload gone: what stands
            // there is compared by the caller.
            Err(error) => match S3Error::of(&error, self.what("complete", key)) {
                S3Error::UploadLost { .. } if self.find(key, None).await?.is_some() => {
                    Ok(PutOnce::AlreadyThere)
                }
                _ if is_race(&error) => {
                    let what = self.what("complete", key);
                    Err(S3Error::UploadLost { what, code: "ConditionalRequestConflict".to_owned() }.into())
                }
                other => Err(other.into()),
            },
        }
    }

    fn verifies_on_arrival(&self) -> bool {
        true
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

    async fn find(&self, key: &ObjectKey, version_id: Option<&str>) -> Result<Option<Found>, Failure> {
        let head = self
            .client
            .head_object()
            .bucket(&self.bucket)
            .key(self.full_key(key))
            .set_version_id(version_id.map(str::to_owned))
            .send()
            .await;
        match head {
            Ok(head) => {
                let until =
                    head.object_lock_retain_until_date.and_then(|at| Timestamp::from_second(at.secs()).ok());
                let mode = head.object_lock_mode.map(|mode| ObjectLockRetentionMode::from(mode.as_str()));
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
                }))
            }
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(S3Error::of(&error, self.what("look at", key)).into()),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, Failure> {
        let prefix = format!("{}{prefix}", self.prefix);
        let what = || format!("list s3://{}/{prefix}", self.bucket);
        let mut pages =
            self.client.list_objects_v2().bucket(&self.bucket).prefix(&prefix).into_paginator().send();
        let mut listed = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| S3Error::of(&error, what()))?;
            for object in page.contents.unwrap_or_default() {
                let key = object.key.as_deref().and_then(|key| key.strip_prefix(&self.prefix));
                let Some(key) = key else { continue };
                let modified = object.last_modified.and_then(|at| Timestamp::from_second(at.secs()).ok());
                // Without it nobody can count by time; the type of S3's answer lets it be missing.
                let modified = modified.ok_or_else(|| S3Error::Rejected {
                    what: what(),
                    status: 200,
                    code: "an object without LastModified".to_owned(),
                })?;
                listed.push(Listed { key: ObjectKey(key.to_owned()), modified });
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
        let what = || self.what("read", key);
        let got = self.client.get_object().bucket(&self.bucket).key(self.full_key(key)).send().await;
        let mut body = match got {
            Ok(got) => got.body,
            Err(error) if is_not_found(&error) => return Ok(None),
            Err(error) => return Err(S3Error::of(&error, what()).into()),
        };
        let mut bytes = BytesMut::new();
        while let Some(chunk) = body.next().await {
            let chunk =
                chunk.map_err(|error| S3Error::Unreachable { what: what(), why: error.to_string() })?;
            if bytes.len() + chunk.len() > max_bytes {
                return Err(S3Error::TooLarge { what: what(), max_bytes }.into());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(bytes.freeze()))
    }

    async fn stream(&self, key: &ObjectKey, version_id: Option<&str>) -> Result<Option<Chunks>, Failure> {
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
            let chunk = body.next().await?.map_err(|error| {
                Failure::from(S3Error::Unreachable { what: what.clone(), why: error.to_string() })
            });
            Some((chunk, (body, what)))
        });
        Ok(Some(chunks.boxed()))
    }

    async fn probe(&self) -> Result<(), Failure> {
        let key = ObjectKey(PROBE.to_owned());
        let body = Bytes::from_static(b"offboarder looks whether it may write here\n");
        // Never locked: nobody wants to keep it for seven years.
        self.put_conditionally(&key, &body, None, None).await?;
        if self.put_conditionally(&key, &body, None, None).await?.is_some() {
            let location = format!("s3://{}/{}", self.bucket, self.prefix);
            return Err(S3Error::Overwrites { location }.into());
        }
        // A store may take what it cannot give back: what it kept elsewhere is not there yet.
        self.read(&key, MAX_PROBE_BYTES).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_written_as_s3_writes_it() {
        // The check value of CRC-32C (Castagnoli) for "123456789" is e3069283.
        assert_eq!(crc32c(b"123456789"), STANDARD.encode([0xe3, 0x06, 0x92, 0x83]));
    }
}
