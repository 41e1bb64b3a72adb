//! One connection to a single Redis, the master that sentinels name, or a cluster.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind,
    IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo, RedisError, RedisResult,
    ScriptInvocation, Value,
};

use super::plain_port;
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
        match &url.kind {
            RedisKind::Single | RedisKind::Tls => {
                let none =
                    || RedisError::from((ErrorKind::InvalidClientConfig, "no host in the URL"));
                let client = Client::open(
                    nodes(url, &login(url))?
                        .into_iter()
                        .next()
                        .ok_or_else(none)?,
                )?;
                let config = connection_config();
                let connected = client
                    .get_multiplexed_async_connection_with_config(&config)
                    .await;
                match connected {
                    Ok(connection) => Ok(Self::Single(connection)),
                    Err(error) => Err(plain_port::named(error, url).await),
                }
            }
            RedisKind::Sentinel { master } => by_sentinels(url, master).await.map(Self::Single),
            RedisKind::Cluster => {
                let client = ClusterClientBuilder::new(nodes(url, &login(url))?)
                    .use_protocol(protocol(url))
                    .connection_timeout(CONNECT_TIMEOUT)
                    .response_timeout(RESPONSE_TIMEOUT)
                    .build()?;
                Ok(Self::Cluster(client.get_async_connection().await?))
            }
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

fn connection_config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
}

/// The master that the sentinels name. Sentinels have a password of their own, or none. The URL's
/// password is sent only to a sentinel that asks for one, since one without a password refuses any.
async fn by_sentinels(url: &RedisUrl, master: &str) -> Result<MultiplexedConnection, RedisError> {
    let anonymous = RedisConnectionInfo::default();
    match of_master(url, master, &anonymous).await {
        Err(error) if asks_for_a_password(&error) => {
            if url.password.is_none() {
                return Err(at_sentinels(
                    url,
                    "a sentinel, or the master, asks for a password",
                    &error,
                ));
            }
            let same = login(url).set_db(0);
            of_master(url, master, &same)
                .await
                .map_err(|error| match error.kind() {
                    ErrorKind::AuthenticationFailed
                    | ErrorKind::Server(_)
                    | ErrorKind::Extension => at_sentinels(
                        url,
                        "a sentinel, or the master, refuses the URL's user and password",
                        &error,
                    ),
                    _ => error,
                })
        }
        connected => connected,
    }
}

async fn of_master(
    url: &RedisUrl,
    master: &str,
    at_sentinel: &RedisConnectionInfo,
) -> Result<MultiplexedConnection, RedisError> {
    let sentinels = nodes(url, at_sentinel)?;
    let master_login = SentinelNodeConnectionInfo::default().set_redis_connection_info(login(url));
    let mut client = SentinelClient::build(
        sentinels,
        master,
        Some(master_login),
        SentinelServerType::Master,
    )?;
    client
        .get_async_connection_with_config(&connection_config())
        .await
}

fn asks_for_a_password(error: &RedisError) -> bool {
    error.code() == Some("NOAUTH") || error.to_string().contains("NOAUTH")
}

/// The library's error does not say that a sentinel gave it.
fn at_sentinels(url: &RedisUrl, what: &'static str, error: &RedisError) -> RedisError {
    let sentinels: Vec<String> = url
        .servers
        .iter()
        .map(|(host, port)| format!("{host}:{port}"))
        .collect();
    let detail = format!("sentinels {}: {error}", sentinels.join(", "));
    RedisError::from((ErrorKind::AuthenticationFailed, what, detail))
}

fn protocol(url: &RedisUrl) -> ProtocolVersion {
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
        let host = host.clone();
        let port = *port;
        let address = match url.kind {
            RedisKind::Tls => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            },
            RedisKind::Single | RedisKind::Sentinel { .. } | RedisKind::Cluster => {
                ConnectionAddr::Tcp(host, port)
            }
        };
        Ok(address
            .into_connection_info()?
            .set_redis_settings(login.clone()))
    };
    url.servers.iter().map(node).collect()
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
