//! Every read.

use std::collections::HashMap;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumMode, ObjectLockRetentionMode};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use jiff::Timestamp;

use super::error::{S3Error, is_not_found};
use super::listing::Listing;
use super::store::S3Store;
use super::writing::SHA256_NAME;
use crate::failure::Failure;
use crate::machine::RetentionMark;
use crate::ports::{ArchiveStore as _, Chunks, DateRange, Found, ObjectKey};

impl S3Store {
    pub(super) async fn head(
        &self,
        key: &ObjectKey,
        version_id: Option<&str>,
    ) -> Result<Option<Found>, S3Error> {
        let head = self
            .client
            .head_object()
            .bucket(&self.bucket)
            .key(self.full_key(key))
            .set_version_id(version_id.map(str::to_owned))
            // The checksum costs no request of its own. (For an object under KMS it takes the right
            // to decrypt, as reading back does.)
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await;

        match head {
            Ok(head) => Ok(Some(found(head))),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(S3Error::of(&error, self.what("read the metadata of", key))),
        }
    }

    pub(super) async fn get(
        &self,
        key: &ObjectKey,
        version_id: Option<&str>,
        what: &str,
    ) -> Result<Option<GetObjectOutput>, S3Error> {
        let got = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(self.full_key(key))
            .set_version_id(version_id.map(str::to_owned))
            .send()
            .await;

        match got {
            Ok(got) => Ok(Some(got)),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(S3Error::of(&error, what.to_owned())),
        }
    }

    pub(super) async fn read_version(
        &self,
        key: &ObjectKey,
        version_id: Option<&str>,
        max_bytes: usize,
    ) -> Result<Option<Bytes>, S3Error> {
        let what = self.what("read", key);
        let Some(got) = self.get(key, version_id, &what).await? else {
            return Ok(None);
        };

        collect(got.body, what, max_bytes).await.map(Some)
    }

    pub(super) async fn stream_version(
        &self,
        key: &ObjectKey,
        version_id: Option<&str>,
    ) -> Result<Option<Chunks>, S3Error> {
        let what = self.what("read back", key);
        let Some(got) = self.get(key, version_id, &what).await? else {
            return Ok(None);
        };

        let chunks =
            futures_util::stream::unfold((got.body, what), |(mut body, what)| async move {
                let chunk = body.next().await?;
                let chunk =
                    chunk.map_err(|error| Failure::from(S3Error::of_body(&error, what.clone())));
                Some((chunk, (body, what)))
            });
        Ok(Some(chunks.boxed()))
    }

    pub(super) fn listing(&self, prefix: &str) -> Listing {
        Listing {
            client: self.client.clone(),
            bucket: self.bucket.clone(),
            root: self.prefix.clone(),
            prefix: format!("{}{prefix}", self.prefix),
        }
    }
}

/// The whole of a small body.
pub(super) async fn collect(
    mut body: ByteStream,
    what: String,
    max_bytes: usize,
) -> Result<Bytes, S3Error> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| S3Error::of_body(&error, what.clone()))?;
        if bytes.len() + chunk.len() > max_bytes {
            return Err(S3Error::TooLarge { what, max_bytes });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

fn found(head: HeadObjectOutput) -> Found {
    let retention = retention_of(&head);
    let bytes = head
        .content_length
        .and_then(|bytes| u64::try_from(bytes).ok());
    let metadata = head.metadata.unwrap_or_default();

    Found {
        bytes: bytes.unwrap_or_default(),
        version_id: head.version_id,
        etag: head.e_tag,
        retention,
        dates: dates_of(&metadata),
        sha256: metadata.get(SHA256_NAME).cloned(),
        crc32c: head.checksum_crc32_c,
    }
}

fn retention_of(head: &HeadObjectOutput) -> Option<RetentionMark> {
    let mode = head.object_lock_mode.as_ref()?;
    let until = head.object_lock_retain_until_date?;
    Some(RetentionMark {
        mode: ObjectLockRetentionMode::from(mode.as_str())
            .as_str()
            .to_owned(),
        retain_until: Timestamp::from_second(until.secs()).ok()?,
    })
}

fn dates_of(metadata: &HashMap<String, String>) -> Option<DateRange> {
    let [from, to] = DateRange::NAMES.map(|name| metadata.get(name).map(String::as_str));
    DateRange::parse(from, to)
}
