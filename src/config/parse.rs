//! Text → value. An error goes on where the quoted value ends: `is not …; what to do`.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use url::{Host, Url};

use super::address::Parts;

/// Nobody means more, and arithmetic on points in time cannot overflow below it.
const LONGEST: Duration = Duration::from_hours(100 * 366 * 24);

pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("is neither true nor false; give one of them".to_owned()),
    }
}

pub(super) fn whole<T>(range: RangeInclusive<T>) -> impl FnOnce(&str) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display,
{
    move |text| {
        let inside = text.parse().ok().filter(|number| range.contains(number));
        let (least, most) = (range.start(), range.end());
        inside.ok_or_else(|| format!("is not a whole number from {least} to {most}; give one"))
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = humantime::parse_duration(text).map_err(|why| {
        format!(
            "is not a duration ({why}); give a number and a unit, such as 30s, 15m, 2h, 365d or 7y"
        )
    })?;
    if parsed > LONGEST {
        return Err("is more than 100 years; give less".to_owned());
    }
    Ok(parsed)
}

/// For what zero would disable in silence.
pub(super) fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("is no time at all; give more than 0s".to_owned()),
        positive => Ok(positive),
    }
}

pub(super) fn between(
    least: Duration,
    most: Duration,
) -> impl FnOnce(&str) -> Result<Duration, String> {
    move |text| {
        let duration = duration(text)?;
        if (least..=most).contains(&duration) {
            Ok(duration)
        } else {
            let (least, most) = (least.as_secs(), most.as_secs());
            Err(format!(
                "is not between {least}s and {most}s; give a duration within"
            ))
        }
    }
}

pub(super) fn unless_off<T>(
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> impl FnOnce(&str) -> Result<Option<T>, String> {
    |text| {
        if text == "off" {
            Ok(None)
        } else {
            parse(text).map(Some)
        }
    }
}

/// `https`, or `http` where nobody can listen in; credentials in it would end up in logs.
pub(super) fn web_url(text: &str) -> Result<Url, String> {
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
    // What is shown and what is asked are the same host.
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

/// The path in `file:path` or `file:///path`; `None` for anything that is no `file:`.
pub(super) fn file_url(text: &str) -> Option<Result<PathBuf, String>> {
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
        // It would be a directory of that name, and its password is shown.
        return Some(Err("holds another URL; remove file: before it".to_owned()));
    }
    Some(Ok(PathBuf::from(path)))
}

/// Bucket and key in `s3://bucket/key`; `None` for anything that is no `s3:`.
pub(super) fn s3_url(text: &str) -> Option<Result<(String, String), String>> {
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
    fn durations_have_units_and_an_end() {
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert_eq!(duration("365d"), Ok(Duration::from_hours(365 * 24)));
        assert_eq!(duration("15m"), Ok(Duration::from_mins(15)));
        assert!(duration("7y").unwrap() > Duration::from_hours(7 * 365 * 24));
        let why = duration("25").unwrap_err();
        assert!(why.contains("such as 30s, 15m, 2h, 365d or 7y"), "{why}");
        assert!(duration("101y").unwrap_err().contains("100 years"));
        assert!(positive_duration("0s").is_err());
    }

    #[test]
    fn whole_numbers_stay_within_their_range() {
        assert_eq!(whole(1..=500_u16)("500"), Ok(500));
        for text in ["0", "501", "-1", "1.5", "many", "99999999999999999999"] {
            let why = whole(1..=500_u16)(text).unwrap_err();
            assert_eq!(why, "is not a whole number from 1 to 500; give one");
        }
    }

    #[test]
    fn plain_http_is_for_loopback_alone() {
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
