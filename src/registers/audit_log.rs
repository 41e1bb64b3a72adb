//! The audit log of operators: who did what to how many users, when, and why. It is kept in the archive store, because
//! a Redis that lost its data must not lose the log. An entry is an object that is written once and never changed.
//!
//! Each function that changes something for many users takes a [`Recorded`], and only [`AuditLog::record`] makes one:
//! a change that forgets its entry does not compile.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::clock::Clock;
use crate::failure::{Class, Code, Failure};
use crate::integrity::{Purpose, Untrusted};
use crate::ports::{ArchiveStore, ObjectKey};

/// The person who changes something, and the reason that the person gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operator {
    /// For example `ada@host`.
    pub who: String,
    pub why: Option<String>,
}

/// One entry of the audit log
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct AuditEntry {
    /// A UUID of version 7: IDs sort by time.
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    /// When the entry was written, just before the change.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The operator, for example `ada@host`.
    pub who: String,
    /// The command, for example `hold add`.
    pub what: String,
    /// The reason that the operator gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// How many users or dead letters the command was given.
    pub count: u64,
    /// The arguments of the command, as an object; missing where it has none.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Object)]
    pub details: Value,
}

impl AuditEntry {
    fn new(at: Timestamp, operator: &Operator, change: Change) -> Self {
        Self {
            id: Uuid::now_v7(),
            at,
            who: operator.who.clone(),
            what: change.what.to_owned(),
            why: operator.why.clone(),
            count: u64::try_from(change.count).unwrap_or(u64::MAX),
            details: change.details,
        }
    }

    fn key(id: Uuid) -> ObjectKey {
        ObjectKey(format!("{PREFIX}{id}.json"))
    }
}

/// What an operator is about to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// The words of the command: `hold add`.
    pub what: &'static str,
    pub count: usize,
    /// An object, or null.
    pub details: Value,
}

/// Proof that the audit log has the entry of a change.
#[derive(Debug)]
pub(crate) struct Recorded {
    id: Uuid,
    operator: Operator,
}

impl Recorded {
    /// The ID of the entry.
    pub(crate) const fn id(&self) -> Uuid {
        self.id
    }

    /// The operator whom the entry names.
    pub(crate) const fn operator(&self) -> &Operator {
        &self.operator
    }

    /// For tests of what comes after the entry.
    #[cfg(test)]
    pub(crate) fn in_a_test(who: &str, why: Option<&str>) -> Self {
        Self {
            id: Uuid::now_v7(),
            operator: Operator {
                who: who.to_owned(),
                why: why.map(str::to_owned),
            },
        }
    }
}

// The names of the stored objects keep the log's first name.
const PREFIX: &str = "_act_";
const MAX_ENTRY_BYTES: usize = 1024 * 1024;
const READS_AT_ONCE: usize = 16;

/// The audit log in an archive store.
#[derive(Clone)]
pub(crate) struct AuditLog {
    store: Arc<dyn ArchiveStore>,
    clock: Clock,
}

impl AuditLog {
    pub(crate) fn new(store: Arc<dyn ArchiveStore>, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// Writes the entry of a change. It is called before the change, so that a change that is cut short has its entry
    /// too.
    pub(crate) async fn record(
        &self,
        operator: &Operator,
        change: Change,
    ) -> Result<Recorded, Failure> {
        let entry = AuditEntry::new(self.clock.now(), operator, change);
        self.write(&entry).await?;

        Ok(Recorded {
            id: entry.id,
            operator: operator.clone(),
        })
    }

    /// Writes an entry with this ID and time; a second time changes nothing.
    pub(crate) async fn record_as(
        &self,
        id: Uuid,
        at: Timestamp,
        operator: &Operator,
        change: Change,
    ) -> Result<(), Failure> {
        let entry = AuditEntry {
            id,
            ..AuditEntry::new(at, operator, change)
        };
        self.write(&entry).await
    }

    /// The proof for a change that another process began.
    pub(crate) async fn recorded(&self, id: Uuid) -> Result<Recorded, Failure> {
        let key = AuditEntry::key(id);
        let stored = self.store.read(&key, MAX_ENTRY_BYTES).await?;
        let opened = stored.ok_or(Untrusted::Unreadable).and_then(|bytes| {
            self.store
                .integrity()
                .open::<AuditEntry>(Purpose::AuditLog, key.as_str(), &bytes)
        });
        match opened {
            Ok(entry) if entry.id == id => Ok(Recorded {
                id,
                operator: Operator {
                    who: entry.who,
                    why: entry.why,
                },
            }),
            Ok(_) | Err(_) => {
                let text = format!(
                    "{}: this entry of the audit log is missing or not ours, so what it announces is not done",
                    self.store.full_key(&key)
                );
                Err(Failure::new(Class::Defect, Code::ArchiveConflict, text))
            }
        }
    }

    async fn write(&self, entry: &AuditEntry) -> Result<(), Failure> {
        let body = serde_json::to_vec(entry)
            .map_err(|error| Failure::internal("cannot write an entry of the audit log", error))?;
        let key = AuditEntry::key(entry.id);
        let body = self
            .store
            .integrity()
            .sign(Purpose::AuditLog, key.as_str(), body);

        // If the object already exists, it is ours: the response to the first try was lost.
        self.store
            .put_once(&key, Bytes::from(body), None)
            .await
            .map(|_stored| ())
    }

    /// The newest entries, newest first: at most `limit`, and none before `since`.
    pub(crate) async fn list(
        &self,
        since: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, Failure> {
        let recent: Vec<Uuid> = self
            .ids()
            .await?
            .into_iter()
            .take_while(|id| since.is_none_or(|since| written_at(*id) >= since))
            .take(limit)
            .collect();
        self.entries(&recent).await
    }

    /// The IDs of all entries, newest first.
    pub(crate) async fn ids(&self) -> Result<Vec<Uuid>, Failure> {
        let keys = self.store.keys(PREFIX).await?;
        let mut ids: Vec<Uuid> = keys.iter().filter_map(parse).collect();
        ids.sort_unstable_by(|one, other| other.cmp(one));
        Ok(ids)
    }

    /// The entries of these IDs, in their order.
    pub(crate) async fn entries(&self, ids: &[Uuid]) -> Result<Vec<AuditEntry>, Failure> {
        let ids = ids.to_vec();
        let reading = ids.into_iter().map(|id| read(Arc::clone(&self.store), id));
        stream::iter(reading)
            .buffered(READS_AT_ONCE)
            .try_collect()
            .await
    }

    /// One entry; `None` if there is none of this ID.
    pub(crate) async fn entry(&self, id: Uuid) -> Result<Option<AuditEntry>, Failure> {
        let key = AuditEntry::key(id);
        if self.store.read(&key, MAX_ENTRY_BYTES).await?.is_none() {
            return Ok(None);
        }
        read(Arc::clone(&self.store), id).await.map(Some)
    }
}

/// Reads one entry. An entry that cannot be read is listed as unreadable, because something was done then. An entry
/// without a valid integrity code is listed too, without what it claims.
async fn read(store: Arc<dyn ArchiveStore>, id: Uuid) -> Result<AuditEntry, Failure> {
    let key = AuditEntry::key(id);
    let stored = store.read(&key, MAX_ENTRY_BYTES).await?;
    let opened = stored.ok_or(Untrusted::Unreadable).and_then(|bytes| {
        store
            .integrity()
            .open::<AuditEntry>(Purpose::AuditLog, key.as_str(), &bytes)
    });

    let untrusted = match opened {
        Ok(entry) if entry.id == id => return Ok(entry),
        Ok(_of_another_id) => Untrusted::Unreadable,
        Err(untrusted) => untrusted,
    };
    let what = match untrusted {
        Untrusted::Unreadable => "unreadable",
        Untrusted::NoValidCode => "no valid integrity code",
    };
    Ok(AuditEntry {
        id,
        at: written_at(id),
        who: "unknown".to_owned(),
        what: what.to_owned(),
        why: None,
        count: 0,
        details: Value::Null,
    })
}

fn parse(key: &ObjectKey) -> Option<Uuid> {
    let id = Uuid::parse_str(key.as_str().strip_prefix(PREFIX)?.strip_suffix(".json")?).ok()?;
    (AuditEntry::key(id) == *key).then_some(id)
}

/// The time in an ID, to the millisecond.
pub(crate) fn written_at(id: Uuid) -> Timestamp {
    let made = id.get_timestamp().and_then(|made| {
        let (seconds, nanoseconds) = made.to_unix();
        let nanoseconds = i32::try_from(nanoseconds).ok()?;
        Timestamp::new(i64::try_from(seconds).ok()?, nanoseconds).ok()
    });
    made.unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
#[path = "audit_log_tests.rs"]
mod tests;
