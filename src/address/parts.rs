//! The parser of URLs that may hold a password.

use percent_encoding::percent_decode_str;
use url::Host;

use crate::secret::Secret;

/// Members of a query that hold no secret. Other members are not printed.
const HARMLESS: [&str; 6] = [
    "auth_mechanism",
    "channel_max",
    "connection_timeout",
    "frame_max",
    "heartbeat",
    "protocol",
];

/// `scheme://user:password@host:port,host:port/path?name=value`.
pub(super) struct Parts {
    pub(super) scheme: String,
    pub(super) login: Option<Login>,
    /// At least one; `file://` has none.
    pub(super) servers: Vec<Server>,
    /// What follows the first `/` after the servers, as it is written; `None` without that `/`.
    pub(super) path: Option<String>,
    pub(super) query: Vec<(String, String)>,
    /// The URL without its password.
    pub(super) shown: String,
}

/// What comes before the `@`, without its escapes.
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: Option<Secret>,
}

pub(super) struct Server {
    pub(super) host: Host,
    pub(super) port: Option<u16>,
}

impl Server {
    /// What a socket connects to: an IPv6 address without its brackets.
    pub(super) fn name(&self) -> String {
        match &self.host {
            Host::Domain(name) => name.clone(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        }
    }

    fn shown(&self) -> String {
        self.port.map_or_else(
            || self.host.to_string(),
            |port| format!("{}:{port}", self.host),
        )
    }
}

impl Parts {
    /// An error repeats nothing of the text, which may be a password.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if !text
            .chars()
            .all(|c| c.is_alphanumeric() || c.is_ascii_punctuation())
            || text.contains('\\')
        {
            return Err(
                "has a blank, a backslash or an invisible character; percent-encode it".to_owned(),
            );
        }
        let (scheme, rest) = text
            .split_once("://")
            .filter(|(scheme, _)| is_scheme(scheme))
            .ok_or("is not a URL; begin with the scheme and ://")?;
        if rest.contains('#') {
            return Err(
                "has a #; percent-encode it as %23 in a password, or remove the fragment"
                    .to_owned(),
            );
        }

        let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if tail.contains('@') {
            return Err(
                "has an @ after the host; percent-encode what is special in a password (/ as %2F, \
                 ? as %3F, @ as %40)"
                    .to_owned(),
            );
        }

        let (userinfo, hosts) = match authority.split_once('@') {
            Some((_, hosts)) if hosts.contains('@') => {
                return Err(
                    "has more than one @; percent-encode those of a password as %40".to_owned(),
                );
            }
            Some((userinfo, hosts)) => (Some(userinfo), hosts),
            None => (None, authority),
        };

        let scheme = scheme.to_ascii_lowercase();
        let servers = match hosts {
            "" if scheme == "file" => Vec::new(),
            "" => return Err("names no host; give one".to_owned()),
            hosts => hosts.split(',').map(server).collect::<Result<_, _>>()?,
        };
        let (path, raw_query) = match tail.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (tail, None),
        };

        let mut parts = Self {
            scheme,
            login: userinfo.map(login).transpose()?,
            servers,
            path: path.strip_prefix('/').map(str::to_owned),
            query: raw_query.map(query).transpose()?.unwrap_or_default(),
            shown: String::new(),
        };
        parts.shown = parts.without_password(userinfo, raw_query);
        Ok(parts)
    }

    fn without_password(&self, userinfo: Option<&str>, raw_query: Option<&str>) -> String {
        // A user without a password may be a password without its colon.
        let login = match userinfo.map(|userinfo| userinfo.split_once(':')) {
            Some(Some((user, _))) => format!("{user}:***@"),
            Some(None) => "***@".to_owned(),
            None => String::new(),
        };

        let servers: Vec<String> = self.servers.iter().map(Server::shown).collect();
        let path = self
            .path
            .as_ref()
            .map_or_else(String::new, |path| format!("/{path}"));

        let query = match raw_query {
            None => String::new(),
            Some(query) if self.query.iter().all(is_harmless) => format!("?{query}"),
            Some(_) => "?***".to_owned(),
        };

        format!(
            "{}://{login}{}{path}{query}",
            self.scheme,
            servers.join(",")
        )
    }

    /// The only server, where several make no sense.
    pub(super) fn single(&self) -> Result<&Server, &'static str> {
        match self.servers.as_slice() {
            [server] => Ok(server),
            _ => Err("names several hosts; give one"),
        }
    }

    /// The members of the query, each read by `take`, which answers `None` for a name that it does
    /// not know.
    pub(super) fn members(
        &self,
        known: &str,
        mut take: impl FnMut(&str, &str) -> Option<Result<(), String>>,
    ) -> Result<(), String> {
        for (name, value) in &self.query {
            match take(name, value) {
                Some(read) => read?,
                None => {
                    return Err(format!(
                        "has {} in its query; known is {known}",
                        printable(name, value)
                    ));
                }
            }
        }
        Ok(())
    }
}

fn is_harmless((name, value): &(String, String)) -> bool {
    HARMLESS.contains(&name.as_str()) && value.chars().all(char::is_alphanumeric)
}

/// Repeats the name only if it cannot be part of a password that has a `?` or `&` in it.
fn printable(name: &str, value: &str) -> String {
    let word = |c: char| c.is_ascii_lowercase() || c == '_';
    if !value.is_empty() && !name.is_empty() && name.len() <= 32 && name.chars().all(word) {
        format!("the unknown member {name}")
    } else {
        "an unknown member".to_owned()
    }
}

fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

fn login(userinfo: &str) -> Result<Login, String> {
    Ok(match userinfo.split_once(':') {
        Some((user, password)) => Login {
            user: decoded(user)?,
            password: Some(Secret::new(&decoded(password)?)),
        },
        None => Login {
            user: decoded(userinfo)?,
            password: None,
        },
    })
}

fn server(text: &str) -> Result<Server, String> {
    let wrong = "has no proper host:port; percent-encode what is special in a password, \
                 put a comma between hosts, and brackets round an IPv6 address";

    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };

    let bracketed = host.starts_with('[') && host.ends_with(']');
    // The URL standard allows more, e.g. `;` and escapes.
    let in_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if host.is_empty() || !bracketed && !host.chars().all(in_name) {
        return Err(wrong.to_owned());
    }

    let port = match port {
        None => None,
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(
            port.parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or("has a port that is not 1 to 65535")?,
        ),
        Some(_) => return Err(wrong.to_owned()),
    };

    let parsed = Host::parse(host).map_err(|_no_host| wrong)?;
    let odd = match &parsed {
        // Some resolvers also accept `127.1` and `2130706433`.
        Host::Ipv4(address) => address.to_string() != host || address.is_unspecified(),
        Host::Ipv6(address) => address.is_unspecified(),
        Host::Domain(_) => false,
    };
    if odd {
        return Err(
            "has an address that no client can connect to, or that is written in an unusual way; \
             give one like 192.0.2.1"
                .to_owned(),
        );
    }
    Ok(Server { host: parsed, port })
}

fn query(text: &str) -> Result<Vec<(String, String)>, String> {
    if text.contains('?') {
        return Err("has more than one ?; percent-encode those of a password as %3F".to_owned());
    }

    let mut members: Vec<(String, String)> = Vec::new();
    for member in text.split('&').filter(|member| !member.is_empty()) {
        let (name, value) = member.split_once('=').unwrap_or((member, ""));
        let name = decoded(name)?;
        let value = decoded(value)?;
        if members.iter().any(|(other, _)| *other == name) {
            return Err("has a member twice in its query; remove one".to_owned());
        }
        members.push((name, value));
    }
    Ok(members)
}

/// Removes percent-escapes. A broken escape, or one that hides a control character, is refused.
pub(super) fn decoded(text: &str) -> Result<String, String> {
    let mut escapes = text.split('%').skip(1);
    if !escapes.all(|escape| {
        escape.len() >= 2 && escape.bytes().take(2).all(|byte| byte.is_ascii_hexdigit())
    }) {
        return Err("has a % that begins no escape; percent-encode it as %25".to_owned());
    }

    let decoded = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_not_utf_8| "has escapes that are not UTF-8; encode them again")?;
    if decoded.contains(char::is_control) {
        return Err("has an escaped control character; remove it".to_owned());
    }
    Ok(decoded.into_owned())
}

#[cfg(test)]
#[path = "parts_tests.rs"]
mod tests;
