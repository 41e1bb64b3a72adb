//! How many hold objects of a user are stored, noted by the command that stored them.

use redis::Script;

use super::connection::RedisConnection;
use super::{keys, scripts};
use crate::failure::Failure;
use crate::job::UserId;

pub(super) struct NotedHolds {
    read: Script,
}

impl NotedHolds {
    pub(super) fn new() -> Self {
        Self {
            read: Script::new(scripts::NOTED_HOLDS),
        }
    }

    pub(super) async fn write(
        &self,
        connection: &RedisConnection,
        user_id: UserId,
        count: u32,
    ) -> Result<(), Failure> {
        let mut command = redis::cmd("SET");
        command.arg(keys::holds(user_id)).arg(count);
        connection.ask(&command).await
    }

    pub(super) async fn read(
        &self,
        connection: &RedisConnection,
        user_id: UserId,
    ) -> Result<u32, Failure> {
        let mut script = self.read.prepare_invoke();
        script.key(keys::holds(user_id));
        let noted: Vec<u8> = connection.run(&script).await?;
        Ok(count_of(&noted))
    }
}

/// The count in an answer of a script. Where another program wrote what is not a number, the largest count keeps the user
/// on hold.
pub(super) fn count_of(noted: &[u8]) -> u32 {
    let noted = std::str::from_utf8(noted).ok();
    noted
        .and_then(|noted| noted.parse().ok())
        .unwrap_or(u32::MAX)
}
