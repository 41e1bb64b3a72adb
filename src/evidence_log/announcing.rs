//! An archive store that announces records to the evidence log, so that no code that writes one can forget it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use uuid::Uuid;

use super::announcement::Announcement;
use super::group::{self, Collector};
use super::leaf::Record;
use crate::clock::Clock;
use crate::failure::Failure;
use crate::integrity::Integrity;
use crate::machine::{Part, UploadId};
use crate::ports::{
    ArchiveStore, Chunks, DateRange, Found, Listed, ObjectKey, PutOnce, Version, Versions,
};

pub(crate) struct AnnouncingStore {
    store: Arc<dyn ArchiveStore>,
    clock: Clock,
    /// `None`: each announcement is stored at once.
    collector: Option<Collector>,
    /// The announcements whose records this process stored, the last [`MOST_KNOWN`].
    stored: Mutex<BTreeSet<Uuid>>,
}

/// What a record waits for others. At a hundred users a second a group has six.
const TOGETHER: Duration = Duration::from_millis(50);
/// More than come between two steps. Of others the writer reads what is stored.
const MOST_KNOWN: usize = 20_000;

impl AnnouncingStore {
    pub(crate) fn new(store: Arc<dyn ArchiveStore>, clock: Clock) -> Self {
        Self {
            store,
            clock,
            collector: None,
            stored: Mutex::default(),
        }
    }

    /// Announces with one request what is written within [`TOGETHER`].
    pub(crate) fn collecting(mut self) -> Self {
        let store = Arc::clone(&self.store);
        self.collector = Some(Collector::start(store, self.clock.clone(), TOGETHER));
        self
    }

    async fn announce(&self, announcement: Announcement) -> Result<(), Failure> {
        match &self.collector {
            Some(collector) => collector.announce(announcement).await,
            None => group::put(&*self.store, &self.clock, &[announcement]).await,
        }
    }

    fn note(&self, announcement: Uuid) {
        let mut stored = self.stored.lock();
        stored.insert(announcement);
        if stored.len() > MOST_KNOWN {
            stored.pop_first();
        }
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
            return self.store.put_once(key, body, dates).await;
        }
        let announcement = Announcement::new(key, &body, self.clock.now());
        let id = announcement.id;
        self.announce(announcement).await?;
        let put = self.store.put_once(key, body, None).await?;
        if matches!(put, PutOnce::Stored(_)) {
            self.note(id);
        }
        Ok(put)
    }

    fn has_stored(&self, announcement: Uuid) -> bool {
        self.stored.lock().contains(&announcement)
    }

    fn location(&self) -> String {
        self.store.location()
    }

    fn integrity(&self) -> &Integrity {
        self.store.integrity()
    }

    fn full_key(&self, key: &ObjectKey) -> String {
        self.store.full_key(key)
    }

    async fn begin(&self, key: &ObjectKey, dates: &DateRange) -> Result<UploadId, Failure> {
        self.store.begin(key, dates).await
    }

    async fn uploads(&self, key: &ObjectKey) -> Result<Vec<UploadId>, Failure> {
        self.store.uploads(key).await
    }

    async fn put_part(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        number: u32,
        offset_bytes: u64,
        body: Bytes,
    ) -> Result<Part, Failure> {
        self.store
            .put_part(key, upload, number, offset_bytes, body)
            .await
    }

    async fn complete(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        parts: &[Part],
    ) -> Result<PutOnce, Failure> {
        self.store.complete(key, upload, parts).await
    }

    fn refuses_wrong_checksums(&self) -> bool {
        self.store.refuses_wrong_checksums()
    }

    async fn abort(&self, key: &ObjectKey, upload: &UploadId) -> Result<(), Failure> {
        self.store.abort(key, upload).await
    }

    async fn find(
        &self,
        key: &ObjectKey,
        version_id: Option<&str>,
    ) -> Result<Option<Found>, Failure> {
        self.store.find(key, version_id).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, Failure> {
        self.store.list(prefix).await
    }

    async fn shown_and_hidden(
        &self,
        prefix: &str,
    ) -> Result<(Vec<ObjectKey>, Vec<ObjectKey>), Failure> {
        self.store.shown_and_hidden(prefix).await
    }

    async fn hidden(&self, prefix: &str) -> Result<Vec<ObjectKey>, Failure> {
        self.store.hidden(prefix).await
    }

    fn versions(&self, prefix: &str) -> Versions {
        self.store.versions(prefix)
    }

    async fn all_versions(&self, prefix: &str) -> Result<Vec<Version>, Failure> {
        self.store.all_versions(prefix).await
    }

    async fn read(&self, key: &ObjectKey, max_bytes: usize) -> Result<Option<Bytes>, Failure> {
        self.store.read(key, max_bytes).await
    }

    async fn stream(
        &self,
        key: &ObjectKey,
        version_id: Option<&str>,
    ) -> Result<Option<Chunks>, Failure> {
        self.store.stream(key, version_id).await
    }

    async fn probe(&self) -> Result<(), Failure> {
        self.store.probe().await
    }
}
