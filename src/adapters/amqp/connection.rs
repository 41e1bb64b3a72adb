//! How to reach RabbitMQ.

use std::time::Duration;

use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::uri::{
    AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo, SASLMechanism,
};
use lapin::{Connection, ConnectionProperties};

use super::error::connecting_error;
use crate::adapters::tls;
use crate::address::{BrokerUrl, TlsFiles};
use crate::queue::QueueError;

/// The handshake has no timeout of its own.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// We notice a half-open connection within three of these.
const HEARTBEAT_SECONDS: u16 = 10;

/// Where RabbitMQ is, and how to get in.
#[derive(Clone)]
pub(super) struct Connector {
    uri: AMQPUri,
    at: String,
    tls: TlsFiles,
}

impl Connector {
    /// Reads the files of TLS once, so that a command ends at once with their fault; connects to nothing yet.
    pub(super) fn new(url: &BrokerUrl, tls: TlsFiles) -> Result<Self, QueueError> {
        tls_config(&tls)?;
        Ok(Self {
            uri: uri(url),
            at: url.to_string(),
            tls,
        })
    }

    /// Where the broker is, for people: without a password.
    pub(super) fn at(&self) -> &str {
        &self.at
    }

    /// The name that we publish under, which RabbitMQ checks in `user_id`; `None` where a certificate says who we
    /// are.
    pub(super) fn login(&self) -> Option<&str> {
        let external = self.uri.query.auth_mechanism == Some(SASLMechanism::External);
        let name = self.uri.authority.userinfo.username.as_str();
        (!external && !name.is_empty()).then_some(name)
    }

    /// A new connection; the broker's list of connections shows `purpose`. The library's own recovery is off: it
    /// leaves consumers hanging without an error.
    pub(super) async fn connect(&self, purpose: &str) -> Result<Connection, QueueError> {
        let name = format!("offboarder {} {purpose}", env!("CARGO_PKG_VERSION"));
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        // Read each time: certificates are renewed under a worker.
        let tls = tls_config(&self.tls)?;
        let runtime =
            lapin::runtime::default_runtime().map_err(|error| QueueError::Unreachable {
                at: self.at.clone(),
                why: error.to_string(),
                fix: "this is a defect: no runtime",
            })?;

        let connecting =
            Connection::connect_uri_with_config(self.uri.clone(), properties, tls, runtime);
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(connecting_error(&error, &self.at)),
            Err(_elapsed) => Err(QueueError::Unreachable {
                at: self.at.clone(),
                why: format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()),
                fix: "check that it runs, and OFFBOARDER_QUEUE_URL",
            }),
        }
    }
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

/// Part by part: the library's own parser of URLs takes an IPv6 address for `localhost`, ignores what it does not
/// know, and makes up a password.
fn uri(url: &BrokerUrl) -> AMQPUri {
    AMQPUri {
        scheme: if url.tls {
            AMQPScheme::AMQPS
        } else {
            AMQPScheme::AMQP
        },
        authority: AMQPAuthority {
            userinfo: AMQPUserInfo {
                username: url.user.clone(),
                password: url.password.expose().to_owned(),
            },
            host: url.host.clone(),
            port: url.port,
        },
        vhost: url.vhost.clone(),
        query: AMQPQueryString {
            frame_max: url.frame_max,
            channel_max: url.channel_max,
            heartbeat: Some(url.heartbeat.unwrap_or(HEARTBEAT_SECONDS)),
            ..AMQPQueryString::default()
        },
    }
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
        assert_eq!(broker.uri, expected);
        assert!(
            broker
                .at()
                .starts_with("amqps://o%40b:***@[2001:db8::5]:7/"),
            "{}",
            broker.at()
        );
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
