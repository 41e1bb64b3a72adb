//! One connection to a single Redis, the master that sentinels name, or a cluster.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind,
    IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo, RedisError, RedisResult,
    ScriptInvocation, TlsCertificates, TlsMode, Value,
};

use super::{certificates, plain_port, sentinels};
use crate::address::{RedisKind, RedisUrl};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Commands in flight to a cluster at once.
const AT_ONCE: usize = 256;

/// A connection that does not reconnect: [`super::RedisConnection`] replaces it after any failure.
/// The library's own reconnecting connection gives up after a timeout.
#[derive(Clone)]
pub(super) enum Link {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Link {
    pub(super) async fn connect(url: &RedisUrl) -> Result<Self, RedisError> {
        let certificates = certificates::read(url)?;
        let connected = match &url.kind {
            RedisKind::Single => single(url, certificates).await.map(Self::Single),
            RedisKind::Sentinel { master } => {
                sentinels::connect(url, master, certificates.as_ref())
                    .await
                    .map(Self::Single)
            }
            RedisKind::Cluster => cluster(url, certificates).await.map(Self::Cluster),
        };
        match connected {
            Ok(link) => Ok(link),
            Err(error) => Err(plain_port::named(error, url).await),
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
) -> RedisResult<MultiplexedConnection> {
    let none = || RedisError::from((ErrorKind::InvalidClientConfig, "no host in the URL"));
    let node = nodes(url, &login(url))?.into_iter().next();
    let node = node.ok_or_else(none)?;
    let client = match certificates {
        None => Client::open(node)?,
        Some(certificates) => Client::build_with_tls(node, certificates)?,
    };
    client
        .get_multiplexed_async_connection_with_config(&connection_config())
        .await
}

async fn cluster(
    url: &RedisUrl,
    certificates: Option<TlsCertificates>,
) -> RedisResult<ClusterConnection> {
    let mut builder = ClusterClientBuilder::new(nodes(url, &login(url))?)
        .use_protocol(protocol(url))
        .connection_timeout(CONNECT_TIMEOUT)
        .response_timeout(RESPONSE_TIMEOUT);
    if url.tls {
        builder = builder.tls(TlsMode::Secure);
    }
    if let Some(certificates) = certificates {
        builder = builder.certs(certificates);
    }
    builder.build()?.get_async_connection().await
}

pub(super) fn connection_config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
}

pub(super) fn protocol(url: &RedisUrl) -> ProtocolVersion {
    if url.resp3 {
        ProtocolVersion::RESP3
    } else {
        ProtocolVersion::RESP2
    }
}

fn login(url: &RedisUrl) -> RedisConnectionInfo {
    let mut login = RedisConnectionInfo::default()
        .set_db(i64::from(url.database))
        .set_protocol(protocol(url));
    if let Some(user) = &url.user {
        login = login.set_username(user);
    }
    if let Some(password) = &url.password {
        login = login.set_password(password.expose());
    }
    login
}

/// The servers part by part, as the settings parsed them: the URL is not parsed a second time.
fn nodes(url: &RedisUrl, login: &RedisConnectionInfo) -> RedisResult<Vec<ConnectionInfo>> {
    let node = |(host, port): &(String, u16)| {
        Ok(address(url, host, *port)
            .into_connection_info()?
            .set_redis_settings(login.clone()))
    };
    url.servers.iter().map(node).collect()
}

pub(super) fn address(url: &RedisUrl, host: &str, port: u16) -> ConnectionAddr {
    let host = host.to_owned();
    if url.tls {
        ConnectionAddr::TcpTls {
            host,
            port,
            insecure: false,
            tls_params: None,
        }
    } else {
        ConnectionAddr::Tcp(host, port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<ConnectionInfo> {
        let url = RedisUrl::parse(text).unwrap();
        nodes(&url, &login(&url)).unwrap()
    }

    #[test]
    fn every_part_reaches_the_client_library() {
        let tls = of("rediss://u:p%23%40@[2001:db8::5]:7/3?protocol=resp3").remove(0);
        assert_eq!(
            *tls.addr(),
            ConnectionAddr::TcpTls {
                host: "2001:db8::5".to_owned(),
                port: 7,
                insecure: false,
                tls_params: None
            }
        );
        let settings = tls.redis_settings();
        assert_eq!(
            (settings.username(), settings.password(), settings.db()),
            (Some("u"), Some("p#@"), 3)
        );
        assert_eq!(settings.protocol(), ProtocolVersion::RESP3);
        let cluster = of("redis+cluster://:pw@a:1,[::1]:2");
        let addresses: Vec<_> = cluster.iter().map(|node| node.addr().clone()).collect();
        let expected = [
            ConnectionAddr::Tcp("a".to_owned(), 1),
            ConnectionAddr::Tcp("::1".to_owned(), 2),
        ];
        assert_eq!(addresses, expected);
        assert!(
            cluster
                .iter()
                .all(|node| node.redis_settings().password() == Some("pw"))
        );
    }
}
