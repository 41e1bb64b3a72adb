//! The origin at which browsers see the console.

use std::fmt;

use url::{Position, Url};

/// `https`, since a browser keeps the cookie of a session for no other origin of another host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WebOrigin(Url);

impl WebOrigin {
    /// The error is for a person: it continues where the quoted value ends.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        const EXAMPLE: &str = "give one such as https://offboarder.example.com";

        let url = Url::parse(text).map_err(|why| format!("is not a URL ({why}); {EXAMPLE}"))?;
        if url.scheme() != "https" {
            return Err(format!("is not an https URL; {EXAMPLE}"));
        }
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !is_bare || !url.username().is_empty() || url.password().is_some() {
            return Err(format!("has more than a host and a port; {EXAMPLE}"));
        }
        Ok(Self(url))
    }

    /// The host, with the port if it is not 443: what a browser sends as `Host`.
    pub(crate) fn host(&self) -> &str {
        &self.0[Position::BeforeHost..Position::AfterPort]
    }
}

/// As a browser sends it in `Origin`.
impl fmt::Display for WebOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.host())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_https_and_has_no_path() {
        let origin = WebOrigin::parse("https://Console.example.com:443/").unwrap();
        assert_eq!(origin.to_string(), "https://console.example.com");
        let origin = WebOrigin::parse("https://console.example.com:8443").unwrap();
        assert_eq!(origin.host(), "console.example.com:8443");
        for wrong in [
            "console.example.com",
            "http://console.example.com",
            "https://console.example.com/x",
            "https://ada:secret@console.example.com",
        ] {
            assert!(!WebOrigin::parse(wrong).unwrap_err().contains("secret"));
        }
    }
}
