//! Notes of replays, which expire.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::connection::RedisConnection;
use crate::failure::Failure;

/// Longer than an operator leaves dead letters alone.
const REPLAY_NOTE_KEPT: Duration = Duration::from_hours(30 * 24);

/// Stores a note.
pub(super) async fn write(
    connection: &RedisConnection,
    key: &str,
    note: &(impl Serialize + Sync),
) -> Result<(), Failure> {
    let note = serde_json::to_string(note)
        .map_err(|error| Failure::internal("cannot write a note of a replay", error))?;
    let mut command = redis::cmd("SET");
    command
        .arg(key)
        .arg(note)
        .arg("EX")
        .arg(REPLAY_NOTE_KEPT.as_secs());
    connection.ask(&command).await
}

/// Reads a note; one that cannot be read counts as absent.
pub(super) async fn read<T: DeserializeOwned>(
    connection: &RedisConnection,
    key: &str,
) -> Result<Option<T>, Failure> {
    let mut command = redis::cmd("GET");
    command.arg(key);
    let note: Option<Vec<u8>> = connection.ask(&command).await?;
    Ok(note.and_then(|note| serde_json::from_slice(&note).ok()))
}
