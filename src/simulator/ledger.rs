//! What was really done, call by call: the truth that tests compare with.

use std::collections::BTreeMap;

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;

use super::world::now;

/// One call.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    /// From 1, in the order in which calls ended.
    pub seq: u64,
    pub started_at: Timestamp,
    /// When it was answered, or the connection was closed.
    pub ended_at: Timestamp,
    /// The operation of the `OpenAPI` document in `snake_case`, e.g. `delete_user`; `unknown` for a call that it does not have.
    pub operation: &'static str,
    pub method: String,
    pub path: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub query: String,
    /// The user that the call is about; calls about a queue have none.
    pub user_id: Option<String>,
    /// The status of the answer; 0 when the connection was closed without one.
    pub status: u16,
    pub applied: bool,
    /// The ID that the vendor's support asks for (e.g. `X-Correlation-Id`), if it was sent.
    pub correlation_id: Option<String>,
    /// The ID that the answer had under the same name.
    pub answered_correlation_id: Option<String>,
    /// Whether an `Accept` header was sent.
    pub has_accept: bool,
    /// `If-Match`, if it was sent.
    pub if_match: Option<String>,
    /// The fault that was asked for.
    pub fault: Option<&'static str>,
}

#[derive(Default)]
pub(super) struct Ledger {
    entries: Mutex<Vec<Entry>>,
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock()
    }

    pub(super) fn add(&self, mut entry: Entry) {
        let mut entries = self.lock();
        entry.seq = entries.last().map_or(1, |last| last.seq + 1);
        entry.ended_at = now();
        entries.push(entry);
    }

    pub(super) fn entries(&self, user_id: Option<&str>) -> Vec<Entry> {
        let about = |entry: &&Entry| user_id.is_none_or(|id| entry.user_id.as_deref() == Some(id));
        self.lock().iter().filter(about).cloned().collect()
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    /// The number of answers by operation and status.
    pub(super) fn counters(&self) -> BTreeMap<&'static str, BTreeMap<u16, u64>> {
        let mut counters: BTreeMap<&'static str, BTreeMap<u16, u64>> = BTreeMap::new();
        for entry in self.lock().iter() {
            *counters
                .entry(entry.operation)
                .or_default()
                .entry(entry.status)
                .or_default() += 1;
        }
        counters
    }
}
