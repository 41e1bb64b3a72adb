//! Which users have a checkpoint, and the index of those who still have access: a sorted set of user IDs by the time when
//! they were asked for, and a member `complete:MS` behind them all. That member says since when the set has every user
//! with a checkpoint, so that a set that was lost or removed does not count as an empty one.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use redis::{Cmd, Script};

use super::batch_list::MAX_LISTED;
use super::batches::{RedisBatches, time};
use super::connection::RedisConnection;
use super::hash_slots::SLOTS;
use super::{keys, scripts};
use crate::clock::Clock;
use crate::failure::Failure;
use crate::job::UserId;
use crate::ports::batches::{Batches as _, Known, Record};
use crate::ports::users::{Asked, Scanned, UserIndex, WithAccess};

/// Scripts in flight at once.
const AT_ONCE: usize = 64;
/// The number of users whose summaries are read in one round trip.
const PAGE: usize = 1000;
/// The number of keys that Redis visits in one call of a scan of everything.
const SCAN_COUNT: usize = 1000;
const COMPLETE: &str = "complete:";

pub(crate) struct RedisUsers {
    connection: Arc<RedisConnection>,
    batches: RedisBatches,
    clock: Clock,
    asked: Script,
    correct: Script,
    with_access: Script,
}

impl RedisUsers {
    pub(crate) fn new(connection: Arc<RedisConnection>, clock: Clock) -> Self {
        Self {
            batches: RedisBatches::new(Arc::clone(&connection)),
            connection,
            clock,
            asked: Script::new(scripts::ASKED),
            correct: Script::new(scripts::CORRECT_ACCESS),
            with_access: Script::new(scripts::WITH_ACCESS),
        }
    }

    async fn add_one(&self, user_id: UserId, at: Timestamp) -> Result<(), Failure> {
        let mut script = self.asked.prepare_invoke();
        script
            .key(keys::checkpoint(user_id))
            .key(self.connection.access_key(user_id).await?)
            .arg(at.as_millisecond())
            .arg(user_id.to_string());
        self.connection.run::<u64>(&script).await.map(|_done| ())
    }

    /// Corrects the index by a record that has this version.
    async fn correct_one(
        &self,
        user_id: UserId,
        version: Option<&[u8]>,
        known: &Known,
    ) -> Result<(), Failure> {
        let since = match known {
            Known::Summary(summary) => summary.access_since(),
            // It may say that the access is gone, in words that this release cannot read: left as it is.
            Known::Nothing | Known::Unreadable => return Ok(()),
        };
        let mut script = self.correct.prepare_invoke();
        script
            .key(keys::checkpoint(user_id))
            .key(self.connection.access_key(user_id).await?)
            .arg(version.unwrap_or_default())
            .arg(since.map_or_else(String::new, |since| since.as_millisecond().to_string()))
            .arg(user_id.to_string());
        self.connection.run::<u64>(&script).await.map(|_done| ())
    }

    /// One sorted set holds them all: the script finds the page.
    async fn of_one_key(&self, after: Option<Asked>, limit: usize) -> Result<WithAccess, Failure> {
        let mut script = self.with_access.prepare_invoke();
        script.key(keys::ACCESS);
        match after {
            Some(after) => script
                .arg(after.at.as_millisecond())
                .arg(after.user_id.to_string()),
            None => script.arg("").arg(""),
        };
        script.arg(limit);

        let found: Page = self.connection.run(&script).await?;
        Ok(WithAccess {
            complete_since: complete_since(&found.0),
            total: found.1,
            first: found.2.first().map(|(_, score)| time(*score)),
            users: found.3.iter().filter_map(asked).collect(),
        })
    }

    /// Each slot of the cluster has a sorted set of its own: they are read whole, and merged here.
    async fn of_all_slots(
        &self,
        after: Option<Asked>,
        limit: usize,
    ) -> Result<WithAccess, Failure> {
        let read: Vec<Cmd> = (0..SLOTS)
            .map(|slot| members(&keys::access_in(slot)))
            .collect();
        let sets: Vec<Vec<Member>> = self.connection.ask_all(&read).await?;

        let marks = sets.iter().map(|set| complete_since(&set.last()?.0));
        let complete_since = marks.reduce(|one, other| Some(one?.max(other?))).flatten();
        let mut users: Vec<Asked> = sets.iter().flatten().filter_map(asked).collect();
        users.sort_unstable();

        Ok(WithAccess::page(users, after, limit, complete_since))
    }

    /// Adds the users of batches who have not begun: no checkpoint names them.
    async fn add_of_batches(&self) -> Result<(), Failure> {
        for batch in self.batches.listed(None, MAX_LISTED).await?.0 {
            let mut from = 0;
            loop {
                let members = self.batches.page(&batch.batch_id, from, PAGE).await?;
                let known = self
                    .batches
                    .summaries(&batch.batch_id, &members.users)
                    .await?;

                let rows = members.users.iter().zip(&members.added_at).zip(&known);
                let not_begun = rows.filter(|(_, known)| **known == Known::Nothing);
                let adding = not_begun.map(|((user_id, at), _)| self.add_one(*user_id, *at));
                stream::iter(adding.collect::<Vec<_>>())
                    .buffer_unordered(AT_ONCE)
                    .try_collect::<()>()
                    .await?;
                match members.next {
                    Some(next) => from = next,
                    None => break,
                }
            }
        }
        Ok(())
    }

    async fn mark_complete(&self, at: Timestamp) -> Result<(), Failure> {
        let mark = |key: String| {
            let mut command = redis::cmd("ZADD");
            command
                .arg(key)
                .arg("inf")
                .arg(format!("{COMPLETE}{}", at.as_millisecond()));
            command
        };
        let keys: Vec<String> = if self.connection.uses_slots().await? {
            (0..SLOTS).map(keys::access_in).collect()
        } else {
            vec![keys::ACCESS.to_owned()]
        };
        let commands: Vec<Cmd> = keys.into_iter().map(mark).collect();
        self.connection
            .ask_all::<u64>(&commands)
            .await
            .map(|_added| ())
    }
}

#[async_trait]
impl UserIndex for RedisUsers {
    async fn add_asked(&self, users: &[UserId], at: Timestamp) -> Result<(), Failure> {
        let adding = users.iter().map(|user_id| self.add_one(*user_id, at));
        stream::iter(adding.collect::<Vec<_>>())
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }

    async fn asked_at(&self, user_id: UserId) -> Result<Option<Timestamp>, Failure> {
        let mut command = redis::cmd("ZSCORE");
        command
            .arg(self.connection.access_key(user_id).await?)
            .arg(user_id.to_string());
        let score: Option<f64> = self.connection.ask(&command).await?;
        Ok(score.map(time))
    }

    async fn with_access(&self, after: Option<Asked>, limit: usize) -> Result<WithAccess, Failure> {
        if self.connection.uses_slots().await? {
            self.of_all_slots(after, limit).await
        } else {
            self.of_one_key(after, limit).await
        }
    }

    async fn correct(&self, users: &[UserId]) -> Result<(), Failure> {
        for users in users.chunks(PAGE) {
            // The versions first: a save in between makes the correction void, and corrects the index itself.
            let commands: Vec<Cmd> = users.iter().map(version).collect();
            let versions: Vec<Option<Vec<u8>>> = self.connection.ask_all(&commands).await?;
            let summaries = self.summaries(users).await?;

            let correcting = users.iter().zip(&versions).zip(&summaries);
            let correcting = correcting.map(|((user_id, version), known)| {
                self.correct_one(*user_id, version.as_deref(), known)
            });
            stream::iter(correcting.collect::<Vec<_>>())
                .buffer_unordered(AT_ONCE)
                .try_collect::<()>()
                .await?;
        }
        Ok(())
    }

    async fn rebuild(&self) -> Result<(), Failure> {
        let begun = self.clock.now();
        let mut from = None;
        loop {
            let page = self.scan(from.as_deref(), SCAN_COUNT).await?;
            self.correct(&page.users).await?;
            match page.next {
                Some(next) => from = Some(next),
                None => break,
            }
        }
        self.add_of_batches().await?;
        self.mark_complete(begun).await
    }

    async fn scan(&self, from: Option<&str>, count: usize) -> Result<Scanned, Failure> {
        let found = self.connection.scan(keys::CHECKPOINTS, from, count).await?;
        let users = found.0.iter().filter_map(|key| keys::user_of(key));
        Ok(Scanned {
            users: users.collect(),
            next: found.1,
        })
    }

    async fn summaries(&self, users: &[UserId]) -> Result<Vec<Known>, Failure> {
        let records: Vec<Record> = self.batches.current(users).await?;
        Ok(records.into_iter().map(Known::from).collect())
    }
}

type Member = (Vec<u8>, f64);
/// The mark, the number of users, the first of all, and the page.
type Page = (Vec<u8>, u64, Vec<Member>, Vec<Member>);

/// `None` for the mark, and for what another program wrote.
fn asked((member, score): &Member) -> Option<Asked> {
    let user_id = std::str::from_utf8(member).ok()?.parse().ok()?;
    Some(Asked {
        at: time(*score),
        user_id,
    })
}

fn complete_since(member: &[u8]) -> Option<Timestamp> {
    let ms = std::str::from_utf8(member).ok()?.strip_prefix(COMPLETE)?;
    Timestamp::from_millisecond(ms.parse().ok()?).ok()
}

fn members(key: &str) -> Cmd {
    let mut command = redis::cmd("ZRANGE");
    command.arg(key).arg(0).arg(-1).arg("WITHSCORES");
    command
}

fn version(user_id: &UserId) -> Cmd {
    let mut command = redis::cmd("HGET");
    command.arg(keys::checkpoint(*user_id)).arg("version");
    command
}
