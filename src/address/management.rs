//! The URL of RabbitMQ's management API, taken apart.

use std::fmt;

use super::is_loopback;
use super::parts::Parts;
use crate::secret::Secret;

/// Where the management API is. `Display` and `Debug` print the URL without its password.
#[derive(Clone)]
pub(crate) struct ManagementUrl {
    /// `https://`.
    pub tls: bool,
    /// A name, or an address without brackets.
    pub host: String,
    /// Name and password; those of the broker's URL if it has none.
    pub login: Option<(String, Secret)>,
    /// Without a login and without a slash at its end.
    base: String,
    shown: String,
}

impl fmt::Display for ManagementUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for ManagementUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

const EXAMPLE: &str = "give one such as https://monitor:password@mq-1:15671";

impl ManagementUrl {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let parts = Parts::parse(text).map_err(|why| format!("{why}; {EXAMPLE}"))?;
        let tls = match parts.scheme.as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(format!("is not an http:// or https:// URL; {EXAMPLE}")),
        };
        if !parts.query.is_empty() || text.contains('?') {
            return Err(format!("has a query; {EXAMPLE}"));
        }
        let server = parts.single()?;
        let login = match &parts.login {
            None => None,
            Some(login) => match &login.password {
                Some(password) if !login.user.is_empty() && !password.expose().is_empty() => {
                    Some((login.user.clone(), password.clone()))
                }
                Some(_) | None => return Err(format!("names no user and password; {EXAMPLE}")),
            },
        };

        let port = server.port.unwrap_or(if tls { 15_671 } else { 15_672 });
        let path = parts.path.as_deref().unwrap_or_default();
        let path = path.trim_end_matches('/');
        // People copy the address of the API itself.
        let path = if path == "api" {
            ""
        } else {
            path.strip_suffix("/api").unwrap_or(path)
        };
        let slash = if path.is_empty() { "" } else { "/" };
        Ok(Self {
            tls,
            host: server.name(),
            login,
            base: format!("{}://{}:{port}{slash}{path}", parts.scheme, server.host),
            shown: parts.shown,
        })
    }

    /// Whether a password stays on this machine, or is encrypted.
    pub(crate) fn is_private(&self) -> bool {
        self.tls || is_loopback(&self.host)
    }

    /// What the paths of the API follow.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_with_its_login_and_shown_without() {
        let url = ManagementUrl::parse("https://u:hunter%402@mq-1/rabbit/api/").unwrap();
        assert_eq!(url.base(), "https://mq-1:15671/rabbit");
        let login = url.login.as_ref().unwrap();
        assert_eq!((login.0.as_str(), login.1.expose()), ("u", "hunter@2"));
        assert!(!format!("{url} {url:?}").contains("hunter"));
        let plain = ManagementUrl::parse("http://[::1]").unwrap();
        assert_eq!(plain.base(), "http://[::1]:15672");
        assert!(plain.login.is_none() && !plain.tls);

        for wrong in [
            "amqp://h",
            "https://a,b",
            "https://u@h",
            "https://u:hunter2@h?x=hunter2",
            "mq-1:15672",
        ] {
            let why = ManagementUrl::parse(wrong).unwrap_err();
            assert!(!why.contains("hunter2"), "{why}");
        }
    }
}
