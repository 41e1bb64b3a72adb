use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use reqwest::header::{DATE, HeaderMap};
use serde_json::json;

use super::answer::{is_scim_error, is_the_apis};
use super::client::{Client, SCIM, page_request};
use super::error::CxoneError;
use super::transport::{Reply, Request};
use crate::ports::QuotaClass;

/// A user that nobody has.
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

/// A kind of reading call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    User,
    Routing,
    Scim,
    Conversations,
}

/// What an answer tells beside its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub status: u16,
    /// A success with JSON, or an error as the API itself writes them.
    pub is_own: bool,
    /// An error as SCIM writes them.
    pub is_scim_error: bool,
    pub server_time: Option<SystemTime>,
    /// Calls that the quota still allows, and of how many.
    pub quota_left: Option<(u64, u64)>,
}

impl Seen {
    pub(super) fn of(reply: &Reply) -> Self {
        let date = reply.headers.get(DATE).and_then(|date| date.to_str().ok());
        Self {
            status: reply.status(),
            is_own: is_own(reply),
            is_scim_error: is_scim_error(&reply.body),
            server_time: date.and_then(|date| httpdate::parse_http_date(date).ok()),
            quota_left: quota_left(&reply.headers),
        }
    }
}

fn is_own(reply: &Reply) -> bool {
    match reply.status() {
        // Nothing is an answer, too: no conversations.
        204 => true,
        200..=299 => serde_json::from_slice::<serde_json::Value>(&reply.body)
            .is_ok_and(|body| body.is_object()),
        _ => is_the_apis(&reply.body),
    }
}

impl Client {
    /// Reads what nobody has: every user's calls of this kind are answered alike, and nothing is changed.
    pub(crate) async fn look(&self, look: Look) -> Result<Seen, CxoneError> {
        let reply = self.read_of_nobody(look).await?;
        match reply.status() {
            403 | 408 | 500 | 502..=599 => Err(reply.refusal()),
            _ => Ok(Seen::of(&reply)),
        }
    }

    /// Whether the API lets us in and answers, to the calls of this kind: what nobody has is not found, and it is
    /// the API that says so.
    pub(crate) async fn probe(&self, look: Look) -> Result<(), CxoneError> {
        match self.read_of_nobody(look).await {
            Ok(reply) => match reply.status() {
                200 | 204 if is_own(&reply) => Ok(()),
                200 | 204 => Err(reply.unreadable("no JSON object, but something else")),
                _ if reply.says_missing() => Ok(()),
                _ => Err(reply.refusal()),
            },
            // Slow down is an answer.
            Err(CxoneError::Throttled { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn read_of_nobody(&self, look: Look) -> Result<Reply, CxoneError> {
        let get = |segments: &[&str], class, scope| {
            self.url(segments)
                .map(|url| Request::new(Method::GET, url, class, scope))
        };
        let mut request = match look {
            Look::User => get(
                &["api", "v2", "iam", "users", NOBODY],
                QuotaClass::Routing,
                "user:read",
            )?,
            Look::Routing => get(
                &["api", "v2", "routing", "users", NOBODY, "routingprofile"],
                QuotaClass::Routing,
                "routing:read",
            )?,
            Look::Scim => Request {
                media_type: SCIM,
                ..get(
                    &["api", "v2", "scim", "v2", "Users", NOBODY],
                    QuotaClass::Scim,
                    "scim:read",
                )?
            },
            Look::Conversations => {
                let to = Timestamp::now();
                let from = to.checked_sub(SignedDuration::from_hours(1)).unwrap_or(to);
                let body = json!({
                    "dateFrom": from, "dateTo": to, "pageSize": 1, "filter": { "participantId": NOBODY },
                });
                let url = self.url(&["api", "v2", "conversations", "details", "query"])?;
                Request {
                    body: Some(body.to_string().into_bytes()),
                    ..page_request(Method::POST, url)
                }
            }
        };
        request.timeout = Duration::from_secs(8);
        self.send(request).await
    }
}

/// No two vendors name these alike.
fn quota_left(headers: &HeaderMap) -> Option<(u64, u64)> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    let left = ["ratelimit", "x-ratelimit", "x-rate-limit"]
        .iter()
        .find_map(|name| {
            Some((
                number(&format!("{name}-remaining"))?,
                number(&format!("{name}-limit"))?,
            ))
        });
    // Genesys Cloud counts what is used.
    left.or_else(|| {
        let allowed = number("inin-ratelimit-allowed")?;
        Some((
            allowed.saturating_sub(number("inin-ratelimit-count")?),
            allowed,
        ))
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
        assert_eq!(
            of([("X-RateLimit-Remaining", "3"), ("X-RateLimit-Limit", "100")]),
            Some((3, 100))
        );
        assert_eq!(
            of([("RateLimit-Remaining", "0"), ("RateLimit-Limit", "5")]),
            Some((0, 5))
        );
        assert_eq!(
            of([
                ("inin-ratelimit-count", "290"),
                ("inin-ratelimit-allowed", "300")
            ]),
            Some((10, 300))
        );
        assert_eq!(
            of([("RateLimit-Remaining", "3"), ("X-RateLimit-Limit", "100")]),
            None
        );
    }
}
