//! The counts of the rate limits: a sorted set of users by time, with a member that says how far back
//! the set is complete. A set that does not reach far enough (lost, removed, made by an earlier
//! release) is an unknown count, not an empty one.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;
use redis::Script;

use super::connection::{RedisConnection, millis};
use super::{keys, scripts};
use crate::failure::Failure;
use crate::job::UserId;
use crate::limits::RateLimit;
use crate::ports::{Admission, CountOf};

/// How many users one round trip restores.
const PAGE: usize = 1000;

pub(super) struct Counts {
    admit: Script,
    reach: Script,
    restore: Script,
}

impl Counts {
    pub(super) fn new() -> Self {
        Self {
            admit: Script::new(scripts::ADMIT),
            reach: Script::new(scripts::COUNT_REACH),
            restore: Script::new(scripts::RESTORE_COUNT),
        }
    }

    pub(super) async fn admit(
        &self,
        connection: &RedisConnection,
        of: CountOf,
        user_id: UserId,
        limit: RateLimit,
    ) -> Result<Admission, Failure> {
        let mut script = self.admit.prepare_invoke();
        script.key(&*key(of));
        script.arg(user_id.to_string());
        script.arg(limit.count).arg(millis(limit.per));

        let answer = u64::try_from(connection.run::<i64>(&script).await?);
        Ok(match answer {
            Ok(0) => Admission::Counted,
            Ok(wait_ms) => Admission::Wait(Duration::from_millis(wait_ms)),
            Err(_negative) => Admission::Unknown,
        })
    }

    pub(super) async fn reaches(
        &self,
        connection: &RedisConnection,
        of: CountOf,
        window: Duration,
    ) -> Result<bool, Failure> {
        let mut script = self.reach.prepare_invoke();
        script.key(&*key(of));
        Ok(connection.run::<u64>(&script).await? >= millis(window))
    }

    pub(super) async fn restore(
        &self,
        connection: &RedisConnection,
        of: CountOf,
        window: Duration,
        seen: &[(UserId, Timestamp)],
    ) -> Result<(), Failure> {
        for page in seen.chunks(PAGE) {
            let mut script = self.restore.prepare_invoke();
            script.key(&*key(of)).arg(0);
            for (user_id, at) in page {
                script.arg(at.as_millisecond()).arg(user_id.to_string());
            }
            connection.run::<u64>(&script).await?;
        }

        // The window comes last: with it the set claims to be complete.
        let mut script = self.restore.prepare_invoke();
        script.key(&*key(of)).arg(millis(window));
        connection.run::<u64>(&script).await.map(|_done| ())
    }
}

fn key(of: CountOf) -> Cow<'static, str> {
    match of {
        CountOf::Deletions => keys::DELETIONS.into(),
        CountOf::Requests => keys::REQUESTS.into(),
        CountOf::Unapproved(requester) => keys::unapproved(requester).into(),
    }
}
