//! URLs of web services, directories and objects of a bucket.

use std::path::PathBuf;

use url::{Host, Url};

use super::parts::Parts;

/// Where a small file is that people write: the protected list, the people file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DocumentLocation {
    File(PathBuf),
    S3 { bucket: String, key: String },
}

impl DocumentLocation {
    /// Reads a path, a `file:` URL or `s3://bucket/key`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = file_url(text) {
            return path.map(Self::File);
        }
        match s3_url(text) {
            Some(Ok((_, key))) if key.is_empty() || key.ends_with('/') => {
                Err("names no object; give s3://bucket/key".to_owned())
            }
            Some(Ok((bucket, key))) => Ok(Self::S3 { bucket, key }),
            Some(Err(problem)) => Err(problem),
            None if text.contains("://") => {
                Err("is neither a file nor an s3:// object; give one of them".to_owned())
            }
            None => Ok(Self::File(PathBuf::from(text))),
        }
    }
}

/// Where a set of public keys is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeySetLocation {
    File(PathBuf),
    Url(Url),
}

impl KeySetLocation {
    /// Reads a path, a `file:` URL, `https://…`, or `http://` on loopback: who can change the answer can sign in as anybody.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = file_url(text) {
            return path.map(Self::File);
        }
        if !text.contains("://") {
            return Ok(Self::File(PathBuf::from(text)));
        }
        let url = Url::parse(text).map_err(|why| format!("is not a URL ({why}); {KEY_SET}"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(format!(
                "holds credentials, and public keys need none; {KEY_SET}"
            ));
        }
        match (url.scheme(), is_loopback(&url)) {
            ("https", _) | ("http", true) => Ok(Self::Url(url)),
            _ => Err(format!("is no https URL and no file; {KEY_SET}")),
        }
    }
}

const KEY_SET: &str = "give one such as https://idp.example.com/.well-known/jwks.json";

/// Accepts `https`, and `http` on loopback, where no one can listen in. Refuses credentials: logs
/// would show them.
pub(crate) fn web_url(text: &str) -> Result<Url, String> {
    let example = "give one such as https://api-na1.niceincontact.com";
    let parts = Parts::parse(text).map_err(|why| format!("{why}; {example}"))?;
    let url = Url::parse(text).map_err(|why| format!("is not a URL ({why}); {example}"))?;

    match (url.scheme(), is_loopback(&url)) {
        ("https", _) | ("http", true) => {}
        ("http", false) => {
            return Err(format!(
                "is not an https URL, and http is for loopback only; {example}"
            ));
        }
        _ => return Err(format!("is not an https URL; {example}")),
    }

    if parts.login.is_some() {
        return Err(
            "holds credentials; remove them, they belong in OFFBOARDER_CXONE_CLIENT_ID and \
             OFFBOARDER_CXONE_CLIENT_SECRET"
                .to_owned(),
        );
    }
    if text.contains('?') {
        return Err("has a query; remove it".to_owned());
    }

    // The host that is shown must be the host that is called.
    let server = parts.single()?;
    if url.host().map(|host| host.to_owned()).as_ref() != Some(&server.host) {
        return Err(format!(
            "has a host that can be read in two ways; {example}"
        ));
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The path in `file:path` or `file:///path`; `None` for a text that does not begin with `file:`.
pub(crate) fn file_url(text: &str) -> Option<Result<PathBuf, String>> {
    let rest = text.strip_prefix("file:")?;
    let path = match rest.strip_prefix("//") {
        Some(path) if path.starts_with('/') => path,
        Some(_) => {
            return Some(Err(
                "names a host; give file:./relative or file:///absolute".to_owned(),
            ));
        }
        None => rest,
    };

    if path.is_empty() {
        return Some(Err(
            "names no path; give one such as file:./offboarder-data".to_owned(),
        ));
    }
    if path.contains("://") {
        // It would become a directory of that name, and its password would be shown.
        return Some(Err("holds another URL; remove file: before it".to_owned()));
    }

    Some(Ok(PathBuf::from(path)))
}

/// Bucket and key in `s3://bucket/key`; `None` for a text that does not begin with `s3://`.
pub(crate) fn s3_url(text: &str) -> Option<Result<(String, String), String>> {
    let rest = text.strip_prefix("s3://")?;
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    let proper = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');

    if bucket.is_empty() || !bucket.chars().all(proper) {
        return Some(Err(
            "names no bucket; give s3://bucket/…, with letters, digits, '.' and '-' in it"
                .to_owned(),
        ));
    }
    if key.contains(['?', '#']) {
        return Some(Err("has a query or a fragment; remove it".to_owned()));
    }

    Some(Ok((bucket.to_owned(), key.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_set_is_a_file_or_at_a_url_that_nobody_can_change_on_the_way() {
        let file = |path: &str| Ok(KeySetLocation::File(path.into()));
        assert_eq!(KeySetLocation::parse("keys.json"), file("keys.json"));
        assert_eq!(KeySetLocation::parse("file:///k.json"), file("/k.json"));
        for url in [
            "https://idp.example.com/keys?x=1",
            "http://127.0.0.1:8080/keys",
        ] {
            assert!(matches!(
                KeySetLocation::parse(url),
                Ok(KeySetLocation::Url(_))
            ));
        }
        for bad in [
            "http://idp.example.com/keys",
            "https://ada:x@idp.example.com/keys",
            "s3://bucket/keys",
        ] {
            assert!(KeySetLocation::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_protected_list_is_a_file_or_an_object() {
        assert_eq!(
            DocumentLocation::parse("a/b.txt"),
            Ok(DocumentLocation::File(PathBuf::from("a/b.txt")))
        );
        assert_eq!(
            DocumentLocation::parse("file:./b"),
            Ok(DocumentLocation::File(PathBuf::from("./b")))
        );
        let object = DocumentLocation::S3 {
            bucket: "b".to_owned(),
            key: "k/l".to_owned(),
        };
        assert_eq!(DocumentLocation::parse("s3://b/k/l"), Ok(object));
        for bad in ["s3://b", "s3://b/k/", "https://h/list"] {
            assert!(DocumentLocation::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        for good in [
            "https://h",
            "http://localhost:1",
            "http://127.9.9.9",
            "http://[::1]:8080/a/b",
        ] {
            assert!(web_url(good).is_ok(), "{good}");
        }
        for bad in [
            "http://h",
            "http://128.0.0.1",
            "http://localhost.evil.com",
            "http://[::2]",
            "http://[::]",
            "ftp://h",
            "h",
            "",
        ] {
            assert!(web_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn credentials_queries_and_fragments_have_no_place_in_a_web_url() {
        for bad in [
            "https://u@h",
            "https://:p@h",
            "https://@h",
            "https://h?a",
            "https://h?",
            "https://h#a",
            "https://h#",
            "https://h/@",
            "https:h",
            "https:///h",
            "https:\\\\h",
            " https://h",
            "https://h,i",
            "https://h:0",
            "https://[::1",
            "https://127.1",
        ] {
            assert!(web_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_file_url_is_relative_or_absolute_and_never_on_a_host() {
        assert_eq!(file_url("file:./a"), Some(Ok(PathBuf::from("./a"))));
        assert_eq!(file_url("file:///a"), Some(Ok(PathBuf::from("/a"))));
        assert_eq!(file_url("file:/a"), Some(Ok(PathBuf::from("/a"))));
        assert!(file_url("file://a/b").unwrap().is_err());
        assert!(file_url("file:").unwrap().is_err());
        assert!(file_url("file:rediss://:p@h").unwrap().is_err());
        assert_eq!(file_url("./a"), None);
    }

    #[test]
    fn an_s3_url_has_a_bucket() {
        assert_eq!(
            s3_url("s3://b/p/q"),
            Some(Ok(("b".to_owned(), "p/q".to_owned())))
        );
        assert_eq!(s3_url("s3://b"), Some(Ok(("b".to_owned(), String::new()))));
        for bad in ["s3://", "s3:///p", "s3://key:secret@b/p", "s3://b/p?x"] {
            assert!(s3_url(bad).unwrap().is_err(), "{bad}");
        }
        assert_eq!(s3_url("file:x"), None);
    }
}
