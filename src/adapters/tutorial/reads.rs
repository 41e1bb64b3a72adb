//! Reads for a user that does not exist: they show whether a part of the API works, and touch no user.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use reqwest::header::{DATE, HeaderMap};
use serde_json::json;

use super::client::{Client, SCIM};
use crate::adapters::http::{ApiError, Reply, Request, is_scim_error, is_the_apis};
use crate::ports::{QuotaClass, ReadFacts, RefusalCause, RefusedRead, TenantRead};

/// The ID of a user that does not exist.
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

impl Client {
    pub(super) async fn facts(&self, read: TenantRead) -> Result<ReadFacts, ApiError> {
        let reply = self.read_of_nobody(read).await?;
        match reply.status() {
            403 | 408 | 500 | 502..=599 => Err(reply.refusal()),
            _ => Ok(facts_of(&reply)),
        }
    }

    /// Whether the API accepts and answers calls of this kind: the user is not found, and it is the API that says so.
    pub(super) async fn probe_read(&self, read: TenantRead) -> Result<(), ApiError> {
        match self.read_of_nobody(read).await {
            Ok(reply) => match reply.status() {
                200 | 204 if is_own(&reply) => Ok(()),
                200 | 204 => Err(reply.unreadable("not a JSON object, but something else")),
                _ if reply.says_missing() => Ok(()),
                _ => Err(reply.refusal()),
            },
            // "Slow down" is an answer.
            Err(ApiError::Throttled { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn read_of_nobody(&self, read: TenantRead) -> Result<Reply, ApiError> {
        let paths = self.paths();
        let get = |url, class, scope| Request::read(Method::GET, url, class, scope);

        let mut request = match read {
            TenantRead::User => get(paths.user(NOBODY)?, QuotaClass::Routing, "user:read"),
            TenantRead::Routing => get(
                paths.routing_profile(NOBODY)?,
                QuotaClass::Routing,
                "routing:read",
            ),
            TenantRead::Account => Request {
                media_type: SCIM,
                ..get(paths.scim_user(NOBODY)?, QuotaClass::Scim, "scim:read")
            },
            TenantRead::Conversations => {
                let to = self.api.transport.clock.now();
                let from = to.checked_sub(SignedDuration::from_hours(1)).unwrap_or(to);
                self.query(&json!({
                    "dateFrom": from, "dateTo": to, "pageSize": 1,
                    "filter": { "participantId": NOBODY },
                }))?
            }
        };
        request.timeout = Duration::from_secs(8);
        self.api.send(request).await
    }
}

fn facts_of(reply: &Reply) -> ReadFacts {
    let date = reply.headers.get(DATE).and_then(|date| date.to_str().ok());
    ReadFacts {
        status: reply.status(),
        is_own: is_own(reply),
        is_scim_error: is_scim_error(&reply.body),
        server_time: date
            .and_then(|date| httpdate::parse_http_date(date).ok())
            .and_then(|date| Timestamp::try_from(date).ok()),
        quota_left: quota_left(&reply.headers),
    }
}

fn is_own(reply: &Reply) -> bool {
    match reply.status() {
        // No conversations: that is an answer, too.
        204 => true,
        200..=299 => serde_json::from_slice::<serde_json::Value>(&reply.body)
            .is_ok_and(|body| body.is_object()),
        _ => is_the_apis(&reply.body),
    }
}

/// Reads the headers of the vendors that we know; each vendor names them differently.
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

    // Genesys Cloud counts the calls that were made.
    left.or_else(|| {
        let allowed = number("inin-ratelimit-allowed")?;
        Some((
            allowed.saturating_sub(number("inin-ratelimit-count")?),
            allowed,
        ))
    })
}

pub(super) fn refused_read(error: ApiError) -> RefusedRead {
    let cause = match &error {
        ApiError::Unauthorized { status, .. } => RefusalCause::Token { status: *status },
        ApiError::MissingScope { .. } => RefusalCause::MissingScope,
        ApiError::Throttled { .. } => RefusalCause::Throttled,
        ApiError::Rejected { status, code, .. } => RefusalCause::Rejected {
            status: *status,
            code: code.clone(),
        },
        ApiError::Foreign { status, shown, .. } => RefusalCause::Foreign {
            status: *status,
            shown: shown.clone(),
        },
        ApiError::Setup(_)
        | ApiError::Unreachable { .. }
        | ApiError::Untrusted { .. }
        | ApiError::NoTokenEndpoint { .. }
        | ApiError::NoDescriptor { .. }
        | ApiError::Timeout { .. }
        | ApiError::AnswerLost { .. }
        | ApiError::Server { .. }
        | ApiError::RefusedToMany { .. }
        | ApiError::Contradiction { .. }
        | ApiError::Redirected { .. }
        | ApiError::Unreadable { .. }
        | ApiError::TooLarge { .. }
        | ApiError::BadNextPage { .. }
        | ApiError::ForeignNextPage { .. }
        | ApiError::CursorLost { .. } => RefusalCause::Other,
    };
    RefusedRead {
        cause,
        failure: error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_quota_is_read_from_the_headers_of_each_vendor() {
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
