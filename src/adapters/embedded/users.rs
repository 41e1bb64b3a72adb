//! Which users have a checkpoint, and which of them still have access, in the database file.

use async_trait::async_trait;
use jiff::Timestamp;
use redb::{Database, ReadableDatabase as _, ReadableTable as _};

use super::access::{COMPLETE, add_asked, note, read};
use super::checkpoints::EmbeddedCheckpoints;
use super::database::{ACCESS, CHECKPOINTS};
use super::rows::stored;
use crate::failure::Failure;
use crate::job::UserId;
use crate::ports::batches::Known;
use crate::ports::users::{Asked, Scanned, UserIndex, WithAccess};

/// Corrects the index by the checkpoints of these users, or of all.
fn correct(
    database: &Database,
    users: Option<&[UserId]>,
    complete: Option<Timestamp>,
) -> Result<(), redb::Error> {
    let writing = database.begin_write()?;
    {
        let checkpoints = writing.open_table(CHECKPOINTS)?;
        for row in checkpoints.iter()? {
            let row = row?;
            let Ok(user_id) = row.0.value().parse() else {
                continue;
            };
            if users.is_some_and(|users| !users.contains(&user_id)) {
                continue;
            }
            if let Known::Summary(summary) = stored(user_id, row.1.value()) {
                note(&writing, user_id, &summary)?;
            }
        }
    }
    if let Some(at) = complete {
        writing
            .open_table(ACCESS)?
            .insert(COMPLETE, at.as_millisecond())?;
    }
    Ok(writing.commit()?)
}

/// The users behind `from`, in the order of their IDs.
fn scan(database: &Database, from: &str, count: usize) -> Result<Vec<UserId>, redb::Error> {
    let table = match database.begin_read()?.open_table(CHECKPOINTS) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut users = Vec::new();
    for row in table.range(from..)? {
        let row = row?;
        let name = row.0.value();
        if name != from {
            users.extend(name.parse::<UserId>().ok());
        }
        if users.len() == count {
            break;
        }
    }
    Ok(users)
}

#[async_trait]
impl UserIndex for EmbeddedCheckpoints {
    async fn add_asked(&self, users: &[UserId], at: Timestamp) -> Result<(), Failure> {
        let users = users.to_vec();
        let adding = self
            .file()
            .blocking(move |database| add_asked(database, &users, at));
        Ok(adding.await?)
    }

    async fn asked_at(&self, user_id: UserId) -> Result<Option<Timestamp>, Failure> {
        let found = self.file().blocking(read).await?;
        let mut users = found.0.into_iter();
        Ok(users
            .find(|user| user.user_id == user_id)
            .map(|user| user.at))
    }

    async fn with_access(&self, after: Option<Asked>, limit: usize) -> Result<WithAccess, Failure> {
        let found = self.file().blocking(read).await?;
        Ok(WithAccess::page(found.0, after, limit, found.1))
    }

    async fn correct(&self, users: &[UserId]) -> Result<(), Failure> {
        let users = users.to_vec();
        let correcting = self
            .file()
            .blocking(move |database| correct(database, Some(&users), None));
        Ok(correcting.await?)
    }

    async fn rebuild(&self) -> Result<(), Failure> {
        let now = self.clock.now();
        let rebuilding = self
            .file()
            .blocking(move |database| correct(database, None, Some(now)));
        Ok(rebuilding.await?)
    }

    async fn scan(&self, from: Option<&str>, count: usize) -> Result<Scanned, Failure> {
        let from = from.unwrap_or_default().to_owned();
        let scanning = self
            .file()
            .blocking(move |database| scan(database, &from, count));
        let users = scanning.await?;
        let next = (users.len() == count).then(|| users.last().map(ToString::to_string));
        Ok(Scanned {
            users,
            next: next.flatten(),
        })
    }

    async fn summaries(&self, users: &[UserId]) -> Result<Vec<Known>, Failure> {
        let mut summaries = Vec::with_capacity(users.len());
        for user_id in users {
            let row = self
                .file()
                .bytes(CHECKPOINTS, user_id.to_string())
                .await?
                .unwrap_or_default();
            summaries.push(stored(*user_id, &row));
        }
        Ok(summaries)
    }
}
