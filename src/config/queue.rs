//! `[queue]`: where the broker is.

use std::path::PathBuf;

use super::reader::Reader;
use super::table;
use crate::address::BrokerUrl;

#[derive(Debug, Clone)]
pub(crate) struct Queue {
    /// `amqp://` or `amqps://`.
    pub url: BrokerUrl,
    /// PEM file of a private CA.
    pub ca_file: Option<PathBuf>,
}

impl Queue {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let url = reader.get(&table::QUEUE_URL, BrokerUrl::parse);
        let ca_file = reader.get(&table::QUEUE_CA_FILE, |text| Ok(PathBuf::from(text)));

        let url = url?;
        if ca_file.is_some() && !url.tls {
            // An operator who names a CA expects that the connection is encrypted.
            reader.refuse(
                &table::QUEUE_CA_FILE,
                "is of no use without TLS; make OFFBOARDER_QUEUE_URL an amqps:// URL, or remove \
                 this",
            );
        }
        Some(Self { url, ca_file })
    }
}
