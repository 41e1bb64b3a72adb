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
        let management = reader.get(&table::QUEUE_MANAGEMENT_URL, ManagementUrl::parse);
        let uses_ca = management.as_ref().is_some_and(|url| url.tls);
        let tls = TLS.read_for(reader, tls_by.filter(|_| !uses_ca), tls_by);
        if let (Some(url), Some(management)) = (&url, &management)
            && let Some(problem) = lends_its_login(url, &tls, management)
        {
            reader.refuse(&table::QUEUE_MANAGEMENT_URL, problem);
        }
        Some(Self {
            url: url?,
            tls,
            management,
        })
    }
}

/// Why the management API cannot have the login of the broker's URL, if it needs that.
fn lends_its_login(
    url: &BrokerUrl,
    tls: &TlsFiles,
    management: &ManagementUrl,
) -> Option<&'static str> {
    if management.login.is_some() {
        return None;
    }
    if url.login.is_none() && tls.client.is_some() {
        return Some(
            "names no user, and OFFBOARDER_QUEUE_URL has none either: give it one of RabbitMQ's, e.g. https://monitor:password@mq-1:15671",
        );
    }
    (!management.is_private()).then_some(
        "would send the password of OFFBOARDER_QUEUE_URL to another host without TLS: make it https://, or give it a user of its own with the tag monitoring",
    )
}
