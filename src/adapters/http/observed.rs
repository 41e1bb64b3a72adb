//! Observations, as the surveys of all APIs make them.

use super::answer::code_of;
use super::error::ApiError;
use super::transport::Reply;
use crate::ports::{Observation, Seen};

pub(crate) const fn observed(
    question: Option<&'static str>,
    check: &'static str,
    seen: Seen,
) -> Observation {
    Observation {
        question,
        check,
        seen,
    }
}

/// A call that could not be made is what was seen.
pub(crate) fn seen(result: Result<Seen, ApiError>) -> Seen {
    result.unwrap_or_else(|error| Seen::Failed(error.into()))
}

/// Status and error code of an answer.
pub(crate) fn status_of(reply: &Reply) -> String {
    let code = match reply.status() {
        200..=299 => None,
        _ => code_of(&reply.body),
    };
    match code {
        Some(code) => format!("{} {code}", reply.status()),
        None => reply.status().to_string(),
    }
}
