//! That a person had objects of a user removed for good: which, who and why. `_erasure_{userId}_{uuid}.json`, each written once,
//! before the objects are removed.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::failure::Failure;
use crate::integrity::Purpose;
use crate::job::UserId;
use crate::ports::{ArchiveStore, ObjectKey};
use crate::registers::audit_log::Recorded;

const PREFIX: &str = "_erasure_";
const MAX_BYTES: usize = 1024 * 1024;
const READS_AT_ONCE: usize = 16;

/// An erasure that was ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Erasure {
    pub user_id: UserId,
    pub at: Timestamp,
    pub who: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The keys of the objects, without the prefix.
    pub objects: Vec<ObjectKey>,
}

/// The erasures of each user, with the keys of their records.
pub(crate) type Erasures = BTreeMap<UserId, Vec<(ObjectKey, Erasure)>>;

/// Records that these objects are about to be removed.
pub(crate) async fn order_erasure(
    store: &dyn ArchiveStore,
    user_id: UserId,
    objects: Vec<ObjectKey>,
    recorded: &Recorded,
    at: Timestamp,
) -> Result<(), Failure> {
    let operator = recorded.operator();
    let erasure = Erasure {
        user_id,
        at,
        who: operator.who.clone(),
        why: operator.why.clone(),
        objects,
    };
    let body = serde_json::to_vec(&erasure)
        .map_err(|error| Failure::internal("cannot write an erasure", error))?;
    let key = ObjectKey(format!("{PREFIX}{user_id}_{}.json", Uuid::now_v7()));
    let body = store.integrity().sign(Purpose::Erasure, key.as_str(), body);
    store.put_once(&key, Bytes::from(body), None).await?;
    Ok(())
}

/// The erasures of one user, or of all. What we did not write counts for nothing.
pub(crate) async fn erasures(
    store: &dyn ArchiveStore,
    user_id: Option<UserId>,
) -> Result<Erasures, Failure> {
    let prefix = user_id.map_or_else(|| PREFIX.to_owned(), |id| format!("{PREFIX}{id}_"));
    let keys = store.keys(&prefix).await?;
    let mut reading = stream::iter(keys)
        .map(|key| async move {
            let stored = store.read(&key, MAX_BYTES).await?.unwrap_or_default();
            Ok::<_, Failure>((key, stored))
        })
        .buffered(READS_AT_ONCE);
    let mut found = Erasures::new();
    while let Some((key, stored)) = reading.try_next().await? {
        let opened: Result<Erasure, _> =
            store
                .integrity()
                .open(Purpose::Erasure, key.as_str(), &stored);
        match opened {
            Ok(erasure) => found
                .entry(erasure.user_id)
                .or_default()
                .push((key, erasure)),
            Err(untrusted) => {
                let key = store.full_key(&key);
                tracing::warn!(key, %untrusted, "a record of an erasure does not count");
            }
        }
    }
    Ok(found)
}
