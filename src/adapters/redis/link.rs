use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{AsyncConnectionConfig, Client, Cmd, IntoConnectionInfo, RedisError, ScriptInvocation, Value};
use url::Url;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Questions to a cluster at once.
const AT_ONCE: usize = 256;

/// How the Redis servers are arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topology {
    /// One server, `redis://` or `rediss://`.
    Single,
    /// `redis+sentinel://[:password@]host:port[,host:port]/master-name[/db]`.
    Sentinel,
    /// `redis+cluster://[:password@]host:port[,host:port]`.
    Cluster,
}

/// A connection. The library's own reconnecting one gives up after a timeout, so the store drops
/// this on any doubt and asks for a new one.
#[derive(Clone)]
pub(super) enum Link {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Link {
    pub(super) async fn connect(url: &str, topology: Topology) -> Result<Self, RedisError> {
        match topology {
            Topology::Single => {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(CONNECT_TIMEOUT))
                    .set_response_timeout(Some(RESPONSE_TIMEOUT));
                let client = Client::open(url)?;
                Ok(Self::Single(client.get_multiplexed_async_connection_with_config(&config).await?))
            }
            Topology::Sentinel => {
                let parts = Parts::of(url)?;
                let mut segments = parts.path.split('/');
                let master = segments.next().unwrap_or_default().to_owned();
                let database = segments.next().unwrap_or("0");
                let node = parts.node_url("redis", &parts.first_host(), database).into_connection_info()?;
                let node = SentinelNodeConnectionInfo::default()
                    .set_redis_connection_info(node.redis_settings().clone());
                let sentinels = parts.hosts.iter().map(|host| format!("redis://{host}")).collect();
                let mut client =
                    SentinelClient::build(sentinels, master, Some(node), SentinelServerType::Master)?;
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(CONNECT_TIMEOUT))
                    .set_response_timeout(Some(RESPONSE_TIMEOUT));
                Ok(Self::Single(client.get_async_connection_with_config(&config).await?))
            }
            Topology::Cluster => {
                let parts = Parts::of(url)?;
                let nodes: Vec<String> =
                    parts.hosts.iter().map(|host| parts.node_url("redis", host, "0")).collect();
                let client = ClusterClientBuilder::new(nodes)
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

    pub(super) async fn query<T: redis::FromRedisValue>(&mut self, command: &Cmd) -> Result<T, RedisError> {
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

/// A cluster takes pipelines for one slot alone, so there many questions are under way at once instead.
async fn of_cluster(connection: &ClusterConnection, commands: &[Cmd]) -> Result<Value, RedisError> {
    let ask = |command: Cmd| {
        let mut connection = connection.clone();
        async move { command.query_async::<Value>(&mut connection).await }
    };
    let asking: Vec<_> = commands.iter().cloned().map(ask).collect();
    Ok(Value::Array(stream::iter(asking).buffered(AT_ONCE).try_collect().await?))
}

/// The parts of a URL that names several hosts, which URL parsers refuse.
struct Parts {
    userinfo: String,
    hosts: Vec<String>,
    path: String,
}

impl Parts {
    fn of(url: &str) -> Result<Self, RedisError> {
        let bad = || RedisError::from((redis::ErrorKind::InvalidClientConfig, "no hosts in the URL"));
        let (_, rest) = url.split_once("://").ok_or_else(bad)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (userinfo, hosts) = match authority.rsplit_once('@') {
            Some((userinfo, hosts)) => (format!("{userinfo}@"), hosts),
            None => (String::new(), authority),
        };
        let hosts: Vec<String> =
            hosts.split(',').filter(|host| !host.is_empty()).map(str::to_owned).collect();
        if hosts.is_empty() {
            return Err(bad());
        }
        Ok(Self { userinfo, hosts, path: path.to_owned() })
    }

    fn first_host(&self) -> String {
        self.hosts.first().cloned().unwrap_or_default()
    }

    fn node_url(&self, scheme: &str, host: &str, database: &str) -> String {
        format!("{scheme}://{}{host}/{database}", self.userinfo)
    }
}

/// The URL without its password, for people.
pub(super) fn masked(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "***".to_owned() };
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((_, hosts)) => format!("{scheme}://***@{hosts}{}", rest.get(authority.len()..).unwrap_or("")),
        None => Url::parse(url).map_or_else(|_| url.to_owned(), |url| url.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        assert_eq!(masked("redis://:s3cret@h:1/2"), "redis://***@h:1/2");
        assert_eq!(masked("redis+cluster://u:s3@ret@h:1,i:2"), "redis+cluster://***@h:1,i:2");
        assert_eq!(masked("redis://h:1/2"), "redis://h:1/2");
    }

    #[test]
    fn a_url_of_several_hosts_is_taken_apart() {
        let parts = Parts::of("redis+sentinel://:pw@a:1,b:2/main/3").unwrap();
        assert_eq!(parts.hosts, ["a:1", "b:2"]);
        assert_eq!(parts.path, "main/3");
        assert_eq!(parts.node_url("redis", "a:1", "3"), "redis://:pw@a:1/3");
        assert!(Parts::of("redis+cluster://").is_err());
    }
}
