//! The HTTP proxy that the environment puts in front of a URL (`HTTPS_PROXY` and the like), so that an error names it: the
//! libraries below follow the same variables, and report a proxy that fails as if the service did.

use hyper_util::client::proxy::matcher::Matcher;

/// ` through the proxy http://host:port`, without its user and password; empty without a proxy.
pub(super) fn named(url: &str) -> String {
    through(&Matcher::from_env(), url)
}

fn through(matcher: &Matcher, url: &str) -> String {
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
            ("no URL", ""),
        ] {
            assert_eq!(through(&proxies, url), says, "{url}");
        }
    }
}
