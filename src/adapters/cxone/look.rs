use std::time::SystemTime;

use reqwest::header::{DATE, HeaderMap};

use super::transport::Reply;

/// A kind of reading call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Whether a user exists.
    User,
    /// A routing profile.
    Routing,
    /// A SCIM user.
    Scim,
    /// A query for conversations.
    Conversations,
}

/// What an answer tells beside its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// HTTP status.
    pub status: u16,
    /// The body is JSON, as every answer of the API is that is no empty one.
    pub is_json: bool,
    /// The server's clock.
    pub server_time: Option<SystemTime>,
    /// Calls that the quota still allows, and of how many.
    pub quota_left: Option<(u64, u64)>,
}

impl Seen {
    pub(super) fn of(reply: &Reply) -> Self {
        let date = reply.headers.get(DATE).and_then(|date| date.to_str().ok());
        Self {
            status: reply.status(),
            is_json: serde_json::from_slice::<serde_json::Value>(&reply.body).is_ok(),
            server_time: date.and_then(|date| httpdate::parse_http_date(date).ok()),
            quota_left: quota_left(&reply.headers),
        }
    }
}

/// No two vendors name these alike.
fn quota_left(headers: &HeaderMap) -> Option<(u64, u64)> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    let left = ["ratelimit", "x-ratelimit", "x-rate-limit"]
        .iter()
        .find_map(|name| Some((number(&format!("{name}-remaining"))?, number(&format!("{name}-limit"))?)));
    // Genesys Cloud counts what is used.
    left.or_else(|| {
        let allowed = number("inin-ratelimit-allowed")?;
        Some((allowed.saturating_sub(number("inin-ratelimit-count")?), allowed))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_quota_is_read_from_the_headers_that_vendors_send() {
        let of = |pairs: [(&'static str, &'static str); 2]| {
            let pairs = pairs.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            quota_left(&HeaderMap::from_iter(pairs))
        };
        assert_eq!(of([("X-RateLimit-Remaining", "3"), ("X-RateLimit-Limit", "100")]), Some((3, 100)));
        assert_eq!(of([("RateLimit-Remaining", "0"), ("RateLimit-Limit", "5")]), Some((0, 5)));
        assert_eq!(of([("inin-ratelimit-count", "290"), ("inin-ratelimit-allowed", "300")]), Some((10, 300)));
        assert_eq!(of([("RateLimit-Remaining", "3"), ("X-RateLimit-Limit", "100")]), None);
    }
}
