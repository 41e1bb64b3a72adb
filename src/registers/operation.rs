//! Operations in the archive store: what was asked for with its frozen set, an order to stop, and how it ended. Each is
//! an object that is written once, so that an operation survives a Redis that lost its data. An operation without an end is open. One that
//! we did not write is none: nobody who may only write to the bucket can start an operation.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::{Class, Code, Failure};
use crate::integrity::{Purpose, Untrusted};
use crate::ports::operations::{OperationId, StopRequest};
use crate::ports::{ArchiveStore, ObjectKey, PutOnce};

const PREFIX: &str = "_operation_";
const ENDED: &str = "_ended.json";
const STOP: &str = "_stop.json";
/// Hundreds of thousands of dead letters.
const MAX_BYTES: usize = 512 * 1024 * 1024;

fn key(id: OperationId) -> ObjectKey {
    ObjectKey(format!("{PREFIX}{id}.json"))
}

fn ended_key(id: OperationId) -> ObjectKey {
    ObjectKey(format!("{PREFIX}{id}{ENDED}"))
}

fn stop_key(id: OperationId) -> ObjectKey {
    ObjectKey(format!("{PREFIX}{id}{STOP}"))
}

/// The operations that are stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StoredOperations {
    pub all: BTreeSet<OperationId>,
    pub ended: BTreeSet<OperationId>,
}

/// Lists all operations.
pub(crate) async fn stored_operations(
    store: &dyn ArchiveStore,
) -> Result<StoredOperations, Failure> {
    let mut stored = StoredOperations::default();
    for key in store.keys(PREFIX).await? {
        let Some(name) = key.as_str().strip_prefix(PREFIX) else {
            continue;
        };
        if let Some(id) = name.strip_suffix(ENDED) {
            stored.ended.extend(id.parse::<OperationId>().ok());
        } else if let Some(id) = name.strip_suffix(".json") {
            stored.all.extend(id.parse::<OperationId>().ok());
        }
    }
    Ok(stored)
}

/// Stores an operation, with its set.
pub(crate) async fn store_operation(
    store: &dyn ArchiveStore,
    id: OperationId,
    record: &(impl Serialize + Sync),
) -> Result<(), Failure> {
    put(store, &key(id), record).await.map(|_stored| ())
}

/// Stores how it ended; `AlreadyThere` if another process did.
pub(crate) async fn store_end(
    store: &dyn ArchiveStore,
    id: OperationId,
    record: &(impl Serialize + Sync),
) -> Result<PutOnce, Failure> {
    put(store, &ended_key(id), record).await
}

/// Stores that an operation has to stop. The first order counts.
pub(crate) async fn store_stop(
    store: &dyn ArchiveStore,
    id: OperationId,
    order: &StopRequest,
) -> Result<(), Failure> {
    put(store, &stop_key(id), order).await.map(|_stored| ())
}

/// Reads the order to stop an operation; `None` if there is none.
pub(crate) async fn read_stop(
    store: &dyn ArchiveStore,
    id: OperationId,
) -> Result<Option<StopRequest>, Failure> {
    read(store, &stop_key(id)).await
}

async fn put(
    store: &dyn ArchiveStore,
    key: &ObjectKey,
    record: &(impl Serialize + Sync),
) -> Result<PutOnce, Failure> {
    let body = serde_json::to_vec(record)
        .map_err(|error| Failure::internal("cannot write an operation", error))?;
    if body.len() > MAX_BYTES {
        let text = "the set is too large for one operation; choose less with --limit";
        return Err(Failure::new(Class::Defect, Code::ArchiveRejected, text));
    }
    let body = store
        .integrity()
        .sign(Purpose::Operation, key.as_str(), body);
    store.put_once(key, Bytes::from(body), None).await
}

/// Reads an operation; `None` if there is none. One that we did not write is an error.
pub(crate) async fn read_operation<T: DeserializeOwned>(
    store: &dyn ArchiveStore,
    id: OperationId,
) -> Result<Option<T>, Failure> {
    read(store, &key(id)).await
}

/// Reads how it ended; `None` if it is open.
pub(crate) async fn read_end<T: DeserializeOwned>(
    store: &dyn ArchiveStore,
    id: OperationId,
) -> Result<Option<T>, Failure> {
    read(store, &ended_key(id)).await
}

async fn read<T: DeserializeOwned>(
    store: &dyn ArchiveStore,
    key: &ObjectKey,
) -> Result<Option<T>, Failure> {
    let Some(stored) = store.read(key, MAX_BYTES).await? else {
        return Ok(None);
    };
    let opened = store
        .integrity()
        .open::<T>(Purpose::Operation, key.as_str(), &stored);
    opened
        .map(Some)
        .map_err(|untrusted| doubtful(store, key, untrusted))
}

fn doubtful(store: &dyn ArchiveStore, key: &ObjectKey, untrusted: Untrusted) -> Failure {
    let text = format!(
        "{}: {untrusted}; nothing is done because of it. Find out who wrote it",
        store.full_key(key)
    );
    Failure::new(Class::Defect, Code::ArchiveConflict, text)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::adapters::directory::DirectoryStore;
    use crate::integrity::Integrity;
    use crate::secret::Secret;

    #[tokio::test]
    async fn an_operation_is_open_until_its_end_is_stored_and_the_first_end_counts() {
        let directory = tempfile::tempdir().unwrap();
        let store = DirectoryStore::open(directory.path()).unwrap();
        let ids = [OperationId::new(), OperationId::new()];
        for id in ids {
            store_operation(&store, id, &json!({ "n": 1 }))
                .await
                .unwrap();
        }
        assert_eq!(read_end::<Value>(&store, ids[0]).await.unwrap(), None);
        for (end, put_once) in [(1, false), (2, true)] {
            let stored = store_end(&store, ids[0], &json!({ "end": end })).await;
            assert_eq!(stored.unwrap() == PutOnce::AlreadyThere, put_once);
        }
        std::fs::write(directory.path().join("_operation_x.json"), "{}").unwrap();

        let stored = stored_operations(&store).await.unwrap();
        assert_eq!((stored.all, stored.ended), (ids.into(), [ids[0]].into()));
        for who in ["ada", "bob"] {
            let at = jiff::Timestamp::UNIX_EPOCH;
            let order = StopRequest {
                who: who.to_owned(),
                why: None,
                at,
            };
            store_stop(&store, ids[1], &order).await.unwrap();
        }
        let stop = read_stop(&store, ids[1]).await.unwrap().unwrap();
        assert_eq!(stop.who, "ada", "the first one counts");
        let again = stored_operations(&store).await.unwrap();
        assert_eq!(again.all, ids.into(), "a stop is no operation");
        let end: Value = read_end(&store, ids[0]).await.unwrap().unwrap();
        assert_eq!(end["end"], 1);
        let record: Value = read_operation(&store, ids[1]).await.unwrap().unwrap();
        assert_eq!(record["n"], 1);
    }

    #[tokio::test]
    async fn an_operation_of_a_stranger_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let strangers = DirectoryStore::open(directory.path()).unwrap();
        let id = OperationId::new();
        store_operation(&strangers, id, &json!({ "n": 1 }))
            .await
            .unwrap();
        let integrity = Integrity::new(Some(&Secret::new(&"k".repeat(32))));
        let ours = DirectoryStore::open(directory.path())
            .unwrap()
            .with_integrity(integrity);
        let refused = read_operation::<Value>(&ours, id).await.unwrap_err();
        assert!(refused.text.contains("integrity code"), "{refused}");
        let unread = read_operation::<Value>(&ours, OperationId::new()).await;
        assert_eq!(unread.unwrap(), None);
    }
}
