//! Every write. Each sends a checksum of ours, and none overwrites.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{
    ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, ObjectLockMode,
    ServerSideEncryption,
};
use bytes::Bytes;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::error::{S3Error, is_precondition, is_race};
use super::store::S3Store;
use crate::failpoint::effect;
use crate::failure::Failure;
use crate::limits::RetentionMode;
use crate::machine::RetentionMark;
use crate::ports::{
    ArchiveStore as _, DateRange, ObjectKey, Part, Proof, Stored, UploadId, crc32c,
};

/// How often a conditional write that met another one is sent again at once.
const RACES: u32 = 5;
/// The name of the metadata that holds the SHA-256 of a whole object.
pub(super) const SHA256_NAME: &str = "offboarder-sha256";

/// Object Lock of what is written.
#[derive(Debug, Clone)]
pub(super) struct Lock {
    mode: ObjectLockMode,
    until: DateTime,
    /// The same, as manifests name it.
    pub(super) mark: RetentionMark,
}

impl S3Store {
    /// The lock of what is written now; `None` without a retention.
    pub(super) fn lock(&self) -> Option<Lock> {
        self.lock_for(self.retention?.period)
    }

    /// A lock in the mode that is set, for another time.
    pub(super) fn lock_for(&self, period: Duration) -> Option<Lock> {
        let mode = match self.retention?.mode {
            RetentionMode::Governance => ObjectLockMode::Governance,
            RetentionMode::Compliance => ObjectLockMode::Compliance,
        };
        // S3 keeps whole seconds.
        let until = self.clock.now().checked_add(period).ok()?.as_second();

        Some(Lock {
            mark: RetentionMark {
                mode: mode.as_str().to_owned(),
                retain_until: Timestamp::from_second(until).ok()?,
            },
            mode,
            until: DateTime::from_secs(until),
        })
    }

    /// A conditional PUT, without a checksum.
    pub(in crate::adapters) fn put(&self, key: &ObjectKey, body: Bytes) -> PutObjectFluentBuilder {
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(self.full_key(key))
            .if_none_match("*")
            .content_type("application/json")
            .set_server_side_encryption(self.encryption())
            .set_ssekms_key_id(self.kms_key.clone())
            .body(ByteStream::from(body))
    }

    /// How everything is encrypted; `None`: as the bucket says.
    fn encryption(&self) -> Option<ServerSideEncryption> {
        self.kms_key
            .as_ref()
            .map(|_key| ServerSideEncryption::AwsKms)
    }

    /// A store that does not know the header of the key would keep everything without it.
    fn is_encrypted(&self, answered: Option<&ServerSideEncryption>) -> Result<(), S3Error> {
        if self.encryption().is_none() || answered == Some(&ServerSideEncryption::AwsKms) {
            return Ok(());
        }
        Err(self.unfit(
            "does not say that it encrypts with the key of OFFBOARDER_ARCHIVE_KMS_KEY (SSE-KMS)",
        ))
    }

    /// A conditional PUT, sent again where it met another one. `None` when an object is there.
    pub(super) async fn put_conditionally(
        &self,
        key: &ObjectKey,
        body: &Bytes,
        lock: Option<&Lock>,
        dates: Option<&DateRange>,
    ) -> Result<Option<Stored>, S3Error> {
        let metadata = dates.map(|dates| {
            let sha256 = (SHA256_NAME.to_owned(), hex::encode(Sha256::digest(body)));
            metadata(dates).into_iter().chain([sha256]).collect()
        });
        let mut races = 0;
        loop {
            let mut put = self.put(key, body.clone()).checksum_crc32_c(crc32c(body));
            put = put.set_metadata(metadata.clone());
            if let Some(lock) = lock {
                put = put
                    // AWS' documentation wants it, or a Content-MD5, next to a lock.
                    .checksum_algorithm(ChecksumAlgorithm::Crc32C)
                    .object_lock_mode(lock.mode.clone())
                    .object_lock_retain_until_date(lock.until);
            }
            match effect("the S3 put", Box::pin(put.send())).await {
                Ok(stored) => {
                    self.is_encrypted(stored.server_side_encryption())?;
                    let proof = stored.e_tag.zip(stored.checksum_crc32_c);
                    return Ok(Some(Stored {
                        version_id: stored.version_id,
                        retention: lock.map(|lock| lock.mark.clone()),
                        proof: proof.map(|(etag, crc32c)| Proof { etag, crc32c }),
                    }));
                }
                Err(error) if is_precondition(&error) => return Ok(None),
                Err(error) if is_race(&error) && races < RACES => {
                    races += 1;
                    let pause =
                        Duration::from_millis(50).mul_f64(f64::from(races) * rand::random::<f64>());
                    tokio::time::sleep(pause).await;
                }
                Err(error) => return Err(S3Error::of(&error, self.what("store", key))),
            }
        }
    }

    /// Compares a document with what the store returns, where its checksum proves nothing.
    pub(super) async fn reads_back(
        &self,
        key: &ObjectKey,
        version_id: Option<&str>,
        body: &Bytes,
    ) -> Result<(), Failure> {
        let kept = self.read_version(key, version_id, body.len()).await?;
        if kept.as_ref() == Some(body) {
            return Ok(());
        }
        Err(S3Error::Corrupted {
            what: self.what("store", key),
            said: "it reads back differently from what was written".to_owned(),
        }
        .into())
    }

    pub(super) async fn create_upload(
        &self,
        key: &ObjectKey,
        lock: Option<&Lock>,
        dates: Option<&DateRange>,
    ) -> Result<UploadId, S3Error> {
        let what = || self.what("begin to upload", key);
        let mut create = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(self.full_key(key))
            .content_type("application/json")
            .set_metadata(dates.map(metadata))
            .set_server_side_encryption(self.encryption())
            .set_ssekms_key_id(self.kms_key.clone())
            .checksum_algorithm(ChecksumAlgorithm::Crc32C);

        if let Some(lock) = lock {
            create = create
                .object_lock_mode(lock.mode.clone())
                .object_lock_retain_until_date(lock.until);
        }
        let created = effect("the S3 create", create.send())
            .await
            .map_err(|error| S3Error::of(&error, what()))?;
        let encrypted = self.is_encrypted(created.server_side_encryption());
        let id = created.upload_id.ok_or_else(|| S3Error::Rejected {
            what: what(),
            status: 200,
            said: "no upload ID".to_owned(),
        });
        let upload = UploadId(id?);

        if encrypted.is_err() {
            let _is_left_to_expire = self.abort(key, &upload).await;
        }
        encrypted.map(|()| upload)
    }

    /// The store compares the part with `crc32c`.
    pub(super) async fn upload_part(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        number: u32,
        body: Bytes,
        crc32c: String,
    ) -> Result<Part, S3Error> {
        let bytes = body.len() as u64;
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
            .map_err(|error| {
                S3Error::of(&error, self.what(&format!("upload part {number} of"), key))
            })?;

        Ok(Part {
            number,
            bytes,
            etag: uploaded.e_tag.unwrap_or_default(),
            crc32c,
        })
    }

    /// `Some` with the version's ID, where the store keeps versions; `None` when an object is
    /// there. `UploadLost` also where it met another write: the upload has to begin again.
    pub(super) async fn complete_upload(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        parts: &[Part],
    ) -> Result<Option<Option<String>>, S3Error> {
        let completed = parts.iter().map(|part| {
            CompletedPart::builder()
                .part_number(i32::try_from(part.number).unwrap_or(i32::MAX))
                .e_tag(&part.etag)
                .checksum_crc32_c(&part.crc32c)
                .build()
        });
        let list = CompletedMultipartUpload::builder()
            .set_parts(Some(completed.collect()))
            .build();
        let completing = self
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(self.full_key(key))
            .upload_id(&upload.0)
            .if_none_match("*")
            .multipart_upload(list);
        let what = || self.what("complete", key);

        match effect("the S3 complete", completing.send()).await {
            Ok(done) => Ok(Some(done.version_id)),
            Err(error) if is_precondition(&error) => Ok(None),
            Err(error) => Err(match S3Error::of(&error, what()) {
                gone @ S3Error::UploadLost { .. } => gone,
                _ if is_race(&error) => S3Error::UploadLost {
                    what: what(),
                    said: "ConditionalRequestConflict".to_owned(),
                },
                other => other,
            }),
        }
    }
}

fn metadata(dates: &DateRange) -> HashMap<String, String> {
    DateRange::NAMES
        .into_iter()
        .map(str::to_owned)
        .zip(dates.values())
        .collect()
}
