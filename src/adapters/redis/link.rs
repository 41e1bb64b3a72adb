//! One connection to a single Redis, the master that sentinels name, or a cluster.

use std::ops::Range;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::{
    Client, Cmd, ErrorKind, RedisError, RedisResult, ScriptInvocation, TlsCertificates, TlsMode,
    Value,
};

use super::nodes::{Limits, login, nodes, protocol};
use super::{certificates, plain_port, sentinels};
use crate::address::{RedisKind, RedisUrl};

/// Commands in flight to a cluster at once.
const AT_ONCE: usize = 256;
/// The library waits so long before it tries a node of a cluster again; by itself at least 1.28 s.
const RETRY_AFTER_MS: Range<u64> = 100..1000;

/// A connection that does not reconnect: [`super::RedisConnection`] replaces it after any failure.
/// The library's own reconnecting connection gives up after a timeout.
#[derive(Clone)]
pub(super) enum Link {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Link {
    /// `is_first`: this process has not reached it yet.
    pub(super) async fn connect(
        url: &RedisUrl,
        limits: Limits,
        is_first: bool,
    ) -> Result<Self, RedisError> {
        let certificates = certificates::read(url)?;
        let connected = match &url.kind {
            RedisKind::Single => single(url, certificates, limits).await.map(Self::Single),
            RedisKind::Sentinel { master } => {
                sentinels::connect(url, master, certificates.as_ref(), limits)
                    .await
                    .map(Self::Single)
            }
            RedisKind::Cluster => cluster(url, certificates, limits).await.map(Self::Cluster),
        };
        match connected {
            // A port that was right once is not asked while all commands wait.
            Err(error) if is_first => Err(plain_port::named(error, url).await),
            connected => connected,
        }
    }

    pub(super) async fn run<T: redis::FromRedisValue>(
        &mut self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, RedisError> {
        match self {
            Self::Single(connection) => script.invoke_async(connection).await,
            Self::Cluster(connection) => script.invoke_async(connection).await,
        }
    }

    pub(super) async fn query<T: redis::FromRedisValue>(
        &mut self,
        command: &Cmd,
    ) -> Result<T, RedisError> {
        match self {
            Self::Single(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }

    /// The answers to commands of any slots, in order, as one list.
    pub(super) async fn query_all<T: redis::FromRedisValue>(
        &mut self,
        commands: &[Cmd],
    ) -> Result<T, RedisError> {
        let answers = match self {
            // The library takes no pipeline of nothing.
            Self::Single(_) if commands.is_empty() => Value::Array(Vec::new()),
            Self::Single(connection) => {
                let mut pipeline = redis::pipe();
                for command in commands {
                    pipeline.add_command(command.clone());
                }
                pipeline.query_async::<Value>(connection).await?
            }
            Self::Cluster(connection) => of_cluster(connection, commands).await?,
        };
        Ok(T::from_redis_value(answers)?)
    }
}

/// A cluster takes pipelines for one slot only, so commands are sent one by one, many of them at once.
async fn of_cluster(connection: &ClusterConnection, commands: &[Cmd]) -> Result<Value, RedisError> {
    let ask = |command: Cmd| {
        let mut connection = connection.clone();
        async move { command.query_async::<Value>(&mut connection).await }
    };
    let asking: Vec<_> = commands.iter().cloned().map(ask).collect();
    Ok(Value::Array(
        stream::iter(asking).buffered(AT_ONCE).try_collect().await?,
    ))
}

async fn single(
    url: &RedisUrl,
    certificates: Option<TlsCertificates>,
    limits: Limits,
) -> RedisResult<MultiplexedConnection> {
    let no_host = || RedisError::from((ErrorKind::InvalidClientConfig, "no host in the URL"));
    let node = nodes(url, &login(url))?.into_iter().next();
    let node = node.ok_or_else(no_host)?;
    let client = match certificates {
        None => Client::open(node)?,
        Some(certificates) => Client::build_with_tls(node, certificates)?,
    };
    client
        .get_multiplexed_async_connection_with_config(&limits.config())
        .await
}

async fn cluster(
    url: &RedisUrl,
    certificates: Option<TlsCertificates>,
    limits: Limits,
) -> RedisResult<ClusterConnection> {
    let mut builder = ClusterClientBuilder::new(nodes(url, &login(url))?)
        .use_protocol(protocol(url))
        .connection_timeout(limits.connect)
        .response_timeout(limits.response)
        .min_retry_wait(RETRY_AFTER_MS.start)
        .max_retry_wait(RETRY_AFTER_MS.end);
    if url.tls {
        builder = builder.tls(TlsMode::Secure);
    }
    if let Some(certificates) = certificates {
        builder = builder.certs(certificates);
    }
    builder.build()?.get_async_connection().await
}
