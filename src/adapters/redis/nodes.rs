//! The servers of a URL, as the client library takes them.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _,
    ProtocolVersion, RedisConnectionInfo, RedisResult,
};

use crate::address::{RedisKind, RedisUrl};

/// How long a connection waits for its servers.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// For a connection to each server.
    pub(super) connect: Duration,
    /// For an answer to one try of a command.
    pub(super) response: Duration,
    /// For one command with its second try, since a frozen Redis accepts connections and never answers.
    pub(super) answer: Duration,
}

impl Limits {
    /// Of the connection that says that this process lives, which others believe for some seconds only.
    pub(super) const PRESENCE: Self = Self {
        connect: Duration::from_secs(1),
        response: Duration::from_secs(1),
        answer: Duration::from_secs(5),
    };

    /// Of the connection that all commands share.
    pub(super) fn of(url: &RedisUrl) -> Self {
        // All commands wait for a new connection, and that to a cluster for every node of the URL, also for one whose
        // machine is off.
        let connect = if url.kind == RedisKind::Cluster { 2 } else { 5 };
        Self {
            connect: Duration::from_secs(connect),
            response: Duration::from_secs(5),
            answer: Duration::from_secs(10),
        }
    }

    pub(super) fn config(self) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect))
            .set_response_timeout(Some(self.response))
    }
}

pub(super) fn protocol(url: &RedisUrl) -> ProtocolVersion {
    if url.resp3 {
        ProtocolVersion::RESP3
    } else {
        ProtocolVersion::RESP2
    }
}

pub(super) fn login(url: &RedisUrl) -> RedisConnectionInfo {
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
pub(super) fn nodes(
    url: &RedisUrl,
    login: &RedisConnectionInfo,
) -> RedisResult<Vec<ConnectionInfo>> {
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
