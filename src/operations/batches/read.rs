use jiff::Timestamp;

use super::{Listed, Overview, Reported, Standing, Tally};
use crate::adapters::redis::{Members, RedisCheckpoints};
use crate::failure::Failure;
use crate::job::{BatchId, UserId};

/// The number of users whose summaries are read in one round trip.
const PAGE: usize = 2000;

/// The number of whole checkpoints that are read in one round trip.
const PAGE_WHOLE: usize = 500;

/// The `limit` newest batches, newest first.
pub(crate) async fn list(redis: &RedisCheckpoints, limit: usize) -> Result<Vec<Listed>, Failure> {
    redis.batches(limit).await
}

/// Reads all users of a batch. `None` if the batch does not exist.
pub(crate) async fn overview(
    redis: &RedisCheckpoints,
    batch: &BatchId,
    now: Timestamp,
) -> Result<Option<Overview>, Failure> {
    let Some(begun_at) = redis.batch_begun_at(batch).await? else {
        return Ok(None);
    };
    let mut tally = Tally::new(batch.clone(), Some(begun_at), now);
    let mut from = 0;
    loop {
        let members = redis.batch_users(batch, from, PAGE).await?;
        for known in redis.summaries(batch, &members.users).await? {
            tally.add(&known);
        }
        match members.next {
            Some(next) => from = next,
            None => return Ok(Some(tally.finish())),
        }
    }
}

/// A page of the report of a batch: the rows from position `from` on, and the position of the next page. The batch keeps
/// the summary of a checkpoint that has expired.
pub(crate) async fn report(
    redis: &RedisCheckpoints,
    batch: &BatchId,
    from: usize,
    now: Timestamp,
) -> Result<(Vec<Reported>, Option<usize>), Failure> {
    let Members { users, next } = redis.batch_users(batch, from, PAGE_WHOLE).await?;
    let checkpoints = redis.checkpoints(&users).await?;
    let missing = users
        .iter()
        .zip(&checkpoints)
        .filter(|(_, read)| matches!(read, Ok(None)));
    let missing: Vec<UserId> = missing.map(|(user_id, _)| *user_id).collect();
    let ended = redis.ended(batch, &missing).await?;
    let rows = users.into_iter().zip(checkpoints).map(|(user_id, read)| {
        match (read, ended.get(&user_id)) {
            (Ok(Some(checkpoint)), _) => Reported::of(&checkpoint, now),
            (Ok(None), Some(summary)) => Reported::of_summary(user_id, summary.clone(), now),
            (Ok(None), None) => Reported::unknown(user_id, Standing::NotBegun),
            (Err(_newer), _) => Reported::unknown(user_id, Standing::Unreadable),
        }
    });
    Ok((rows.collect(), next))
}
