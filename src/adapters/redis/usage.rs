//! Counts by minute, one hash for each minute, which expires; and how much of the deletion rate limit is used.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::{Cmd, Script};

use super::connection::{RedisConnection, millis};
use super::{keys, scripts};
use crate::failure::Failure;
use crate::ports::usage::{MINUTES_KEPT, MinutePart, Usage};
use crate::telemetry::minutes::Counts;

/// Each part of a minute adds one, so that a minute in which nothing was done differs from one that is unknown.
const PARTS: &str = "parts";

pub(crate) struct RedisUsage {
    connection: Arc<RedisConnection>,
    add: Script,
    deletions: Script,
}

impl RedisUsage {
    pub(crate) fn new(connection: Arc<RedisConnection>) -> Self {
        Self {
            connection,
            add: Script::new(scripts::ADD_TO_MINUTE),
            deletions: Script::new(scripts::COUNT_DELETIONS),
        }
    }
}

#[async_trait]
impl Usage for RedisUsage {
    async fn add(&self, writer: &str, part: &MinutePart) -> Result<(), Failure> {
        // A minute is kept until the oldest one that is shown has passed.
        let kept = Duration::from_mins(u64::from(MINUTES_KEPT) + 1);
        let mut script = self.add.prepare_invoke();
        script.key(keys::minute(part.minute));
        script.arg(writer).arg(part.number).arg(millis(kept));
        script.arg(PARTS).arg(1);
        for (name, count) in part.counts.named() {
            if count > 0 {
                script.arg(name).arg(count);
            }
        }
        self.connection.run::<u64>(&script).await.map(|_done| ())
    }

    async fn minutes(&self, from: i64, count: u16) -> Result<Vec<Option<Counts>>, Failure> {
        let names: Vec<String> = Counts::default()
            .named()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        let minutes = (0..i64::from(count)).map(|after| from.saturating_add(after));
        let commands: Vec<Cmd> = minutes.map(|minute| ask_for(minute, &names)).collect();
        let stored: Vec<Vec<Option<Vec<u8>>>> = self.connection.ask_all(&commands).await?;
        Ok(stored.iter().map(|values| counts(values)).collect())
    }

    async fn deletions(&self, per: Duration) -> Result<Option<u64>, Failure> {
        let mut script = self.deletions.prepare_invoke();
        script.key(keys::DELETIONS).arg(millis(per));
        let answer = self.connection.run::<i64>(&script).await?;
        Ok(u64::try_from(answer).ok())
    }
}

fn ask_for(minute: i64, names: &[String]) -> Cmd {
    let mut command = redis::cmd("HMGET");
    command.arg(keys::minute(minute)).arg(PARTS).arg(names);
    command
}

/// The counts, if there is a part. A value that another program wrote counts as 0.
fn counts(values: &[Option<Vec<u8>>]) -> Option<Counts> {
    let (parts, counts) = values.split_first()?;
    parts.as_ref()?;
    let number = |value: &Option<Vec<u8>>| {
        let text = std::str::from_utf8(value.as_ref()?).ok()?;
        text.parse().ok()
    };
    Some(Counts::of_values(
        counts.iter().map(|value| number(value).unwrap_or(0)),
    ))
}
