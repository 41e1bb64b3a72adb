//! The HTTP proxy that the environment puts in front of a URL (`HTTPS_PROXY` and the like): where it is not used, and its
//! name for an error, since the libraries below report a proxy that fails as if the service did.

use std::net::Ipv6Addr;

use hyper_util::client::proxy::matcher::Matcher;
use url::{Host, Url};

/// Whether a URL is reached without a proxy, whatever the variables say: it is on this machine, or a link-local address, or
/// one of AWS' in `fd00:ec2::/32`, where machines and pods get their credentials. They speak plain HTTP, so that a proxy would
/// see secrets in clear.
pub(super) fn is_passed_by(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_link_local(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback() || is_of_aws(address),
        None => false,
    }
}

fn is_of_aws(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    first == 0xfd00 && second == 0x0ec2
}

/// ` through the proxy http://host:port`, without its user and password; empty without a proxy.
pub(super) fn named(url: &str) -> String {
    through(&Matcher::from_env(), url)
}

fn through(matcher: &Matcher, url: &str) -> String {
    if Url::parse(url).is_ok_and(|url| is_passed_by(&url)) {
        return String::new();
    }
    let Some(proxy) = url.parse().ok().and_then(|url| matcher.intercept(&url)) else {
        return String::new();
    };
    let proxy = proxy.uri();
    let scheme = proxy.scheme_str().unwrap_or("http");
    // Host and port only: what comes before `@` is secret.
    let host = proxy.authority().map_or("", |authority| {
        let text = authority.as_str();
        text.rsplit('@').next().unwrap_or(text)
    });

    format!(" through the proxy {scheme}://{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_named_without_its_password_and_only_where_it_is_used() {
        let proxies = Matcher::builder()
            .https("http://user:hunter2@proxy.corp:3128")
            .http("proxy.corp:8080")
            .no("internal.corp,10.0.0.0/8")
            .build();
        for (url, says) in [
            (
                "https://api.example/a?b",
                " through the proxy http://proxy.corp:3128",
            ),
            (
                "http://s3.example",
                " through the proxy http://proxy.corp:8080",
            ),
            ("https://s3.internal.corp", ""),
            ("http://10.1.2.3:9000", ""),
            ("http://127.0.0.1:9000", ""),
            ("no URL", ""),
        ] {
            assert_eq!(through(&proxies, url), says, "{url}");
        }
    }

    #[test]
    fn this_machine_and_its_credentials_are_recognised_in_every_spelling() {
        let is = |text: &str| is_passed_by(&Url::parse(text).unwrap());
        for direct in [
            "http://127.0.0.1:8098",
            "http://127.9.9.9",
            "http://[::1]:1",
            "http://LOCALHOST",
            "http://localhost.",
            "http://a.localhost",
            "http://[::ffff:127.0.0.1]",
            "http://169.254.170.23/v1/credentials",
            "http://[fd00:ec2::23]/v1/credentials",
        ] {
            assert!(is(direct), "{direct}");
        }
        for other in [
            "https://api.example",
            "http://128.0.0.1",
            "http://[::2]",
            "http://localhost.example",
            "http://[fd00:ec3::23]",
        ] {
            assert!(!is(other), "{other}");
        }
    }
}
