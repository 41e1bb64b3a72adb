//! How to reach RabbitMQ.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::uri::{
    AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo, SASLMechanism,
};
use lapin::{Connection, ConnectionProperties};

use super::error::{all_failed, connecting_error, may_want_certificate, wants_tls};
use super::hosts::Hosts;
use super::login::CertificateName;
use super::management::Management;
use crate::adapters::tls;
use crate::address::{BrokerUrl, ManagementUrl, TlsFiles};
use crate::queue::QueueError;
use crate::secret::Secret;

/// The handshake has no timeout of its own.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// We notice a half-open connection within three of these.
const HEARTBEAT_SECONDS: u16 = 10;
/// What RabbitMQ offers by default. Asked for from the beginning, since the client library fills the buffers of a connection
/// (64 frames) with zeros once the broker names a larger size than it began with: 8 MiB that are hardly used.
const FRAME_MAX: u32 = 131_072;

/// Where RabbitMQ is, and how to get in.
#[derive(Clone)]
pub(super) struct Connector {
    url: Arc<BrokerUrl>,
    at: String,
    hosts: Hosts,
    tls: TlsFiles,
    name: CertificateName,
    /// RabbitMQ knows us under another name than the one in the URL.
    is_other: Arc<AtomicBool>,
}

impl Connector {
    /// Reads the files of TLS once, so that a command ends at once with their fault; connects to nothing yet.
    pub(super) fn new(url: &BrokerUrl, tls: TlsFiles) -> Result<Self, QueueError> {
        tls_config(&tls)?;
        Ok(Self {
            at: url.to_string(),
            hosts: Hosts::new(&url.servers),
            url: Arc::new(url.clone()),
            tls,
            name: CertificateName::default(),
            is_other: Arc::default(),
        })
    }

    /// Where the broker is, for people: without a password.
    pub(super) fn at(&self) -> &str {
        &self.at
    }

    /// The name that RabbitMQ checks in `user_id`; `None` if nobody knows it. Of a certificate RabbitMQ says it.
    pub(super) async fn login(&self) -> Result<Option<String>, QueueError> {
        if self.is_external() {
            return self.name.get(async || self.connect("login").await).await;
        }
        let is_other = self.is_other.load(Ordering::Relaxed);
        Ok((!is_other).then(|| user(&self.url).0.to_owned()))
    }

    /// The name under which messages of ours come back; asks nobody.
    pub(super) fn known_login(&self) -> Option<String> {
        if self.is_external() {
            self.name.known()
        } else {
            Some(user(&self.url).0.to_owned())
        }
    }

    /// RabbitMQ refused a message with this name in `user_id`.
    pub(super) async fn forget_login(&self, refused: &str, error: &QueueError) {
        if self.is_external() {
            tracing::info!(%error, "RabbitMQ knows our certificate under another name by now, and is asked for it");
            self.name.forget(refused).await;
        } else if !self.is_other.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "RabbitMQ knows this login under another name: headers of ours are \
                not believed when they come back; use a user of RabbitMQ's own in OFFBOARDER_QUEUE_URL");
        }
    }

    /// The management API of this broker.
    pub(super) fn management(&self, url: ManagementUrl) -> Management {
        let (name, password) = user(&self.url);
        Management {
            url,
            login: (name.to_owned(), Secret::new(password)),
            vhost: self.url.vhost.clone(),
            ca: self.tls.ca.clone(),
        }
    }

    /// Whether a certificate says who we are.
    pub(super) fn is_external(&self) -> bool {
        self.tls.client.is_some() && self.url.login.is_none()
    }

    /// A new connection; the broker's list of connections shows `purpose`. The library's own recovery is off: it
    /// leaves consumers hanging without an error.
    pub(super) async fn connect(&self, purpose: &str) -> Result<Connection, QueueError> {
        // Read each time: certificates are renewed under a worker.
        let tls = tls_config(&self.tls)?;
        let connecting = self.hosts.connect(purpose, |host, port| {
            let connector = self.clone();
            let purpose = purpose.to_owned();
            let tls = tls.clone();
            let connecting = async move {
                let connected = connector.connect_to(&host, port, &purpose, tls).await;
                if let Err(error) = &connected
                    && connector.hosts.are_several()
                {
                    tracing::warn!(host, port, %error, "one host of RabbitMQ does not let us in; the next is tried");
                }
                connected
            };
            connecting.boxed()
        });
        connecting
            .await
            .map_err(|errors| all_failed(errors, &self.at))
    }

    /// Whether the next connection for this purpose leads to another host: this one lets us in and does not work.
    pub(super) fn distrust(&self, purpose: &str) -> bool {
        self.hosts.distrust(purpose);
        self.hosts.are_several()
    }

    /// It works after all.
    pub(super) fn trust(&self, purpose: &str) {
        self.hosts.trust(purpose);
    }

    /// A connection to each host, or why it has none.
    pub(super) async fn connect_to_each(
        &self,
        purpose: &str,
    ) -> Result<Vec<(String, Result<Connection, QueueError>)>, QueueError> {
        let tls = tls_config(&self.tls)?;
        let each = self.hosts.each(|host, port| {
            let connector = self.clone();
            let purpose = purpose.to_owned();
            let tls = tls.clone();
            async move { connector.connect_to(&host, port, &purpose, tls).await }.boxed()
        });
        Ok(each.await)
    }

    async fn connect_to(
        &self,
        host: &str,
        port: u16,
        purpose: &str,
        config: OwnedTLSConfig,
    ) -> Result<Connection, QueueError> {
        let name = format!("offboarder {} {purpose}", env!("CARGO_PKG_VERSION"));
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let runtime =
            lapin::runtime::default_runtime().map_err(|error| QueueError::Unreachable {
                at: self.at.clone(),
                why: error.to_string(),
                fix: "this is a defect: no runtime",
            })?;

        let uri = self.uri(host, port);
        let connecting = Connection::connect_uri_with_config(uri, properties, config, runtime);
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(match connecting_error(&error, &self.at) {
                QueueError::Unreachable { .. }
                    if !self.url.tls && tls::is_spoken_at(host, port).await =>
                {
                    wants_tls(&self.at)
                }
                QueueError::Unreachable { why, .. }
                    if self.url.tls && self.tls.client.is_none() && tls::was_broken_off(&why) =>
                {
                    may_want_certificate(&self.at, &why)
                }
                error => error,
            }),
            Err(_elapsed) => Err(QueueError::Unreachable {
                at: self.at.clone(),
                why: format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()),
                fix: "check that it runs, and OFFBOARDER_QUEUE_URL",
            }),
        }
    }

    /// Part by part: the library's own parser of URLs takes an IPv6 address for `localhost`, ignores what it does not
    /// know, and makes up a password.
    fn uri(&self, host: &str, port: u16) -> AMQPUri {
        let url = &self.url;
        let (username, password) = user(url);
        AMQPUri {
            scheme: if url.tls {
                AMQPScheme::AMQPS
            } else {
                AMQPScheme::AMQP
            },
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo {
                    username: username.to_owned(),
                    password: password.to_owned(),
                },
                host: host.to_owned(),
                port,
            },
            vhost: url.vhost.clone(),
            query: AMQPQueryString {
                frame_max: Some(url.frame_max.unwrap_or(FRAME_MAX)),
                channel_max: url.channel_max,
                heartbeat: Some(url.heartbeat.unwrap_or(HEARTBEAT_SECONDS)),
                auth_mechanism: self.is_external().then_some(SASLMechanism::External),
                ..AMQPQueryString::default()
            },
        }
    }
}

/// Name and password; those that every RabbitMQ begins with unless the URL has a login.
fn user(url: &BrokerUrl) -> (&str, &str) {
    let login = url.login.as_ref();
    let pair = login.map(|(user, password)| (user.as_str(), Secret::expose(password)));
    pair.unwrap_or(("guest", "guest"))
}

fn tls_config(files: &TlsFiles) -> Result<OwnedTLSConfig, QueueError> {
    let unusable = |error: tls::PemError| QueueError::TlsFile(error.to_string());
    let ca = files.ca.as_ref().map(tls::read_ca).transpose();
    let client = files.client.as_ref().map(tls::read_identity).transpose();

    Ok(OwnedTLSConfig {
        identity: client
            .map_err(unusable)?
            .map(|client| OwnedIdentity::PKCS8 {
                pem: client.certificate,
                key: client.key,
            }),
        cert_chain: ca.map_err(unusable)?,
    })
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;

    fn broker(url: &str) -> Connector {
        Connector::new(&BrokerUrl::parse(url).unwrap(), TlsFiles::default()).unwrap()
    }

    #[test]
    fn every_part_reaches_the_client_library() {
        let broker = broker(
            "amqps://o%40b:a%23b@[2001:db8::5]:7/prod%2Fhr?heartbeat=5&channel_max=200&frame_max=65536",
        );
        let expected = AMQPUri {
            scheme: AMQPScheme::AMQPS,
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo {
                    username: "o@b".to_owned(),
                    password: "a#b".to_owned(),
                },
                host: "2001:db8::5".to_owned(),
                port: 7,
            },
            vhost: "prod/hr".to_owned(),
            query: AMQPQueryString {
                heartbeat: Some(5),
                channel_max: Some(200),
                frame_max: Some(65_536),
                ..AMQPQueryString::default()
            },
        };
        assert_eq!(broker.uri("2001:db8::5", 7), expected);
        assert!(
            broker
                .at()
                .starts_with("amqps://o%40b:***@[2001:db8::5]:7/"),
            "{}",
            broker.at()
        );
    }

    #[test]
    fn a_connection_begins_with_the_largest_frame_that_it_will_have() {
        let query = broker("amqp://h").uri("h", 5672).query;
        assert_eq!(query.frame_max, Some(FRAME_MAX));
    }

    #[tokio::test]
    async fn an_ipv6_address_is_connected_to_and_not_localhost() {
        // The same port on both; another process may have it on one of them.
        let (there, localhost, port) = loop {
            let there = TcpListener::bind("[::1]:0").await.unwrap();
            let port = there.local_addr().unwrap().port();
            if let Ok(localhost) = TcpListener::bind(("127.0.0.1", port)).await {
                break (there, localhost, port);
            }
        };
        let connecting = tokio::spawn(async move {
            broker(&format!("amqp://guest:guest@[::1]:{port}/%2f"))
                .connect("test")
                .await
                .err()
        });
        let mut greeting = [0; 4];
        tokio::select! {
            accepted = there.accept() => accepted.unwrap().0.read_exact(&mut greeting).await.unwrap(),
            _ = localhost.accept() => panic!("localhost got the login of [::1]"),
        };
        assert_eq!(&greeting, b"AMQP");
        // The other end is gone by now.
        assert!(connecting.await.unwrap().is_some());
    }
}
