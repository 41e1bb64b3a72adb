//! The index of the users who still have access. It changes in the transaction that stores the checkpoint.

use jiff::Timestamp;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, WriteTransaction};

use super::database::{ACCESS, CHECKPOINTS};
use crate::job::UserId;
use crate::ports::batches::Summary;
use crate::ports::users::Asked;

/// The row that says since when the table has every user with a checkpoint.
pub(super) const COMPLETE: &str = "complete";

/// Adds or removes the user of a checkpoint, in the transaction that stores it.
pub(super) fn note(
    writing: &WriteTransaction,
    user_id: UserId,
    summary: &Summary,
) -> Result<(), redb::Error> {
    let mut table = writing.open_table(ACCESS)?;
    let key = user_id.to_string();
    if let Some(since) = summary.access_since() {
        table.insert(key.as_str(), since.as_millisecond())?;
    } else {
        table.remove(key.as_str())?;
    }
    Ok(())
}

/// Adds users who were asked for and have no checkpoint.
pub(super) fn add_asked(
    database: &Database,
    users: &[UserId],
    at: Timestamp,
) -> Result<(), redb::Error> {
    let writing = database.begin_write()?;
    {
        let checkpoints = writing.open_table(CHECKPOINTS)?;
        let mut table = writing.open_table(ACCESS)?;
        for user_id in users {
            let key = user_id.to_string();
            let is_new = table.get(key.as_str())?.is_none();
            if is_new && checkpoints.get(key.as_str())?.is_none() {
                table.insert(key.as_str(), at.as_millisecond())?;
            }
        }
    }
    Ok(writing.commit()?)
}

fn time(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The whole index, in order, and since when it is complete.
pub(super) fn read(database: &Database) -> Result<(Vec<Asked>, Option<Timestamp>), redb::Error> {
    let table = match database.begin_read()?.open_table(ACCESS) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok((Vec::new(), None)),
        Err(error) => return Err(error.into()),
    };

    let mut users = Vec::new();
    let mut complete_since = None;
    for row in table.iter()? {
        let row = row?;
        let at = time(row.1.value());
        match row.0.value() {
            COMPLETE => complete_since = Some(at),
            name => users.extend(name.parse().ok().map(|user_id| Asked { at, user_id })),
        }
    }
    users.sort_unstable();
    Ok((users, complete_since))
}
