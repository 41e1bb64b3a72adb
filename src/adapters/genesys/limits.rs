//! The limits of a query, which the API names only in the sentence of a refusal.

use super::documents::message;
use crate::adapters::http::{ApiError, Reply};

/// The error, if the query was refused for one of its limits.
pub(super) fn over_limit(reply: &Reply) -> Option<ApiError> {
    if reply.status() != 400 {
        return None;
    }
    let what = reply.what.clone();
    match limit_of(&message(&reply.body)?)? {
        Limit::Days(days) => Some(ApiError::WindowTooLong {
            what,
            longest: format!("{days}d"),
        }),
        Limit::Results(most) => Some(ApiError::TooManyResults { what, most }),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Limit {
    /// Of one interval.
    Days(u64),
    /// Of all pages of one query.
    Results(u64),
}

/// "… does not exceed 7 days", "Pagination may not exceed 100000 results".
fn limit_of(message: &str) -> Option<Limit> {
    let (_, limit) = message.split_once(" not exceed ")?;
    let mut words = limit.split_ascii_whitespace();
    let number = words.next()?.parse().ok()?;
    let unit = words.next()?;
    if unit.starts_with("day") {
        Some(Limit::Days(number))
    } else if unit.starts_with("result") {
        Some(Limit::Results(number))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_read_from_the_sentence_that_names_it() {
        for (message, limit) in [
            (
                "Invalid interval: give one that does not exceed 7 days.",
                Some(Limit::Days(7)),
            ),
            ("that does not exceed 31 days", Some(Limit::Days(31))),
            (
                "Pagination may not exceed 100000 results",
                Some(Limit::Results(100_000)),
            ),
            ("it may not exceed seven days", None),
            ("it may not exceed 7 bytes", None),
            ("it may not exceed ", None),
            ("bad request", None),
        ] {
            assert_eq!(limit_of(message), limit, "{message}");
        }
    }
}
