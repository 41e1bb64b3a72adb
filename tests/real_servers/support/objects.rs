//! The objects under a prefix, as somebody else sees and changes them behind the worker's back.
//! Keys are without the prefix.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, SharedHttpClient};
use aws_sdk_s3::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, MultipartUpload, ObjectLockRetention, ObjectLockRetentionMode, ObjectVersion,
};
use sha2::{Digest, Sha256};

use super::runtime::block_on;
use super::servers::Servers;

/// A prefix of a bucket.
pub(crate) struct Objects {
    client: Client,
    bucket: String,
    prefix: String,
}

/// Without TLS, so no trial waits for the certificates of the system to be read.
fn http_client() -> SharedHttpClient {
    static HTTP: OnceLock<SharedHttpClient> = OnceLock::new();
    HTTP.get_or_init(|| aws_smithy_http_client::Builder::new().build_http())
        .clone()
}

fn client(servers: &Servers) -> Client {
    let credentials = Credentials::new(
        servers.setting("AWS_ACCESS_KEY_ID"),
        servers.setting("AWS_SECRET_ACCESS_KEY"),
        None,
        None,
        "trials",
    );
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http_client())
        .region(Region::new(servers.setting("AWS_REGION")))
        .endpoint_url(servers.setting("AWS_ENDPOINT_URL_S3"))
        .credentials_provider(credentials)
        .force_path_style(true);
    Client::from_conf(config.build())
}

impl Objects {
    /// Below a URL such as `s3://bucket/prefix/`.
    pub(crate) fn at(url: &str, servers: &Servers) -> Self {
        let rest = url.strip_prefix("s3://").expect("an S3 URL");
        let (bucket, prefix) = rest.split_once('/').expect("a prefix");
        Self {
            client: client(servers),
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        }
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Makes the bucket, without Object Lock.
    pub(crate) fn make_bucket(&self) {
        let request = self.client.create_bucket().bucket(&self.bucket);
        block_on(request.send()).expect("the bucket is made");
    }

    /// Stores a new version.
    pub(crate) fn put(&self, key: &str, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref().to_vec();
        let request = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(self.key(key))
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .body(bytes.into());
        block_on(request.send()).expect("the object is stored");
    }

    /// The latest version, if there is one.
    pub(crate) fn get(&self, key: &str) -> Option<Vec<u8>> {
        let request = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(self.key(key));
        block_on(async {
            let found = match request.send().await {
                Ok(found) => found,
                Err(error) if is_missing(&error) => return None,
                Err(error) => panic!("{key}: {error:?}"),
            };
            let body = found.body.collect().await.expect("the object is read");
            Some(body.to_vec())
        })
    }

    /// The text of the latest version.
    pub(crate) fn text(&self, key: &str) -> String {
        let bytes = self.get(key).unwrap_or_else(|| panic!("there is no {key}"));
        String::from_utf8(bytes).expect("text")
    }

    /// The digest of the latest version, if there is one.
    pub(crate) fn sha256(&self, key: &str) -> Option<String> {
        self.get(key)
            .map(|bytes| hex::encode(Sha256::digest(bytes)))
    }

    /// Whether there is a latest version.
    pub(crate) fn exists(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The KMS key that the latest version is encrypted with, as the store says.
    pub(crate) fn kms_key(&self, key: &str) -> Option<String> {
        let head = self.client.head_object().bucket(&self.bucket);
        let head = block_on(head.key(self.key(key)).send()).expect("the object is there");
        head.ssekms_key_id
    }

    /// Flips one bit of the middle byte, in a new version.
    pub(crate) fn flip_bit(&self, key: &str) {
        let mut bytes = self.get(key).expect("an object");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        self.put(key, bytes);
    }

    /// Stores the bytes of another object, as a new version.
    pub(crate) fn copy(&self, from: &str, to: &str) {
        self.put(to, self.get(from).expect("an object"));
    }

    /// Sets a delete marker.
    pub(crate) fn delete(&self, key: &str) {
        let request = self.client.delete_object().bucket(&self.bucket);
        block_on(request.key(self.key(key)).send()).expect("the object is deleted");
    }

    /// Removes every version and delete marker, whatever locks them.
    pub(crate) fn destroy(&self, key: &str) {
        let listing = self
            .client
            .list_object_versions()
            .bucket(&self.bucket)
            .prefix(self.key(key));
        let listed = block_on(listing.send()).expect("the versions are listed");
        let versions = listed.versions().iter().map(|one| one.version_id());
        let markers = listed.delete_markers().iter().map(|one| one.version_id());

        for version in versions.chain(markers) {
            let removal = self
                .client
                .delete_object()
                .bucket(&self.bucket)
                .key(self.key(key))
                .set_version_id(version.map(str::to_owned))
                .bypass_governance_retention(true);
            block_on(removal.send()).expect("the version is removed");
        }
    }

    /// Shortens the retention of the latest version to a minute.
    pub(crate) fn unlock(&self, key: &str) {
        let soon = SystemTime::now() + Duration::from_mins(1);
        let retention = ObjectLockRetention::builder()
            .mode(ObjectLockRetentionMode::Governance)
            .retain_until_date(soon.into())
            .build();
        let request = self
            .client
            .put_object_retention()
            .bucket(&self.bucket)
            .key(self.key(key))
            .retention(retention)
            .bypass_governance_retention(true);
        block_on(request.send()).expect("the retention is shortened");
    }

    /// Writes the latest version of everything below a directory; how many files there are.
    pub(crate) fn download(&self, directory: &Path) -> usize {
        let listing = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(&self.prefix);
        let listed = block_on(listing.send()).expect("the objects are listed");

        for object in listed.contents() {
            let key = object.key().expect("a key");
            let path = directory.join(key);
            let parent = path.parent().expect("a directory");
            std::fs::create_dir_all(parent).expect("the directory is made");
            let below = key.strip_prefix(&self.prefix).expect("below the prefix");
            let bytes = self.get(below).expect("an object");
            std::fs::write(path, bytes).expect("the file is written");
        }
        listed.contents().len()
    }

    fn uploads(&self) -> Vec<MultipartUpload> {
        let request = self
            .client
            .list_multipart_uploads()
            .bucket(&self.bucket)
            .prefix(&self.prefix);
        match block_on(request.send()) {
            Ok(listed) => listed.uploads().to_vec(),
            // Nobody can see one there.
            Err(error) if error.code() == Some("NotImplemented") => Vec::new(),
            Err(error) => panic!("the uploads are listed: {error:?}"),
        }
    }

    /// Keys, with the prefix, of the multipart uploads that are open.
    pub(crate) fn open_uploads(&self) -> Vec<String> {
        let uploads = self.uploads();
        let keys = uploads.iter().filter_map(MultipartUpload::key);
        keys.map(str::to_owned).collect()
    }

    /// How many parts the open uploads have. An upload may end between the two listings: then it has none.
    pub(crate) fn parts(&self) -> usize {
        let count = |upload: &MultipartUpload| {
            let request = self
                .client
                .list_parts()
                .bucket(&self.bucket)
                .set_key(upload.key().map(str::to_owned))
                .set_upload_id(upload.upload_id().map(str::to_owned));
            match block_on(request.send()) {
                Ok(listed) => listed.parts().len(),
                Err(error) if error.code() == Some("NoSuchUpload") => 0,
                Err(error) => panic!("the parts are listed: {error:?}"),
            }
        };
        self.uploads().iter().map(count).sum()
    }

    /// Ends every open upload; how many there were.
    pub(crate) fn abort_uploads(&self) -> usize {
        let uploads = self.uploads();
        for upload in &uploads {
            let request = self
                .client
                .abort_multipart_upload()
                .bucket(&self.bucket)
                .set_key(upload.key().map(str::to_owned))
                .set_upload_id(upload.upload_id().map(str::to_owned));
            block_on(request.send()).expect("the upload is aborted");
        }
        uploads.len()
    }

    /// When the oldest version of each object was written, by its key: RFC 3339 in UTC with nine
    /// digits after the second, without the Z, so that it sorts as text. Of a store that lists no versions: the object.
    pub(crate) fn first_written(&self) -> BTreeMap<String, String> {
        let mut written: BTreeMap<String, String> = BTreeMap::new();
        for (key, at) in self.versions_written().unwrap_or_else(|| self.written()) {
            let at = jiff::Timestamp::new(at.secs(), at.subsec_nanos().cast_signed());
            let at = at.expect("a time").strftime("%Y-%m-%dT%H:%M:%S%.9f");
            let at = at.to_string();
            let key = key.strip_prefix(&self.prefix).expect("below the prefix");
            let oldest = written.entry(key.to_owned());
            let oldest = oldest.or_insert_with(|| at.clone());
            if at < *oldest {
                *oldest = at;
            }
        }
        written
    }

    /// Each version, by its whole key; nothing if the store does not list them.
    fn versions_written(&self) -> Option<Vec<(String, DateTime)>> {
        let pages = self
            .client
            .list_object_versions()
            .bucket(&self.bucket)
            .prefix(&self.prefix);
        let mut markers = (None, None);
        let mut written = Vec::new();
        loop {
            let page = pages
                .clone()
                .set_key_marker(markers.0)
                .set_version_id_marker(markers.1);
            let page = match block_on(page.send()) {
                Ok(page) => page,
                Err(error) if error.code() == Some("NotImplemented") => return None,
                Err(error) => panic!("the versions are listed: {error:?}"),
            };

            let at = |version: &ObjectVersion| Some((version.key.clone()?, version.last_modified?));
            written.extend(page.versions().iter().filter_map(at));
            if page.is_truncated() != Some(true) {
                return Some(written);
            }
            markers = (
                page.next_key_marker().map(str::to_owned),
                page.next_version_id_marker().map(str::to_owned),
            );
        }
    }

    fn written(&self) -> Vec<(String, DateTime)> {
        let pages = self.client.list_objects_v2().bucket(&self.bucket);
        let pages = pages.prefix(&self.prefix).into_paginator().send();
        let pages = block_on(pages.collect::<Result<Vec<_>, _>>()).expect("the objects are listed");
        let objects = pages.iter().flat_map(ListObjectsV2Output::contents);
        objects
            .filter_map(|one| Some((one.key.clone()?, one.last_modified?)))
            .collect()
    }
}

fn is_missing(error: &SdkError<GetObjectError>) -> bool {
    error
        .as_service_error()
        .is_some_and(GetObjectError::is_no_such_key)
}
