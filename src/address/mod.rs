//! Addresses of services.
//!
//! A URL is taken apart once, here: what connects and what is printed are made of the same parts,
//! so that they cannot differ. A text that can be read in two ways is refused. `config` reads
//! addresses out of settings; adapters connect to them.

use std::net::IpAddr;

mod broker;
mod kms_key;
mod location;
mod management;
mod masked;
mod parts;
mod redis;
mod runbook;
mod tls_files;
mod web_origin;

pub(crate) use broker::BrokerUrl;
#[cfg(not(feature = "kms"))]
pub(crate) use kms_key::NO_KMS;
pub(crate) use kms_key::{kms_key, kms_signing_key};
pub(crate) use location::{DocumentLocation, KeySetLocation, file_url, s3_url, web_url};
pub(crate) use management::ManagementUrl;
pub(crate) use masked::{masked, may_hold_a_password};
pub(crate) use redis::{BesideUrl, RedisKind, RedisUrl};
pub(crate) use runbook::RunbookUrl;
pub(crate) use tls_files::{ClientFiles, PemFile, TlsFiles};
pub(crate) use web_origin::WebOrigin;

/// Whether this name or address is this machine's own.
pub(crate) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}
