//! An archive store that announces records to the evidence log, so that no code that writes one can forget it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::announcement::Announcement;
use super::leaf::Record;
use crate::clock::Clock;
use crate::failure::Failure;
use crate::integrity::Integrity;
use crate::machine::{Part, UploadId};
use crate::ports::{
    ArchiveStore, Chunks, DateRange, Found, Listed, ObjectKey, PutOnce, Version, Versions,
};

pub(crate) struct AnnouncingStore(Arc<dyn ArchiveStore>, Clock);

impl AnnouncingStore {
    pub(crate) fn new(store: Arc<dyn ArchiveStore>, clock: Clock) -> Self {
        Self(store, clock)
    }
}

#[async_trait]
impl ArchiveStore for AnnouncingStore {
    /// The announcement comes first. Were both written at once, a process that dies between them could leave a record without an
    /// announcement, and nothing would repair it: who writes that record again announces its own body, which says other times.
    async fn put_once(
        &self,
        key: &ObjectKey,
        body: Bytes,
        dates: Option<&DateRange>,
    ) -> Result<PutOnce, Failure> {
        if dates.is_some() || Record::of(key).is_none() {
            return self.0.put_once(key, body, dates).await;
        }
        let announcement =
            Announcement::new(key, &body, self.1.now()).object_key(self.0.integrity());
        self.0.put_once(&announcement, Bytes::new(), None).await?;
        self.0.put_once(key, body, None).await
    }

    fn location(&self) -> String {
        self.0.location()
    }

    fn integrity(&self) -> &Integrity {
        self.0.integrity()
    }

    fn full_key(&self, key: &ObjectKey) -> String {
        self.0.full_key(key)
    }

    async fn begin(&self, key: &ObjectKey, dates: &DateRange) -> Result<UploadId, Failure> {
        self.0.begin(key, dates).await
    }

    async fn uploads(&self, key: &ObjectKey) -> Result<Vec<UploadId>, Failure> {
        self.0.uploads(key).await
    }

    async fn put_part(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        number: u32,
        offset_bytes: u64,
        body: Bytes,
    ) -> Result<Part, Failure> {
        self.0
            .put_part(key, upload, number, offset_bytes, body)
            .await
    }

    async fn complete(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        parts: &[Part],
    ) -> Result<PutOnce, Failure> {
        self.0.complete(key, upload, parts).await
    }

    fn refuses_wrong_checksums(&self) -> bool {
        self.0.refuses_wrong_checksums()
    }

    async fn abort(&self, key: &ObjectKey, upload: &UploadId) -> Result<(), Failure> {
        self.0.abort(key, upload).await
    }

    async fn find(
        &self,
        key: &ObjectKey,
        version_id: Option<&str>,
    ) -> Result<Option<Found>, Failure> {
        self.0.find(key, version_id).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, Failure> {
        self.0.list(prefix).await
    }

    async fn shown_and_hidden(
        &self,
        prefix: &str,
    ) -> Result<(Vec<ObjectKey>, Vec<ObjectKey>), Failure> {
        self.0.shown_and_hidden(prefix).await
    }

    async fn hidden(&self, prefix: &str) -> Result<Vec<ObjectKey>, Failure> {
        self.0.hidden(prefix).await
    }

    fn versions(&self, prefix: &str) -> Versions {
        self.0.versions(prefix)
    }

    async fn all_versions(&self, prefix: &str) -> Result<Vec<Version>, Failure> {
        self.0.all_versions(prefix).await
    }

    async fn read(&self, key: &ObjectKey, max_bytes: usize) -> Result<Option<Bytes>, Failure> {
        self.0.read(key, max_bytes).await
    }

    async fn stream(
        &self,
        key: &ObjectKey,
        version_id: Option<&str>,
    ) -> Result<Option<Chunks>, Failure> {
        self.0.stream(key, version_id).await
    }

    async fn probe(&self) -> Result<(), Failure> {
        self.0.probe().await
    }
}
