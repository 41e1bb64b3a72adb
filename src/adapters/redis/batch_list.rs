//! The list of all batches, and the place of a user in one.

use jiff::Timestamp;
use redis::Cmd;

use super::batches::{RedisBatches, time};
use super::keys;
use crate::failure::Failure;
use crate::job::{BatchId, UserId};
use crate::ports::batches::{BatchPlace, Batches as _, Listed};

/// How many batches are listed at most, since anybody who may send messages can name batches.
pub(super) const MAX_LISTED: usize = 10_000;
/// How many users of a batch are read at a time.
const PAGE: usize = 1000;

impl RedisBatches {
    pub(super) async fn list_batch(&self, batch: &BatchId, at: Timestamp) -> Result<u64, Failure> {
        let mut script = self.list.prepare_invoke();
        script
            .key(keys::BATCHES)
            .arg(at.as_millisecond())
            .arg(batch.to_string())
            .arg(MAX_LISTED);
        self.connection.run(&script).await
    }

    /// The latest batches, and when each was first seen.
    pub(super) async fn names(&self, limit: usize) -> Result<Vec<(BatchId, Timestamp)>, Failure> {
        let mut command = redis::cmd("ZRANGE");
        command
            .arg(keys::BATCHES)
            .arg(0)
            .arg(limit.saturating_sub(1))
            .arg("REV")
            .arg("WITHSCORES");
        let latest: Vec<(Vec<u8>, f64)> = self.connection.ask(&command).await?;

        let named = latest.into_iter().filter_map(|(name, score)| {
            let name = std::str::from_utf8(&name).ok()?;
            Some((name.parse().ok()?, time(score)))
        });
        Ok(named.collect())
    }

    /// The number of users of each of these batches.
    pub(super) async fn counted(
        &self,
        batches: Vec<(BatchId, Timestamp)>,
    ) -> Result<Vec<Listed>, Failure> {
        let ask = |batch: &(BatchId, Timestamp)| ask_for_count(&batch.0);
        let commands: Vec<Cmd> = batches.iter().map(ask).collect();
        let counts: Vec<u64> = self.connection.ask_all(&commands).await?;

        let listed = batches
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

    /// See [`Batches::listed`](crate::ports::batches::Batches::listed).
    pub(super) async fn listed_after(
        &self,
        after: Option<&BatchPlace>,
        limit: usize,
    ) -> Result<(Vec<Listed>, Option<BatchPlace>), Failure> {
        // In the order of Redis: batches of the same millisecond by name.
        let read = if after.is_none() {
            limit.saturating_add(1)
        } else {
            MAX_LISTED
        };
        let mut names = self.names(read).await?;
        names.retain(|(batch, at)| {
            after.is_none_or(|after| {
                let place = (after.begun_at, after.batch_id.to_string());
                (*at, batch.to_string()) < place
            })
        });
        let more = names.len() > limit;
        names.truncate(limit);
        let last = names.last().map(|(batch_id, begun_at)| BatchPlace {
            begun_at: *begun_at,
            batch_id: batch_id.clone(),
        });
        Ok((self.counted(names).await?, last.filter(|_| more)))
    }

    /// The position of a user among those of a batch. Users are often added in the same millisecond, and are in the order
    /// of their IDs then.
    pub(super) async fn position_of(
        &self,
        batch: &BatchId,
        user_id: UserId,
    ) -> Result<Option<usize>, Failure> {
        let mut command = redis::cmd("ZSCORE");
        command
            .arg(keys::batch_users(batch))
            .arg(user_id.to_string());
        let Some(score) = self.connection.ask::<Option<f64>>(&command).await? else {
            return Ok(None);
        };
        let mut command = redis::cmd("ZCOUNT");
        command
            .arg(keys::batch_users(batch))
            .arg("-inf")
            .arg(format!("({score:.0}"));
        let mut from = Some(self.connection.ask::<usize>(&command).await?);
        while let Some(first) = from {
            let page = self.page(batch, first, PAGE).await?;
            let mut found = page.users.iter();
            if let Some(place) = found.position(|other| *other == user_id) {
                return Ok(Some(first + place));
            }
            from = page.next;
        }
        Ok(None)
    }
}

fn ask_for_count(batch: &BatchId) -> Cmd {
    let mut command = redis::cmd("ZCARD");
    command.arg(keys::batch_users(batch));
    command
}
