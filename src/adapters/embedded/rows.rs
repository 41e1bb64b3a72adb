//! The rows of checkpoints.

use redb::{Database, ReadableTable as _};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::access;
use super::database::CHECKPOINTS;
use crate::adapters::stored_checkpoint;
use crate::job::UserId;
use crate::ports::Saved;
use crate::ports::batches::{Known, Summary};

/// A row. The checkpoint is kept as text, so that the version is known even where the checkpoint
/// does not count.
#[derive(Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) version: u64,
    pub(super) checkpoint: Box<RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<String>,
}

/// What a row says of its user. Its code is not checked: this is for lists.
pub(super) fn stored(user_id: UserId, row: &[u8]) -> Known {
    let Ok(row) = serde_json::from_slice::<Row>(row) else {
        return Known::Nothing;
    };
    match stored_checkpoint::parse(user_id, row.checkpoint.get().as_bytes()) {
        Ok(Some(checkpoint)) => Known::Summary(Summary::from(&*checkpoint)),
        Ok(None) => Known::Nothing,
        Err(_newer) => Known::Unreadable,
    }
}

/// Stores a row, if the stored version is `expected`.
pub(super) fn store(
    database: &Database,
    user_id: UserId,
    expected: u64,
    row: &[u8],
    summary: &Summary,
) -> Result<Saved, redb::Error> {
    let writing = database.begin_write()?;
    {
        let mut table = writing.open_table(CHECKPOINTS)?;
        let key = user_id.to_string();
        let stored = table
            .get(key.as_str())?
            .and_then(|bytes| serde_json::from_slice::<Row>(bytes.value()).ok());
        if stored.map_or(0, |row| row.version) != expected {
            return Ok(Saved::Refused);
        }
        table.insert(key.as_str(), row)?;
    }
    access::note(&writing, user_id, summary)?;
    writing.commit()?;

    Ok(Saved::Version(expected + 1))
}
