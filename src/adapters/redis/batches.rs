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

use super::batch_columns::{self, BatchColumns};
use super::batch_waiting::CountWaiting;
use super::connection::{RedisConnection, millis};
use super::{keys, scripts};
use crate::adapters::stored_checkpoint;
use crate::failure::Failure;
use crate::job::{BatchId, UserId};
use crate::ports::FileColumns;
use crate::ports::batches::{
    BatchPlace, Batches, Known, KnownPage, Listed, Members, Record, Summary,
};

pub(crate) struct RedisBatches {
    pub(super) connection: Arc<RedisConnection>,
    add: Script,
    end: Script,
    columns: BatchColumns,
    count_waiting: CountWaiting,
    pub(super) list: Script,
    pub(super) settle: Script,
    pub(super) announced: Script,
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
            columns: BatchColumns::new(),
            count_waiting: CountWaiting::new(),
            list: Script::new(scripts::LIST_BATCH),
            settle: Script::new(scripts::SETTLE_IN_BATCH),
            announced: Script::new(scripts::BATCH_ANNOUNCED),
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

    /// The summaries of `users`, in their order, as their checkpoints have them.
    pub(super) async fn current(&self, users: &[UserId]) -> Result<Vec<Record>, Failure> {
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
        let records = read.into_iter();
        Ok(records
            .filter_map(|record| record.or_else(|| whole.next()))
            .collect())
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
        self.columns.keep(&self.connection, batch, columns).await
    }

    async fn columns(
        &self,
        batch: &BatchId,
        users: &[UserId],
    ) -> Result<Vec<FileColumns>, Failure> {
        batch_columns::read(&self.connection, batch, users).await
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

    async fn batches_of(
        &self,
        user_id: UserId,
        limit: usize,
    ) -> Result<Vec<(BatchId, Timestamp)>, Failure> {
        let latest = self.names(limit).await?;
        let commands: Vec<Cmd> = latest
            .iter()
            .map(|(batch, _)| ask_for_score(batch, user_id))
            .collect();
        let scores: Vec<Option<f64>> = self.connection.ask_all(&commands).await?;

        let mut of_user: Vec<(BatchId, Timestamp)> = latest
            .into_iter()
            .zip(scores)
            .filter_map(|((batch, _), score)| Some((batch, time(score?))))
            .collect();
        of_user.sort_by_key(|(_, added_at)| std::cmp::Reverse(*added_at));
        Ok(of_user)
    }

    async fn listed(
        &self,
        after: Option<&BatchPlace>,
        limit: usize,
    ) -> Result<(Vec<Listed>, Option<BatchPlace>), Failure> {
        self.listed_after(after, limit).await
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
            .arg(from + count - 1)
            .arg("WITHSCORES");
        let page: Vec<(Vec<u8>, f64)> = self.connection.ask(&command).await?;

        let next = (page.len() == count).then_some(from + count);
        let (users, added_at) = members(page);
        Ok(Members {
            users,
            added_at,
            next,
        })
    }

    async fn known_page(
        &self,
        batch: &BatchId,
        from: usize,
        count: usize,
    ) -> Result<KnownPage, Failure> {
        if self.connection.uses_slots().await? {
            return KnownPage::of(self, batch, from, count).await;
        }
        let counting = self.count_waiting.run(&self.connection, batch, from, count);
        let (all, not_begun, since, others) = counting.await?;
        let (users, added_at) = members(others);
        let known = self.summaries(batch, &users).await?;
        Ok(KnownPage {
            users: known.into_iter().zip(added_at).collect(),
            not_begun,
            not_begun_since: since.parse().ok().map(time),
            next: (all == count).then_some(from + count),
        })
    }

    async fn position(&self, batch: &BatchId, user_id: UserId) -> Result<Option<usize>, Failure> {
        self.position_of(batch, user_id).await
    }

    async fn summaries(&self, batch: &BatchId, users: &[UserId]) -> Result<Vec<Known>, Failure> {
        let records = self.current(users).await?;
        let records = self.add_ended(batch, users, records).await?;
        Ok(records.into_iter().map(Known::from).collect())
    }

    async fn records(&self, batch: &BatchId, users: &[UserId]) -> Result<Vec<Record>, Failure> {
        let records = self.checkpoints(users).await?;
        self.add_ended(batch, users, records).await
    }
}

/// The users of a page, and when each was added.
fn members(page: Vec<(Vec<u8>, f64)>) -> (Vec<UserId>, Vec<Timestamp>) {
    let added = page.into_iter().filter_map(|(member, score)| {
        let user_id: UserId = std::str::from_utf8(&member).ok()?.parse().ok()?;
        Some((user_id, time(score)))
    });
    added.unzip()
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

fn ask_for_score(batch: &BatchId, user_id: UserId) -> Cmd {
    let mut command = redis::cmd("ZSCORE");
    command
        .arg(keys::batch_users(batch))
        .arg(user_id.to_string());
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
pub(super) fn time(score: f64) -> Timestamp {
    Timestamp::from_millisecond(score as i64).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
#[path = "batches_tests.rs"]
mod tests;
