use std::path::{Path, PathBuf};
use std::time::Duration;

use lapin::tcp::OwnedTLSConfig;
use lapin::uri::{AMQPUri, SASLMechanism};
use lapin::{Connection, ConnectionProperties};

use super::QueueError;

/// The handshake itself can hang for ever.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// A half-open connection is noticed within three of these.
const HEARTBEAT_SECONDS: u16 = 10;

/// Where the broker is, and how to get in.
#[derive(Clone)]
pub struct Broker {
    uri: AMQPUri,
    at: String,
    ca: Option<String>,
}

impl Broker {
    /// Takes the URL apart and reads the CA file.
    pub fn new(url: &str, ca_file: Option<&Path>) -> Result<Self, QueueError> {
        let at = masked(url);
        let mut uri: AMQPUri = url.parse().map_err(|why: String| QueueError::Unreachable {
            at: at.clone(),
            why,
            mend: "OFFBOARDER_QUEUE_URL has to be an amqp:// or amqps:// URL",
        })?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        let ca = ca_file.map(read_ca).transpose()?;
        Ok(Self { uri, at, ca })
    }

    /// The URL, password masked.
    pub fn at(&self) -> &str {
        &self.at
    }

    /// The name under which we publish, which RabbitMQ checks in `user_id`; `None` where a certificate says who we are.
    pub fn login(&self) -> Option<&str> {
        let external = self.uri.query.auth_mechanism == Some(SASLMechanism::External);
        let name = self.uri.authority.userinfo.username.as_str();
        (!external && !name.is_empty()).then_some(name)
    }

    /// A new connection; `purpose` shows in the broker's list. Recovery is ours: the library's own
    /// leaves consumers hanging without an error.
    pub async fn connect(&self, purpose: &str) -> Result<Connection, QueueError> {
        let name = format!("offboarder {} {purpose}", env!("CARGO_PKG_VERSION"));
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let tls = OwnedTLSConfig { identity: None, cert_chain: self.ca.clone() };
        let runtime = lapin::runtime::default_runtime().map_err(|error| QueueError::Unreachable {
            at: self.at.clone(),
            why: error.to_string(),
            mend: "this is a defect: no runtime",
        })?;
        let connecting = Connection::connect_uri_with_config(self.uri.clone(), properties, tls, runtime);
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(QueueError::connecting(&error, &self.at)),
            Err(_elapsed) => Err(QueueError::Unreachable {
                at: self.at.clone(),
                why: format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()),
                mend: "check that it runs, and OFFBOARDER_QUEUE_URL",
            }),
        }
    }
}

fn read_ca(path: &Path) -> Result<String, QueueError> {
    let path: PathBuf = path.to_owned();
    std::fs::read_to_string(&path)
        .map_err(|error| QueueError::CaFile { path: path.display().to_string(), why: error.to_string() })
}

/// The URL without user and password, for people.
fn masked(url: &str) -> String {
    url::Url::parse(url).map_or_else(
        |_not_a_url| "an unreadable URL".to_owned(),
        |mut url| {
            if url.password().is_some() {
                // Refused for URLs without a host alone, which have no password either.
                url.set_password(Some("***")).ok();
            }
            url.set_query(None);
            url.to_string()
        },
    )
}
