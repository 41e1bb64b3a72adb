//! The count of the deletion rate limit: a sorted set of deletions by time, with a member that says
//! how far back the set is complete. A set that does not reach far enough (lost, removed, made by
//! an earlier release) is an unknown count, not an empty one.

use std::time::Duration;

use jiff::Timestamp;
use redis::Script;

use super::connection::{RedisConnection, millis};
use super::{keys, scripts};
use crate::failure::Failure;
use crate::job::UserId;
use crate::limits::DeletionRateLimit;
use crate::ports::DeletionAdmission;

/// How many deletions one round trip restores.
const PAGE: usize = 1000;

pub(super) struct DeletionCount {
    admit: Script,
    reach: Script,
    restore: Script,
}

impl DeletionCount {
    pub(super) fn new() -> Self {
        Self {
            admit: Script::new(scripts::ADMIT_DELETION),
            reach: Script::new(scripts::DELETIONS_REACH),
            restore: Script::new(scripts::RESTORE_DELETIONS),
        }
    }

    pub(super) async fn admit(
        &self,
        connection: &RedisConnection,
        user_id: UserId,
        limit: DeletionRateLimit,
    ) -> Result<DeletionAdmission, Failure> {
        let mut script = self.admit.prepare_invoke();
        script.key(keys::DELETIONS);
        script.arg(user_id.to_string());
        script.arg(limit.count).arg(millis(limit.per));

        let answer = u64::try_from(connection.run::<i64>(&script).await?);
        Ok(match answer {
            Ok(0) => DeletionAdmission::Counted,
            Ok(wait_ms) => DeletionAdmission::Wait(Duration::from_millis(wait_ms)),
            Err(_negative) => DeletionAdmission::Unknown,
        })
    }

    pub(super) async fn reaches(
        &self,
        connection: &RedisConnection,
        window: Duration,
    ) -> Result<bool, Failure> {
        let mut script = self.reach.prepare_invoke();
        script.key(keys::DELETIONS);
        Ok(connection.run::<u64>(&script).await? >= millis(window))
    }

    pub(super) async fn restore(
        &self,
        connection: &RedisConnection,
        window: Duration,
        deletions: &[(UserId, Timestamp)],
    ) -> Result<(), Failure> {
        for page in deletions.chunks(PAGE) {
            let mut script = self.restore.prepare_invoke();
            script.key(keys::DELETIONS).arg(0);
            for (user_id, at) in page {
                script.arg(at.as_millisecond()).arg(user_id.to_string());
            }
            connection.run::<u64>(&script).await?;
        }

        // The window comes last: with it the set claims to be complete.
        let mut script = self.restore.prepare_invoke();
        script.key(keys::DELETIONS).arg(millis(window));
        connection.run::<u64>(&script).await.map(|_done| ())
    }
}
