//! The URL of the broker, taken apart.

use std::fmt;

use super::parts::{Login, Parts, decoded};
use crate::limits::parse::whole;
use crate::secret::Secret;

/// Where the broker is, and how to log in. `Display` and `Debug` print the URL without its
/// password.
#[derive(Clone)]
pub(crate) struct BrokerUrl {
    /// `amqps://`.
    pub tls: bool,
    /// Names, or addresses without brackets, with their ports; at least one.
    pub servers: Vec<(String, u16)>,
    pub login: Option<(String, Secret)>,
    /// `/` by default.
    pub vhost: String,
    pub heartbeat: Option<u16>,
    pub channel_max: Option<u16>,
    pub frame_max: Option<u32>,
    shown: String,
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

const EXAMPLE: &str = "give one such as amqps://user:password@host:5671/vhost";
const SEVERAL: &str = "give one with a comma between its hosts, such as amqps://user:password@mq-1:5671,mq-2:5671,mq-3:5671/vhost";

impl BrokerUrl {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.matches("://").count() > 1 {
            return Err(format!("is more than one URL; {SEVERAL}"));
        }
        let parts = Parts::parse(text).map_err(|why| format!("{why}; {EXAMPLE}"))?;
        let tls = match parts.scheme.as_str() {
            "amqp" => false,
            "amqps" => true,
            _ => return Err(format!("is not an amqp:// or amqps:// URL; {EXAMPLE}")),
        };
        let login = parts.login.as_ref().map(login).transpose()?;
        let vhost = virtual_host(parts.path.as_deref())?;
        let query = Query::read(&parts)?;
        let default_port = if tls { 5671 } else { 5672 };
        let servers = parts.servers.iter();

        Ok(Self {
            tls,
            servers: servers
                .map(|server| (server.name(), server.port.unwrap_or(default_port)))
                .collect(),
            login,
            vhost,
            heartbeat: query.heartbeat,
            channel_max: query.channel_max,
            frame_max: query.frame_max,
            shown: parts.shown,
        })
    }
}

fn login(login: &Login) -> Result<(String, Secret), String> {
    if login.user.is_empty() {
        return Err(format!("names no user; {EXAMPLE}"));
    }
    match &login.password {
        // The client library would send `guest`.
        None => Err(format!("has no password for its user; {EXAMPLE}")),
        Some(password) if password.expose().is_empty() => {
            Err(format!("has an empty password; {EXAMPLE}"))
        }
        Some(password) => Ok((login.user.clone(), password.clone())),
    }
}

fn virtual_host(path: Option<&str>) -> Result<String, String> {
    match path.map(decoded).transpose()? {
        None => Ok("/".to_owned()),
        Some(vhost) if vhost.is_empty() => Err(
            "names an empty virtual host; remove the last /, or give %2f for the default one"
                .to_owned(),
        ),
        Some(vhost) => Ok(vhost),
    }
}

/// The members of the query that the connection uses.
#[derive(Default)]
struct Query {
    heartbeat: Option<u16>,
    channel_max: Option<u16>,
    frame_max: Option<u32>,
}

impl Query {
    fn read(parts: &Parts) -> Result<Self, String> {
        let mut query = Self::default();
        parts.members("heartbeat, channel_max, frame_max", |name, value| {
            let read = query.member(name, value)?;
            Some(read.map_err(|why| format!("has {why}")))
        })?;
        Ok(query)
    }

    /// `None` for a member that is unknown.
    fn member(&mut self, name: &str, value: &str) -> Option<Result<(), String>> {
        let that = |why: String| format!("a {name} that {why}");
        Some(match name {
            "heartbeat" => whole(1..=300)(value)
                .map(|seconds| self.heartbeat = Some(seconds))
                .map_err(that),
            // The publisher of `submit` opens 64.
            "channel_max" => whole(128..=65_535)(value)
                .map(|count| self.channel_max = Some(count))
                .map_err(that),
            // RabbitMQ's own limit is 131,072. Our largest header needs 32,768.
            "frame_max" => whole(32_768..=1_048_576)(value)
                .map(|bytes| self.frame_max = Some(bytes))
                .map_err(that),
            "auth_mechanism" if value.eq_ignore_ascii_case("plain") => Ok(()),
            "auth_mechanism" => Err(
                "an auth_mechanism other than plain; remove it. To log in by a certificate, name no user and set \
                 OFFBOARDER_QUEUE_CLIENT_CERT_FILE"
                    .to_owned(),
            ),
            "connection_timeout" => Err(
                "a connection_timeout, which is always 15 s and cannot be set; remove it"
                    .to_owned(),
            ),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> BrokerUrl {
        BrokerUrl::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    #[test]
    fn a_url_connects_to_the_host_that_it_names_and_to_no_other() {
        let plain = url("amqp://h");
        assert_eq!((plain.tls, plain.vhost.as_str()), (false, "/"));
        assert_eq!(plain.servers, [("h".to_owned(), 5672)]);
        assert!(plain.login.is_none());
        let address = url("amqp://guest:guest@[2001:db8::5]:7/%2f");
        assert_eq!(address.servers, [("2001:db8::5".to_owned(), 7)]);
        assert_eq!(address.vhost, "/");
        assert_eq!(address.to_string(), "amqp://guest:***@[2001:db8::5]:7/%2f");
        let tuned =
            url("amqps://u:a%23b@h/prod%2Fhr%20eu?heartbeat=5&channel_max=200&frame_max=65536");
        assert!(tuned.tls);
        assert_eq!(tuned.servers, [("h".to_owned(), 5671)]);
        assert_eq!(tuned.login.as_ref().unwrap().1.expose(), "a#b");
        assert_eq!(tuned.vhost, "prod/hr eu");
        assert_eq!(
            (tuned.heartbeat, tuned.channel_max, tuned.frame_max),
            (Some(5), Some(200), Some(65_536))
        );
        assert!(!format!("{tuned} {tuned:?}").contains("a%23b"));
    }

    #[test]
    fn a_url_names_one_host_or_several_and_is_shown_without_its_password() {
        let cluster = url("amqps://u:hunter2@mq-1:1,mq-2,[2001:db8::5]:3/prod");
        let expected = [("mq-1", 1), ("mq-2", 5671), ("2001:db8::5", 3)];
        assert_eq!(
            cluster.servers,
            expected.map(|(host, port)| (host.to_owned(), port))
        );
        assert_eq!(
            cluster.to_string(),
            "amqps://u:***@mq-1:1,mq-2,[2001:db8::5]:3/prod"
        );
        for several in [
            "amqp://u:hunter2@h1/%2f,amqp://u:hunter2@h2/%2f",
            "amqp://h1/%2f,amqp://h2/hunter2",
            "amqp://u:hunter2@h1;amqp://u:hunter2@h2",
            "amqps://u:hunter2@h1:5671,amqps://h2",
        ] {
            let why = BrokerUrl::parse(several).unwrap_err();
            assert!(
                why.starts_with("is more than one URL; give one with a comma"),
                "{why}"
            );
            assert!(
                why.contains("@mq-1:5671,mq-2:5671") && !why.contains("hunter2"),
                "{why}"
            );
        }
    }

    #[test]
    fn a_url_that_is_only_partly_understood_is_refused_with_the_reason() {
        for (bad, says) in [
            ("amqp:///v", "names no host"),
            ("amqp:h", "is not a URL"),
            ("http://h", "is not an amqp://"),
            ("h:5672", "is not a URL"),
            ("amqp://u:p/q@h", "%2F"),
            ("amqp://u@h", "no password"),
            ("amqp://:p@h", "no user"),
            ("amqp://u:@h", "empty password"),
            ("amqp://h/", "empty virtual host"),
            (
                "amqps://u:p@mq-1:5671,,mq-2:5671/v",
                "a comma between hosts",
            ),
            (
                "amqp://h?heartbeat=0",
                "heartbeat that is not a whole number",
            ),
            (
                "amqp://h?heartbeat=x",
                "heartbeat that is not a whole number",
            ),
            ("amqp://h?channel_max=1", "channel_max that is not"),
            ("amqp://h?frame_max=1", "frame_max that is not"),
            ("amqps://h?auth_mechanism=external", "_CLIENT_CERT_FILE"),
            ("amqp://h?connection_timeout=1000", "connection_timeout"),
            ("amqp://h?verify=verify_none", "the unknown member verify"),
            ("amqp://h?Heartbeat=10", "unknown member"),
        ] {
            let why = BrokerUrl::parse(bad).unwrap_err();
            assert!(why.contains(says), "{bad}: {why}");
        }
    }
}
