//! `[cxone]`: how to reach the tenant, and how often it may be called.

use std::time::Duration;

use url::Url;

use super::reader::Reader;
use super::table;
use super::tls::TlsSettings;
use crate::address::{PemFile, web_url};
use crate::limits::Rate;
use crate::limits::parse::{boolean, duration, positive_duration, unless_off, whole};
use crate::profile::TenantProfile;
use crate::secret::Secret;

const TLS: TlsSettings = TlsSettings {
    ca: &table::CXONE_CA_FILE,
    client: None,
};

/// The key of a service employee, with which the profile `cxone` gets its tokens.
#[derive(Debug, Clone)]
pub(crate) struct AccessKey {
    pub id: String,
    pub secret: Secret,
}

#[derive(Debug, Clone)]
pub(crate) struct Cxone {
    pub profile: TenantProfile,
    /// Origin of the API; its path is `/`.
    pub base_uri: Url,
    pub token_uri: Url,
    /// Of a private CA.
    pub ca: Option<PemFile>,
    pub client_id: String,
    pub client_secret: Secret,
    /// There is one exactly with the profile `cxone`.
    pub access_key: Option<AccessKey>,
    /// Profile `cxone`: the version in the paths of ACD, e.g. `34.0`.
    pub api_version: String,
    /// Profile `genesys`: whether a queue that comes from a group is left through the group.
    pub leave_groups: bool,
    /// `None`: without a limit.
    pub rate_routing: Option<Rate>,
    pub rate_scim: Option<Rate>,
    pub rate_analytics: Option<Rate>,
    /// Conversations a page, within [`crate::profile::Preset::page_sizes`].
    pub page_size: u16,
    /// How far back the archive reaches.
    pub history: Duration,
    /// Time between Deactivated and the archive.
    pub settle: Duration,
    /// Longest interval of one query, in days.
    pub window_days: Option<u32>,
}

impl Cxone {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let profile = reader.get(&table::CXONE_PROFILE, str::parse::<TenantProfile>);
        // Without a profile its fault is noted, and the other settings are read as those of the default.
        let preset = profile.unwrap_or_default().preset();

        let base_uri = reader.get(&table::CXONE_BASE_URI, origin);
        let token_uri = reader.get(&table::CXONE_TOKEN_URI, web_url);
        let client_id = reader.get(&table::CXONE_CLIENT_ID, |text| Ok(text.to_owned()));
        let client_secret = reader.get(&table::CXONE_CLIENT_SECRET, |text| Ok(Secret::new(text)));
        let access_key = access_key(reader, profile);
        let api_version = reader.get(&table::CXONE_API_VERSION, api_version);
        let leave_groups = reader.get(&table::CXONE_LEAVE_GROUPS, boolean);
        let rate_routing = reader.get(&table::CXONE_RATE_ROUTING, rate);
        let rate_scim = reader.get(&table::CXONE_RATE_SCIM, rate);
        let rate_analytics = reader.get(&table::CXONE_RATE_ANALYTICS, rate);
        let page_size = reader.get(&table::CXONE_PAGE_SIZE, whole(preset.page_sizes.clone()));
        let history = reader.get(&table::CXONE_HISTORY, positive_duration);
        let settle = reader.get(&table::CXONE_SETTLE, duration);
        let window_days = reader.get(&table::CXONE_WINDOW, unless_off(whole_days));

        if let Some(profile) = profile {
            // A window with a fault has its own.
            refuse_what_the_profile_has_not(reader, profile, window_days != Some(None));
        }
        let urls = [&base_uri, &token_uri];
        let in_clear =
            base_uri.is_some() && urls.into_iter().flatten().all(|url| url.scheme() == "http");
        let tls_by = in_clear.then_some("make OFFBOARDER_CXONE_BASE_URI an https:// URL");
        let ca = TLS.read(reader, tls_by).ca;

        let base_uri = base_uri?;
        let token_uri = match token_uri {
            Some(token_uri) => token_uri,
            None => token_uri_of(profile?, &base_uri).ok()?,
        };
        Some(Self {
            profile: profile?,
            token_uri,
            base_uri,
            ca,
            client_id: client_id?,
            client_secret: client_secret?,
            access_key,
            api_version: api_version?,
            leave_groups: leave_groups?,
            rate_routing: rate_routing?,
            rate_scim: rate_scim?,
            rate_analytics: rate_analytics?,
            page_size: page_size?,
            history: history?,
            settle: settle?,
            window_days: window_days?,
        })
    }
}

/// Notes a fault where the profile `cxone` misses its key, and where another profile has one: then the profile was
/// probably forgotten.
fn access_key(reader: &mut Reader<'_>, profile: Option<TenantProfile>) -> Option<AccessKey> {
    let id = reader.get(&table::CXONE_ACCESS_KEY_ID, |text| Ok(text.to_owned()));
    let secret = reader.get(&table::CXONE_ACCESS_KEY_SECRET, |text| {
        Ok(Secret::new(text))
    });

    for setting in [&table::CXONE_ACCESS_KEY_ID, &table::CXONE_ACCESS_KEY_SECRET] {
        match profile {
            Some(TenantProfile::Cxone)
                if reader.is_unset(setting) && !reader.is_unset(&table::CXONE_BASE_URI) =>
            {
                reader.note(
                    setting,
                    "is not set, and the profile cxone gets its tokens with an access key; set it, \
                     or the variable that ends in _FILE (docs/tenants.md)",
                );
            }
            Some(TenantProfile::Tutorial | TenantProfile::Genesys) if reader.is_given(setting) => {
                reader.note(
                    setting,
                    "is set, and only the profile cxone uses an access key; set \
                     OFFBOARDER_CXONE_PROFILE=cxone, or remove it",
                );
            }
            Some(_) | None => {}
        }
    }
    id.zip(secret).map(|(id, secret)| AccessKey { id, secret })
}

/// A quota that no call uses would limit nothing, and a history in one query would be refused for every user.
fn refuse_what_the_profile_has_not(
    reader: &mut Reader<'_>,
    profile: TenantProfile,
    has_window: bool,
) {
    let preset = profile.preset();
    if preset.one_budget {
        for setting in [&table::CXONE_RATE_SCIM, &table::CXONE_RATE_ANALYTICS] {
            if reader.is_given(setting) && reader.text(setting) != Some("off") {
                let text = format!(
                    "limits nothing: all calls of the profile {profile} share one quota; set \
                     OFFBOARDER_CXONE_RATE_ROUTING instead"
                );
                reader.refuse(setting, &text);
            }
        }
    }
    if preset.needs_window && !has_window {
        let text = format!(
            "is not possible with the profile {profile}, whose queries cover days, not a whole history; give one \
             such as 7d"
        );
        reader.refuse(&table::CXONE_WINDOW, &text);
    }
}

/// The default of `cxone.token_uri`.
pub(super) fn token_uri_of(profile: TenantProfile, base_uri: &Url) -> Result<Url, url::ParseError> {
    match profile {
        TenantProfile::Tutorial => base_uri.join("/api/v2/oauth/token"),
        // The issuer of all areas of the commercial cloud (NICE: GettingStarted, APIAuthenticationAndAuthorization).
        TenantProfile::Cxone => Url::parse("https://cxone.niceincontact.com/auth/token"),
        // As the vendor's SDK makes it (platform-client-sdk-go, configuration.go).
        TenantProfile::Genesys => {
            let mut login = base_uri.clone();
            let host = base_uri
                .host_str()
                .and_then(|host| host.strip_prefix("api."));
            if let Some(region) = host {
                login.set_host(Some(&format!("login.{region}")))?;
            }
            login.join("/oauth/token")
        }
    }
}

/// Becomes a segment of a path.
fn api_version(text: &str) -> Result<String, String> {
    let is_version = text
        .strip_suffix(".0")
        .is_some_and(|major| major.len() == 2 && major.bytes().all(|byte| byte.is_ascii_digit()));
    if is_version {
        Ok(text.to_owned())
    } else {
        Err("is no version of the API; give one such as 34.0".to_owned())
    }
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
    fn the_token_uri_follows_from_profile_and_base_uri() {
        for (profile, base, token_uri) in [
            (
                TenantProfile::Tutorial,
                "http://127.0.0.1:8080",
                "http://127.0.0.1:8080/api/v2/oauth/token",
            ),
            (
                TenantProfile::Cxone,
                "https://api-na1.niceincontact.com",
                "https://cxone.niceincontact.com/auth/token",
            ),
            (
                TenantProfile::Genesys,
                "https://api.mypurecloud.ie",
                "https://login.mypurecloud.ie/oauth/token",
            ),
            (
                TenantProfile::Genesys,
                "http://127.0.0.1:8080",
                "http://127.0.0.1:8080/oauth/token",
            ),
        ] {
            let base = origin(base).unwrap();
            assert_eq!(token_uri_of(profile, &base).unwrap().as_str(), token_uri);
        }
    }

    #[test]
    fn a_version_is_two_digits_and_never_another_path() {
        assert_eq!(api_version("34.0").as_deref(), Ok("34.0"));
        for bad in ["34", "v34.0", "34.1", "../.0", "3.0", "x4.0", ""] {
            assert!(api_version(bad).is_err(), "{bad}");
        }
    }
}
