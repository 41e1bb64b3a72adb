use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Overview, Reported, Standing, Tally};
use crate::adapters::redis::RedisCheckpoints;
use crate::failure::Failure;
use crate::job::BatchId;

/// So many users are asked for in one round trip.
const PAGE: usize = 2000;

/// So many whole checkpoints are.
const PAGE_WHOLE: usize = 500;

/// A batch, as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ListedBatch)]
pub struct Listed {
    /// Its name.
    pub batch_id: BatchId,
    /// When its first user was sent.
    #[schema(value_type = String, format = DateTime)]
    pub begun_at: Timestamp,
    /// How many there are.
    pub users: u64,
}

/// The `limit` latest batches, the last one first.
pub async fn list(redis: &RedisCheckpoints, limit: usize) -> Result<Vec<Listed>, Failure> {
    redis.batches(limit).await
}

/// Looks at every user of a batch. `None` when there is no such batch.
pub async fn overview(
    redis: &RedisCheckpoints,
    batch: &BatchId,
    now: Timestamp,
) -> Result<Option<Overview>, Failure> {
    let Some(begun_at) = redis.batch_begun_at(batch).await? else { return Ok(None) };
    let mut tally = Tally::new(batch.clone(), Some(begun_at), now);
    let mut from = 0;
    loop {
        let users = redis.batch_users(batch, from, PAGE).await?;
        if users.is_empty() {
            return Ok(Some(tally.finish()));
        }
        from += users.len();
        for known in redis.summaries(&users).await? {
            tally.add(&known);
        }
    }
}

/// Some of the users of a batch, from the `from`th on, each with all that is told of it. Empty behind the
/// last one.
pub async fn report(
    redis: &RedisCheckpoints,
    batch: &BatchId,
    from: usize,
    now: Timestamp,
) -> Result<Vec<Reported>, Failure> {
    let users = redis.batch_users(batch, from, PAGE_WHOLE).await?;
    let checkpoints = redis.checkpoints(&users).await?;
    let rows = users.into_iter().zip(checkpoints).map(|(user_id, read)| match read {
        Ok(Some(checkpoint)) => Reported::of(&checkpoint, now),
        Ok(None) => Reported::unknown(user_id, Standing::NotBegun),
        Err(_newer) => Reported::unknown(user_id, Standing::Unreadable),
    });
    Ok(rows.collect())
}
