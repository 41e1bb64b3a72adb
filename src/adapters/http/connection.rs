//! One `reqwest` client for each origin.

use std::time::Duration;

use url::{Host, Url};

use super::error::ApiError;

/// A client for one origin. It follows no redirect, so that a token never reaches another origin.
pub(crate) fn connect(origin: &Url) -> Result<reqwest::Client, ApiError> {
    let builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(Duration::from_secs(5))
        .read_timeout(Duration::from_secs(30))
        .timeout(Duration::from_mins(1))
        .pool_idle_timeout(Duration::from_secs(20))
        .user_agent(concat!("offboarder/", env!("CARGO_PKG_VERSION")));

    // Loopback may be plain HTTP. Through a proxy, secret and tokens would leave this machine unencrypted.
    let builder = if is_loopback(origin) {
        builder.no_proxy()
    } else {
        builder
    };

    builder
        .build()
        .map_err(|error| ApiError::Setup(error.to_string()))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_recognised_in_every_spelling() {
        let is = |text: &str| is_loopback(&Url::parse(text).unwrap());
        for own in [
            "http://127.0.0.1:8098",
            "http://127.9.9.9",
            "http://[::1]:1",
            "http://LOCALHOST",
            "http://localhost.",
            "http://a.localhost",
            "http://[::ffff:127.0.0.1]",
        ] {
            assert!(is(own), "{own}");
        }
        for other in [
            "https://api.example",
            "http://128.0.0.1",
            "http://[::2]",
            "http://localhost.example",
        ] {
            assert!(!is(other), "{other}");
        }
    }
}
