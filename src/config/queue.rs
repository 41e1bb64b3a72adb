//! `[queue]`: where the broker is.

use super::reader::Reader;
use super::table;
use super::tls::TlsSettings;
use crate::address::{BrokerUrl, ManagementUrl, TlsFiles};

const TLS: TlsSettings = TlsSettings {
    ca: &table::QUEUE_CA_FILE,
    client: Some((
        &table::QUEUE_CLIENT_CERT_FILE,
        &table::QUEUE_CLIENT_KEY_FILE,
    )),
};

#[derive(Debug, Clone)]
pub(crate) struct Queue {
    /// `amqp://` or `amqps://`.
    pub url: BrokerUrl,
    pub tls: TlsFiles,
    /// Of the management API.
    pub management: Option<ManagementUrl>,
}

impl Queue {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let url = reader.get(&table::QUEUE_URL, BrokerUrl::parse);

        let in_clear = url.as_ref().is_some_and(|url| !url.tls);
        let tls_by = in_clear.then_some("make OFFBOARDER_QUEUE_URL an amqps:// URL");
        let tls = TLS.read(reader, tls_by);
        let management = reader.get(&table::QUEUE_MANAGEMENT_URL, ManagementUrl::parse);
        Some(Self {
            url: url?,
            tls,
            management,
        })
    }
}
