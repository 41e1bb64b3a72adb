//! Columns of the input file beside each batch: a hash from user to columns, in the slot of the batch.

use std::time::Duration;

use redis::Script;

use super::connection::{RedisConnection, millis};
use super::{keys, scripts};
use crate::failure::Failure;
use crate::job::{BatchId, UserId};
use crate::ports::FileColumns;

/// How long they are kept of a batch that never ends.
const KEPT: Duration = Duration::from_hours(365 * 24);

pub(super) struct BatchColumns {
    script: Script,
}

impl BatchColumns {
    pub(super) fn new() -> Self {
        Self {
            script: Script::new(scripts::KEEP_COLUMNS),
        }
    }

    pub(super) async fn keep(
        &self,
        connection: &RedisConnection,
        batch: &BatchId,
        columns: &[(UserId, FileColumns)],
    ) -> Result<(), Failure> {
        let mut script = self.script.key(keys::batch_columns(batch));
        script.arg(millis(KEPT));
        for (user_id, columns) in columns {
            let stored = serde_json::to_vec(columns)
                .map_err(|error| Failure::internal("columns could not be stored", error))?;
            script.arg(user_id.to_string()).arg(stored);
        }
        connection.run::<u64>(&script).await.map(|_done| ())
    }
}

/// The columns of each of `users`, in their order.
pub(super) async fn read(
    connection: &RedisConnection,
    batch: &BatchId,
    users: &[UserId],
) -> Result<Vec<FileColumns>, Failure> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let mut command = redis::cmd("HMGET");
    command.arg(keys::batch_columns(batch));
    for user_id in users {
        command.arg(user_id.to_string());
    }
    let stored: Vec<Option<Vec<u8>>> = connection.ask(&command).await?;

    let read = |stored: Option<Vec<u8>>| FileColumns::of_stored(&stored.unwrap_or_default());
    Ok(stored.into_iter().map(read).collect())
}
