//! Who belongs to which batch: a sorted set for each batch, users by the time when they were first seen,
//! and one of all batches. A batch has another slot of a cluster than its users. Beside each set there is a hash of how
//! those ended whose checkpoints expire, in the same slot.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use redis::Script;

use super::store::{checkpoint_key, millis, parse};
use super::{RedisCheckpoints, RedisCheckpointsError, scripts};
use crate::failure::Failure;
use crate::job::{BatchId, UserId};
use crate::machine::Checkpoint;
use crate::operations::batches::{Known, Listed, Summary};

/// All batches, by the time when they were first seen.
const BATCHES: &str = "offboarder:batches";
/// Whoever sends messages names batches; so many are listed.
const LISTED: usize = 10_000;

fn users_key(batch: &BatchId) -> String {
    format!("offboarder:batch:{batch}:users")
}

/// The tag is the whole key of the users, so that a cluster keeps both in one slot.
fn ended_key(batch: &BatchId) -> String {
    format!("offboarder:ended:{{{}}}", users_key(batch))
}

/// Some members of a batch.
pub(crate) struct Members {
    /// Those that are users: whoever wrote something else there wrote no user.
    pub(crate) users: Vec<UserId>,
    /// Where the next ones are; `None` behind the last one.
    pub(crate) next: Option<usize>,
}

impl RedisCheckpoints {
    /// Puts users into a batch. Those who are in it stay as they are.
    pub(crate) async fn add_to_batch(
        &self,
        batch: &BatchId,
        users: &[UserId],
        at: Timestamp,
    ) -> Result<(), Failure> {
        let add = Script::new(scripts::ADD_TO_BATCH);
        let mut add = add.prepare_invoke();
        add.key(users_key(batch))
            .key(ended_key(batch))
            .arg(at.as_millisecond());
        for user_id in users {
            add.arg(user_id.to_string());
        }
        let (added, listed) =
            futures_util::join!(self.run::<u64>(&add), self.list_batch(batch, at));
        added.and(listed).map(|_done| ())
    }

    /// Notes how a user of a batch ended whose checkpoint expires. The batch is kept so long after the last of them.
    pub(super) async fn end_user_in_batch(
        &self,
        batch: &BatchId,
        user_id: UserId,
        at: Timestamp,
        sum: &[u8],
        kept: Duration,
    ) -> Result<(), Failure> {
        let end = Script::new(scripts::END_IN_BATCH);
        let mut end = end.prepare_invoke();
        end.key(users_key(batch)).key(ended_key(batch));
        end.arg(at.as_millisecond())
            .arg(user_id.to_string())
            .arg(sum)
            .arg(millis(kept));
        let (ended, listed) =
            futures_util::join!(self.run::<u64>(&end), self.list_batch(batch, at));
        ended.and(listed).map(|_done| ())
    }

    async fn list_batch(&self, batch: &BatchId, at: Timestamp) -> Result<u64, Failure> {
        let list = Script::new(scripts::LIST_BATCH);
        let mut list = list.prepare_invoke();
        list.key(BATCHES)
            .arg(at.as_millisecond())
            .arg(batch.to_string())
            .arg(LISTED);
        self.run(&list).await
    }

    /// How those of `users` ended whose checkpoints have expired.
    pub(crate) async fn ended(
        &self,
        batch: &BatchId,
        users: &[UserId],
    ) -> Result<HashMap<UserId, Summary>, Failure> {
        if users.is_empty() {
            return Ok(HashMap::new());
        }
        let mut get = redis::cmd("HMGET");
        get.arg(ended_key(batch))
            .arg(users.iter().map(ToString::to_string).collect::<Vec<_>>());
        let ended: Vec<Option<Vec<u8>>> = self.ask(&get).await?;
        let ended = users.iter().zip(ended);
        Ok(ended
            .filter_map(|(user_id, sum)| Some((*user_id, serde_json::from_slice(&sum?).ok()?)))
            .collect())
    }

    /// Those of `users` who are in the batch.
    pub(crate) async fn known_in_batch(
        &self,
        batch: &BatchId,
        users: &[UserId],
    ) -> Result<Vec<UserId>, Failure> {
        let mut scores = redis::cmd("ZMSCORE");
        scores
            .arg(users_key(batch))
            .arg(users.iter().map(ToString::to_string).collect::<Vec<_>>());
        let scores: Vec<Option<f64>> = self.ask(&scores).await?;
        let known = users
            .iter()
            .zip(scores)
            .filter(|(_, score)| score.is_some());
        Ok(known.map(|(user_id, _)| *user_id).collect())
    }

    /// The latest batches, the last one first.
    pub(crate) async fn batches(&self, limit: usize) -> Result<Vec<Listed>, Failure> {
        let mut latest = redis::cmd("ZRANGE");
        latest
            .arg(BATCHES)
            .arg(0)
            .arg(limit.saturating_sub(1))
            .arg("REV")
            .arg("WITHSCORES");
        let latest: Vec<(Vec<u8>, f64)> = self.ask(&latest).await?;
        let name = |name: &[u8]| std::str::from_utf8(name).ok()?.parse().ok();
        let latest: Vec<(BatchId, Timestamp)> = latest
            .into_iter()
            .filter_map(|(batch, at)| Some((name(&batch)?, time(at))))
            .collect();
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
        let listed = listed.map(|((batch_id, begun_at), users)| Listed {
            batch_id,
            begun_at,
            users,
        });
        // One without users has expired.
        Ok(listed.filter(|batch| batch.users > 0).collect())
    }

    /// When the first user of a batch was seen; `None` when there is no such batch.
    pub(crate) async fn batch_begun_at(
        &self,
        batch: &BatchId,
    ) -> Result<Option<Timestamp>, Failure> {
        let mut first = redis::cmd("ZRANGE");
        first.arg(users_key(batch)).arg(0).arg(0).arg("WITHSCORES");
        let first: Vec<(Vec<u8>, f64)> = self.ask(&first).await?;
        Ok(first.first().map(|(_, at)| time(*at)))
    }

    /// Users of a batch in the order in which they came, from the `from`th on.
    pub(crate) async fn batch_users(
        &self,
        batch: &BatchId,
        from: usize,
        count: usize,
    ) -> Result<Members, Failure> {
        let mut page = redis::cmd("ZRANGE");
        page.arg(users_key(batch)).arg(from).arg(from + count - 1);
        let members: Vec<Vec<u8>> = self.ask(&page).await?;
        let user = |member: &Vec<u8>| std::str::from_utf8(member).ok()?.parse().ok();
        let next = (members.len() == count).then_some(from + count);
        Ok(Members {
            users: members.iter().filter_map(user).collect(),
            next,
        })
    }

    /// What is stored of each of `users`. A checkpoint that was saved without a summary, or changed since by a
    /// release that writes none, is read as a whole.
    pub(crate) async fn summaries(
        &self,
        batch: &BatchId,
        users: &[UserId],
    ) -> Result<Vec<Known>, Failure> {
        let asking = |user_id: &UserId| {
            let mut get = redis::cmd("HMGET");
            get.arg(checkpoint_key(*user_id)).arg("version").arg("sum");
            get
        };
        let stored: Vec<Stored> = self
            .ask_all(&users.iter().map(asking).collect::<Vec<_>>())
            .await?;
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
        let known = known
            .into_iter()
            .map(|known| known.unwrap_or(Known::Nothing));
        let known: Vec<(&UserId, Known)> = users.iter().zip(known).collect();
        let missing = known.iter().filter(|(_, known)| *known == Known::Nothing);
        let missing: Vec<UserId> = missing.map(|(user_id, _)| **user_id).collect();
        let mut ended = self.ended(batch, &missing).await?;
        let or_ended = |(user_id, known): (&UserId, Known)| match known {
            Known::Nothing => ended.remove(user_id).map_or(Known::Nothing, Known::Summary),
            Known::Summary(_) | Known::Unreadable => known,
        };
        Ok(known.into_iter().map(or_ended).collect())
    }

    /// The whole checkpoints of `users`.
    pub(crate) async fn checkpoints(&self, users: &[UserId]) -> Result<Vec<Read>, Failure> {
        let asking = |user_id: &UserId| {
            let mut get = redis::cmd("HGET");
            get.arg(checkpoint_key(*user_id)).arg("body");
            get
        };
        let bodies: Vec<Option<Vec<u8>>> = self
            .ask_all(&users.iter().map(asking).collect::<Vec<_>>())
            .await?;
        let read = users.iter().zip(bodies);
        Ok(read
            .map(|(user_id, body)| parse(*user_id, &body.unwrap_or_default()))
            .collect())
    }
}

/// A checkpoint, where there is one that can be read.
pub(crate) type Read = Result<Option<Box<Checkpoint>>, RedisCheckpointsError>;

/// Version and summary, as they are stored.
type Stored = (Option<Vec<u8>>, Option<Vec<u8>>);

/// `None`: the checkpoint itself has to be asked.
fn summary((version, sum): &Stored) -> Option<Known> {
    let Some(version) = version else {
        return Some(Known::Nothing);
    };
    let text = sum
        .as_ref()?
        .strip_prefix(version.as_slice())?
        .strip_prefix(b" ")?;
    serde_json::from_slice(text).ok().map(Known::Summary)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "what we wrote are whole milliseconds, far under 2^53"
)]
fn time(score: f64) -> Timestamp {
    Timestamp::from_millisecond(score as i64).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_that_is_damaged_or_of_another_save_is_none() {
        let bytes = |text: &str| Some(text.as_bytes().to_vec());
        let good = r#"{"s":"Received","u":0}"#;
        assert!(matches!(
            summary(&(bytes("7"), bytes(&format!("7 {good}")))),
            Some(Known::Summary(_))
        ));
        assert_eq!(summary(&(None, bytes("7 {}"))), Some(Known::Nothing));
        for sum in [
            "",
            "7",
            "7 ",
            "6 {}",
            "7 {",
            "7 []",
            "7 null",
            r#"7 {"s":"Gone","u":0}"#,
            r#"7 {"s":"Received","u":1e99}"#,
        ] {
            assert_eq!(summary(&(bytes("7"), bytes(sum))), None, "{sum}");
        }
        assert_eq!(
            summary(&(bytes("7"), Some(vec![b'7', b' ', 0xff, 0]))),
            None
        );
        assert_eq!(summary(&(bytes("\u{0}"), bytes(good))), None);
    }

    #[test]
    fn a_time_that_is_none_is_the_beginning_of_time() {
        for score in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300] {
            assert_eq!(time(score), Timestamp::UNIX_EPOCH, "{score}");
        }
        assert_eq!(time(1500.0).as_millisecond(), 1500);
    }
}
