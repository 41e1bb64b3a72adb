//! The connection that all Redis adapters of a process share. It connects at the first use, and
//! again after any failure: a command that was not answered is sent once more over a new
//! connection. That is safe because every script and command here may run twice.

use std::time::Duration;

use redis::{ErrorKind, FromRedisValue, RedisError, ScriptInvocation, ServerErrorKind};
use tokio::sync::Mutex;

use super::error::RedisStoreError;
use super::link::Link;
use crate::address::RedisUrl;
use crate::failure::Failure;

/// The time limit for one command with its second try, since a frozen Redis accepts connections and
/// never answers.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The first try, and one over a new connection.
const TRIES: u32 = 2;

pub(crate) struct RedisConnection {
    url: RedisUrl,
    /// The URL without its password.
    at: String,
    link: Mutex<Option<Link>>,
}

impl RedisConnection {
    /// Connects at the first use.
    pub(crate) fn new(url: &RedisUrl) -> Self {
        Self {
            url: url.clone(),
            at: url.to_string(),
            link: Mutex::new(None),
        }
    }

    /// Runs a script. Every script may run twice with the same effect as once.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, Failure> {
        self.within_time_limit(Request::Script(script)).await
    }

    /// Sends a command that may be sent twice.
    pub(super) async fn ask<T: FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, Failure> {
        self.within_time_limit(Request::Command(command)).await
    }

    /// Sends commands that may be sent twice, in one round trip to each server.
    pub(super) async fn ask_all<T: FromRedisValue>(
        &self,
        commands: &[redis::Cmd],
    ) -> Result<Vec<T>, Failure> {
        self.within_time_limit(Request::Commands(commands)).await
    }

    async fn within_time_limit<T: FromRedisValue>(
        &self,
        request: Request<'_>,
    ) -> Result<T, Failure> {
        let answer = tokio::time::timeout(ANSWER_WITHIN, self.with_reconnect(request)).await;

        let failed = match answer {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => RedisStoreError::of(&error, &self.at),
            Err(_elapsed) => RedisStoreError::Unreachable {
                at: self.at.clone(),
                why: format!("no answer within {} s", ANSWER_WITHIN.as_secs()),
            },
        };
        Err(failed.into())
    }

    async fn with_reconnect<T: FromRedisValue>(&self, request: Request<'_>) -> RedisResult<T> {
        let mut failed = RedisError::from((ErrorKind::Io, "no answer"));

        for _ in 0..TRIES {
            match self.send(request).await {
                Err(error) if connection_is_bad(&error) => {
                    *self.link.lock().await = None;
                    failed = error;
                }
                answered => return answered,
            }
        }
        Err(failed)
    }

    async fn send<T: FromRedisValue>(&self, request: Request<'_>) -> RedisResult<T> {
        let mut link = self.link().await?;

        match request {
            Request::Script(script) => link.run(script).await,
            Request::Command(command) => link.query(command).await,
            Request::Commands(commands) => link.query_all(commands).await,
        }
    }

    async fn link(&self) -> RedisResult<Link> {
        let mut link = self.link.lock().await;

        match &*link {
            Some(link) => Ok(link.clone()),
            None => Ok(link.insert(Link::connect(&self.url).await?).clone()),
        }
    }
}

type RedisResult<T> = Result<T, RedisError>;

#[derive(Clone, Copy)]
enum Request<'a> {
    Script(&'a ScriptInvocation<'a>),
    Command(&'a redis::Cmd),
    Commands(&'a [redis::Cmd]),
}

/// Whether a new connection may help. A connection that timed out may deliver the old answer to the
/// next command, and one to a server that was demoted stays read-only.
fn connection_is_bad(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.is_unrecoverable_error()
        || error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
