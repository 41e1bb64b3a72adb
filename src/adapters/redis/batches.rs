//! Who belongs to which batch: a sorted set for each batch, users by the time when they were first seen,
//! and one of all batches. A batch has another slot of a cluster than its users.

use jiff::Timestamp;

use super::RedisCheckpoints;
use crate::failure::Failure;
use crate::job::{BatchId, UserId};

/// All batches, by the time when they were first seen.
const BATCHES: &str = "offboarder:batches";

fn users_key(batch: &BatchId) -> String {
    format!("offboarder:batch:{batch}:users")
}

impl RedisCheckpoints {
    /// Puts users into a batch. Those who are in it stay as they are.
    pub async fn add_to_batch(
        &self,
        batch: &BatchId,
        users: &[UserId],
        at: Timestamp,
    ) -> Result<(), Failure> {
        let at_ms = at.as_millisecond();
        let mut add = redis::cmd("ZADD");
        add.arg(users_key(batch)).arg("NX");
        for user_id in users {
            add.arg(at_ms).arg(user_id.to_string());
        }
        let mut list = redis::cmd("ZADD");
        list.arg(BATCHES).arg("NX").arg(at_ms).arg(batch.to_string());
        let (added, listed) = futures_util::join!(self.ask::<u64>(&add), self.ask::<u64>(&list));
        added.and(listed).map(|_counted| ())
    }

    /// Those of `users` who are in the batch.
    pub async fn known_in_batch(&self, batch: &BatchId, users: &[UserId]) -> Result<Vec<UserId>, Failure> {
        let mut scores = redis::cmd("ZMSCORE");
        scores.arg(users_key(batch)).arg(users.iter().map(ToString::to_string).collect::<Vec<_>>());
        let scores: Vec<Option<f64>> = self.ask(&scores).await?;
        let known = users.iter().zip(scores).filter(|(_, score)| score.is_some());
        Ok(known.map(|(user_id, _)| *user_id).collect())
    }
}
