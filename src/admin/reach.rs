//! From where browsers reach the console, and what follows for cookies and origins. Browsers keep a session only over HTTPS, or
//! on this machine.

use axum::http::header::ORIGIN;
use axum::http::{HeaderMap, Uri};

use super::gate::{host, is_loopback, is_of_another_host};
use crate::address::WebOrigin;

#[derive(Debug, Clone)]
pub(super) enum Reach {
    /// This machine, over plain HTTP.
    Loopback,
    /// A proxy with HTTPS in front, which browsers see at this origin.
    Https(WebOrigin),
    /// Other machines, and nothing says that there is HTTPS.
    Closed,
}

impl Reach {
    pub(super) fn new(origin: Option<WebOrigin>, is_loopback: bool) -> Self {
        match origin {
            Some(origin) => Self::Https(origin),
            None if is_loopback => Self::Loopback,
            None => Self::Closed,
        }
    }

    /// Whether people may sign in with their key.
    pub(super) const fn is_open(&self) -> bool {
        !matches!(self, Self::Closed)
    }

    /// Whether the request names this console as its host: a page may point its own name at this address.
    pub(super) fn is_host(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        match self {
            Self::Loopback => !is_of_another_host(uri, headers),
            Self::Https(origin) => host(uri, headers)
                .is_some_and(|host| host.as_str() == origin.host() || is_loopback(&host)),
            Self::Closed => false,
        }
    }

    /// Whether a page of this console sent the request: browsers say so, in one of two ways.
    pub(super) fn is_from_our_page(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        if let Some(site) = headers.get("sec-fetch-site") {
            return site == "same-origin";
        }
        let Some(given) = headers.get(ORIGIN) else {
            return false;
        };
        match self {
            Self::Loopback => {
                host(uri, headers).is_some_and(|host| *given == format!("http://{host}"))
            }
            Self::Https(origin) => *given == origin.to_string(),
            Self::Closed => false,
        }
    }

    /// A browser accepts a name with `__Host-` only over HTTPS, for this host alone.
    pub(super) const fn cookie_name(&self) -> &'static str {
        match self {
            Self::Https(_) => "__Host-offboarder",
            Self::Loopback | Self::Closed => "offboarder",
        }
    }

    /// `Lax`, so that a link from a pager arrives signed in; nothing is changed by a GET.
    pub(super) fn cookie(&self, secret: &str) -> String {
        format!("{}={secret}{}", self.cookie_name(), self.attributes())
    }

    pub(super) fn no_cookie(&self) -> String {
        format!("{}=; Max-Age=0{}", self.cookie_name(), self.attributes())
    }

    const fn attributes(&self) -> &'static str {
        match self {
            Self::Https(_) => "; Path=/; HttpOnly; SameSite=Lax; Secure",
            Self::Loopback | Self::Closed => "; Path=/; HttpOnly; SameSite=Lax",
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()));
        pairs.collect()
    }

    fn https() -> Reach {
        Reach::new(WebOrigin::parse("https://c.example").ok(), false)
    }

    #[test]
    fn only_a_page_of_the_console_is_one_of_ours() {
        let uri: Uri = "/x".parse().unwrap();
        let local = Reach::new(None, true);
        let ours = |reach: &Reach, pairs: &[(&'static str, &str)]| {
            reach.is_from_our_page(&uri, &headers(pairs))
        };
        let host = ("host", "localhost:9464");
        assert!(ours(&local, &[host, ("origin", "http://localhost:9464")]));
        assert!(ours(&https(), &[("origin", "https://c.example")]));
        assert!(ours(&https(), &[("sec-fetch-site", "same-origin")]));
        for foreign in [
            &[("sec-fetch-site", "cross-site")][..],
            &[
                ("sec-fetch-site", "same-site"),
                ("origin", "https://c.example"),
            ],
            &[("sec-fetch-site", "none")],
            &[("origin", "https://d.example")],
            &[("origin", "null")],
            &[],
        ] {
            assert!(!ours(&https(), foreign), "{foreign:?}");
            assert!(!ours(&local, foreign), "{foreign:?}");
        }
    }

    #[test]
    fn without_https_other_machines_cannot_sign_in_and_a_cookie_is_secure_where_it_can_be() {
        assert!(!Reach::new(None, false).is_open());
        assert!(Reach::new(None, true).is_open() && https().is_open());
        let cookie = https().cookie("x");
        assert!(
            cookie.starts_with("__Host-offboarder=x; Path=/; HttpOnly"),
            "{cookie}"
        );
        assert!(cookie.ends_with("; Secure"), "{cookie}");
        assert!(!Reach::Loopback.cookie("x").contains("Secure"));
    }

    #[test]
    fn a_name_of_somebody_else_is_not_the_host() {
        let uri: Uri = "/x".parse().unwrap();
        let is = |reach: &Reach, name: &str| reach.is_host(&uri, &headers(&[("host", name)]));
        assert!(is(&https(), "c.example") && is(&https(), "127.0.0.1:9464"));
        assert!(!is(&https(), "d.example") && !is(&https(), "c.example:444"));
        assert!(is(&Reach::Loopback, "localhost:9464") && !is(&Reach::Loopback, "d.example"));
    }
}
