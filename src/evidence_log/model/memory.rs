//! A store in memory that lets each process do one request at a time.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;
use parking_lot::Mutex;

use crate::clock::Clock;
use crate::failure::Failure;
use crate::integrity::Integrity;
use crate::machine::{Part, UploadId};
use crate::ports::{
    ArchiveStore, Chunks, DateRange, Found, Listed, ObjectKey, PutOnce, Stored, Versions,
};

/// What a store that overwrites notes of each object.
pub(super) const REWRITTEN: &str = "rewritten ";

/// Lets a process do one request at a time.
#[derive(Default)]
pub(super) struct Gate {
    pub(super) granted: bool,
    /// What it waits for changes something.
    pub(super) is_write: bool,
    pub(super) waiting: Vec<Waker>,
}

/// The objects, which all processes see.
pub(super) type Objects = Arc<Mutex<BTreeMap<String, (Bytes, Timestamp)>>>;

/// What one process sees of them.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) objects: Objects,
    pub(super) gate: Arc<Mutex<Gate>>,
    pub(super) clock: Clock,
    pub(super) overwrites: bool,
    pub(super) integrity: Integrity,
}

impl Shared {
    /// Returns when the process may do its next request. Steps and records never change, so who reads one does not wait.
    async fn turn(&self, is_write: bool) {
        poll_fn(|context| {
            let mut gate = self.gate.lock();
            if std::mem::take(&mut gate.granted) {
                Poll::Ready(())
            } else {
                gate.is_write = is_write;
                gate.waiting.push(context.waker().clone());
                Poll::Pending
            }
        })
        .await;
    }

    fn get(&self, key: &ObjectKey) -> Option<Bytes> {
        let objects = self.objects.lock();
        objects.get(key.as_str()).map(|object| object.0.clone())
    }

    /// Whether anything can appear under this prefix while the processes run.
    fn may_change(&self, prefix: &str) -> bool {
        let now = format!("_log_inbox_{:012x}", self.clock.now().as_millisecond());
        !prefix.starts_with("_log_inbox_") || now.starts_with(prefix)
    }
}

#[async_trait]
impl ArchiveStore for Shared {
    async fn put_once(
        &self,
        key: &ObjectKey,
        body: Bytes,
        _dates: Option<&DateRange>,
    ) -> Result<PutOnce, Failure> {
        self.turn(true).await;
        let mut objects = self.objects.lock();
        if objects.contains_key(key.as_str()) {
            if !self.overwrites {
                return Ok(PutOnce::AlreadyThere);
            }
            let noted = (Bytes::new(), self.clock.now());
            objects.insert(format!("{REWRITTEN}{}", key.as_str()), noted);
        }
        objects.insert(key.as_str().to_owned(), (body, self.clock.now()));
        Ok(PutOnce::Stored(Stored {
            version_id: None,
            retention: None,
            proof: None,
        }))
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<ObjectKey>, Failure> {
        if self.may_change(prefix) {
            self.turn(false).await;
        }
        let objects = self.objects.lock();
        let keys = objects.keys().filter(|key| key.starts_with(prefix));
        Ok(keys.map(|key| ObjectKey(key.clone())).collect())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, Failure> {
        let objects = self.objects.lock();
        let listed = objects.iter().filter(|(key, _)| key.starts_with(prefix));
        Ok(listed
            .map(|(key, (_, modified))| Listed {
                key: ObjectKey(key.clone()),
                modified: *modified,
            })
            .collect())
    }

    async fn find(&self, key: &ObjectKey, _: Option<&str>) -> Result<Option<Found>, Failure> {
        self.turn(false).await;
        Ok(self.get(key).map(|body| Found {
            bytes: body.len() as u64,
            version_id: None,
            etag: None,
            retention: None,
            dates: None,
            sha256: None,
            crc32c: None,
        }))
    }

    async fn read(&self, key: &ObjectKey, _: usize) -> Result<Option<Bytes>, Failure> {
        Ok(self.get(key))
    }

    async fn stream(&self, key: &ObjectKey, _: Option<&str>) -> Result<Option<Chunks>, Failure> {
        let body = self.get(key);
        Ok(body.map(|body| stream::iter([Ok(body)]).boxed()))
    }

    fn location(&self) -> String {
        "memory".to_owned()
    }

    fn integrity(&self) -> &Integrity {
        &self.integrity
    }

    fn full_key(&self, key: &ObjectKey) -> String {
        key.as_str().to_owned()
    }

    fn refuses_wrong_checksums(&self) -> bool {
        true
    }

    async fn begin(&self, _: &ObjectKey, _: &DateRange) -> Result<UploadId, Failure> {
        unreachable!("the log has no uploads")
    }

    async fn uploads(&self, _: &ObjectKey) -> Result<Vec<UploadId>, Failure> {
        unreachable!("the log has no uploads")
    }

    async fn put_part(
        &self,
        _: &ObjectKey,
        _: &UploadId,
        _: u32,
        _: u64,
        _: Bytes,
    ) -> Result<Part, Failure> {
        unreachable!("the log has no uploads")
    }

    async fn complete(&self, _: &ObjectKey, _: &UploadId, _: &[Part]) -> Result<PutOnce, Failure> {
        unreachable!("the log has no uploads")
    }

    async fn abort(&self, _: &ObjectKey, _: &UploadId) -> Result<(), Failure> {
        unreachable!("the log has no uploads")
    }

    async fn hidden(&self, _: &str) -> Result<Vec<ObjectKey>, Failure> {
        Ok(Vec::new())
    }

    fn versions(&self, _: &str) -> Versions {
        stream::empty().boxed()
    }

    async fn probe(&self) -> Result<(), Failure> {
        Ok(())
    }
}
