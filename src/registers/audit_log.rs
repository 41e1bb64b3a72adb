//! The log of operators' acts: who did what for many, when, why, and to how many. It is kept in the archive
//! store, since a Redis that forgot must not forget those. An act is an object, written once and never changed.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::failure::Failure;
use crate::integrity::{Purpose, Untrusted};
use crate::ports::{ArchiveStore, ObjectKey};

/// Who acts, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct By {
    /// Such as `ada@host`.
    pub who: String,
    /// As was said.
    pub why: Option<String>,
}

/// One act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Act {
    /// Unique, and in the order of time (UUID version 7).
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Who, such as `ada@host`.
    pub who: String,
    /// What, in the words of the command: `hold add`.
    pub what: String,
    /// Why, as was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// To how many.
    pub count: u64,
    /// What else tells this act from others of its kind; an object, or nothing.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Object)]
    pub details: Value,
}

impl Act {
    /// An act of this moment.
    pub(crate) fn new(by: &By, what: &str, count: usize, details: Value) -> Self {
        Self {
            id: Uuid::now_v7(),
            at: Timestamp::now(),
            who: by.who.clone(),
            what: what.to_owned(),
            why: by.why.clone(),
            count: u64::try_from(count).unwrap_or(u64::MAX),
            details,
        }
    }

    fn key(id: Uuid) -> ObjectKey {
        ObjectKey(format!("{PREFIX}{id}.json"))
    }
}

const PREFIX: &str = "_act_";
const MAX_ACT_BYTES: usize = 1024 * 1024;
const AT_ONCE: usize = 16;

/// Puts an act into the log. Called before the act itself: one that was cut short is in the log, and none is
/// missing from it.
pub(crate) async fn record(store: &dyn ArchiveStore, act: &Act) -> Result<(), Failure> {
    let body = serde_json::to_vec(act)
        .map_err(|error| Failure::internal("cannot write an entry of the audit log", error))?;
    let key = Act::key(act.id);
    let body = store
        .integrity()
        .sign(Purpose::AuditLog, key.as_str(), body);
    // Should it be there already, then it is ours: the answer to the first try was lost.
    store
        .put_once(&key, Bytes::from(body), None)
        .await
        .map(|_stored| ())
}

/// The newest acts, newest first: at most `limit`, and none before `since`.
pub(crate) async fn list(
    store: &Arc<dyn ArchiveStore>,
    since: Option<Timestamp>,
    limit: usize,
) -> Result<Vec<Act>, Failure> {
    let keys = store.keys(PREFIX).await?;
    let mut ids: Vec<Uuid> = keys.iter().filter_map(parse).collect();
    ids.sort_unstable_by(|one, other| other.cmp(one));
    let recent = ids
        .into_iter()
        .take_while(|id| since.is_none_or(|since| at(*id) >= since))
        .take(limit);
    stream::iter(recent.map(|id| read(Arc::clone(store), id)))
        .buffered(AT_ONCE)
        .try_collect()
        .await
}

/// An act that cannot be read is shown as one, since something was done then; so is one without a valid code, and
/// what it claims is not shown.
async fn read(store: Arc<dyn ArchiveStore>, id: Uuid) -> Result<Act, Failure> {
    let key = Act::key(id);
    let read = store.read(&key, MAX_ACT_BYTES).await?;
    let opened = read.ok_or(Untrusted::Unreadable);
    let opened = opened.and_then(|bytes| {
        store
            .integrity()
            .open::<Act>(Purpose::AuditLog, key.as_str(), &bytes)
    });
    let act = opened.and_then(|act| {
        if act.id == id {
            Ok(act)
        } else {
            Err(Untrusted::Unreadable)
        }
    });
    let unreadable = |untrusted| Act {
        id,
        at: at(id),
        who: "unknown".to_owned(),
        what: match untrusted {
            Untrusted::Unreadable => "unreadable",
            Untrusted::NoValidCode => "no valid integrity code",
        }
        .to_owned(),
        why: None,
        count: 0,
        details: Value::Null,
    };
    Ok(act.unwrap_or_else(unreadable))
}

fn parse(key: &ObjectKey) -> Option<Uuid> {
    let id = Uuid::parse_str(key.as_str().strip_prefix(PREFIX)?.strip_suffix(".json")?).ok()?;
    (Act::key(id) == *key).then_some(id)
}

/// The moment that an ID was made at, to the millisecond.
fn at(id: Uuid) -> Timestamp {
    let (seconds, nanoseconds) = id.get_timestamp().map_or((0, 0), |made| made.to_unix());
    let (seconds, nanoseconds) = (i64::try_from(seconds).ok(), i32::try_from(nanoseconds).ok());
    let made = seconds
        .zip(nanoseconds)
        .and_then(|(seconds, nanos)| Timestamp::new(seconds, nanos).ok());
    made.unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;
    use serde_json::json;

    use super::*;
    use crate::adapters::directory::DirectoryStore;
    use crate::integrity::Integrity;
    use crate::secret::Secret;

    fn act(number: usize) -> Act {
        let by = By {
            who: "ada@host".to_owned(),
            why: Some("case".to_owned()),
        };
        Act::new(&by, "hold add", number, json!({ "n": number }))
    }

    #[tokio::test]
    async fn acts_come_back_newest_first_within_the_limit_and_the_time() {
        let directory = tempfile::tempdir().unwrap();
        let store: Arc<dyn ArchiveStore> =
            Arc::new(DirectoryStore::open(directory.path()).unwrap());
        let acts: Vec<Act> = (0..20).map(act).collect();
        for act in &acts {
            record(&*store, act).await.unwrap();
            // The answer was lost: once more changes nothing.
            record(&*store, act).await.unwrap();
        }
        let newest_first: Vec<Act> = acts.iter().rev().cloned().collect();
        assert_eq!(list(&store, None, 100).await.unwrap(), newest_first);
        assert_eq!(list(&store, None, 3).await.unwrap(), newest_first[..3]);
        let future = Timestamp::now() + 1.hour();
        assert_eq!(list(&store, Some(future), 100).await.unwrap(), []);
        assert_eq!(
            list(&store, Some(acts[0].at - 1.second()), 100)
                .await
                .unwrap()
                .len(),
            20
        );
    }

    #[tokio::test]
    async fn strangers_are_no_acts_and_an_unreadable_act_is_shown() {
        let directory = tempfile::tempdir().unwrap();
        let store: Arc<dyn ArchiveStore> =
            Arc::new(DirectoryStore::open(directory.path()).unwrap());
        let id = Uuid::now_v7();
        std::fs::write(directory.path().join(format!("_act_{id}.json")), "{").unwrap();
        std::fs::write(directory.path().join("_act_x.json"), "{}").unwrap();
        let listed = list(&store, None, 100).await.unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!((listed[0].id, listed[0].what.as_str()), (id, "unreadable"));
        assert!(
            Timestamp::now().duration_since(listed[0].at).as_secs() < 60,
            "{}",
            listed[0].at
        );
    }

    #[tokio::test]
    async fn a_forged_act_is_shown_as_one_and_its_words_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let integrity = Integrity::new(Some(&Secret::new(&"k".repeat(32))));
        let strangers = DirectoryStore::open(directory.path()).unwrap();
        record(&strangers, &act(1)).await.unwrap();
        let ours = DirectoryStore::open(directory.path())
            .unwrap()
            .with_integrity(integrity);
        record(&ours, &act(2)).await.unwrap();
        let ours: Arc<dyn ArchiveStore> = Arc::new(ours);
        let listed = list(&ours, None, 100).await.unwrap();
        let shown: Vec<_> = listed
            .iter()
            .map(|act| (act.what.as_str(), act.who.as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                ("hold add", "ada@host"),
                ("no valid integrity code", "unknown")
            ]
        );
    }
}
