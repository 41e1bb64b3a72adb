//! Users who are counted in Redis, recorded in the archive store as well, so that a lost Redis loses no count. They are
//! recorded some at a time, before they come: `{prefix}{day}_{uuid}_{users}.json`.

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde_json::json;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::failure::Failure;
use crate::job::UserId;
use crate::limits::RateLimit;
use crate::ports::{ArchiveStore, ObjectKey};
use crate::registers::audit_log::written_at;

/// One record is of a hundredth of the limit, at most 100 users: most users cost no request to the archive store.
const RECORDS: u32 = 100;
pub(super) const MAX_RECORDED: u32 = 100;

/// What this worker has recorded ahead under one prefix.
pub(super) struct RecordedAhead {
    prefix: String,
    pub(super) limit: RateLimit,
    recorded: Mutex<Recorded>,
    /// Held by the run of this worker that restores the count.
    pub(super) restoring: Mutex<()>,
}

/// Users who are recorded in the archive store and have not come yet.
#[derive(Default)]
struct Recorded {
    users: u32,
    until: Timestamp,
}

impl RecordedAhead {
    pub(super) fn new(prefix: impl Into<String>, limit: RateLimit) -> Self {
        Self {
            prefix: prefix.into(),
            limit,
            recorded: Mutex::default(),
            restoring: Mutex::default(),
        }
    }

    /// A record counts for that much longer than it may be used.
    fn usable(&self) -> SignedDuration {
        SignedDuration::try_from(self.limit.per / 10).unwrap_or(SignedDuration::MAX)
    }

    /// Makes sure that the archive store has a record of one more user.
    pub(super) async fn record(
        &self,
        store: &dyn ArchiveStore,
        worker: &str,
        now: Timestamp,
    ) -> Result<(), Failure> {
        // The lock is held while it is stored, so that all runs of a worker share one record.
        let mut recorded = self.recorded.lock().await;
        if recorded.users == 0 || now >= recorded.until {
            let users = (self.limit.count / RECORDS).clamp(1, MAX_RECORDED);
            let key = self.key(now, Uuid::now_v7(), users);
            let body = json!({ "at": now, "users": users, "worker": worker });
            let body = Bytes::from(body.to_string());
            store.put_once(&key, body, None).await?;
            *recorded = Recorded {
                users,
                until: now.checked_add(self.usable()).unwrap_or(now),
            };
        }
        recorded.users = recorded.users.saturating_sub(1);
        Ok(())
    }

    /// The users of the last period, as the archive store shows them: an ID that is made up for each, and the latest time at
    /// which the user may have come.
    pub(super) async fn seen(
        &self,
        store: &dyn ArchiveStore,
        now: Timestamp,
    ) -> Result<Vec<(UserId, Timestamp)>, Failure> {
        let per = SignedDuration::try_from(self.limit.per).unwrap_or(SignedDuration::MAX);
        let since = now
            .checked_sub(per.saturating_add(self.usable()))
            .unwrap_or(Timestamp::MIN);
        let mut seen = Vec::new();
        let mut day = now;
        loop {
            for key in store.keys(&self.of_day(day)).await? {
                let Some((id, users)) = self.parse(&key) else {
                    continue;
                };
                let at = written_at(id);
                if at >= since && seen.len() < self.limit.count as usize {
                    let latest = at.checked_add(self.usable()).unwrap_or(at);
                    seen.extend(
                        (0..users).filter_map(|number| Some((made_up(id, number)?, latest))),
                    );
                }
            }
            if self.of_day(day) <= self.of_day(since) {
                return Ok(seen);
            }
            day = day.checked_sub(24.hours()).unwrap_or(since);
        }
    }

    fn of_day(&self, day: Timestamp) -> String {
        format!("{}{}_", self.prefix, day.strftime("%Y-%m-%d"))
    }

    pub(super) fn key(&self, at: Timestamp, id: Uuid, users: u32) -> ObjectKey {
        ObjectKey(format!("{}{id}_{users}.json", self.of_day(at)))
    }

    pub(super) fn parse(&self, key: &ObjectKey) -> Option<(Uuid, u32)> {
        let rest = key.as_str().strip_prefix(&self.prefix)?;
        let mut parts = rest.strip_suffix(".json")?.split('_').skip(1);
        let id = Uuid::parse_str(parts.next()?).ok()?;
        let users: u32 = parts.next()?.parse().ok()?;
        Some((id, users.min(MAX_RECORDED)))
    }
}

fn made_up(id: Uuid, number: u32) -> Option<UserId> {
    let id = Uuid::from_u128(id.as_u128().wrapping_add(number.into()));
    id.to_string().parse().ok()
}

#[cfg(test)]
#[path = "recorded_ahead_tests.rs"]
mod tests;
