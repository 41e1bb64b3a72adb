//! The files of TLS. They are read for each connection, so that a certificate which was renewed is used without a restart.

use redis::{ClientTlsConfig, ErrorKind, RedisError, TlsCertificates};

use crate::adapters::tls::{self, PemError};
use crate::address::RedisUrl;

/// Marks an error whose detail names the setting and its file.
pub(super) const UNUSABLE: &str = "a file of TLS cannot be used";

/// What the settings beside the URL name; `None` without TLS, and where they name nothing.
pub(super) fn read(url: &RedisUrl) -> Result<Option<TlsCertificates>, RedisError> {
    let files = &url.beside.tls;
    if !url.tls || files.ca.is_none() && files.client.is_none() {
        return Ok(None);
    }

    let root_cert = files.ca.as_ref().map(tls::read_ca).transpose();
    let identity = files.client.as_ref().map(tls::read_identity).transpose();
    Ok(Some(TlsCertificates {
        root_cert: root_cert
            .map_err(|error| unusable(&error))?
            .map(String::into_bytes),
        client_tls: identity
            .map_err(|error| unusable(&error))?
            .map(|identity| ClientTlsConfig {
                client_cert: identity.certificate,
                client_key: identity.key,
            }),
    }))
}

fn unusable(error: &PemError) -> RedisError {
    let kind = ErrorKind::InvalidClientConfig;
    RedisError::from((kind, UNUSABLE, error.to_string()))
}
