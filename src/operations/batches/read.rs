use jiff::Timestamp;

use super::{Listed, Overview, Reported, Standing, Tally};
use crate::adapters::redis::{Members, RedisCheckpoints};
use crate::failure::Failure;
use crate::job::{BatchId, UserId};

/// So many users are asked for in one round trip.
const PAGE: usize = 2000;

/// So many whole checkpoints are.
const PAGE_WHOLE: usize = 500;

/// The `limit` latest batches, the last one first.
pub(crate) async fn list(redis: &RedisCheckpoints, limit: usize) -> Result<Vec<Listed>, Failure> {
    redis.batches(limit).await
}

/// Looks at every user of a batch. `None` when there is no such batch.
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

/// Some of the users of a batch, from the `from`th on, each with all that is known of it, and where the next ones are.
/// Of a checkpoint that has expired the batch kept the summary.
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
