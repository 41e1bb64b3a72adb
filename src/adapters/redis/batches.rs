//! Which users belong to which batch: a sorted set for each batch, users by the time when they were
//! first seen, and one sorted set of all batches. Beside each batch there is a hash of the last
//! summaries of users whose checkpoints expire. The keys of a batch are in another slot of a
//! cluster than those of its users.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use redis::{Cmd, Script};

use super::connection::{RedisConnection, millis};
use super::{keys, scripts};
use crate::adapters::stored_checkpoint;
use crate::failure::Failure;
use crate::job::{BatchId, UserId};
use crate::ports::FileColumns;
use crate::ports::batches::{Batches, Known, Listed, Members, Record, Summary};

/// How many batches are listed at most, since anybody who may send messages can name batches.
const MAX_LISTED: usize = 10_000;

/// How long columns are kept of a batch that never ends.
const COLUMNS_KEPT: Duration = Duration::from_hours(365 * 24);

pub(crate) struct RedisBatches {
    connection: Arc<RedisConnection>,
    add: Script,
    end: Script,
    keep_columns: Script,
    list: Script,
}

/// How a user of a batch ended whose checkpoint expires.
pub(super) struct Ended<'a> {
    pub(super) user_id: UserId,
    pub(super) at: Timestamp,
    pub(super) summary: &'a [u8],
    /// How long the batch is kept after its last user ended.
    pub(super) kept: Duration,
}

impl RedisBatches {
    pub(crate) fn new(connection: Arc<RedisConnection>) -> Self {
        Self {
            connection,
            add: Script::new(scripts::ADD_TO_BATCH),
            end: Script::new(scripts::END_IN_BATCH),
            keep_columns: Script::new(scripts::KEEP_COLUMNS),
            list: Script::new(scripts::LIST_BATCH),
        }
    }

    pub(super) async fn end_user(&self, batch: &BatchId, ended: &Ended<'_>) -> Result<(), Failure> {
        let mut script = self.end.prepare_invoke();
        script
            .key(keys::batch_users(batch))
            .key(keys::batch_ended(batch))
            .key(keys::batch_columns(batch))
            .arg(ended.at.as_millisecond())
            .arg(ended.user_id.to_string())
            .arg(ended.summary)
            .arg(millis(ended.kept));

        let done = futures_util::join!(
            self.connection.run::<u64>(&script),
            self.list_batch(batch, ended.at)
        );
        done.0.and(done.1).map(|_done| ())
    }

    async fn list_batch(&self, batch: &BatchId, at: Timestamp) -> Result<u64, Failure> {
        let mut script = self.list.prepare_invoke();
        script
            .key(keys::BATCHES)
            .arg(at.as_millisecond())
            .arg(batch.to_string())
            .arg(MAX_LISTED);
        self.connection.run(&script).await
    }

    /// The last summaries of those of `users` whose checkpoints have expired.
    async fn ended(
        &self,
        batch: &BatchId,
        users: &[UserId],
    ) -> Result<HashMap<UserId, Summary>, Failure> {
        if users.is_empty() {
            return Ok(HashMap::new());
        }

        let mut command = redis::cmd("HMGET");
        command.arg(keys::batch_ended(batch)).arg(texts(users));
        let summaries: Vec<Option<Vec<u8>>> = self.connection.ask(&command).await?;

        let ended = users.iter().zip(summaries);
        let ended = ended.filter_map(|(user_id, summary)| {
            let summary = serde_json::from_slice(&summary?).ok()?;
            Some((*user_id, summary))
        });
        Ok(ended.collect())
    }

    /// The checkpoints of `users`, in their order. Their codes are not checked: this is for
    /// reports.
    async fn checkpoints(&self, users: &[UserId]) -> Result<Vec<Record>, Failure> {
        let commands: Vec<Cmd> = users.iter().map(ask_for_checkpoint).collect();
        let bodies: Vec<Option<Vec<u8>>> = self.connection.ask_all(&commands).await?;

        let records =
            users.iter().zip(bodies).map(|(user_id, body)| {
                match stored_checkpoint::parse(*user_id, &body.unwrap_or_default()) {
                    Ok(Some(checkpoint)) => Record::Checkpoint(checkpoint),
                    Ok(None) => Record::Nothing,
                    Err(_newer) => Record::Unreadable,
                }
            });
        Ok(records.collect())
    }

    /// Fills in the last summaries of users of whom nothing else is stored.
    async fn add_ended(
        &self,
        batch: &BatchId,
        users: &[UserId],
        mut records: Vec<Record>,
    ) -> Result<Vec<Record>, Failure> {
        let missing: Vec<UserId> = users
            .iter()
            .zip(&records)
            .filter(|(_, record)| **record == Record::Nothing)
            .map(|(user_id, _)| *user_id)
            .collect();
        let mut ended = self.ended(batch, &missing).await?;

        for (user_id, record) in users.iter().zip(&mut records) {
            if *record == Record::Nothing
                && let Some(summary) = ended.remove(user_id)
            {
                *record = Record::Summary(summary);
            }
        }
        Ok(records)
    }
}

#[async_trait]
impl Batches for RedisBatches {
    async fn add_users(
        &self,
        batch: &BatchId,
        users: &[UserId],
        at: Timestamp,
    ) -> Result<(), Failure> {
        let mut script = self.add.prepare_invoke();
        script
            .key(keys::batch_users(batch))
            .key(keys::batch_ended(batch))
            .arg(at.as_millisecond());
        for user_id in users {
            script.arg(user_id.to_string());
        }

        let done = futures_util::join!(
            self.connection.run::<u64>(&script),
            self.list_batch(batch, at)
        );
        done.0.and(done.1).map(|_done| ())
    }

    async fn keep_columns(
        &self,
        batch: &BatchId,
        columns: &[(UserId, FileColumns)],
    ) -> Result<(), Failure> {
        let mut script = self.keep_columns.key(keys::batch_columns(batch));
        script.arg(millis(COLUMNS_KEPT));
        for (user_id, columns) in columns {
            let stored = serde_json::to_vec(columns)
                .map_err(|error| Failure::internal("columns could not be stored", error))?;
            script.arg(user_id.to_string()).arg(stored);
        }
        self.connection.run::<u64>(&script).await.map(|_done| ())
    }

    async fn columns(
        &self,
        batch: &BatchId,
        users: &[UserId],
    ) -> Result<Vec<FileColumns>, Failure> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = redis::cmd("HMGET");
        command.arg(keys::batch_columns(batch)).arg(texts(users));
        let stored: Vec<Option<Vec<u8>>> = self.connection.ask(&command).await?;
        let read = |stored: Option<Vec<u8>>| FileColumns::of_stored(&stored.unwrap_or_default());
        Ok(stored.into_iter().map(read).collect())
    }

    async fn users_in(&self, batch: &BatchId, users: &[UserId]) -> Result<Vec<UserId>, Failure> {
        if users.is_empty() {
            return Ok(Vec::new());
        }

        let mut command = redis::cmd("ZMSCORE");
        command.arg(keys::batch_users(batch)).arg(texts(users));
        let scores: Vec<Option<f64>> = self.connection.ask(&command).await?;

        let known = users
            .iter()
            .zip(scores)
            .filter(|(_, score)| score.is_some());
        Ok(known.map(|(user_id, _)| *user_id).collect())
    }

    async fn latest(&self, limit: usize) -> Result<Vec<Listed>, Failure> {
        let mut command = redis::cmd("ZRANGE");
        command
            .arg(keys::BATCHES)
            .arg(0)
            .arg(limit.saturating_sub(1))
            .arg("REV")
            .arg("WITHSCORES");
        let latest: Vec<(Vec<u8>, f64)> = self.connection.ask(&command).await?;
        let latest: Vec<(BatchId, Timestamp)> = latest
            .into_iter()
            .filter_map(|(name, score)| {
                let name = std::str::from_utf8(&name).ok()?;
                Some((name.parse().ok()?, time(score)))
            })
            .collect();

        let commands: Vec<Cmd> = latest
            .iter()
            .map(|(batch, _)| ask_for_count(batch))
            .collect();
        let counts: Vec<u64> = self.connection.ask_all(&commands).await?;

        let listed = latest
            .into_iter()
            .zip(counts)
            .map(|((batch_id, begun_at), users)| Listed {
                batch_id,
                begun_at,
                users,
            });
        // A batch without users has expired.
        Ok(listed.filter(|batch| batch.users > 0).collect())
    }

    async fn begun_at(&self, batch: &BatchId) -> Result<Option<Timestamp>, Failure> {
        let mut command = redis::cmd("ZRANGE");
        command
            .arg(keys::batch_users(batch))
            .arg(0)
            .arg(0)
            .arg("WITHSCORES");
        let first: Vec<(Vec<u8>, f64)> = self.connection.ask(&command).await?;
        Ok(first.first().map(|(_, score)| time(*score)))
    }

    async fn page(&self, batch: &BatchId, from: usize, count: usize) -> Result<Members, Failure> {
        let mut command = redis::cmd("ZRANGE");
        command
            .arg(keys::batch_users(batch))
            .arg(from)
            .arg(from + count - 1);
        let members: Vec<Vec<u8>> = self.connection.ask(&command).await?;

        let user = |member: &Vec<u8>| std::str::from_utf8(member).ok()?.parse().ok();
        Ok(Members {
            users: members.iter().filter_map(user).collect(),
            next: (members.len() == count).then_some(from + count),
        })
    }

    async fn summaries(&self, batch: &BatchId, users: &[UserId]) -> Result<Vec<Known>, Failure> {
        let commands: Vec<Cmd> = users.iter().map(ask_for_summary).collect();
        let stored: Vec<Stored> = self.connection.ask_all(&commands).await?;
        let read: Vec<Option<Record>> = stored.iter().map(summary).collect();

        // A checkpoint without a valid summary was saved by a release that writes none: it is read
        // as a whole.
        let whole: Vec<UserId> = users
            .iter()
            .zip(&read)
            .filter(|(_, record)| record.is_none())
            .map(|(user_id, _)| *user_id)
            .collect();
        let mut whole = self.checkpoints(&whole).await?.into_iter();
        let records = read
            .into_iter()
            .filter_map(|record| record.or_else(|| whole.next()))
            .collect();

        let records = self.add_ended(batch, users, records).await?;
        Ok(records.into_iter().map(Known::from).collect())
    }

    async fn records(&self, batch: &BatchId, users: &[UserId]) -> Result<Vec<Record>, Failure> {
        let records = self.checkpoints(users).await?;
        self.add_ended(batch, users, records).await
    }
}

fn texts(users: &[UserId]) -> Vec<String> {
    users.iter().map(ToString::to_string).collect()
}

fn ask_for_checkpoint(user_id: &UserId) -> Cmd {
    let mut command = redis::cmd("HGET");
    command.arg(keys::checkpoint(*user_id)).arg("body");
    command
}

fn ask_for_summary(user_id: &UserId) -> Cmd {
    let mut command = redis::cmd("HMGET");
    command
        .arg(keys::checkpoint(*user_id))
        .arg("version")
        .arg("sum");
    command
}

fn ask_for_count(batch: &BatchId) -> Cmd {
    let mut command = redis::cmd("ZCARD");
    command.arg(keys::batch_users(batch));
    command
}

/// Version and summary, as they are stored.
type Stored = (Option<Vec<u8>>, Option<Vec<u8>>);

/// `None`: the summary is not of this version, and the checkpoint itself has to be read.
fn summary((version, summary): &Stored) -> Option<Record> {
    let Some(version) = version else {
        return Some(Record::Nothing);
    };
    let text = summary
        .as_ref()?
        .strip_prefix(version.as_slice())?
        .strip_prefix(b" ")?;
    serde_json::from_slice(text).ok().map(Record::Summary)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "we write whole milliseconds, far below 2^53"
)]
fn time(score: f64) -> Timestamp {
    Timestamp::from_millisecond(score as i64).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_that_is_damaged_or_of_another_version_does_not_count() {
        let bytes = |text: &str| Some(text.as_bytes().to_vec());
        let good = r#"{"s":"Received","u":0}"#;
        assert!(matches!(
            summary(&(bytes("7"), bytes(&format!("7 {good}")))),
            Some(Record::Summary(_))
        ));
        assert_eq!(summary(&(None, bytes("7 {}"))), Some(Record::Nothing));

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
    fn a_score_that_is_not_a_time_counts_as_1970() {
        for score in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300] {
            assert_eq!(time(score), Timestamp::UNIX_EPOCH, "{score}");
        }
        assert_eq!(time(1500.0).as_millisecond(), 1500);
    }
}
