//! The master that sentinels name.

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use redis::aio::MultiplexedConnection;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{ConnectionAddr, ErrorKind, RedisError, TlsCertificates, TlsMode};

use super::nodes::{Limits, address, protocol};
use crate::address::RedisUrl;
use crate::secret::Secret;

/// How this client logs in at a sentinel.
#[derive(Clone, Copy)]
enum Login<'a> {
    Nobody,
    /// The user of the URL, or the default one.
    As(Option<&'a str>, &'a Secret),
}

/// A connection to the master, as the sentinel names it that is the first to know one which answers.
pub(super) async fn connect(
    url: &RedisUrl,
    master: &str,
    certificates: Option<&TlsCertificates>,
    limits: Limits,
) -> Result<MultiplexedConnection, RedisError> {
    // All at once: the machine of one may be off, and all commands wait.
    let mut asking: FuturesUnordered<_> = url
        .servers
        .iter()
        .map(|(host, port)| async move {
            let sentinel = Sentinel {
                url,
                master,
                certificates,
                limits,
                address: address(url, host, *port),
            };
            sentinel.connect().await
        })
        .collect();

    let mut failed = None;
    while let Some(connected) = asking.next().await {
        match connected {
            Ok(connection) => return Ok(connection),
            Err(error) => match failed {
                Some(known) if says_more(&known, &error) => failed = Some(known),
                Some(_) | None => failed = Some(error),
            },
        }
    }
    Err(failed.unwrap_or_else(|| RedisError::from((ErrorKind::EmptySentinelList, "no sentinel"))))
}

struct Sentinel<'a> {
    url: &'a RedisUrl,
    master: &'a str,
    certificates: Option<&'a TlsCertificates>,
    limits: Limits,
    address: ConnectionAddr,
}

impl Sentinel<'_> {
    /// Sentinels have a password of their own, or none, and one without refuses any. The URL's password is
    /// sent only to a sentinel that asks for one.
    async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        if let Some(password) = &self.url.beside.sentinel_password {
            let known = self.of_master(Login::As(None, password)).await;
            return known.map_err(|error| {
                self.refused(
                    "a sentinel refuses OFFBOARDER_CHECKPOINTS_SENTINEL_PASSWORD, or the master the URL's user and password",
                    error,
                )
            });
        }

        match self.of_master(Login::Nobody).await {
            Err(error) if asks_for_a_password(&error) => match &self.url.password {
                None => Err(self.refused(
                    "a sentinel, or the master, asks for a password: OFFBOARDER_CHECKPOINTS_SENTINEL_PASSWORD is that of a sentinel",
                    error,
                )),
                Some(password) => {
                    let login = Login::As(self.url.user.as_deref(), password);
                    self.of_master(login).await.map_err(|error| {
                        self.refused(
                            "a sentinel, or the master, refuses the URL's user and password: OFFBOARDER_CHECKPOINTS_SENTINEL_PASSWORD is that of a sentinel",
                            error,
                        )
                    })
                }
            },
            connected => connected,
        }
    }

    async fn of_master(&self, login: Login<'_>) -> Result<MultiplexedConnection, RedisError> {
        let mut client = self.client(login)?;
        client
            .get_async_connection_with_config(&self.limits.config())
            .await
    }

    fn client(&self, login: Login<'_>) -> Result<SentinelClient, RedisError> {
        let url = self.url;
        let mut builder = SentinelClientBuilder::new(
            [self.address.clone()],
            self.master,
            SentinelServerType::Master,
        )?
        .set_client_to_redis_db(i64::from(url.database))
        .set_client_to_redis_protocol(protocol(url));
        if let Some(user) = &url.user {
            builder = builder.set_client_to_redis_username(user);
        }
        if let Some(password) = &url.password {
            builder = builder.set_client_to_redis_password(password.expose());
        }

        if let Login::As(user, password) = login {
            if let Some(user) = user {
                builder = builder.set_client_to_sentinel_username(user);
            }
            builder = builder.set_client_to_sentinel_password(password.expose());
        }

        if url.tls {
            builder = builder
                .set_client_to_redis_tls_mode(TlsMode::Secure)
                .set_client_to_sentinel_tls_mode(TlsMode::Secure);
        }
        if let Some(certificates) = self.certificates {
            builder = builder
                .set_client_to_redis_certificates(certificates.clone())
                .set_client_to_sentinel_certificates(certificates.clone());
        }
        builder.build()
    }

    /// The library's error does not say that a sentinel gave it.
    fn refused(&self, what: &'static str, error: RedisError) -> RedisError {
        if !is_about_login(&error) {
            return error;
        }
        let detail = format!("sentinel {}: {error}", self.address);
        RedisError::from((ErrorKind::AuthenticationFailed, what, detail))
    }
}

/// What can be acted on says more than that a sentinel is away.
fn says_more(known: &RedisError, than: &RedisError) -> bool {
    let worth = |error: &RedisError| (is_about_login(error), !error.is_io_error());
    worth(known) >= worth(than)
}

fn asks_for_a_password(error: &RedisError) -> bool {
    error.code() == Some("NOAUTH") || error.to_string().contains("NOAUTH")
}

/// The library's error for a login that a server refused has the server's words, or is of a kind of its own.
fn is_about_login(error: &RedisError) -> bool {
    let text = error.to_string();
    let words = ["WRONGPASS", "NOAUTH", "without any password"];
    error.kind() == ErrorKind::AuthenticationFailed || words.iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use redis::ServerErrorKind;

    use super::*;

    #[test]
    fn only_a_refused_login_blames_a_password() {
        let server = ErrorKind::Server(ServerErrorKind::ResponseError);
        for (kind, text, blames) in [
            (ErrorKind::AuthenticationFailed, "no", true),
            (server, "WRONGPASS invalid username-password pair", true),
            (server, "NOAUTH Authentication required.", true),
            (
                server,
                "AUTH <password> called without any password configured",
                true,
            ),
            (server, "max number of clients reached", false),
            (
                server,
                "NOPERM User u has no permissions to run the 'role' command",
                false,
            ),
            (
                server,
                "LOADING Redis is loading the dataset in memory",
                false,
            ),
        ] {
            let error = RedisError::from((kind, "failed", text.to_owned()));
            assert_eq!(is_about_login(&error), blames, "{text}");
        }
    }
}
