use std::time::Duration;

use url::Url;

use super::parse::{positive_duration, unless_off, web_url, whole};
use super::reader::Reader;
use crate::secret::Secret;

/// How to reach the tenant, and how hard.
#[derive(Debug, Clone)]
pub(crate) struct Cxone {
    /// Origin of the API; nothing but `/` for a path.
    pub base_uri: Url,
    pub token_uri: Url,
    pub client_id: String,
    pub client_secret: Secret,
    pub rate_routing: Rate,
    /// Quota for SCIM and user calls.
    pub rate_scim: Rate,
    pub rate_analytics: Rate,
    /// Conversations a page, 1 to 500.
    pub page_size: u16,
    /// How far back the archive reaches.
    pub history: Duration,
    /// Longest interval of one query, in days.
    pub window_days: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Rate {
    Off,
    /// Calls a second, from one an hour to a million a second.
    PerSecond(f64),
}

impl Cxone {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let base_uri = reader.get("cxone.base_uri", origin);
        let token_uri = reader.get("cxone.token_uri", web_url);
        let client_id = reader.get("cxone.client_id", |text| Ok(text.to_owned()));
        let client_secret = reader.get("cxone.client_secret", |text| Ok(Secret::new(text)));
        let rate_routing = reader.get("cxone.rate_routing", rate);
        let rate_scim = reader.get("cxone.rate_scim", rate);
        let rate_analytics = reader.get("cxone.rate_analytics", rate);
        let page_size = reader.get("cxone.page_size", whole(1..=500));
        let history = reader.get("cxone.history", positive_duration);
        let window_days = reader.get("cxone.window", unless_off(whole_days));
        let base_uri = base_uri?;
        Some(Self {
            token_uri: token_uri.unwrap_or_else(|| token_uri_of(&base_uri)),
            base_uri,
            client_id: client_id?,
            client_secret: client_secret?,
            rate_routing: rate_routing?,
            rate_scim: rate_scim?,
            rate_analytics: rate_analytics?,
            page_size: page_size?,
            history: history?,
            window_days: window_days?,
        })
    }
}

/// Tenants whose tokens come from another host set it.
pub(super) fn token_uri_of(base_uri: &Url) -> Url {
    let mut token_uri = base_uri.clone();
    token_uri.set_path("/api/v2/oauth/token");
    token_uri
}

pub(super) fn origin(text: &str) -> Result<Url, String> {
    let url = web_url(text)?;
    if url.path() == "/" {
        Ok(url)
    } else {
        Err("has a path; give scheme and host alone".to_owned())
    }
}

/// Windows begin and end at midnight, so that no part of a day is an interval.
fn whole_days(text: &str) -> Result<u32, String> {
    let seconds = positive_duration(text)?.as_secs();
    let days = u32::try_from(seconds / 86_400).unwrap_or(u32::MAX);
    if days == 0 || !seconds.is_multiple_of(86_400) {
        return Err("is no number of whole days; give one such as 31d".to_owned());
    }
    Ok(days)
}

fn rate(text: &str) -> Result<Rate, String> {
    if text == "off" {
        return Ok(Rate::Off);
    }
    let wrong =
        || "is not a rate; give one such as 20/s, 600/m or 1000/h, or off to lift it".to_owned();
    let (number, unit) = text.split_once('/').ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    // `f64` would also take `inf`, `nan` and `1e9`.
    let number: f64 = Some(number)
        .filter(|number| number.chars().all(|c| c.is_ascii_digit() || c == '.'))
        .and_then(|number| number.parse().ok())
        .ok_or_else(wrong)?;
    let per_hour = number * (3600.0 / seconds);
    if !(1.0..=3.6e9).contains(&per_hour) {
        return Err("is not between 1/h and 1000000/s; \
                    off lifts a quota, and `offboarder pause` stops all work"
            .to_owned());
    }
    Ok(Rate::PerSecond(number / seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_per_second_minute_or_hour() {
        assert_eq!(rate("20/s"), Ok(Rate::PerSecond(20.0)));
        assert_eq!(rate("0.5/s"), Ok(Rate::PerSecond(0.5)));
        assert_eq!(rate("90/m"), Ok(Rate::PerSecond(1.5)));
        assert_eq!(rate("7200/h"), Ok(Rate::PerSecond(2.0)));
        assert_eq!(rate("off"), Ok(Rate::Off));
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for bad in [
            "20",
            "/s",
            "20/d",
            "-1/s",
            "inf/s",
            "1e3/s",
            "0/s",
            "0.5/h",
            "1000001/s",
            "1.2.3/s",
            "",
        ] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_window_is_of_whole_days() {
        assert_eq!(whole_days("31d"), Ok(31));
        assert_eq!(whole_days("48h"), Ok(2));
        for bad in ["12h", "0d", "36h", "31", "off"] {
            assert!(whole_days(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_base_uri_is_an_origin() {
        assert_eq!(
            origin("https://h:8443").unwrap().as_str(),
            "https://h:8443/"
        );
        assert!(
            origin("https://h/api")
                .unwrap_err()
                .starts_with("has a path")
        );
    }

    #[test]
    fn the_token_uri_follows_from_the_base_uri() {
        let base = origin("http://127.0.0.1:8080").unwrap();
        assert_eq!(
            token_uri_of(&base).as_str(),
            "http://127.0.0.1:8080/api/v2/oauth/token"
        );
    }
}
