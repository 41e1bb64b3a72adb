use std::path::PathBuf;
use std::time::Duration;

use super::parse::{between, file_url, unless_off};
use super::reader::Reader;
use super::secret::SecretUrl;

/// Where checkpoints are.
#[derive(Debug, Clone)]
pub enum CheckpointsUrl {
    /// In a directory, for one process.
    Embedded(PathBuf),
    /// In Redis, for any number of workers.
    Redis {
        /// As it was given.
        url: SecretUrl,
        /// How the servers are arranged.
        kind: RedisKind,
    },
}

/// How the Redis servers are arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedisKind {
    /// One server, `redis://`.
    Single,
    /// One server over TLS, `rediss://`.
    Tls,
    /// `redis+sentinel://host:port,…/master-name[/db]`.
    Sentinel,
    /// `redis+cluster://host:port,…`.
    Cluster,
}

impl CheckpointsUrl {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        reader.get("checkpoints.url", url)
    }
}

/// How long a finished user's checkpoint is kept; `None` for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointsRetention(pub Option<Duration>);

impl CheckpointsRetention {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        const HUNDRED_YEARS: Duration = Duration::from_hours(100 * 365 * 24);
        let kept = unless_off(between(Duration::from_hours(1), HUNDRED_YEARS));
        reader.get("checkpoints.retention", kept).map(Self)
    }
}

fn url(text: &str) -> Result<CheckpointsUrl, String> {
    if let Some(path) = file_url(text) {
        return path.map(CheckpointsUrl::Embedded);
    }
    let wrong = || {
        "is not a redis://, rediss://, redis+sentinel://, redis+cluster:// or file: URL; \
         give one such as rediss://:password@host:6379/0"
            .to_owned()
    };
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    let kind = match scheme {
        "redis" => RedisKind::Single,
        "rediss" => RedisKind::Tls,
        "redis+sentinel" => RedisKind::Sentinel,
        "redis+cluster" => RedisKind::Cluster,
        _ => return Err(wrong()),
    };
    // By hand, since URL parsers refuse several hosts.
    let (place, _query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = place.split_once('/').unwrap_or((place, ""));
    let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
    check_hosts(hosts, kind)?;
    check_path(path, kind)?;
    Ok(CheckpointsUrl::Redis { url: SecretUrl::new(text), kind })
}

fn check_hosts(hosts: &str, kind: RedisKind) -> Result<(), String> {
    let single = matches!(kind, RedisKind::Single | RedisKind::Tls);
    if single && hosts.contains(',') {
        return Err("names several hosts; that is for redis+sentinel:// and redis+cluster://".to_owned());
    }
    if hosts.split(',').all(is_host) {
        return Ok(());
    }
    Err("has no proper host:port; \
         percent-encode what is special in a password, and put a comma between hosts"
        .to_owned())
}

fn is_host(host: &str) -> bool {
    let (address, port) = match host.rsplit_once(':') {
        Some((address, port)) if !host.ends_with(']') => (address, Some(port)),
        _ => (host, None),
    };
    let bracketed = address.starts_with('[') && address.ends_with(']');
    let proper = !address.is_empty() && (bracketed || !address.contains([':', '[', ']', '@', ' ']));
    proper && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != 0))
}

fn check_path(path: &str, kind: RedisKind) -> Result<(), String> {
    let is_database = |text: &str| text.is_empty() || text.parse::<u16>().is_ok();
    match kind {
        RedisKind::Single | RedisKind::Tls if !is_database(path) => {
            Err("has a path that is no database number; give one such as /0, or none".to_owned())
        }
        RedisKind::Cluster if !matches!(path, "" | "0") => {
            Err("names a database, and a cluster has none; remove the path".to_owned())
        }
        RedisKind::Sentinel => {
            let (master, database) = path.split_once('/').unwrap_or((path, ""));
            if master.is_empty() || !is_database(database) {
                let example = "redis+sentinel://host:26379/master-name or …/master-name/0";
                return Err(format!("names no master; give one such as {example}"));
            }
            Ok(())
        }
        RedisKind::Single | RedisKind::Tls | RedisKind::Cluster => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Option<RedisKind> {
        match url(text) {
            Ok(CheckpointsUrl::Redis { kind, .. }) => Some(kind),
            Ok(CheckpointsUrl::Embedded(_)) | Err(_) => None,
        }
    }

    #[test]
    fn the_scheme_says_how_the_servers_are_arranged() {
        assert_eq!(kind("redis://127.0.0.1:6379/0"), Some(RedisKind::Single));
        assert_eq!(kind("rediss://u:p@h/?protocol=resp3"), Some(RedisKind::Tls));
        assert_eq!(kind("redis+sentinel://:pw@a:1,b:2/main/3"), Some(RedisKind::Sentinel));
        assert_eq!(kind("redis+cluster://:p@ss@a:1,[::1]:2"), Some(RedisKind::Cluster));
    }

    #[test]
    fn what_the_client_would_trip_over_is_refused() {
        for bad in [
            "redis://",
            "redis://:pw@",
            "redis://h:port",
            "redis://h:0",
            "redis://a,b",
            "redis://h/x",
            "redis://u:pa/ss@h",
            "redis+sentinel://a:1",
            "redis+sentinel://a:1/m/x",
            "redis+cluster://a,,b",
            "redis+cluster://a/1",
            "valkey://h",
            "h:6379",
            "file://h/x",
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn file_is_the_embedded_store() {
        assert!(
            matches!(url("file:./d"), Ok(CheckpointsUrl::Embedded(path)) if path.to_str() == Some("./d"))
        );
    }
}
