//! Announcements that are made at about the same time, as one object: a request to the store costs more CPU than all else
//! that the log needs of a record.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, oneshot};

use super::announcement::Announcement;
use crate::clock::Clock;
use crate::failure::{Class, Code, Failure};
use crate::ports::{ArchiveStore, ObjectKey};

/// What the key of a group begins with; the number of its announcements follows.
const PREFIX: &str = "group.";
/// Most announcements of a group.
const MOST: usize = 1_000;
const MAX_BYTES: usize = MOST * 512;

/// How many announcements it has, as its name says; `None` if it is no group.
pub(super) fn size(announcement: &Announcement) -> Option<usize> {
    announcement.key.strip_prefix(PREFIX)?.parse().ok()
}

/// Stores announcements, the oldest first, with one request.
pub(super) async fn put(
    store: &dyn ArchiveStore,
    clock: &Clock,
    announcements: &[Announcement],
) -> Result<(), Failure> {
    let (object, body) = match announcements {
        [single] => (single.object_key(store.integrity()), Bytes::new()),
        several => {
            let lines = several
                .iter()
                .map(|one| format!("{}.{}\n", one.text(), one.key));
            let body = Bytes::from(lines.collect::<String>());
            let key = ObjectKey(format!("{PREFIX}{}", several.len()));
            let group = Announcement::new(&key, &body, clock.now());
            (group.object_key(store.integrity()), body)
        }
    };
    store.put_once(&object, body, None).await.map(drop)
}

/// The announcements of a group; none if it was removed or is not what was written.
pub(super) async fn read(
    store: &dyn ArchiveStore,
    group: &Announcement,
) -> Result<Vec<Announcement>, Failure> {
    let object = group.object_key(store.integrity());
    let body = match store.read(&object, MAX_BYTES).await {
        Ok(body) => body.unwrap_or_default(),
        // It is larger than any of ours.
        Err(failure) if failure.class == Class::Defect => Bytes::new(),
        Err(failure) => return Err(failure),
    };
    if <[u8; 32]>::from(Sha256::digest(&body)) != group.sha256 {
        let key = store.full_key(&object);
        tracing::error!(
            key,
            "a group of announcements was changed or removed; it does not count"
        );
        return Ok(Vec::new());
    }
    let text = String::from_utf8_lossy(&body);
    Ok(text.lines().filter_map(announcement).collect())
}

fn announcement(line: &str) -> Option<Announcement> {
    let mut parts = line.splitn(3, '.');
    Announcement::of_text(parts.next()?, parts.next()?, parts.next()?)
}

/// An announcement, and who waits for it to be stored.
type Waiting = (Announcement, oneshot::Sender<Result<(), Failure>>);

/// Collects the announcements of a process.
pub(super) struct Collector(mpsc::UnboundedSender<Waiting>);

impl Collector {
    /// Each group has the announcements of the time `within`, from its first one on.
    pub(super) fn start(store: Arc<dyn ArchiveStore>, clock: Clock, within: Duration) -> Self {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(first) = receiver.recv().await {
                tokio::time::sleep(within).await;
                let mut waiting = vec![first];
                while waiting.len() < MOST
                    && let Ok(next) = receiver.try_recv()
                {
                    waiting.push(next);
                }
                // The next group does not wait for this one.
                tokio::spawn(put_all(Arc::clone(&store), clock.clone(), waiting));
            }
        });
        Self(sender)
    }

    /// Returns when the announcement is stored.
    pub(super) async fn announce(&self, announcement: Announcement) -> Result<(), Failure> {
        let (sender, stored) = oneshot::channel();
        // One that cannot be sent is dropped with its sender, and so is not stored.
        self.0.send((announcement, sender)).ok();
        stored.await.unwrap_or_else(|_dropped| {
            Err(Failure::new(
                Class::Transient,
                Code::ArchiveUnreachable,
                "this process ends, and announces nothing more to the evidence log",
            ))
        })
    }
}

async fn put_all(store: Arc<dyn ArchiveStore>, clock: Clock, mut waiting: Vec<Waiting>) {
    waiting.sort_by_key(|(announcement, _)| announcement.id);
    let (announcements, senders): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
    let outcome = put(&*store, &clock, &announcements).await;
    for sender in senders {
        // Who waited may have lost its lease in the meantime.
        sender.send(outcome.clone()).ok();
    }
}
