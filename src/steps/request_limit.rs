//! How many users may come within a time whom messages name without an order of `submit`.
//!
//! Redis counts them. So that a lost Redis loses no count, the users are also recorded in the archive store before they
//! are touched, some at a time: `_requests_{day}_{uuid}_{users}.json`.

use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use crate::failure::Failure;
use crate::job::UserId;
use crate::limits::RateLimit;
use crate::ports::{ArchiveStore, ObjectKey};
use crate::registers::{audit_log::written_at, let_on_until};

/// One record is of a hundredth of the limit, at most 100 users: most users cost no request to the archive store.
const RECORDS: u32 = 100;
const MAX_RECORDED: u32 = 100;
/// How long an answer of the archive store is used.
const RECENT: Duration = Duration::from_secs(2);
const PREFIX: &str = "_requests_";

/// The limit of one worker's deployment, and what this worker has recorded ahead.
pub(crate) struct RequestLimit {
    pub(super) limit: RateLimit,
    recorded: Mutex<Recorded>,
    /// Until when the users who wait are let on, and when that was read.
    let_on: Mutex<Option<(Instant, Option<Timestamp>)>>,
}

/// Users who are recorded in the archive store and have not come yet.
#[derive(Default)]
struct Recorded {
    users: u32,
    until: Timestamp,
}

impl RequestLimit {
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self {
            limit,
            recorded: Mutex::default(),
            let_on: Mutex::default(),
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
            let key = key(now, Uuid::now_v7(), users);
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

    /// Until when the users who wait are let on.
    pub(super) async fn let_on(
        &self,
        store: &dyn ArchiveStore,
    ) -> Result<Option<Timestamp>, Failure> {
        let mut let_on = self.let_on.lock().await;
        if let Some((at, until)) = *let_on
            && at.elapsed() < RECENT
        {
            return Ok(until);
        }
        let begun = Instant::now();
        let until = let_on_until(store).await?;
        *let_on = Some((begun, until));
        Ok(until)
    }
}

/// The users of the last period, as the archive store shows them: an ID that is made up for each, and the latest time at
/// which the user may have come.
pub(super) async fn recorded(
    store: &dyn ArchiveStore,
    requests: &RequestLimit,
    now: Timestamp,
) -> Result<Vec<(UserId, Timestamp)>, Failure> {
    let per = SignedDuration::try_from(requests.limit.per).unwrap_or(SignedDuration::MAX);
    let since = now
        .checked_sub(per.saturating_add(requests.usable()))
        .unwrap_or(Timestamp::MIN);
    let mut seen = Vec::new();
    let mut day = now;
    loop {
        for key in store.keys(&prefix(day)).await? {
            let Some((id, users)) = parse(&key) else {
                continue;
            };
            let at = written_at(id);
            if at >= since && seen.len() < requests.limit.count as usize {
                let latest = at.checked_add(requests.usable()).unwrap_or(at);
                seen.extend((0..users).filter_map(|number| Some((made_up(id, number)?, latest))));
            }
        }
        if prefix(day) <= prefix(since) {
            return Ok(seen);
        }
        day = day.checked_sub(24.hours()).unwrap_or(since);
    }
}

fn made_up(id: Uuid, number: u32) -> Option<UserId> {
    let id = Uuid::from_u128(id.as_u128().wrapping_add(number.into()));
    id.to_string().parse().ok()
}

fn prefix(day: Timestamp) -> String {
    format!("{PREFIX}{}_", day.strftime("%Y-%m-%d"))
}

fn key(at: Timestamp, id: Uuid, users: u32) -> ObjectKey {
    ObjectKey(format!("{}{id}_{users}.json", prefix(at)))
}

fn parse(key: &ObjectKey) -> Option<(Uuid, u32)> {
    let rest = key.as_str().strip_prefix(PREFIX)?.strip_suffix(".json")?;
    let mut parts = rest.split('_').skip(1);
    let id = Uuid::parse_str(parts.next()?).ok()?;
    let users: u32 = parts.next()?.parse().ok()?;
    Some((id, users.min(MAX_RECORDED)))
}

#[cfg(test)]
#[path = "request_limit_tests.rs"]
mod tests;
