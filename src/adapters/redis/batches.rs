//! Who belongs to which batch: a sorted set for each batch, users by the time when they were first seen,
//! and one of all batches. A batch has another slot of a cluster than its users.

use jiff::Timestamp;

use super::store::{checkpoint_key, parse};
use super::{RedisCheckpoints, RedisCheckpointsError};
use crate::batch::{Known, Listed, Summary};
use crate::failure::Failure;
use crate::job::{BatchId, UserId};
use crate::machine::Checkpoint;

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

    /// The latest batches, the last one first.
    pub(crate) async fn batches(&self, limit: usize) -> Result<Vec<Listed>, Failure> {
        let mut latest = redis::cmd("ZRANGE");
        latest.arg(BATCHES).arg(0).arg(limit.saturating_sub(1)).arg("REV").arg("WITHSCORES");
        let latest: Vec<(String, f64)> = self.ask(&latest).await?;
        let latest: Vec<(BatchId, Timestamp)> =
            latest.into_iter().filter_map(|(batch, at)| Some((batch.parse().ok()?, time(at)))).collect();
        let counts: Vec<redis::Cmd> = latest
            .iter()
            .map(|(batch, _)| {
                let mut count = redis::cmd("ZCARD");
                count.arg(users_key(batch));
                count
            })
            .collect();
        let counts: Vec<u64> = self.ask_all(&counts).await?;
        let listed = latest.into_iter().zip(counts);
        Ok(listed.map(|((batch_id, begun_at), users)| Listed { batch_id, begun_at, users }).collect())
    }

    /// When the first user of a batch was seen; `None` when there is no such batch.
    pub(crate) async fn batch_begun_at(&self, batch: &BatchId) -> Result<Option<Timestamp>, Failure> {
        let mut first = redis::cmd("ZRANGE");
        first.arg(users_key(batch)).arg(0).arg(0).arg("WITHSCORES");
        let first: Vec<(String, f64)> = self.ask(&first).await?;
        Ok(first.first().map(|(_, at)| time(*at)))
    }

    /// Users of a batch in the order in which they came, from the `from`th on.
    pub(crate) async fn batch_users(
        &self,
        batch: &BatchId,
        from: usize,
        count: usize,
    ) -> Result<Vec<UserId>, Failure> {
        let mut page = redis::cmd("ZRANGE");
        page.arg(users_key(batch)).arg(from).arg(from + count - 1);
        let users: Vec<String> = self.ask(&page).await?;
        // Whoever wrote something else there wrote no user.
        Ok(users.iter().filter_map(|user_id| user_id.parse().ok()).collect())
    }

    /// What is stored of each of `users`. A checkpoint that was saved without a summary, or changed since by a
    /// release that writes none, is read as a whole.
    pub(crate) async fn summaries(&self, users: &[UserId]) -> Result<Vec<Known>, Failure> {
        let asking = |user_id: &UserId| {
            let mut get = redis::cmd("HMGET");
            get.arg(checkpoint_key(*user_id)).arg("version").arg("sum");
            get
        };
        let stored: Vec<Stored> = self.ask_all(&users.iter().map(asking).collect::<Vec<_>>()).await?;
        let mut known: Vec<Option<Known>> = stored.iter().map(summary).collect();
        let whole: Vec<UserId> = users
            .iter()
            .zip(&known)
            .filter(|(_, known)| known.is_none())
            .map(|(user_id, _)| *user_id)
            .collect();
        let mut whole = self.checkpoints(&whole).await?.into_iter();
        for place in known.iter_mut().filter(|known| known.is_none()) {
            *place = whole.next().map(|read| match read {
                Ok(None) => Known::Nothing,
                Ok(Some(checkpoint)) => Known::Summary(Summary::from(&*checkpoint)),
                Err(_newer) => Known::Unreadable,
            });
        }
        Ok(known.into_iter().map(|known| known.unwrap_or(Known::Nothing)).collect())
    }

    /// The whole checkpoints of `users`.
    pub(crate) async fn checkpoints(&self, users: &[UserId]) -> Result<Vec<Read>, Failure> {
        let asking = |user_id: &UserId| {
            let mut get = redis::cmd("HGET");
            get.arg(checkpoint_key(*user_id)).arg("body");
            get
        };
        let bodies: Vec<Option<Vec<u8>>> =
            self.ask_all(&users.iter().map(asking).collect::<Vec<_>>()).await?;
        let read = users.iter().zip(bodies);
        Ok(read.map(|(user_id, body)| parse(*user_id, &body.unwrap_or_default())).collect())
    }
}

/// A checkpoint, where there is one that can be read.
pub(crate) type Read = Result<Option<Box<Checkpoint>>, RedisCheckpointsError>;

/// Version and summary, as they are stored.
type Stored = (Option<Vec<u8>>, Option<Vec<u8>>);

/// `None`: the checkpoint itself has to be asked.
fn summary((version, sum): &Stored) -> Option<Known> {
    let Some(version) = version else { return Some(Known::Nothing) };
    let text = sum.as_ref()?.strip_prefix(version.as_slice())?.strip_prefix(b" ")?;
    serde_json::from_slice(text).ok().map(Known::Summary)
}

#[expect(clippy::cast_possible_truncation, reason = "what we wrote are whole milliseconds, far under 2^53")]
fn time(score: f64) -> Timestamp {
    Timestamp::from_millisecond(score as i64).unwrap_or(Timestamp::UNIX_EPOCH)
}
