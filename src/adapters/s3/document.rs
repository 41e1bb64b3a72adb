//! One object that commands change: each write names the tag of what was read (`If-Match`).

use async_trait::async_trait;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;

use super::error::{S3Error, is_precondition, is_race};
use super::reading::collect;
use super::store::S3Store;
use crate::ports::{ArchiveStore as _, Document, Edition, ObjectKey, crc32c};

pub(crate) struct S3Document {
    store: S3Store,
    key: ObjectKey,
}

impl S3Document {
    pub(crate) fn new(store: S3Store, key: ObjectKey) -> Self {
        Self { store, key }
    }

    async fn get(&self, max_bytes: usize) -> Result<Option<Edition>, S3Error> {
        let what = self.store.what("read", &self.key);
        let Some(got) = self.store.get(&self.key, None, &what).await? else {
            return Ok(None);
        };
        let tag = got.e_tag;
        let bytes = collect(got.body, what, max_bytes).await?;
        Ok(Some(Edition { bytes, tag }))
    }
}

#[async_trait]
impl Document for S3Document {
    fn place(&self) -> String {
        format!(
            "s3://{}/{}",
            self.store.bucket,
            self.store.full_key(&self.key)
        )
    }

    async fn read(&self, max_bytes: usize) -> Result<Option<Edition>, String> {
        self.get(max_bytes).await.map_err(|error| error.to_string())
    }

    async fn replace(&self, was: Option<&Edition>, body: Bytes) -> Result<bool, String> {
        let put = self.store.client.put_object();
        let put = match was {
            None => put.if_none_match("*"),
            Some(Edition { tag: Some(tag), .. }) => put.if_match(tag),
            Some(Edition { tag: None, .. }) => {
                return Err("the store gives objects no ETag, so that a change could be lost; write the object by hand".to_owned());
            }
        };
        let put = put
            .bucket(&self.store.bucket)
            .key(self.store.full_key(&self.key))
            .checksum_crc32_c(crc32c(&body))
            .body(ByteStream::from(body));

        match put.send().await {
            Ok(_stored) => Ok(true),
            Err(error) if is_precondition(&error) || is_race(&error) => Ok(false),
            Err(error) => {
                let what = self.store.what("store", &self.key);
                Err(S3Error::of(&error, what).to_string())
            }
        }
    }
}
