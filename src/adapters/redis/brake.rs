//! The count of the brake: a sorted set of deletions by time, which says itself how far back it reaches. One that does not
//! reach far enough (lost, removed, made by an earlier release) is an unknown count, and no empty one.

use std::time::Duration;

use jiff::Timestamp;
use redis::Script;

use super::store::millis;
use super::{RedisCheckpoints, scripts};
use crate::failure::Failure;
use crate::job::UserId;
use crate::limits::DeletionRateLimit;
use crate::ports::DeletionAdmission;

const DELETIONS: &str = "offboarder:deletions";

/// So many deletions are restored in one round trip.
const PAGE: usize = 1000;

impl RedisCheckpoints {
    pub(super) async fn count_deletion(
        &self,
        user_id: UserId,
        brake: DeletionRateLimit,
    ) -> Result<DeletionAdmission, Failure> {
        let mut script = self.brake.prepare_invoke();
        script
            .key(DELETIONS)
            .arg(user_id.to_string())
            .arg(brake.count)
            .arg(millis(brake.per));
        Ok(match u64::try_from(self.run::<i64>(&script).await?) {
            Ok(0) => DeletionAdmission::Counted,
            Ok(wait_ms) => DeletionAdmission::Wait(Duration::from_millis(wait_ms)),
            Err(_negative) => DeletionAdmission::Unknown,
        })
    }

    pub(super) async fn deletions_reach(&self, window: Duration) -> Result<bool, Failure> {
        let reach = Script::new(scripts::BRAKE_REACH);
        let mut reach = reach.prepare_invoke();
        reach.key(DELETIONS);
        Ok(self.run::<u64>(&reach).await? >= millis(window))
    }

    pub(super) async fn restore_deletions(
        &self,
        window: Duration,
        deletions: &[(UserId, Timestamp)],
    ) -> Result<(), Failure> {
        let restore = Script::new(scripts::RESTORE_BRAKE);
        for page in deletions.chunks(PAGE) {
            let mut script = restore.prepare_invoke();
            script.key(DELETIONS).arg(0);
            for (user_id, at) in page {
                script.arg(at.as_millisecond()).arg(user_id.to_string());
            }
            self.run::<u64>(&script).await?;
        }
        // Not before all of them are there.
        let mut script = restore.prepare_invoke();
        script.key(DELETIONS).arg(millis(window));
        self.run::<u64>(&script).await.map(|_done| ())
    }
}
