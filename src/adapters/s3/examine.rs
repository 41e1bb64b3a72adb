//! What `doctor` reads of a bucket's settings.

use async_trait::async_trait;
use aws_sdk_s3::config::ProvideCredentials as _;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::types::{BucketVersioningStatus, ObjectLockEnabled};

use super::error::S3Error;
use super::store::S3Store;
use crate::failure::Failure;
use crate::ports::BucketHealth;

impl S3Store {
    /// `None` where versions were never kept.
    pub(super) async fn versioning(&self) -> Result<Option<BucketVersioningStatus>, S3Error> {
        let asked = self.client.get_bucket_versioning().bucket(&self.bucket);
        let answer = asked.send().await.map_err(|error| {
            let what = format!("read the versioning of s3://{}", self.bucket);
            S3Error::of(&error, what)
        })?;
        Ok(answer.status)
    }
}

#[async_trait]
impl BucketHealth for S3Store {
    async fn identity(&self) -> Option<String> {
        let credentials = self
            .credentials
            .as_ref()?
            .provide_credentials()
            .await
            .ok()?;
        Some(credentials.access_key_id().to_owned())
    }

    async fn keeps_versions(&self) -> Result<bool, Failure> {
        Ok(self.versioning().await? == Some(BucketVersioningStatus::Enabled))
    }

    async fn lists_versions(&self) -> Result<bool, Failure> {
        // One page of a prefix that has a few objects of ours.
        Ok(self.listing("_offboarder_probe").has_versions().await?)
    }

    async fn keeps_locks(&self) -> Result<bool, Failure> {
        let asked = self
            .client
            .get_object_lock_configuration()
            .bucket(&self.bucket)
            .send()
            .await;
        match asked {
            Ok(answer) => {
                let enabled = answer
                    .object_lock_configuration
                    .and_then(|configuration| configuration.object_lock_enabled);
                Ok(enabled == Some(ObjectLockEnabled::Enabled))
            }
            Err(error) if error.code() == Some("ObjectLockConfigurationNotFoundError") => Ok(false),
            Err(error) => {
                let what = format!("read the Object Lock configuration of s3://{}", self.bucket);
                Err(S3Error::of(&error, what).into())
            }
        }
    }
}
