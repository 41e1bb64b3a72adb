//! Whether a store does what we rely on, tested in the way in which we rely on it. Stores differ in
//! what they do with a header that they do not know: some refuse it, and some ignore it, which
//! would lose data.

use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;

use super::error::{S3Error, is_precondition};
use super::store::S3Store;
use crate::failure::Failure;
use crate::ports::{ArchiveStore as _, ObjectKey, UploadId, crc32c};

const NAME: &str = "_offboarder_probe";
/// Written by the completion of an upload.
const OF_PARTS: &str = "_offboarder_probe_parts";
/// Does not exist on a store that refuses wrong checksums.
const WRONG: &str = "_offboarder_probe_checksum";
const LOCKED: &str = "_offboarder_probe_locked";
/// More than any release writes there.
const MAX_BYTES: usize = 4096;
/// Enough to see that a lock is kept. The retention that is set may be years.
const LOCKED_FOR: Duration = Duration::from_hours(24);
/// Workers that start at once on a new prefix may complete the same key at once.
const TRIES: u32 = 5;

const CONDITION: &str = "If-None-Match";
const CHECKSUM: &str = "x-amz-checksum-crc32c";

fn key(name: &str) -> ObjectKey {
    ObjectKey(name.to_owned())
}

fn body() -> Bytes {
    Bytes::from_static(b"offboarder checks that it may write here\n")
}

/// Whether a write with a wrong checksum was refused. A 400 with another code than that of S3 is a
/// refusal, too: the same write with the right checksum was accepted a moment before.
fn refused<T>(written: Result<T, S3Error>) -> Result<bool, S3Error> {
    match written {
        Ok(_) => Ok(false),
        Err(S3Error::Corrupted { .. } | S3Error::Rejected { status: 400, .. }) => Ok(true),
        Err(other) => Err(other),
    }
}

impl S3Store {
    /// Writes, condition, reads and listing each time; the rest until it has passed once.
    pub(super) async fn examine(&self) -> Result<(), Failure> {
        self.writes_once().await?;
        self.lists().await?;
        if self.refuses_wrong_checksums.get().is_none() {
            let object = self.refuses_wrong_object().await?;
            let part = self.completes_once().await?;
            self.lists_versions().await?;
            self.locks().await?;
            if !(object && part) {
                tracing::info!(
                    location = self.place(),
                    "the archive store does not refuse wrong checksums: every archive is read back whole"
                );
            }
            self.refuses_wrong_checksums.get_or_init(|| object && part);
        }

        Ok(())
    }

    fn place(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.prefix)
    }

    pub(super) fn unfit(&self, fault: &str) -> S3Error {
        S3Error::Unfit {
            location: self.place(),
            fault: fault.to_owned(),
        }
    }

    fn overwrites(&self, when: &'static str) -> S3Error {
        S3Error::Overwrites {
            location: self.place(),
            when,
        }
    }

    async fn writes_once(&self) -> Result<(), Failure> {
        let key = key(NAME);
        // Without a lock, since the object stays and the retention may be years.
        if let Err(error) = self.put_conditionally(&key, &body(), None, None).await {
            return Err(self.blamed(&key, error).await.into());
        }
        if self
            .put_conditionally(&key, &body(), None, None)
            .await?
            .is_some()
        {
            return Err(self.overwrites("with a PUT").into());
        }
        // A store may accept what it cannot return.
        self.read(&key, MAX_BYTES).await?;

        Ok(())
    }

    /// Which header made the store refuse a PUT, if one did: the same PUT without the checksum
    /// shows it. That PUT is still conditional, and overwrites nothing.
    async fn blamed(&self, key: &ObjectKey, error: S3Error) -> S3Error {
        let of_a_header = matches!(
            error,
            S3Error::NotImplemented { .. } | S3Error::Rejected { status: 400, .. }
        );
        // A store that refuses everything does not refuse because of a header.
        if !of_a_header || self.read(key, MAX_BYTES).await.is_err() {
            return error;
        }
        let without = self.put(key, body()).send().await;
        let taken = without
            .as_ref()
            .map_or_else(is_precondition, |_stored| true);

        error.blame(if taken { CHECKSUM } else { CONDITION })
    }

    /// Holds, pauses and earlier revisions are found by listing this prefix.
    async fn lists(&self) -> Result<(), Failure> {
        if self.keys(NAME).await?.contains(&key(NAME)) {
            return Ok(());
        }
        Err(self
            .unfit(
                "does not list what was just written under this prefix, so that a legal hold would not be seen; \
                 known of stores that join the slashes of a prefix, and of listings that lag",
            )
            .into())
    }

    async fn refuses_wrong_object(&self) -> Result<bool, S3Error> {
        let key = key(WRONG);
        let put = self
            .put(&key, body())
            .checksum_crc32_c(crc32c(b"something else"));
        match put.send().await {
            // The object can only exist because the store accepted it once.
            Err(error) if is_precondition(&error) => Ok(false),
            answered => {
                refused(answered.map_err(|error| S3Error::of(&error, self.what("store", &key))))
            }
        }
    }

    /// Completes an upload where an object exists, which has to be refused. Answers whether a wrong
    /// checksum of a part was refused.
    async fn completes_once(&self) -> Result<bool, Failure> {
        let key = key(OF_PARTS);
        let mut completed = false;

        for _ in 0..TRIES {
            let upload = self.create_upload(&key, None, None).await;
            let upload = upload.map_err(|error| error.blame("x-amz-checksum-algorithm"))?;
            let whole = self.upload_whole(&key, &upload).await;
            if !matches!(whole, Ok((_, Some(_)))) {
                self.abort(&key, &upload).await?;
            }
            match whole {
                Ok((refuses, None)) => return Ok(refuses),
                Ok((_, Some(_))) if completed => {
                    let when = "at the completion of a multipart upload (known of Ceph's RGW)";
                    return Err(self.overwrites(when).into());
                }
                Ok((_, Some(_))) => completed = true,
                // It met another completion.
                Err(S3Error::UploadLost { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(self.unfit("loses uploads before they are completed").into())
    }

    /// Uploads one small part, first with a wrong checksum. Answers whether that was refused, and
    /// the version that the completion created.
    async fn upload_whole(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
    ) -> Result<(bool, Option<Option<String>>), S3Error> {
        let wrong = self
            .upload_part(key, upload, 1, body(), crc32c(b"something else"))
            .await;
        let refuses = refused(wrong).map_err(|error| error.blame(CHECKSUM))?;
        let part = self
            .upload_part(key, upload, 1, body(), crc32c(&body()))
            .await;
        let part = part.map_err(|error| error.blame(CHECKSUM))?;
        let completed = self.complete_upload(key, upload, &[part]).await;
        Ok((refuses, completed.map_err(|error| error.blame(CONDITION))?))
    }

    /// Where versions are kept, a delete marker may hide a hold, which only a listing of versions
    /// shows.
    async fn lists_versions(&self) -> Result<(), Failure> {
        const UNLISTED: &str = "keeps versions and does not list them (ListObjectVersions)";

        let key = key(NAME);
        let found = self.find(&key, None).await?;
        let version = found
            .and_then(|found| found.version_id)
            .filter(|id| id != "null");

        if !self.listing(NAME).has_versions().await? {
            return match self.versioning().await {
                Ok(None) => Ok(()),
                Err(S3Error::NotImplemented { .. }) if version.is_none() => Ok(()),
                Ok(Some(_)) | Err(S3Error::NotImplemented { .. }) => Err(self.unfit(UNLISTED).into()),
                Err(S3Error::Denied { .. }) => Err(self
                    .unfit("lists no versions, and does not say whether it keeps any (grant s3:GetBucketVersioning)")
                    .into()),
                Err(error) => Err(error.into()),
            };
        }

        let Some(id) = version else {
            return Ok(());
        };
        let mut versions = self.versions(NAME);

        while let Some(version) = versions.try_next().await? {
            if version.key == key && version.id.as_deref() == Some(&id) {
                self.lists_all_versions.get_or_init(|| version.latest);
                return Ok(());
            }
        }
        Err(self.unfit(UNLISTED).into())
    }

    /// With a retention set, a write with a lock has to work, and to lock. The lock has the mode
    /// that is set, so that the same permissions are needed, and lasts a day.
    async fn locks(&self) -> Result<(), Failure> {
        let Some(lock) = self.lock_for(LOCKED_FOR) else {
            return Ok(());
        };
        let key = key(LOCKED);

        self.put_conditionally(&key, &body(), Some(&lock), None)
            .await?;
        if self
            .find(&key, None)
            .await?
            .is_some_and(|found| found.retention.is_some())
        {
            return Ok(());
        }

        Err(self
            .unfit("takes Object Lock headers and shows no lock: it ignores them, or s3:GetObjectRetention is missing")
            .into())
    }
}
