//! What the answer to a read says beside its content, for `doctor` and for probes.

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap};

use super::answer::{is_scim_error, is_the_apis};
use super::error::ApiError;
use super::transport::Reply;
use crate::ports::{ReadFacts, RefusalCause, RefusedRead};

/// The ID of a user that does not exist.
pub(crate) const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

/// What an answer shows, whatever it says.
pub(crate) fn facts_of(reply: &Reply) -> ReadFacts {
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

/// Whether the API itself answered: a success with a JSON object, or an error in its form.
pub(crate) fn is_own(reply: &Reply) -> bool {
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

/// Why a read was refused.
pub(crate) fn refused_read(error: ApiError) -> RefusedRead {
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
        | ApiError::Withheld { .. }
        | ApiError::RefusedToMany { .. }
        | ApiError::Contradiction { .. }
        | ApiError::Redirected { .. }
        | ApiError::Unreadable { .. }
        | ApiError::TooLarge { .. }
        | ApiError::BadNextPage { .. }
        | ApiError::ForeignNextPage { .. }
        | ApiError::CursorLost { .. }
        | ApiError::PagesMoved { .. }
        | ApiError::WindowTooLong { .. }
        | ApiError::TooManyResults { .. } => RefusalCause::Other,
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
