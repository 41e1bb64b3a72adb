//! The URL of Redis, taken apart.

use std::fmt;

use super::parts::{Parts, decoded};
use super::tls_files::TlsFiles;
use crate::secret::Secret;

/// Where Redis is, and how to log in. `Display` and `Debug` print the URL without its password.
#[derive(Clone)]
pub(crate) struct RedisUrl {
    /// How the servers are arranged.
    pub kind: RedisKind,
    /// The connections to all of them, sentinels too, are encrypted.
    pub tls: bool,
    /// Names, or addresses without brackets, with their ports; at least one.
    pub servers: Vec<(String, u16)>,
    pub user: Option<String>,
    /// Of that user, or of the default one.
    pub password: Option<Secret>,
    pub database: u16,
    /// The third version of the protocol.
    pub resp3: bool,
    /// What settings beside the URL say.
    pub beside: BesideUrl,
    shown: String,
}

/// What a URL cannot say.
#[derive(Debug, Clone, Default)]
pub(crate) struct BesideUrl {
    pub tls: TlsFiles,
    /// Of the sentinels themselves.
    pub sentinel_password: Option<Secret>,
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// How the Redis servers are arranged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RedisKind {
    /// One server, `redis://`.
    Single,
    /// `redis+sentinel://host:port,…/master-name[/db]`.
    Sentinel {
        /// The name of the master, as the sentinels know it.
        master: String,
    },
    /// `redis+cluster://host:port,…`.
    Cluster,
}

impl RedisUrl {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let example = "give one like rediss://:password@host:6379/0";
        let parts = Parts::parse(text).map_err(|why| format!("{why}; {example}"))?;
        let (arrangement, tls) = match parts.scheme.strip_prefix("rediss") {
            Some(rest) => (format!("redis{rest}"), true),
            None => (parts.scheme.clone(), false),
        };
        let (kind, database) = topology(&parts, &arrangement)?;

        let (user, password) = match &parts.login {
            None => (None, None),
            Some(login) => match &login.password {
                // The client library would silently ignore the user.
                None => {
                    return Err(format!(
                        "has no password for its user, or no : before a password; {example}"
                    ));
                }
                Some(password) if password.expose().is_empty() => {
                    return Err(format!("has an empty password; {example}"));
                }
                Some(password) => (
                    Some(login.user.clone()).filter(|user| !user.is_empty()),
                    Some(password.clone()),
                ),
            },
        };

        let mut resp3 = false;
        parts.members("protocol", |name, value| {
            member(name, value).map(|read| read.map(|third| resp3 = third))
        })?;

        let default_port = if let RedisKind::Sentinel { .. } = kind {
            26_379
        } else {
            6379
        };
        let servers = parts
            .servers
            .iter()
            .map(|server| (server.name(), server.port.unwrap_or(default_port)))
            .collect();

        Ok(Self {
            kind,
            tls,
            servers,
            user,
            password,
            database,
            resp3,
            beside: BesideUrl::default(),
            shown: parts.shown,
        })
    }
}

/// A member of the query: whether it asks for the third version of the protocol. `None` for a name that
/// is unknown; those by which other clients ask for what is a setting here are named.
fn member(name: &str, value: &str) -> Option<Result<bool, String>> {
    let elsewhere = |what: &str| Some(Err(format!("has {name} in its query; {what}")));
    match name {
        "protocol" => Some(match value {
            "resp2" | "2" => Ok(false),
            "resp3" | "3" => Ok(true),
            _ => Err("has a protocol that is neither resp2 nor resp3; give one of them".to_owned()),
        }),
        "tls" | "ssl" => elsewhere(
            "for TLS write rediss://, rediss+sentinel:// or rediss+cluster://, and remove it",
        ),
        "sentinel_password" | "sentinelPassword" => {
            elsewhere("set OFFBOARDER_CHECKPOINTS_SENTINEL_PASSWORD_FILE, and remove it")
        }
        "password" => {
            elsewhere("put it before the host, as rediss://:password@host, and remove it")
        }
        _ => None,
    }
}

/// How the servers are arranged, and the number of the database. `arrangement` is the scheme without TLS.
fn topology(parts: &Parts, arrangement: &str) -> Result<(RedisKind, u16), String> {
    let path = parts.path.as_deref().unwrap_or_default();

    let database = |text: &str| {
        if text.is_empty() {
            Some(0)
        } else {
            text.parse::<u16>().ok()
        }
    };

    let kind = match arrangement {
        "redis" => RedisKind::Single,
        "redis+sentinel" => {
            let (master, number) = path.split_once('/').unwrap_or((path, ""));
            let master = decoded(master)?;
            return match database(number) {
                Some(number) if !master.is_empty() => Ok((RedisKind::Sentinel { master }, number)),
                Some(_) | None => Err(
                    "names no master, or a database that is no number; give one like \
                     redis+sentinel://host:26379/master-name or …/master-name/0"
                        .to_owned(),
                ),
            };
        }
        "redis+cluster" if matches!(path, "" | "0") => return Ok((RedisKind::Cluster, 0)),
        "redis+cluster" => {
            return Err("names a database, and a cluster has none; remove the path".to_owned());
        }
        _ => {
            return Err(
                "is not a redis://, redis+sentinel://, redis+cluster:// or file: URL, nor one with \
             rediss for TLS; give one like rediss://:password@host:6379/0"
                    .to_owned(),
            );
        }
    };

    if parts.single().is_err() {
        return Err(
            "names several hosts; that is for redis+sentinel:// and redis+cluster://".to_owned(),
        );
    }

    match database(path) {
        Some(number) => Ok((kind, number)),
        None => Err("has a path that is no database number; give one like /0, or none".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redis(text: &str) -> RedisUrl {
        RedisUrl::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    #[test]
    fn the_scheme_says_how_the_servers_are_arranged() {
        let single = redis("redis://127.0.0.1/5");
        assert_eq!((single.kind, single.database), (RedisKind::Single, 5));
        assert_eq!(single.servers, [("127.0.0.1".to_owned(), 6379)]);
        let tls = redis("rediss://u:p%23%2F%3F%40%25@[2001:db8::5]:7/?protocol=resp3");
        assert_eq!(
            (&tls.kind, tls.tls, tls.user.as_deref(), tls.resp3),
            (&RedisKind::Single, true, Some("u"), true)
        );
        assert_eq!(tls.password.as_ref().unwrap().expose(), "p#/?@%");
        assert_eq!(tls.servers, [("2001:db8::5".to_owned(), 7)]);
        assert_eq!(
            tls.to_string(),
            "rediss://u:***@[2001:db8::5]:7/?protocol=resp3"
        );
        let sentinel = redis("redis+sentinel://:pw@a:1,[::1]/main/3?protocol=3");
        assert_eq!(
            sentinel.kind,
            RedisKind::Sentinel {
                master: "main".to_owned()
            }
        );
        assert_eq!(
            (sentinel.database, sentinel.user, sentinel.resp3),
            (3, None, true)
        );
        assert_eq!(
            sentinel.servers,
            [("a".to_owned(), 1), ("::1".to_owned(), 26_379)]
        );
        let cluster = redis("redis+cluster://:p%40ss@a:1,[::1]:2");
        assert_eq!(
            (&cluster.kind, cluster.servers.len()),
            (&RedisKind::Cluster, 2)
        );
        assert_eq!(format!("{cluster:?}"), "redis+cluster://:***@a:1,[::1]:2");
        assert!(!single.tls && !sentinel.tls && !cluster.tls);
    }

    #[test]
    fn sentinels_and_clusters_are_reached_over_tls_by_a_scheme_of_their_own() {
        let sentinel = redis("rediss+sentinel://:pw@a,b:2/main/3");
        let master = "main".to_owned();
        assert_eq!(sentinel.kind, RedisKind::Sentinel { master });
        assert_eq!((sentinel.tls, sentinel.database), (true, 3));
        assert_eq!(sentinel.servers[0], ("a".to_owned(), 26_379));
        let cluster = redis("rediss+cluster://a,b:2");
        assert_eq!((&cluster.kind, cluster.tls), (&RedisKind::Cluster, true));
    }

    #[test]
    fn what_other_clients_take_from_the_query_is_refused_with_what_to_do_and_without_its_value() {
        for (text, says) in [
            ("redis+sentinel://a/m?tls=true", "rediss+sentinel://"),
            ("redis+cluster://a?ssl=true", "rediss+cluster://"),
            (
                "redis+sentinel://a/m?sentinel_password=hunter2",
                "SENTINEL_PASSWORD_FILE",
            ),
            ("redis://a?password=hunter2", "before the host"),
            ("redis://a?secret=hunter2", "the unknown member secret"),
        ] {
            let why = RedisUrl::parse(text).unwrap_err();
            assert!(why.contains(says) && !why.contains("hunter2"), "{why}");
        }
    }

    #[test]
    fn a_url_that_is_only_partly_understood_is_refused() {
        for bad in [
            "redis://",
            "redis://:pw@",
            "redis://h:port",
            "redis://h:0",
            "redis://a,b",
            "redis://h/x",
            "redis://u:pa/ss@h",
            "redis://u:pa@ss@h",
            "redis://pw@h",
            "redis://u:@h",
            "redis://h?protocol=4",
            "redis://h?timeout=1",
            "rediss://h#insecure",
            "redis+sentinel://a:1",
            "redis+sentinel://a:1/m/x",
            "redis+sentinel://a:1/m?db=3",
            "redis+cluster://a,,b",
            "redis+cluster://a/1",
            "rediss+cluster://a/1",
            "redissentinel://a",
            "redis+unix:///socket",
            "valkey://h",
            "h:6379",
            "file://h/x",
        ] {
            assert!(RedisUrl::parse(bad).is_err(), "{bad}");
        }
    }
}
