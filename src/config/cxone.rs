//! `[cxone]`: how to reach the tenant, and how often it may be called.

use std::time::Duration;

use url::Url;

use super::reader::Reader;
use super::table;
use crate::address::web_url;
use crate::limits::Rate;
use crate::limits::parse::{positive_duration, unless_off, whole};
use crate::secret::Secret;

#[derive(Debug, Clone)]
pub(crate) struct Cxone {
    /// Origin of the API; its path is `/`.
    pub base_uri: Url,
    pub token_uri: Url,
    pub client_id: String,
    pub client_secret: Secret,
    /// `None`: without a limit.
    pub rate_routing: Option<Rate>,
    pub rate_scim: Option<Rate>,
    pub rate_analytics: Option<Rate>,
    /// Conversations a page, 1 to 500.
    pub page_size: u16,
    /// How far back the archive reaches.
    pub history: Duration,
    /// Longest interval of one query, in days.
    pub window_days: Option<u32>,
}

impl Cxone {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let base_uri = reader.get(&table::CXONE_BASE_URI, origin);
        let token_uri = reader.get(&table::CXONE_TOKEN_URI, web_url);
        let client_id = reader.get(&table::CXONE_CLIENT_ID, |text| Ok(text.to_owned()));
        let client_secret = reader.get(&table::CXONE_CLIENT_SECRET, |text| Ok(Secret::new(text)));
        let rate_routing = reader.get(&table::CXONE_RATE_ROUTING, rate);
        let rate_scim = reader.get(&table::CXONE_RATE_SCIM, rate);
        let rate_analytics = reader.get(&table::CXONE_RATE_ANALYTICS, rate);
        let page_size = reader.get(&table::CXONE_PAGE_SIZE, whole(1..=500));
        let history = reader.get(&table::CXONE_HISTORY, positive_duration);
        let window_days = reader.get(&table::CXONE_WINDOW, unless_off(whole_days));

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

/// The default of `cxone.token_uri`.
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
        Err("has a path; give only scheme and host".to_owned())
    }
}

/// Windows begin and end at midnight, so a part of a day cannot be an interval.
fn whole_days(text: &str) -> Result<u32, String> {
    let seconds = positive_duration(text)?.as_secs();
    let days = u32::try_from(seconds / 86_400).unwrap_or(u32::MAX);
    if days == 0 || !seconds.is_multiple_of(86_400) {
        return Err("is not a number of whole days; give one such as 31d".to_owned());
    }
    Ok(days)
}

fn rate(text: &str) -> Result<Option<Rate>, String> {
    if text == "off" {
        return Ok(None);
    }
    let remedy = "off lifts a quota, and `offboarder pause` stops all work";
    Rate::parse(text)
        .map(Some)
        .map_err(|why| format!("{why}; {remedy}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_a_rate_or_off() {
        assert_eq!(rate("off"), Ok(None));
        assert_eq!(rate("20/s"), Ok(Rate::parse("20/s").ok()));
        assert!(rate("fast").unwrap_err().contains("off lifts a quota"));
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
