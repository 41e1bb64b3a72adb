//! One `reqwest` client for each origin. It follows `HTTPS_PROXY`, `NO_PROXY` and the like.

use std::time::Duration;

use url::Url;

use super::error::ApiError;
use crate::adapters::{proxy, tls};
use crate::address::PemFile;

/// A client for one origin, which also trusts this CA. It follows no redirect, so that a token never reaches another
/// origin.
pub(crate) fn connect(origin: &Url, ca: Option<&PemFile>) -> Result<reqwest::Client, ApiError> {
    let setup = |error: reqwest::Error| ApiError::Setup(error.to_string());
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(Duration::from_secs(5))
        .read_timeout(Duration::from_secs(30))
        .timeout(Duration::from_mins(1))
        .pool_idle_timeout(Duration::from_secs(20))
        .user_agent(concat!("offboarder/", env!("CARGO_PKG_VERSION")));

    if let Some(file) = ca {
        let pem = tls::read_ca(file).map_err(|error| ApiError::Setup(error.to_string()))?;
        let certificates = reqwest::Certificate::from_pem_bundle(pem.as_bytes()).map_err(setup)?;
        builder = builder.tls_certs_merge(certificates);
    }

    // Loopback may be plain HTTP. Through a proxy, secret and tokens would leave this machine unencrypted.
    let builder = if proxy::is_passed_by(origin) {
        builder.no_proxy()
    } else {
        builder
    };

    builder.build().map_err(setup)
}

/// Names the proxy that a request went through, as `proxy::named` does.
pub(super) fn through(url: Option<&Url>) -> String {
    url.map_or_else(String::new, |url| proxy::named(url.as_str()))
}
