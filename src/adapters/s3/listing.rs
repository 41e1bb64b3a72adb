//! Listings of keys.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::Object;
use jiff::Timestamp;

use super::error::S3Error;
use crate::ports::{Listed, ObjectKey};

/// What is listed: objects, or their versions, page after page.
pub(super) struct Listing {
    pub(super) client: Client,
    pub(super) bucket: String,
    /// The prefix of the store, which is removed from the keys.
    pub(super) root: String,
    /// The prefix that is listed, with `root`.
    pub(super) prefix: String,
}

impl Listing {
    pub(super) async fn objects(&self) -> Result<Vec<Listed>, S3Error> {
        let what = || format!("list s3://{}/{}", self.bucket, self.prefix);
        let mut pages = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(&self.prefix)
            .into_paginator()
            .send();

        let mut listed = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| S3Error::of(&error, what()))?;
            for object in page.contents.unwrap_or_default() {
                let Some(key) = self.own_key(&object) else {
                    continue;
                };
                // The type of S3's answer lets it be missing; without it no deletion can be
                // counted.
                let modified = modified(&object).ok_or_else(|| S3Error::Rejected {
                    what: what(),
                    status: 200,
                    said: "an object without LastModified".to_owned(),
                })?;
                listed.push(Listed { key, modified });
            }
        }
        Ok(listed)
    }

    fn own_key(&self, object: &Object) -> Option<ObjectKey> {
        let key = object.key.as_deref()?.strip_prefix(&self.root)?;
        Some(ObjectKey(key.to_owned()))
    }
}

fn modified(object: &Object) -> Option<Timestamp> {
    Timestamp::from_second(object.last_modified?.secs()).ok()
}
