//! The connection that all Redis adapters of a process share. It connects at the first use, and
//! again after any failure: a command that was not answered is sent once more over a new
//! connection. That is safe because every script and command here may run twice.

use std::time::Duration;

use redis::{
    ErrorKind, FromRedisValue, RedisError, Script, ScriptInvocation, ServerErrorKind, Value,
};
use tokio::sync::{Mutex, OnceCell};
use tokio::time::error::Elapsed;

use super::error::{RedisStoreError, has_no_replicas};
use super::link::Link;
use super::nodes::Limits;
use super::scan::{self, Cursor};
use super::{certificates, hash_slots, keys};
use crate::address::{RedisKind, RedisUrl};
use crate::failure::Failure;
use crate::job::UserId;

/// The first try, and one over a new connection.
const TRIES: u32 = 2;

pub(crate) struct RedisConnection {
    url: RedisUrl,
    /// The URL without its password.
    at: String,
    limits: Limits,
    /// With its number: a link that replaced one which failed is not replaced by those who used the old one.
    link: Mutex<(u64, Option<Link>)>,
    /// Whether a script may use keys of one slot only.
    slots: OnceCell<bool>,
}

impl RedisConnection {
    /// Connects at the first use.
    pub(crate) fn new(url: &RedisUrl) -> Self {
        Self::with(url, Limits::of(url))
    }

    /// Another connection to the same Redis, so that its commands wait for no others.
    pub(super) fn another(&self, limits: Limits) -> Self {
        Self::with(&self.url, limits)
    }

    fn with(url: &RedisUrl, limits: Limits) -> Self {
        Self {
            url: url.clone(),
            at: url.to_string(),
            limits,
            link: Mutex::new((0, None)),
            slots: OnceCell::new(),
        }
    }

    /// Reads the files that settings beside the URL name, so that a wrong name is found at the start.
    pub(crate) fn check_files(&self) -> Result<(), Failure> {
        let read = certificates::read(&self.url);
        self.judged(Ok(read.map(|_certificates| ())), self.limits.answer)
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

    /// The same with a time limit of its own, after which the connection counts as bad.
    pub(super) async fn ask_within<T: FromRedisValue>(
        &self,
        command: &redis::Cmd,
        limit: Duration,
    ) -> Result<T, Failure> {
        self.answered_within(limit, Request::Command(command)).await
    }

    /// Sends commands that may be sent twice, in one round trip to each server.
    pub(super) async fn ask_all<T: FromRedisValue>(
        &self,
        commands: &[redis::Cmd],
    ) -> Result<Vec<T>, Failure> {
        self.within_time_limit(Request::Commands(commands)).await
    }

    /// Whether a script may use keys of one slot only: so it is in a cluster, and behind a proxy of one. The server is asked,
    /// since the URL of such a proxy looks like that of a single Redis.
    pub(super) async fn uses_slots(&self) -> Result<bool, Failure> {
        let asking = async {
            if self.url.kind == RedisKind::Cluster {
                return Ok(true);
            }
            let probe = Script::new("return #KEYS");
            let mut script = probe.prepare_invoke();
            script.key(keys::access_in(0)).key(keys::access_in(1));
            match self.within_time_limit(Request::Slots(&script)).await? {
                0_u64 => Ok(true),
                _both => Ok(false),
            }
        };
        self.slots.get_or_try_init(|| asking).await.copied()
    }

    /// The sorted set that has this user while the user has access.
    pub(super) async fn access_key(&self, user_id: UserId) -> Result<String, Failure> {
        Ok(if self.uses_slots().await? {
            keys::access_in(hash_slots::slot_of(user_id))
        } else {
            keys::ACCESS.to_owned()
        })
    }

    /// One call of a scan, from where the last one ended: some keys that match, and where to continue.
    pub(super) async fn scan(
        &self,
        pattern: &str,
        from: Option<&str>,
        count: usize,
    ) -> Result<(Vec<Vec<u8>>, Option<String>), Failure> {
        let from = from.and_then(Cursor::parse).unwrap_or(Cursor::START);
        let limit = self.limits.answer;
        let mut used = 0;
        let scanning = async {
            let (number, mut link) = self.link().await?;
            used = number;
            scan::scan(&mut link, pattern, from, count).await
        };
        let found = tokio::time::timeout(limit, scanning).await;
        match self.judged(found, limit) {
            Ok((keys, next)) => Ok((keys, next.map(Cursor::text))),
            Err(failure) => {
                // The next call has a new connection.
                self.forget(used).await;
                Err(failure)
            }
        }
    }

    async fn within_time_limit<T: FromRedisValue>(
        &self,
        request: Request<'_>,
    ) -> Result<T, Failure> {
        self.answered_within(self.limits.answer, request).await
    }

    async fn answered_within<T: FromRedisValue>(
        &self,
        limit: Duration,
        request: Request<'_>,
    ) -> Result<T, Failure> {
        let mut used = 0;
        let asking = self.with_reconnect(request, &mut used);
        let answer = tokio::time::timeout(limit, asking).await;
        // Nobody waits here for another one who connects, who has no link that could be forgotten.
        if answer.is_err()
            && let Ok(mut link) = self.link.try_lock()
            && link.0 == used
        {
            link.1 = None;
        }
        self.judged(answer, limit)
    }

    fn judged<T>(
        &self,
        answer: Result<RedisResult<T>, Elapsed>,
        limit: Duration,
    ) -> Result<T, Failure> {
        let failed = match answer {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => RedisStoreError::of(&error, &self.at),
            Err(_elapsed) => RedisStoreError::Unreachable {
                at: self.at.clone(),
                why: format!("no answer within {} s", limit.as_secs_f32()),
            },
        };
        Err(failed.into())
    }

    /// `used` becomes the number of the link that the last try is made with.
    async fn with_reconnect<T: FromRedisValue>(
        &self,
        request: Request<'_>,
        used: &mut u64,
    ) -> RedisResult<T> {
        let mut failed = RedisError::from((ErrorKind::Io, "no answer"));

        for _ in 0..TRIES {
            *used = 0;
            let answer = match self.link().await {
                Ok((number, link)) => {
                    *used = number;
                    send(link, request).await
                }
                Err(error) => Err(error),
            };
            match answer {
                Err(error) if connection_is_bad(&error) => {
                    self.forget(*used).await;
                    failed = error;
                }
                answered => return answered,
            }
        }
        Err(failed)
    }

    async fn link(&self) -> RedisResult<(u64, Link)> {
        let mut link = self.link.lock().await;
        if let (number, Some(link)) = &*link {
            return Ok((*number, link.clone()));
        }
        let connected = Link::connect(&self.url, self.limits, link.0 == 0).await?;
        let number = link.0 + 1;
        *link = (number, Some(connected.clone()));
        Ok((number, connected))
    }

    /// The next command has a new connection: Redis was away, and its successor may be another server, while this
    /// connection still waits for the old one. That to a cluster leads to servers that were there, too, and looks for others
    /// by itself.
    pub(super) fn renew(&self) {
        // Somebody who connects now, to either, ends by the time limit of that.
        if self.url.kind != RedisKind::Cluster
            && let Ok(mut link) = self.link.try_lock()
        {
            link.1 = None;
        }
    }

    /// The link with this number is bad.
    async fn forget(&self, number: u64) {
        let mut link = self.link.lock().await;
        if link.0 == number {
            link.1 = None;
        }
    }
}

type RedisResult<T> = Result<T, RedisError>;

#[derive(Clone, Copy)]
enum Request<'a> {
    Script(&'a ScriptInvocation<'a>),
    /// A script with keys of two slots; the answer is 0 where that is refused.
    Slots(&'a ScriptInvocation<'a>),
    Command(&'a redis::Cmd),
    Commands(&'a [redis::Cmd]),
}

async fn send<T: FromRedisValue>(mut link: Link, request: Request<'_>) -> RedisResult<T> {
    match request {
        Request::Script(script) => link.run(script).await,
        Request::Slots(script) => match link.run(script).await {
            Err(error) if error.code() == Some("CROSSSLOT") => {
                Ok(T::from_redis_value(Value::Int(0))?)
            }
            answered => answered,
        },
        Request::Command(command) => link.query(command).await,
        Request::Commands(commands) => link.query_all(commands).await,
    }
}

/// Whether a new connection may help. A connection that timed out may deliver the old answer to the
/// next command, and one to a server that was demoted stays read-only.
fn connection_is_bad(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.is_unrecoverable_error()
        || error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
        || has_no_replicas(error)
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
