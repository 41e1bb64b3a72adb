//! The sessions of the console. With an integrity key, nobody who can only write to Redis can make one.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::connection::{RedisConnection, millis};
use super::keys;
use crate::failure::Failure;
use crate::integrity::{Integrity, Purpose};
use crate::ports::sessions::{Session, Sessions};

pub(crate) struct RedisSessions {
    connection: Arc<RedisConnection>,
    integrity: Integrity,
}

impl RedisSessions {
    pub(crate) fn new(connection: Arc<RedisConnection>, integrity: Integrity) -> Self {
        Self {
            connection,
            integrity,
        }
    }
}

#[async_trait]
impl Sessions for RedisSessions {
    async fn keep(&self, digest: &str, session: &Session, idle: Duration) -> Result<(), Failure> {
        let document = serde_json::to_vec(session)
            .map_err(|error| Failure::internal("cannot write a session", error))?;
        let document = self.integrity.sign(Purpose::Session, digest, document);
        let mut command = redis::cmd("SET");
        command
            .arg(keys::session(digest))
            .arg(document)
            .arg("PX")
            .arg(millis(idle));
        self.connection.ask(&command).await
    }

    async fn find(&self, digest: &str, idle: Duration) -> Result<Option<Session>, Failure> {
        let key = keys::session(digest);
        let mut command = redis::cmd("GET");
        command.arg(&key);
        let stored: Option<Vec<u8>> = self.connection.ask(&command).await?;
        let session = stored.and_then(|stored| {
            let opened = self.integrity.open(Purpose::Session, digest, &stored);
            opened.ok()
        });
        if session.is_some() {
            let mut command = redis::cmd("PEXPIRE");
            command.arg(&key).arg(millis(idle));
            let _is_there: u64 = self.connection.ask(&command).await?;
        }
        Ok(session)
    }

    async fn end(&self, digest: &str) -> Result<(), Failure> {
        let mut command = redis::cmd("DEL");
        command.arg(keys::session(digest));
        let _was_there: u64 = self.connection.ask(&command).await?;
        Ok(())
    }
}
